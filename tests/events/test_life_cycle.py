"""When a track becomes an event, what is worth telling again, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.clock import nanoseconds
from camera_app.config import EventSettings, LineSettings, ZoneSettings
from camera_app.events import LifeCycle
from camera_app.values import (
    Box,
    ChangeType,
    CrossingCount,
    Detection,
    Direction,
    EventChange,
    Observation,
    Size,
    Track,
    TrackState,
)

SIZE = Size(640, 480)
BOX = Box(100, 100, 200, 400)


def at(time_s: float) -> int:
    return nanoseconds(time_s)


def track(
    time_s: float,
    *,
    seen_s: float | None = None,
    first_s: float = 0.0,
    track_id: int = 1,
    score: float = 0.8,
    box: Box = BOX,
    label: str = "person",
    state: TrackState = TrackState.CONFIRMED,
) -> Track:
    seen_ns = at(time_s if seen_s is None else seen_s)
    return Track(track_id, label, box, score, state, at(first_s), seen_ns, 3)


class Driver:
    """Feeds tracks to a life cycle and collects what it tells."""

    def __init__(
        self,
        settings: EventSettings | None = None,
        zones: Sequence[ZoneSettings] = (),
        lines: Sequence[LineSettings] = (),
    ) -> None:
        self.ids: list[int] = []
        self.cycle = LifeCycle("front", settings or EventSettings(), zones, self._new_id, lines)
        self.told: list[EventChange] = []
        self.detections: tuple[Detection, ...] = ()

    def _new_id(self, wall_ns: int) -> str:
        self.ids.append(wall_ns)
        return f"event-{len(self.ids)}"

    def feed(self, time_s: float, *tracks: Track) -> list[EventChange]:
        seen = Observation(at(time_s), SIZE, (), self.detections)
        changes = self.cycle.update(tracks, seen, at(time_s) + 7)
        self.told += changes
        return changes

    def see(self, *times_s: float, **how: object) -> None:
        for time_s in times_s:
            self.feed(time_s, track(time_s, **how))  # type: ignore[arg-type]


def test_an_event_is_dated_back_to_the_first_sight() -> None:
    driver = Driver()
    driver.see(0.0, 0.1, 0.2)
    assert driver.told == []  # seen for 0.2 s, asked are 0.3 s
    (started,) = driver.feed(0.3, track(0.3))
    assert started.change is ChangeType.STARTED
    assert started.at_ns == at(0.3)
    assert started.event.started_ns == 0
    assert driver.ids == [7]  # the id carries the wall time of the start


def test_an_event_is_dated_back_to_weak_sights_before_its_track() -> None:
    driver = Driver()
    driver.detections = (Detection(BOX, "person", 0.3),)
    driver.feed(0.0)
    driver.feed(0.1)
    driver.see(0.2, 0.3, 0.4, 0.5, first_s=0.2)
    assert [change.event.started_ns for change in driver.told] == [0]


def test_a_track_with_low_scores_never_becomes_an_event() -> None:
    driver = Driver()
    driver.see(*[n / 10 for n in range(50)], score=0.45)  # the gate asks for a median of 0.5
    assert driver.told == []


def test_one_high_score_among_low_ones_does_not_open_the_gate() -> None:
    driver = Driver()
    driver.see(0.0, 0.1, 0.2, 0.3, score=0.3)
    driver.see(0.4, score=0.99)
    assert driver.told == []


@pytest.mark.parametrize(
    ("settings", "how"),
    [
        (EventSettings(labels=("car",)), {}),
        (EventSettings(min_area_share=0.2), {}),  # the box covers 0.098 of the picture
        (EventSettings(max_area_share=0.05), {}),
        (EventSettings(), {"state": TrackState.TENTATIVE}),
    ],
)
def test_what_the_owner_did_not_ask_for_makes_no_event(
    settings: EventSettings, how: dict[str, object]
) -> None:
    driver = Driver(settings)
    driver.see(*[n / 10 for n in range(20)], **how)
    assert driver.told == []


def test_an_event_ends_when_the_track_is_gone_dated_to_its_last_sight() -> None:
    driver = Driver()
    driver.see(0.0, 0.1, 0.2, 0.3)
    driver.feed(1.0, track(1.0, seen_s=0.3, state=TrackState.LOST))
    (ended,) = driver.feed(2.4)
    assert (ended.change, ended.reason) == (ChangeType.ENDED, "left")
    assert ended.event.ended_ns == at(0.3)
    assert ended.at_ns == at(2.4)
    assert driver.cycle.open_events == ()


def test_a_track_that_never_became_an_event_ends_silently() -> None:
    driver = Driver()
    driver.see(0.0)
    assert driver.feed(5.0) == []


def test_a_lasting_event_is_told_again_at_the_interval() -> None:
    driver = Driver(EventSettings(update_interval_s=2.0, stationary_s=3600))
    driver.see(*[n / 10 for n in range(60)])
    reasons = [(change.reason, change.at_ns) for change in driver.told]
    assert reasons == [("appeared", at(0.3)), ("still_there", at(2.3)), ("still_there", at(4.3))]


def test_a_clearly_better_view_is_told_but_not_within_a_second() -> None:
    driver = Driver(EventSettings(stationary_s=3600))
    driver.see(0.0, 0.1, 0.2, 0.3, score=0.6)
    driver.see(0.5, score=0.9)
    assert [change.reason for change in driver.told] == ["appeared"]
    driver.see(1.4, score=0.6)
    assert driver.told[-1].reason == "better_view"
    assert driver.told[-1].event.best.at_ns == at(0.5)


def test_an_object_that_stands_still_is_stationary_until_it_moves() -> None:
    driver = Driver(EventSettings(stationary_s=2.0))
    driver.see(*[n / 10 for n in range(25)])
    assert driver.told[-1].reason == "stationary"
    moved = Box(300, 100, 400, 400)
    driver.see(2.6, box=moved)
    assert driver.told[-1].reason == "moving"
    assert not driver.told[-1].event.is_stationary


LEFT = ZoneSettings(name="left", polygon=((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
DOOR = ZoneSettings(name="door", polygon=((0.5, 0), (1, 0), (1, 1), (0.5, 1)), labels=("dog",))


def test_zones_are_told_when_entered_and_left() -> None:
    driver = Driver(EventSettings(stationary_s=3600), [LEFT, DOOR])
    driver.see(0.0, 0.1, 0.2, 0.3)
    assert driver.told[-1].event.zones == ("left",)
    right = Box(400, 100, 500, 400)
    driver.see(0.4, 0.5, 0.6, box=right)
    assert driver.told[-1].reason == "appeared"  # the inertia of 0.3 s is not over
    driver.see(0.7, box=right)
    assert driver.told[-1].reason == "zones"
    assert driver.told[-1].event.zones == ()  # the door counts dogs alone
    assert driver.told[-1].event.entered_zones == ("left",)


SILL = LineSettings(name="sill", points=((0.5, 1.0), (0.5, 0.0)))  # upright, from below
RIGHT = Box(400, 100, 500, 400)


def test_a_line_crossed_is_a_change_of_its_own_and_stays_with_the_event() -> None:
    driver = Driver(EventSettings(stationary_s=3600), lines=[SILL])
    driver.see(0.0, 0.1, 0.2, 0.3)
    driver.see(0.4, 0.5, 0.6, 0.8, box=RIGHT)
    crossed = driver.told[-1]
    assert (crossed.change, crossed.reason) == (ChangeType.UPDATED, "line_crossed")
    assert crossed.crossing is not None
    assert (crossed.crossing.line, crossed.crossing.direction) == ("sill", Direction.IN)
    driver.see(0.9, 1.0, 1.3)
    assert driver.told[-1].crossing is not None
    assert driver.told[-1].crossing.direction is Direction.OUT
    driver.feed(9.0)
    assert [change.reason for change in driver.told] == [
        *("appeared", "line_crossed", "line_crossed", "left")
    ]
    assert driver.told[-1].crossing is None
    assert driver.told[-1].event.crossings == (
        CrossingCount("sill", Direction.IN, 1),
        CrossingCount("sill", Direction.OUT, 1),
    )


def test_what_crosses_before_it_is_an_event_is_told_once_it_is_one() -> None:
    driver = Driver(EventSettings(min_seen_s=1.0), lines=[SILL])
    driver.see(0.0, 0.1)
    driver.see(0.2, 0.4, 0.6, 0.8, box=RIGHT)
    assert driver.told == []
    driver.see(1.0, box=RIGHT)
    assert [change.reason for change in driver.told] == ["appeared", "line_crossed"]
    assert {change.at_ns for change in driver.told} == {at(1.0)}


def test_what_never_becomes_an_event_crosses_silently() -> None:
    driver = Driver(lines=[SILL])
    driver.see(0.0, 0.1, score=0.2)
    driver.see(0.2, 0.4, 0.6, 0.8, score=0.2, box=RIGHT)
    assert driver.feed(9.0) == []


def test_who_is_lost_right_behind_a_line_has_crossed_it_before_the_end_is_told() -> None:
    driver = Driver(lines=[SILL])
    driver.see(0.0, 0.1, 0.2, 0.3)
    driver.see(0.4, box=RIGHT)
    driver.feed(3.0)
    assert [change.reason for change in driver.told] == ["appeared", "line_crossed", "left"]


def test_one_entering_a_zone_over_a_line_is_told_of_both() -> None:
    inside = ZoneSettings(name="yard", polygon=((0.5, 0), (1, 0), (1, 1), (0.5, 1)))
    driver = Driver(EventSettings(stationary_s=3600), [inside], [SILL])
    driver.see(0.0, 0.1, 0.2, 0.3)
    driver.see(0.4, 0.5, 0.6, 0.7, box=RIGHT)
    assert [change.reason for change in driver.told] == ["appeared", "zones", "line_crossed"]
    assert {change.at_ns for change in driver.told[1:]} == {at(0.7)}
    assert driver.told[-1].event.zones == ("yard",)
    assert driver.told[-1].event.crossings == (CrossingCount("sill", Direction.IN, 1),)


def test_loitering_is_told_with_the_stay_and_remembered() -> None:
    lawn = LEFT.model_copy(update={"loitering_s": 2.0, "loitering_repeat_s": 1.0})
    driver = Driver(EventSettings(stationary_s=3600), [lawn])
    driver.see(*[n / 10 for n in range(32)])
    stays = [change for change in driver.told if change.reason == "loitering"]
    assert [(c.at_ns, c.loitering.repeat) for c in stays if c.loitering] == [(at(2), 0), (at(3), 1)]
    (ended,) = driver.feed(9.0)
    assert ended.loitering is None
    assert ended.event.loitered_zones == ("left",)


def test_finish_ends_what_is_open_and_says_why() -> None:
    driver = Driver()
    driver.see(0.0, 0.1, 0.2, 0.3)
    (ended,) = driver.cycle.finish(at(0.4), at(0.4), "clip_ended")
    assert (ended.change, ended.reason) == (ChangeType.ENDED, "clip_ended")
    assert driver.cycle.finish(at(0.5), at(0.5), "again") == []


@given(st.lists(st.tuples(st.sets(st.integers(1, 4)), st.floats(0, 1)), min_size=1, max_size=60))
def test_every_event_lives_one_life(frames: list[tuple[set[int], float]]) -> None:
    """Started once, first; ended once, last; between them only updates."""
    driver = Driver(EventSettings(min_seen_s=0.1, update_interval_s=0.5))
    first: dict[int, float] = {}
    for number, (present, score) in enumerate(frames):
        time_s = number / 10
        first = {i: first.get(i, time_s) for i in present}
        driver.feed(
            time_s, *(track(time_s, track_id=i, first_s=first[i], score=score) for i in present)
        )
    driver.told += driver.cycle.finish(at(99), at(99), "clip_ended")
    lives: dict[str, list[ChangeType]] = {}
    for change in driver.told:
        lives.setdefault(change.event.event_id, []).append(change.change)
    for life in lives.values():
        assert life[0] is ChangeType.STARTED
        assert life[-1] is ChangeType.ENDED
        assert set(life[1:-1]) <= {ChangeType.UPDATED}
