"""Recorded clips on a virtual clock: what would the camera have said?"""

from camera_app.replay.outputs import ReplayFiles
from camera_app.replay.run import ReplayHooks, ReplaySummary, Watched, run_replay
from camera_app.replay.settings import ReplayRequest, camera_names, settings_digest

__all__ = [
    "ReplayFiles",
    "ReplayHooks",
    "ReplayRequest",
    "ReplaySummary",
    "Watched",
    "camera_names",
    "run_replay",
    "settings_digest",
]
