"""Measurements that an owner can repeat: ratios taken in one run, never promises."""

from camera_app.bench.devices import DeviceBench, bench_devices
from camera_app.bench.replay import ReplayBench, bench_replay, every_frame_whole

__all__ = ["DeviceBench", "ReplayBench", "bench_devices", "bench_replay", "every_frame_whole"]
