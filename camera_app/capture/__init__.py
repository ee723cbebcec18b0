"""Where frames come from: recorded clips, live sources, and the motion gate behind them.

What is listed here is imported when it is first asked for: a source child imports this package
too, and starts in a fraction of the time without what only the parent uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from camera_app.lazy import finder

if TYPE_CHECKING:
    from camera_app.capture.clip import ClipReader
    from camera_app.capture.doorway import Doorway
    from camera_app.capture.file import ClipInfo
    from camera_app.capture.film_source import FilmSource
    from camera_app.capture.live import LiveSource, SourceStats
    from camera_app.capture.motion import MotionGate
    from camera_app.capture.synthetic import Scene, SyntheticReader
    from camera_app.capture.wire import (
        UNFINISHED,
        FilmEnd,
        FilmNews,
        FilmOrder,
        FilmWish,
        GateMeans,
        unfinished,
    )

__all__ = [
    "UNFINISHED",
    "ClipInfo",
    "ClipReader",
    "Doorway",
    "FilmEnd",
    "FilmNews",
    "FilmOrder",
    "FilmSource",
    "FilmWish",
    "GateMeans",
    "LiveSource",
    "MotionGate",
    "Scene",
    "SourceStats",
    "SyntheticReader",
    "unfinished",
]

_HOMES = {
    "UNFINISHED": "wire",
    "ClipInfo": "file",
    "ClipReader": "clip",
    "Doorway": "doorway",
    "FilmEnd": "wire",
    "FilmNews": "wire",
    "FilmOrder": "wire",
    "FilmSource": "film_source",
    "FilmWish": "wire",
    "GateMeans": "wire",
    "LiveSource": "live",
    "MotionGate": "motion",
    "Scene": "synthetic",
    "SourceStats": "live",
    "SyntheticReader": "synthetic",
    "unfinished": "wire",
}

__getattr__ = finder(__name__, _HOMES)
