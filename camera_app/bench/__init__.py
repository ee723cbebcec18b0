"""Measurements that an owner can repeat: ratios taken in one run, never promises."""

from camera_app.bench.devices import DeviceBench, bench_devices
from camera_app.bench.latency import LoadedLatency, bench_latency
from camera_app.bench.replay import ReplayBench, bench_replay, every_frame_whole
from camera_app.bench.running import Wishes
from camera_app.bench.service import ServiceBench, bench_service

__all__ = [
    "DeviceBench",
    "LoadedLatency",
    "ReplayBench",
    "ServiceBench",
    "Wishes",
    "bench_devices",
    "bench_latency",
    "bench_replay",
    "bench_service",
    "every_frame_whole",
]
