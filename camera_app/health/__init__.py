"""How the device does, told to whoever reads: reads each part's frozen figures."""

from camera_app.health.heartbeat import Heartbeat, SnapshotFolder
from camera_app.health.occupancy import Place, occupancy, places_of
from camera_app.health.pressure import PressureGauge
from camera_app.health.status import CameraFigures, DeviceFigures, Standing, status_of

__all__ = [
    "CameraFigures",
    "DeviceFigures",
    "Heartbeat",
    "Place",
    "PressureGauge",
    "SnapshotFolder",
    "Standing",
    "occupancy",
    "places_of",
    "status_of",
]
