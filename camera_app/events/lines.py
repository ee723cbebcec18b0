"""Which lines an object crosses, and which way.

An object is where its foot is, the middle of its lower edge. Its path between two sights is taken
as straight, so that it does not matter how many frames were looked at. What counts is on which
side it ends up: it must stay beyond the line for the line's inertia and get some way from it. A
foot that trembles on a line does not cross it with every frame, and one that goes over and back
between two sights has not been seen to cross.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from camera_app.clock import nanoseconds
from camera_app.config import LineSettings
from camera_app.events.zones import counts_foot_of
from camera_app.values import Box, Crossing, Direction, Point, Size

Place = tuple[float, float]  # in heights of the picture: as long one way as the other
Path = Sequence[Place]
_JUST_INSIDE = 1.0 - 1e-9


@dataclass(slots=True)
class _Passage:
    """One line as one object passes it.

    Attributes:
        net: Crossings to its right less crossings to its left, by every sight so far.
        counted: The same, of those that count.
        since_ns: When `net` last left `counted`; says nothing while they agree.
        is_clear: It has got far enough from the line since then.
    """

    net: int = 0
    counted: int = 0
    since_ns: int = 0
    is_clear: bool = False

    def move(self, step: int, at_ns: int) -> None:
        """Take note that the path met the line, to its right (1) or to its left (-1)."""
        if self.net == self.counted:
            self.since_ns, self.is_clear = at_ns, False
        self.net += step

    def settle(self) -> list[Direction]:
        """Count what is not counted yet; return which way, once for each time."""
        balance, self.counted = self.net - self.counted, self.net
        return [Direction.IN if balance > 0 else Direction.OUT] * abs(balance)


class LinePassages:
    """Follows one object across the lines of one camera."""

    def __init__(self, lines: Sequence[LineSettings]) -> None:
        self._passages = [(line, _Passage()) for line in lines]
        self._last: tuple[Place, int] | None = None
        self._label = ""

    def update(self, box: Box, label: str, size: Size, at_ns: int) -> list[Crossing]:
        """Take note of where an object was seen; return the crossings that are certain now.

        Args:
            box: Where, in pixels; a foot on or past the frame's edge is taken as just inside.
            label: Its class.
            size: Size of the frame, always the same for one object.
            at_ns: When, later than before.
        """
        if not self._passages:
            return []
        self._label = label
        here = _place(box.foot, size)
        before, self._last = self._last, (here, at_ns)
        if before is None:
            return []
        crossings: list[Crossing] = []
        for line, passage in self._passages:
            drawn = drawn_path(line, size)
            _follow(passage, drawn, before, (here, at_ns))
            if passage.net == passage.counted:
                continue
            margin = line.margin_share * box.height / size.height
            passage.is_clear = passage.is_clear or _distance(here, drawn) > margin
            if passage.is_clear and at_ns - passage.since_ns >= nanoseconds(line.inertia_s):
                crossings += self._settled(line, passage)
        return crossings

    def finish(self) -> list[Crossing]:
        """Return the crossings of one who is gone: it was clear of the line, and did not return."""
        crossings: list[Crossing] = []
        for line, passage in self._passages:
            if passage.is_clear and passage.net != passage.counted:
                crossings += self._settled(line, passage)
        return crossings

    def _settled(self, line: LineSettings, passage: _Passage) -> list[Crossing]:
        directions = passage.settle()
        if not counts_foot_of(line.labels, self._label):
            return []
        return [
            Crossing(line.name, direction, passage.since_ns)
            for direction in directions
            if line.direction in ("both", direction)
        ]


def drawn_path(line: LineSettings, size: Size) -> Path:
    """Return the points of a line in heights of the picture."""
    aspect = size.width / size.height
    return [(x * aspect, y) for x, y in line.points]


def meetings(here: Place, there: Place, drawn: Path) -> Iterator[tuple[float, int]]:
    """Yield where a straight step meets a line: its share of the step, and 1 to the right or -1.

    What lies on a line is taken as left of it, for the step and for the line alike: so a step
    that ends on the line and the next one that begins there meet it once between them, and a step
    through a corner meets one of both sides.
    """
    for start, end in pairwise(drawn):
        was, is_now = _side(start, end, here), _side(start, end, there)
        if (was > 0) == (is_now > 0):
            continue
        if (_side(here, there, start) > 0) == (_side(here, there, end) > 0):
            continue
        yield was / (was - is_now), 1 if is_now > 0 else -1


def _follow(
    passage: _Passage, drawn: Path, before: tuple[Place, int], now: tuple[Place, int]
) -> None:
    (here, here_ns), (there, there_ns) = before, now
    for share, step in sorted(meetings(here, there, drawn)):
        passage.move(step, here_ns + round(share * (there_ns - here_ns)))


def _side(start: Place, end: Place, place: Place) -> float:
    """Return more than 0 for a place to the right of a directed line, as a picture shows it."""
    return (end[0] - start[0]) * (place[1] - start[1]) - (end[1] - start[1]) * (place[0] - start[0])


def _distance(place: Place, drawn: Path) -> float:
    """Return how far a place is from the nearest point of a line."""
    return min(_distance_to_part(place, start, end) for start, end in pairwise(drawn))


def _distance_to_part(place: Place, start: Place, end: Place) -> float:
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = ((place[0] - start[0]) * dx + (place[1] - start[1]) * dy) / (dx * dx + dy * dy)
    share = min(max(along, 0.0), 1.0)
    return math.hypot(place[0] - start[0] - share * dx, place[1] - start[1] - share * dy)


def _place(foot: Point, size: Size) -> Place:
    x = min(max(foot.x / size.width, 0.0), _JUST_INSIDE)
    y = min(max(foot.y / size.height, 0.0), _JUST_INSIDE)
    return x * size.width / size.height, y
