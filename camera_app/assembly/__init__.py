"""What `app.py` puts together: parts that are built, begun, changed and ended as one.

Each file binds parts of other rooms into one thing that can be had or not: a camera, the devices
that look, the way to the hub. Nothing is decided here, and nothing here knows the whole.
"""

from camera_app.assembly.camera import Camera
from camera_app.assembly.devices import Devices, device_plan, shares_of
from camera_app.assembly.examine import examine, problem_of
from camera_app.assembly.house import (
    STILLS_FOLDER,
    House,
    film_folders,
    has_snapshots,
    models_of,
    reserve_bytes,
    stills_folders,
    wanted_cameras,
)
from camera_app.assembly.transition import STEPS, Transition

__all__ = [
    "STEPS",
    "STILLS_FOLDER",
    "Camera",
    "Devices",
    "House",
    "Transition",
    "device_plan",
    "examine",
    "film_folders",
    "has_snapshots",
    "models_of",
    "problem_of",
    "reserve_bytes",
    "shares_of",
    "stills_folders",
    "wanted_cameras",
]
