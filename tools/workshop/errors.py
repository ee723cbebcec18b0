"""What a step of the workshop raises when it cannot go on."""

from __future__ import annotations

from camera_app.errors import CameraAppError


class WorkshopError(CameraAppError):
    """A step cannot go on: says what, where and what to do."""
