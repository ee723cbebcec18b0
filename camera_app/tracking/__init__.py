"""Detections in, tracks out: the same object over time, whatever frames were shed."""

from __future__ import annotations

from camera_app.tracking.tracker import Tracker, visible

__all__ = ["Tracker", "visible"]
