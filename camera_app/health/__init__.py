"""How the device does, told to whoever reads: reads each part's frozen figures."""

from camera_app.health.heartbeat import Heartbeat, SnapshotFolder
from camera_app.health.occupancy import Place, occupancy, places_of
from camera_app.health.status import CameraFigures, DeviceFigures, status_of

__all__ = [
    "CameraFigures",
    "DeviceFigures",
    "Heartbeat",
    "Place",
    "SnapshotFolder",
    "occupancy",
    "places_of",
    "status_of",
]
