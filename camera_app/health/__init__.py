"""How the device does, told to whoever reads: reads each part's frozen figures."""

from camera_app.health.activity import Activity, ActivityRecord, read_activities
from camera_app.health.caretaker import Caretaker
from camera_app.health.heartbeat import Heartbeat, SnapshotFolder
from camera_app.health.occupancy import Place, occupancy, places_of
from camera_app.health.pressure import PressureGauge
from camera_app.health.readiness import readiness_of
from camera_app.health.readiness_file import ReadinessFile
from camera_app.health.status import CameraFigures, DeviceFigures, Standing, status_of
from camera_app.health.summary import summary_of
from camera_app.health.systemd import Notifier
from camera_app.health.watchdog import Hang, Watchdog
from camera_app.readiness import (
    Ability,
    Readiness,
    ReadinessReport,
    Shortfall,
    read_readiness,
    runtime_folder,
)

__all__ = [
    "Ability",
    "Activity",
    "ActivityRecord",
    "CameraFigures",
    "Caretaker",
    "DeviceFigures",
    "Hang",
    "Heartbeat",
    "Notifier",
    "Place",
    "PressureGauge",
    "Readiness",
    "ReadinessFile",
    "ReadinessReport",
    "Shortfall",
    "SnapshotFolder",
    "Standing",
    "Watchdog",
    "occupancy",
    "places_of",
    "read_activities",
    "read_readiness",
    "readiness_of",
    "runtime_folder",
    "status_of",
    "summary_of",
]
