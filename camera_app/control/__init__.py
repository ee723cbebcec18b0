"""What an owner changes while the camera runs: carried out, kept, and looked after."""

from camera_app.control.best_shots import BestShots
from camera_app.control.kept import KeptFile
from camera_app.control.live import LiveView, Shown
from camera_app.control.self_test import Circumstances, SelfTest, self_test, self_test_message
from camera_app.control.steering import FACE, Steered, Steering, orders_of

__all__ = [
    "FACE",
    "BestShots",
    "Circumstances",
    "KeptFile",
    "LiveView",
    "SelfTest",
    "Shown",
    "Steered",
    "Steering",
    "orders_of",
    "self_test",
    "self_test_message",
]
