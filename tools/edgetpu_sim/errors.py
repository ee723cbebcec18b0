"""What the simulation raises."""

from __future__ import annotations

from camera_app.errors import CameraAppError


class SimulationError(CameraAppError):
    """The simulation cannot do what was asked: says what, where and what to do."""
