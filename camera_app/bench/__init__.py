"""Measurements that an owner can repeat: ratios taken in one run, never promises."""

from camera_app.bench.replay import ReplayBench, bench_replay, every_frame_whole

__all__ = ["ReplayBench", "bench_replay", "every_frame_whole"]
