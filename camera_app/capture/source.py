"""The seam behind which every source stands, and the ways in which one fails.

A reader is used by one thread: in the child for a live source, in the caller's for a file. What
a camera is called, how often its frames are wanted and what of them is masked is no business
of a reader.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from camera_app.errors import SourceError, SourceLost, SourceUnsupported
from camera_app.values import Yuv420

# A picture of 8K, the largest that any camera sends. Whoever says that theirs is larger wants
# memory, not to be looked at.
MOST_PIXELS = 8192 * 4320


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One picture at the source, not yet converted.

    Attributes:
        at_ns: Its time on the source's own time line, which begins at its first picture; strictly
            increasing while the source is open.
        captured_ns: Monotonic time of its capture or arrival; for a recorded clip `at_ns`.
        picture: Makes the pixels; may be called once, before the next `read`. They stay valid
            after that, and may be shared with a decoder: never write to them.
    """

    at_ns: int
    captured_ns: int
    picture: Callable[[], Yuv420]


class Reader(Protocol):
    """Delivers the pictures of one source."""

    @property
    def is_recorded(self) -> bool:
        """Whether pictures come as fast as they are read, and wait if they are not."""

    @property
    def corrupt(self) -> int:
        """How many pictures or pieces of one were damaged, and so left out."""

    @property
    def codec(self) -> str:
        """How pictures come, such as `h264`; empty until it is open."""

    def open(self) -> None:
        """Connect.

        Raises:
            SourceLost: It is not there now.
            SourceUnsupported: It is there, and nothing we can read.
        """

    def read(self) -> Shot | None:
        """Return the next picture, waiting for it; None at the end of what was recorded.

        Raises:
            SourceLost: It was there and is gone.
        """

    def close(self) -> None:
        """Let go of it; may be called twice, and before `open`."""


class SourceRefused(SourceLost):
    """Something answers and says no: a closed port, a wrong password, a device that is taken."""


class SourceLocked(SourceRefused):
    """It wants another user or password."""


class SourceBusy(SourceRefused):
    """Another program has the device."""


class SourceForbidden(SourceRefused):
    """Device or file are there, and this user may not use them."""


class SourceEnded(SourceLost):
    """A live source closed its stream in good order."""


class Reason:
    """Why a source was lost, as counted: fixed words, for statistics and for MQTT."""

    STALLED: ClassVar = "stalled"
    CRASHED: ClassVar = "crashed"
    REFUSED: ClassVar = "refused"
    ENDED: ClassVar = "ended"
    UNSUPPORTED: ClassVar = "unsupported"
    LOST: ClassVar = "lost"


def places_in(error: Exception) -> str:
    """Return where an error that nobody foresaw came from, without its text.

    That may hold the address, and with it a password.
    """
    return "".join(traceback.format_tb(error.__traceback__))


def reason_of(error: SourceError) -> str:
    """Return the word under which an error is counted."""
    if isinstance(error, SourceUnsupported):
        return Reason.UNSUPPORTED
    if isinstance(error, SourceRefused):
        return Reason.REFUSED
    return Reason.ENDED if isinstance(error, SourceEnded) else Reason.LOST
