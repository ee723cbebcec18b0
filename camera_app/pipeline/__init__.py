"""One camera's way from frames to event changes; live and replay both drive it."""

from camera_app.pipeline.asking import Asking, ModelChoice
from camera_app.pipeline.looking import Looker, LookPlan, ShedReason
from camera_app.pipeline.merging import Look, merge_regions
from camera_app.pipeline.times import FrameTimes, Step
from camera_app.pipeline.watch import CameraWatch
from camera_app.pipeline.worker import Asked, CameraStats, CameraWorker, Concluded, Orders

__all__ = [
    "Asked",
    "Asking",
    "CameraStats",
    "CameraWatch",
    "CameraWorker",
    "Concluded",
    "FrameTimes",
    "Look",
    "LookPlan",
    "Looker",
    "ModelChoice",
    "Orders",
    "ShedReason",
    "Step",
    "merge_regions",
]
