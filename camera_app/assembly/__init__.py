"""What `app.py` puts together: parts that are built, begun, changed and ended as one.

Each file binds parts of other rooms into one thing that can be had or not: a camera, the devices
that look, the way to the hub. Nothing is decided here, and nothing here knows the whole.
"""

from camera_app.assembly.camera import Camera, Surroundings
from camera_app.assembly.delivery import Delivery, DeliverySettings, Household
from camera_app.assembly.devices import (
    DevicePlan,
    Devices,
    device_plan,
    model_choices,
    shares_of,
    stick_plan,
)

__all__ = [
    "Camera",
    "Delivery",
    "DeliverySettings",
    "DevicePlan",
    "Devices",
    "Household",
    "Surroundings",
    "device_plan",
    "model_choices",
    "shares_of",
    "stick_plan",
]
