"""Stills of the best moment of each event, as JPEG files in one folder.

While an event is open the frame of its best moment is held; it is written when the event starts
and again, if a better one came, when it ends. The folder is bounded by age and size, oldest first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2

from camera_app.config import SnapshotSettings
from camera_app.durable import is_full
from camera_app.errors import StoreError, StoreFull
from camera_app.media.colour import bgr
from camera_app.media.retention import files_to_delete, stored_in
from camera_app.values import ChangeType, Event, EventChange, Frame, Picture

_log = logging.getLogger(__name__)


def encode_jpeg(picture: Picture, quality: int) -> bytes:
    """Return a picture as JPEG; quality 1 to 100."""
    is_encoded, data = cv2.imencode(".jpg", bgr(picture), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not is_encoded:
        raise StoreError("the picture cannot be encoded as JPEG")
    return bytes(data)


@dataclass(slots=True)
class _Held:
    """The best frame of one open event.

    Attributes:
        frame: The frame.
        score: The score of the object in it.
        is_written: The file on disk shows this frame.
    """

    frame: Frame
    score: float
    is_written: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotStats:
    """What the keeper has done so far.

    Attributes:
        written: Stills that were kept.
        failed: Stills that were not, for want of space or of a disk that takes them.
        written_bytes: Size of those that were kept.
    """

    written: int = 0
    failed: int = 0
    written_bytes: int = 0


class SnapshotKeeper:
    """Keeps the best picture of every open event of one camera; belongs to one thread.

    Args:
        folder: Where the files go, `<event_id>.jpg`; made on the first write.
        settings: Quality and limits.
        has_space: Whether the disk has space for stills; asked before each is written.
        note: Called with each file that was written.

    Attributes:
        is_enabled: Whether to keep them; any thread may change it.
    """

    def __init__(
        self,
        folder: Path,
        settings: SnapshotSettings,
        has_space: Callable[[], bool] = lambda: True,
        note: Callable[[Path], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._has_space = has_space
        self._note = note
        self._settings = settings
        self.is_enabled = settings.enabled
        self._held: dict[str, _Held] = {}
        self._written = 0
        self._failed = 0
        self._written_bytes = 0

    @property
    def stats(self) -> SnapshotStats:
        return SnapshotStats(self._written, self._failed, self._written_bytes)

    def consider(
        self, frame: Frame | None, open_events: Iterable[Event], changes: Iterable[EventChange]
    ) -> list[tuple[EventChange, Path]]:
        """Look whether a frame is the best of some event; write what has become due.

        Args:
            frame: The frame that was just concluded; None when changes came without one.
            open_events: The events of this camera that are open after it.
            changes: The changes that it brought.

        Returns:
            The changes whose snapshot was written, with the file.
        """
        if not self.is_enabled:
            self._held.clear()
            return []
        if frame is not None:
            for event in open_events:
                self._hold_if_best(event, frame)
        written = []
        for change in changes:
            path = self._write_if_due(change)
            if path is not None:
                written.append((change, path))
        return written

    def _hold_if_best(self, event: Event, frame: Frame) -> None:
        held = self._held.get(event.event_id)
        is_best_yet = event.last_seen_ns == frame.captured_ns and (
            held is None or event.best.at_ns == frame.captured_ns
        )
        if is_best_yet:
            self._held[event.event_id] = _Held(frame, event.best.score)

    def _write_if_due(self, change: EventChange) -> Path | None:
        event_id = change.event.event_id
        held = self._held.get(event_id)
        if change.change is ChangeType.ENDED:
            self._held.pop(event_id, None)
        if held is None or held.is_written or change.change is ChangeType.UPDATED:
            return None
        if not self._has_space():
            self._failed += 1
            return None
        path = self._folder / f"{event_id}.jpg"
        try:
            data = encode_jpeg(held.frame.picture, self._settings.quality)
            write_still(path, data)
        except StoreError as error:
            # An event outlives its picture: media are the first to go when space is short.
            self._failed += 1
            _log.warning("no snapshot of event %s: %s", event_id, error)
            return None
        self._note(path)
        held.is_written = True
        self._written += 1
        self._written_bytes += len(data)
        return path


def write_still(path: Path, data: bytes) -> None:
    """Write a picture, whole or not at all; its folder is made.

    It is not waited for until it is on the disk: a worn card takes seconds for that, and this is
    the camera's own thread. A power cut may cost the stills of the last seconds.

    Raises:
        StoreFull: There is no space.
        StoreError: It cannot be written.
    """
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        kind = StoreFull if is_full(error) else StoreError
        raise kind(f"cannot be written: {error.strerror}", where=str(path)) from error


def tidy(folder: Path, settings: SnapshotSettings, wall_s: float) -> int:
    """Delete the snapshots that are over the limits, oldest first; return how many went.

    Args:
        folder: Folder of the snapshots; may be absent.
        settings: Limits.
        wall_s: Seconds since 1970, now.
    """
    files = stored_in(folder, "*.jpg")
    limit_bytes = settings.max_megabytes * 1_000_000
    doomed = files_to_delete(files, limit_bytes, settings.max_days * 86_400, wall_s)
    for file in doomed:
        file.path.unlink(missing_ok=True)
    return len(doomed)
