"""One camera, tried: really opened, looked at for a moment, and closed again.

The camera is opened in a child, as everything that can hang or crash is; the child is `look`, and
all that is told of what it saw is in `CameraTrial`. No picture leaves that process.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from camera_app.capture.child import Errand, make_reader, memory_limit_bytes
from camera_app.capture.source import (
    Reader,
    Shot,
    SourceBusy,
    SourceEnded,
    SourceForbidden,
    SourceLocked,
    SourceRefused,
    places_in,
)
from camera_app.children import Channel, ChannelClosed, ChildProcess, bound_memory
from camera_app.clock import NS_PER_S
from camera_app.errors import CameraAppError, SourceUnsupported
from camera_app.threads import Deadline

ENTRY = "camera_app.capture.trial:look"

# How long pictures are watched: long enough to tell a rate of a few a second.
WATCH_NS = 3 * NS_PER_S // 2
MOST_SHOTS = 60
WORDS = 2

_log = logging.getLogger(__name__)


class Obstacle(StrEnum):
    """Why no picture came; follows what somebody does about it."""

    LOCKED = "locked"
    BUSY = "busy"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    ENDED = "ended"
    UNSUPPORTED = "unsupported"
    LOST = "lost"
    SILENT = "silent"  # nothing came in time
    CRASHED = "crashed"  # its process did not survive it


_OBSTACLES: tuple[tuple[type[CameraAppError], Obstacle], ...] = (
    (SourceLocked, Obstacle.LOCKED),
    (SourceBusy, Obstacle.BUSY),
    (SourceForbidden, Obstacle.FORBIDDEN),
    (SourceRefused, Obstacle.REFUSED),
    (SourceEnded, Obstacle.ENDED),
    (SourceUnsupported, Obstacle.UNSUPPORTED),
)


@dataclass(frozen=True, slots=True)
class CameraTrial:
    """What trying a camera brought.

    Attributes:
        obstacle: Why it brought no picture; None: it brought one.
        what: The same in words; empty: it brought one.
        remedy: What to do about it; may be empty.
        width: Of its pictures, pixels.
        height: The same.
        codec: How they come, such as `h264`.
        fps: So many a second; None: too few came to tell.
        first_s: Seconds from opening it to the first picture.
        age_s: How old the newest was when it was handed over; None: the source does not tell.
        contrast: Standard deviation of the newest picture's brightness, 0 to 128.
        is_recorded: It is a clip or made up, not a camera.
    """

    obstacle: Obstacle | None = None
    what: str = ""
    remedy: str = ""
    width: int = 0
    height: int = 0
    codec: str = ""
    fps: float | None = None
    first_s: float = 0.0
    age_s: float | None = None
    contrast: float = 0.0
    is_recorded: bool = False


def try_camera(errand: Errand, limit_s: float) -> CameraTrial:
    """Open a camera in a child, look at what it brings, and close it.

    Args:
        errand: Which camera, and how it is asked for pictures.
        limit_s: The child is killed then.
    """
    child = ChildProcess(ENTRY, errand.as_json(), name="cam-trial")
    child.start()
    try:
        return _heard(child, Deadline(limit_s), limit_s)
    finally:
        child.end()


def _heard(child: ChildProcess, deadline: Deadline, limit_s: float) -> CameraTrial:
    """Return the child's word: the last of up to two, for pictures may stop after the first."""
    heard: CameraTrial | None = None
    try:
        for _ in range(WORDS):
            packet = child.channel.receive(deadline.remaining_s())
            if packet is None:
                break
            heard = _understood(packet.data)
            if heard.obstacle is not None:
                break
    except ChannelClosed:
        how = child.end(grace_s=1.0)
        return CameraTrial(Obstacle.CRASHED, f"the process that read it ended ({how})")
    if heard is None:
        return CameraTrial(Obstacle.SILENT, f"brought no picture within {limit_s:.0f} s")
    return heard


def _understood(data: bytes) -> CameraTrial:
    said: dict[str, Any] = json.loads(data)  # from our own child, by our own code
    obstacle = said.pop("obstacle")
    return CameraTrial(Obstacle(obstacle) if obstacle else None, **said)


def look(channel: Channel, errand: Mapping[str, Any]) -> None:
    """Be the child: try the camera of the errand and say what came of it, with each picture more.

    The parent is told after the first picture and after the last.
    """
    told = Errand.from_json(errand)
    bound_memory(memory_limit_bytes(told.films))  # as where it is watched
    try:
        for word in _words(told):
            channel.send(json.dumps(asdict(word)).encode())
    except ChannelClosed:
        return  # the parent has heard enough


def _words(errand: Errand) -> Iterator[CameraTrial]:
    try:
        reader = make_reader(errand)
        try:
            yield from _watched(reader)
        finally:
            reader.close()
    except CameraAppError as error:
        kinds = (kind for branch, kind in _OBSTACLES if isinstance(error, branch))
        yield CameraTrial(next(kinds, Obstacle.LOST), error.what, error.remedy)
    except ChannelClosed:
        raise
    except Exception as error:
        # The safety net of the child.
        kind = type(error).__name__
        _log.debug("a trial of a camera failed with %s at\n%s", kind, places_in(error))
        yield CameraTrial(Obstacle.CRASHED, f"reading it failed with {type(error).__name__}")


def _watched(reader: Reader) -> Iterator[CameraTrial]:
    """Yield what is known after the first picture, and after some more."""
    began_ns = time.monotonic_ns()
    reader.open()
    shot = reader.read()
    if shot is None:
        raise SourceEnded("has no picture in it")
    first_ns = time.monotonic_ns()
    first = _seen(reader, shot, first_s=(first_ns - began_ns) / NS_PER_S)
    yield first
    stamps_ns, newest = [shot.at_ns], first
    while len(stamps_ns) < MOST_SHOTS and time.monotonic_ns() - first_ns < WATCH_NS:
        shot = reader.read()
        if shot is None:
            break
        stamps_ns.append(shot.at_ns)
        newest = _seen(reader, shot, first_s=first.first_s)
    yield replace(newest, fps=_rate(stamps_ns))


def _seen(reader: Reader, shot: Shot, *, first_s: float) -> CameraTrial:
    age_ns = max(0, time.monotonic_ns() - shot.captured_ns)
    picture = shot.picture()
    return CameraTrial(
        width=picture.size.width,
        height=picture.size.height,
        codec=reader.codec,
        first_s=first_s,
        age_s=None if reader.is_recorded else age_ns / NS_PER_S,
        contrast=float(np.std(picture.luma[::4, ::4])),
        is_recorded=reader.is_recorded,
    )


def _rate(stamps_ns: list[int]) -> float | None:
    span_ns = stamps_ns[-1] - stamps_ns[0]
    return (len(stamps_ns) - 1) * NS_PER_S / span_ns if span_ns > 0 else None
