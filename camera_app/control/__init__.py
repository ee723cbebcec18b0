"""What an owner changes while the camera runs: carried out, kept, and looked after."""

from camera_app.control.best_shots import BestShots
from camera_app.control.changes import (
    Change,
    Effect,
    changes,
    has_same_feed,
    is_order,
    needing_restart,
)
from camera_app.control.kept import KeptFile
from camera_app.control.live import LiveView, Shown
from camera_app.control.self_test import Circumstances, SelfTest, self_test, self_test_message
from camera_app.control.steering import FACE, Steered, Steering, orders_of

__all__ = [
    "FACE",
    "BestShots",
    "Change",
    "Circumstances",
    "Effect",
    "KeptFile",
    "LiveView",
    "SelfTest",
    "Shown",
    "Steered",
    "Steering",
    "changes",
    "has_same_feed",
    "is_order",
    "needing_restart",
    "orders_of",
    "self_test",
    "self_test_message",
]
