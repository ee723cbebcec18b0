"""Whose path crosses a line, which way, and how often: once for each time somebody really did."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from camera_app.clock import nanoseconds
from camera_app.config import LineSettings
from camera_app.events.lines import LinePassages, meetings
from camera_app.values import Box, Crossing, Direction, Size

SIZE = Size(1000, 500)
HEIGHT = 100.0  # of the object, pixels: with a margin of 0.05 it has to get 5 pixels beyond
ACROSS = LineSettings(name="door", points=((0.1, 0.5), (0.9, 0.5)))  # at y = 250
MARGIN_PX = 5.0

Sight = tuple[float, float, float]  # seconds, and where the foot is, pixels


def box_at(x: float, y: float) -> Box:
    return Box(x - 20, y - HEIGHT, x + 20, y)


def crossings(
    sights: Iterable[Sight], *lines: LineSettings, label: str = "person", is_gone: bool = False
) -> list[Crossing]:
    passages = LinePassages(lines or (ACROSS,))
    found = [
        crossing
        for time_s, x, y in sights
        for crossing in passages.update(box_at(x, y), label, SIZE, nanoseconds(time_s))
    ]
    return found + (passages.finish() if is_gone else [])


def ways(sights: Iterable[Sight], *lines: LineSettings) -> list[str]:
    return [crossing.direction.value for crossing in crossings(sights, *lines)]


def walk(*stops: tuple[float, float], step_s: float = 0.1, speed: float = 200.0) -> list[Sight]:
    """Return sights along straight ways from stop to stop, at pixels a second, then a second."""
    sights: list[Sight] = [(0.0, *stops[0])]
    for (ax, ay), (bx, by) in pairwise(stops):
        steps = max(1, round(((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5 / speed / step_s))
        for step in range(1, steps + 1):
            share = step / steps
            place = (ax + share * (bx - ax), ay + share * (by - ay))
            sights.append((sights[-1][0] + step_s, *place))
    last_s, *place = sights[-1]
    return [*sights, *((last_s + n * step_s, place[0], place[1]) for n in range(1, 11))]


def test_towards_the_camera_is_in_for_a_line_drawn_from_left_to_right() -> None:
    assert ways(walk((500, 150), (500, 350))) == ["in"]
    assert ways(walk((500, 350), (500, 150))) == ["out"]


def test_a_crossing_is_dated_to_where_the_path_met_the_line() -> None:
    """Half-way between looks a second apart, and told with the look that made it certain."""
    (crossing,) = crossings([(0.0, 500, 200), (1.0, 500, 300), (2.0, 500, 320)])
    assert crossing == Crossing("door", Direction.IN, nanoseconds(0.5))


def test_there_and_back_is_once_each_way() -> None:
    assert ways(walk((500, 150), (500, 350), (500, 150))) == ["in", "out"]


def test_past_the_end_of_a_line_is_no_crossing() -> None:
    assert ways(walk((950, 150), (950, 350), (500, 350))) == []


def test_through_the_gap_behind_its_end_and_back_over_the_line_is_one_crossing() -> None:
    assert ways(walk((950, 150), (950, 350), (500, 350), (500, 150))) == ["out"]


def test_what_was_not_looked_at_for_a_while_has_crossed_all_the_same() -> None:
    assert ways([(0.0, 500, 200), (1.9, 520, 400), (2.0, 520, 410)]) == ["in"]


@pytest.mark.parametrize(("wanted", "counted"), [("in", ["in"]), ("out", ["out"])])
def test_only_the_way_that_counts_is_told(wanted: str, counted: list[str]) -> None:
    line = ACROSS.model_copy(update={"direction": wanted})
    assert ways(walk((500, 150), (500, 350), (500, 150)), line) == counted


def test_labels_choose_and_a_face_counts_only_where_it_is_named() -> None:
    sights = walk((500, 150), (500, 350))
    dogs = ACROSS.model_copy(update={"labels": ("dog",)})
    faces = ACROSS.model_copy(update={"labels": ("face",)})
    assert crossings(sights, dogs) == []
    assert crossings(sights, dogs, label="dog") != []
    assert crossings(sights, label="face") == []
    assert crossings(sights, faces, label="face") != []


def test_several_lines_are_crossed_in_their_order_on_the_way() -> None:
    later = LineSettings(name="gate", points=((0.1, 0.6), (0.9, 0.6)))
    found = crossings(walk((500, 150), (500, 400)), ACROSS, later)
    assert [crossing.line for crossing in found] == ["door", "gate"]


def test_a_line_with_a_corner_is_crossed_once_also_right_through_the_corner() -> None:
    bent = LineSettings(name="bent", points=((0.1, 0.5), (0.5, 0.5), (0.5, 0.9)))
    assert ways(walk((400, 200), (600, 300)), bent) == []  # round the corner's outside
    assert ways(walk((600, 200), (400, 300)), bent) == ["in"]
    assert ways([(0.0, 600, 150), (1.0, 400, 350), (2.0, 400, 350)], bent) == ["in"]


def test_one_cut_off_by_the_lower_edge_crosses_a_line_that_ends_there() -> None:
    upright = LineSettings(name="left", points=((0.5, 1.0), (0.5, 0.0)))
    assert ways([(0.0, 300, 502), (1.0, 700, 503), (2.0, 700, 503)], upright) == ["in"]


def test_who_is_beyond_for_less_than_the_inertia_has_not_crossed() -> None:
    glimpse = [(0.0, 500, 200), (0.1, 500, 300), (0.2, 500, 300), (0.3, 500, 200), (2, 500, 200)]
    assert ways(glimpse) == []


def test_who_is_gone_right_after_the_line_has_crossed_it() -> None:
    """A person who leaves the picture a step beyond the line will not be seen there any more."""
    sights = [(0.0, 500, 200), (0.1, 500, 300)]
    assert crossings(sights) == []
    assert [one.direction for one in crossings(sights, is_gone=True)] == [Direction.IN]


def test_who_is_gone_on_the_line_has_not() -> None:
    assert crossings([(0.0, 500, 200), (0.1, 500, 252)], is_gone=True) == []


@given(st.lists(st.floats(250 - MARGIN_PX + 0.01, 250 + MARGIN_PX - 0.01), max_size=200))
def test_who_trembles_on_the_line_never_crosses_it(feet: list[float]) -> None:
    sights = [(number / 10, 500.0, y) for number, y in enumerate(feet)]
    assert crossings(sights, is_gone=True) == []


@given(st.lists(st.floats(-40, 40), min_size=20, max_size=60), st.integers(0, 2**32))
def test_jitter_never_counts_a_walker_twice(jitter: list[float], seed: int) -> None:
    """However a foot trembles while it walks from one side to the other, that is one crossing.

    The tremor throws it over the line and back; a step lasts less than the inertia.
    """
    scatter = random.Random(seed)
    sights = [
        (number * 0.05, 500.0, 100 + 300 * number / len(jitter) + one * scatter.random())
        for number, one in enumerate(jitter)
    ]
    end_s = sights[-1][0]
    sights += [(end_s + n / 10, 500.0, 420.0) for n in range(1, 9)]
    found = ways(sights)
    assert found.count("in") - found.count("out") == 1
    # It was beyond for the whole of the inertia each time that it counted.
    times = [crossing.at_ns for crossing in crossings(sights)]
    assert all(after - before >= nanoseconds(0.3) for before, after in pairwise(times))


PLACES = st.tuples(st.floats(0, 999), st.floats(1, 499))


@given(PLACES, PLACES, st.floats(0.5, 5), st.sets(st.integers(1, 39)))
def test_how_many_frames_of_a_straight_path_are_seen_does_not_matter(
    start: tuple[float, float], end: tuple[float, float], lasts_s: float, kept: set[int]
) -> None:
    """Whoever walks on a straight path crosses once or not at all, and at the same moment."""

    def sights(steps: Iterable[int]) -> list[Sight]:
        return [
            (
                lasts_s * step / 40,
                start[0] + (end[0] - start[0]) * step / 40,
                start[1] + (end[1] - start[1]) * step / 40,
            )
            for step in steps
        ]

    seen = sights(range(41))
    # A path along the line, or one that ends right at it or at its end, hangs by a rounding error.
    assume(all(abs(place - 250) > 1 for place in (start[1], end[1])))
    assume(abs(abs(end[1] - 250) - MARGIN_PX) > 1)
    assume(all(abs(x - edge) > 1 for _, x, _ in seen for edge in (100, 900)))
    whole = crossings(seen, is_gone=True)
    sparse = crossings(sights([0, *sorted(kept), 40]), is_gone=True)
    assert [one.direction for one in sparse] == [one.direction for one in whole]
    assert len(whole) <= 1
    for one, other in zip(whole, sparse, strict=True):
        assert abs(one.at_ns - other.at_ns) < nanoseconds(0.001)


@given(st.lists(PLACES.map(lambda place: (place[0], place[1] * 0.49)), max_size=50))
def test_a_path_that_never_touches_the_line_never_crosses_it(
    places: list[tuple[float, float]],
) -> None:
    sights = [(number / 3, x, y) for number, (x, y) in enumerate(places)]
    assert crossings(sights, is_gone=True) == []


@given(st.lists(PLACES, max_size=50))
def test_the_same_line_drawn_the_other_way_turns_every_direction(
    places: list[tuple[float, float]],
) -> None:
    assume(all(abs(y - 250) > 0.001 for _, y in places))
    sights = [(number / 3, x, y) for number, (x, y) in enumerate(places)]
    turned = ACROSS.model_copy(update={"points": ACROSS.points[::-1]})
    opposite = {"in": "out", "out": "in"}
    assert ways(sights, turned) == [opposite[way] for way in ways(sights)]


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=6),
    st.floats(0.01, 0.99),
    st.booleans(),
)
def test_a_zigzag_from_edge_to_edge_cannot_be_passed_unseen(
    heights: Sequence[float], x: float, is_down: bool
) -> None:
    """Straight down from above a line without overhangs meets it once, also at its corners."""
    drawn = [(n / (len(heights) - 1), 0.2 + 0.6 * y) for n, y in enumerate(heights)]
    above, below = (x, 0.1), (x, 0.9)
    met = meetings(above, below, drawn) if is_down else meetings(below, above, drawn)
    assert [step for _, step in met] == [1 if is_down else -1]
