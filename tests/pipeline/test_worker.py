"""One live camera: newest frame first, nothing uncounted, events ended when nobody can see."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from camera_app.capture import Doorway
from camera_app.clock import ManualClock, nanoseconds
from camera_app.config import CameraSettings, EventSettings, MotionSettings
from camera_app.errors import DeviceError
from camera_app.pipeline import Asking, CameraWatch, CameraWorker, ModelChoice, Orders
from camera_app.scheduling import Answer, Demand, DemandShed, ShedCause
from camera_app.values import (
    Box,
    ChangeType,
    Detection,
    Event,
    EventChange,
    Frame,
    Motion,
    Size,
    Yuv420,
)

LIMIT_S = 5.0
PERSON = Detection(Box(100, 100, 200, 300), "person", 0.9)
LUMA = np.zeros((480, 640), np.uint8)
PICTURE = Yuv420(LUMA, LUMA[::2, ::2], LUMA[::2, ::2])


class ScriptedSeats:
    """Answers every demand at once with what it is told, or not before it is let go."""

    def __init__(self) -> None:
        self.found: dict[str, Sequence[Detection]] = {"m": [PERSON], "n": []}
        self.failures: dict[str, Exception] = {}
        self.models: set[str] = set()  # that were ever asked
        self.asked = threading.Semaphore(0)
        self.may_answer = threading.Event()
        self.may_answer.set()

    def ask(self, demands: Sequence[Demand]) -> list[Answer]:
        return [self._answer(demand) for demand in demands]

    def _answer(self, demand: Demand) -> Answer:
        self.models.add(demand.model)
        self.asked.release()
        assert self.may_answer.wait(LIMIT_S)
        answer: Answer = Future()
        if failure := self.failures.get(demand.model):
            answer.set_exception(failure)
        else:
            answer.set_result(list(self.found[demand.model]))
        return answer


class Rig:
    """A camera worker whose thread the tests can watch."""

    def __init__(self, *, is_gated: bool = False) -> None:
        settings = CameraSettings(
            source="test",
            motion=MotionSettings(enabled=is_gated, hold_s=1.0),
            events=EventSettings(min_seen_s=0.2),
        )
        ids = iter(range(1000))
        self.clock = ManualClock(wall_offset_ns=nanoseconds(1000))
        self.seats = ScriptedSeats()
        self.frames = Doorway()
        self.changes: list[EventChange] = []
        self.motions: list[bool] = []
        self.concluded = threading.Semaphore(0)
        watch = CameraWatch("front", settings, Size(256, 256), lambda _: f"e{next(ids)}")
        self.worker = CameraWorker(
            watch,
            self.frames,
            self.seats,
            asking=Asking(("m", "n"), 0.1),
            choices=(ModelChoice("m", ("person",), ("small",)), ModelChoice("n", ("face",))),
            clock=self.clock,
            commit=self.changes.extend,
            concluded=self._concluded,
            moved=self.motions.append,
        )
        self.sequence = 0

    def _concluded(
        self, frame: Frame | None, changes: Sequence[EventChange], events: Sequence[Event]
    ) -> None:
        self.concluded.release()

    def put(self, picture: Yuv420 = PICTURE, motion: Motion | None = None) -> None:
        self.clock.advance(0.1)
        now_ns = self.clock.monotonic_ns()
        self.frames.put(Frame("front", self.sequence, now_ns, picture, motion))
        self.sequence += 1

    def watch(self, *pictures: Yuv420) -> None:
        """Put pictures, each once the one before has been followed."""
        for picture in pictures:
            before = self.worker.stats.counts.captured
            self.put(picture)
            self.wait_until(lambda before=before: self.worker.stats.counts.captured > before)  # type: ignore[misc]

    def see(self, frames: int) -> None:
        for _ in range(frames):
            self.put()
            assert self.concluded.acquire(timeout=LIMIT_S)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait for what the worker says of itself; it says so at least twice a second."""
        turn = threading.Event()
        for _ in range(200):
            if holds():
                return
            turn.wait(LIMIT_S / 200)
        raise AssertionError(f"never came: {self.worker.stats}")


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    rig.worker.start()
    yield rig
    rig.seats.may_answer.set()
    rig.worker.stop()


def test_a_person_becomes_an_event_with_wall_time(rig: Rig) -> None:
    rig.see(5)
    (started,) = rig.changes
    assert started.change is ChangeType.STARTED
    assert started.wall_ns - started.at_ns == nanoseconds(1000)


def test_what_two_models_find_is_one_observation(rig: Rig) -> None:
    rig.seats.found["n"] = [Detection(Box(130, 110, 170, 160), "face", 0.9)]
    rig.see(5)
    started = [change.event.label for change in rig.changes]
    assert sorted(started) == ["face", "person"]
    assert rig.worker.stats.counts.looked_at == 5


def test_frames_that_came_too_fast_are_counted_as_busy(rig: Rig) -> None:
    rig.seats.may_answer.clear()
    rig.put()
    assert rig.seats.asked.acquire(timeout=LIMIT_S)  # the first frame is under way
    for _ in range(4):
        rig.put()  # of these only the newest is still there when the first is done
    rig.seats.may_answer.set()
    for _ in range(2):
        assert rig.concluded.acquire(timeout=LIMIT_S)
    rig.wait_until(lambda: rig.worker.stats.counts.captured == 5)
    counts = rig.worker.stats.counts
    assert (counts.looked_at, counts.shed) == (2, {"busy": 3})


def test_a_frame_that_no_network_could_answer_for_is_counted_and_the_camera_goes_on(
    rig: Rig,
) -> None:
    """One of its two networks is enough: half a look would take the other half for absent."""
    rig.seats.failures["n"] = DeviceError("gone")
    rig.put()
    rig.wait_until(lambda: rig.worker.stats.counts.shed == {"failed": 1})
    rig.seats.failures.clear()
    rig.see(1)
    rig.wait_until(lambda: rig.worker.stats.counts.looked_at == 1)


def test_without_frames_an_open_event_ends(rig: Rig) -> None:
    """The source is gone for good: nobody could ever see the person leave."""
    rig.see(5)
    rig.clock.advance(11.0)
    rig.wait_until(lambda: len(rig.changes) == 2)
    assert (rig.changes[-1].change, rig.changes[-1].reason) == (ChangeType.ENDED, "source_lost")


def test_stopping_ends_what_is_open(rig: Rig) -> None:
    rig.see(5)
    rig.worker.stop()
    assert [change.reason for change in rig.changes] == ["appeared", "stopped"]


def test_a_frame_that_was_given_up_is_counted_by_the_rule_that_gave_it_up(rig: Rig) -> None:
    for failure in (DemandShed(ShedCause.LATE), DemandShed(ShedCause.OVERLOAD)):
        rig.seats.failures["m"] = failure
        before = rig.worker.stats.counts.captured
        rig.put()
        rig.wait_until(lambda before=before: rig.worker.stats.counts.captured > before)  # type: ignore[misc]
    rig.wait_until(lambda: rig.worker.stats.counts.under_way == 0)
    assert rig.worker.stats.counts.shed == {"late": 1, "overload": 1}


def test_time_in_which_frames_came_and_nothing_looked_is_blind_time(rig: Rig) -> None:
    rig.seats.failures["n"] = DeviceError("gone")
    for failed in range(1, 11):
        rig.put()
        rig.wait_until(lambda failed=failed: rig.worker.stats.counts.shed == {"failed": failed})  # type: ignore[misc]
    rig.seats.failures.clear()
    rig.see(1)
    rig.wait_until(lambda: rig.worker.stats.blind_s == pytest.approx(1.0))


def test_since_when_nothing_has_looked_is_told_while_a_look_hangs(rig: Rig) -> None:
    """The camera's own thread hangs in it, so whoever asks has to find out without it."""
    rig.see(1)
    rig.wait_until(lambda: rig.worker.stats.unseen_since_ns is None)
    rig.seats.may_answer.clear()
    rig.put()
    hung_ns = rig.clock.monotonic_ns()
    rig.wait_until(lambda: rig.worker.stats.unseen_since_ns == hung_ns)
    rig.seats.may_answer.set()
    rig.wait_until(lambda: rig.worker.stats.unseen_since_ns is None)


def orders(paused: str = "", *, min_score: float = 0.5, **more: Any) -> Orders:
    return Orders(paused, EventSettings(min_seen_s=0.2, min_score=min_score), **more)


def test_a_paused_camera_ends_its_events_and_looks_at_nothing(rig: Rig) -> None:
    rig.see(5)
    assert [change.change for change in rig.changes] == [ChangeType.STARTED]
    rig.worker.order(orders("paused"))
    rig.wait_until(lambda: len(rig.changes) == 2)
    assert (rig.changes[1].change, rig.changes[1].reason) == (ChangeType.ENDED, "paused")

    looks = rig.worker.stats.counts.looked_at
    for shed in (1, 2, 3):
        rig.put()
        rig.wait_until(lambda wanted=shed: rig.worker.stats.counts.shed.get("paused") == wanted)
    counts = rig.worker.stats.counts
    assert counts.looked_at == looks
    assert counts.is_conserved
    assert len(rig.changes) == 2


def test_a_pause_is_told_the_moment_that_it_is_wanted(rig: Rig) -> None:
    assert rig.worker.stats.paused == ""
    rig.worker.order(orders("privacy"))
    assert rig.worker.stats.paused == "privacy"
    rig.put()
    rig.wait_until(lambda: rig.worker.stats.counts.shed.get("paused") == 1)
    assert rig.worker.stats.paused == "privacy"


def test_a_camera_that_is_no_longer_paused_starts_new_events(rig: Rig) -> None:
    rig.see(5)
    rig.worker.order(orders("paused"))
    rig.wait_until(lambda: len(rig.changes) == 2)
    rig.worker.order(orders())
    assert rig.concluded.acquire(timeout=LIMIT_S)  # of the events' end
    rig.see(6)
    assert [change.change for change in rig.changes[2:]] == [ChangeType.STARTED]
    assert rig.changes[2].event.event_id != rig.changes[0].event.event_id


def test_a_camera_goes_by_another_threshold_from_then_on(rig: Rig) -> None:
    rig.worker.order(orders(min_score=0.95))
    rig.see(6)
    assert not rig.changes
    rig.worker.order(orders(min_score=0.85))
    rig.see(2)
    assert [change.change for change in rig.changes] == [ChangeType.STARTED]


def test_faces_that_are_not_wanted_are_not_asked_for_and_what_is_open_of_them_ends(
    rig: Rig,
) -> None:
    rig.seats.found["n"] = [Detection(Box(130, 110, 170, 160), "face", 0.9)]
    rig.see(5)
    rig.worker.order(orders(muted=frozenset({"face"})))
    rig.see(1)  # may have been under way already
    rig.seats.models.clear()
    rig.see(40)
    assert rig.seats.models == {"m"}
    told = [(change.event.label, change.change) for change in rig.changes[2:]]
    assert ("face", ChangeType.ENDED) in told
    assert ("person", ChangeType.ENDED) not in told
    rig.worker.order(orders())
    rig.see(8)
    assert rig.changes[-1].event.label == "face"
    assert rig.changes[-1].change is ChangeType.STARTED


def test_a_smaller_model_is_asked_where_the_owner_wants_it(rig: Rig) -> None:
    rig.seats.found["small"] = [PERSON]
    rig.see(5)
    rig.worker.order(orders(variant="small"))
    rig.see(1)
    rig.seats.models.clear()
    rig.see(5)
    assert rig.seats.models == {"small", "n"}
    assert [change.change for change in rig.changes] == [ChangeType.STARTED]


def test_a_camera_of_which_nothing_is_wanted_looks_at_nothing(rig: Rig) -> None:
    rig.see(5)
    rig.worker.order(orders(muted=frozenset({"person", "face"})))
    rig.wait_until(lambda: len(rig.changes) == 2)
    assert (rig.changes[1].change, rig.changes[1].reason) == (ChangeType.ENDED, "nothing_wanted")
    rig.put()
    rig.wait_until(lambda: rig.worker.stats.counts.shed.get("paused") == 1)
    assert rig.worker.stats.counts.is_conserved
    assert rig.worker.stats.paused == "nothing_wanted"


def test_a_pause_is_no_blindness(rig: Rig) -> None:
    rig.seats.failures = dict.fromkeys("mn", DeviceError("gone"))
    rig.put()
    rig.wait_until(lambda: rig.worker.stats.counts.shed.get("failed") == 1)
    rig.worker.order(orders("paused"))
    rig.put()
    rig.wait_until(lambda: rig.worker.stats.counts.shed.get("paused") == 1)
    rig.clock.advance(100.0)
    for shed in range(2, 7):  # figures are put together anew within five frames
        rig.put()
        rig.wait_until(lambda wanted=shed: rig.worker.stats.counts.shed.get("paused") == wanted)
    rig.wait_until(lambda: rig.worker.stats.latency_p50_ms is None)
    assert rig.worker.stats.blind_s < 1.0


def test_the_newest_frame_may_be_had_unless_that_is_forbidden(rig: Rig) -> None:
    assert rig.worker.newest_frame is None
    rig.see(2)
    newest = rig.worker.newest_frame
    assert newest is not None
    assert newest.sequence == 1
    rig.worker.order(orders("privacy", keeps_newest=False))
    rig.wait_until(lambda: rig.worker.newest_frame is None)
    rig.put()
    rig.wait_until(lambda: rig.worker.stats.counts.shed.get("paused") == 1)
    assert rig.worker.newest_frame is None


@pytest.fixture
def gated() -> Iterator[Rig]:
    gated = Rig(is_gated=True)
    gated.worker.start()
    yield gated
    gated.worker.stop()


def patched(x: int) -> Yuv420:
    """Return a picture with a bright patch at x."""
    luma = np.full((480, 640), 60, np.uint8)
    luma[100:200, x : x + 80] = 220
    return Yuv420(luma, LUMA[::2, ::2], LUMA[::2, ::2])


def test_motion_is_told_when_it_begins_and_ends_and_not_with_every_frame(gated: Rig) -> None:
    gated.watch(*[patched(0)] * 3)
    assert gated.motions == [False]
    gated.watch(*[patched(20 * number) for number in range(1, 20)])
    assert gated.motions == [False, True]
    gated.clock.advance(5.0)  # the source is gone: no frame comes that could say that nothing moves
    gated.wait_until(lambda: gated.motions == [False, True, False])


def test_motion_is_over_when_the_owner_pauses_the_camera(gated: Rig) -> None:
    gated.watch(patched(0), patched(40), patched(80))
    assert gated.motions == [False, True]
    gated.worker.order(orders("paused"))
    gated.wait_until(lambda: gated.motions == [False, True, False])
    gated.watch(patched(120), patched(160))
    assert gated.motions == [False, True, False]


NOTHING, SOMETHING = Motion((), 0.0), Motion((Box(0, 0, 80, 80),), 0.02)


def rest(rig: Rig) -> None:
    """Show one frame, in which nothing is, and wait until the camera rests."""
    rig.seats.found = {"m": [], "n": []}
    rig.watch(PICTURE)
    rig.wait_until(lambda: rig.frames._rest.until_ns > 0)


def test_a_camera_at_rest_counts_what_is_still_and_shows_it(gated: Rig) -> None:
    """No thread is woken for such frames: `captured` has risen when `put` returns."""
    rest(gated)
    for number in range(20):
        gated.put(PICTURE, NOTHING)
        counts = gated.worker.stats.counts
        assert (counts.captured, counts.shed) == (number + 2, {"still": number + 1})
        newest = gated.worker.newest_frame
        assert newest is not None
        assert newest.captured_ns == gated.clock.monotonic_ns()
    gated.frames.note_still(7)
    assert gated.worker.stats.counts.shed == {"still": 27}
    gated.put(PICTURE, SOMETHING)
    gated.wait_until(lambda: gated.worker.stats.counts.looked_at == 2)
    assert gated.motions[-1] is True


def test_a_camera_at_rest_looks_again_when_it_is_time(gated: Rig) -> None:
    rest(gated)
    gated.clock.advance(5.0)
    gated.put(PICTURE, NOTHING)
    gated.wait_until(lambda: gated.worker.stats.counts.looked_at == 2)


def test_a_camera_does_not_rest_while_it_is_in_doubt(gated: Rig) -> None:
    """Somebody seen once has to be seen again before anything is told, moving or not."""
    gated.watch(PICTURE)
    gated.wait_until(lambda: gated.worker.stats.counts.looked_at == 1)
    gated.put(PICTURE, NOTHING)
    gated.wait_until(lambda: gated.worker.stats.counts.looked_at == 2)


def test_what_the_source_says_of_motion_is_not_looked_for_again(gated: Rig) -> None:
    """The picture is all new, and yet the frame is shed: its source has seen that before."""
    rest(gated)
    gated.worker.order(orders())  # which ends the rest, so that the frame is planned
    gated.put(patched(300), NOTHING)
    gated.wait_until(lambda: gated.worker.stats.counts.shed == {"still": 1})


def test_a_camera_at_rest_obeys_before_the_next_frame_is_kept(gated: Rig) -> None:
    rest(gated)
    gated.put(PICTURE, NOTHING)
    assert gated.worker.newest_frame is not None
    gated.worker.order(orders("privacy", keeps_newest=False))
    gated.watch(PICTURE)
    gated.wait_until(lambda: gated.worker.newest_frame is None)
    for shed in (2, 3):
        gated.put(PICTURE, NOTHING)
        gated.wait_until(lambda wanted=shed: gated.worker.stats.counts.shed["paused"] == wanted)  # type: ignore[misc]
    assert gated.worker.newest_frame is None


@pytest.mark.parametrize("is_gated", [True, False])
def test_a_paused_camera_is_not_woken_whatever_moves_and_shows_the_newest(is_gated: bool) -> None:
    """What a source does not bring meanwhile is counted as what it does bring."""
    rig = Rig(is_gated=is_gated)
    rig.worker.start()
    try:
        rig.worker.order(orders("paused"))
        rig.wait_until(lambda: rig.frames._rest.whatever_moves)
        for number in range(20):
            rig.put(PICTURE, SOMETHING)  # counted when it returns: by no other thread
            assert rig.worker.stats.counts.shed == {"paused": number + 1}
            newest = rig.worker.newest_frame
            assert newest is not None
            assert newest.captured_ns == rig.clock.monotonic_ns()
        rig.frames.note_still(7)
        assert rig.worker.stats.counts.shed == {"paused": 27}
        rig.worker.order(orders())
        rig.put(PICTURE, SOMETHING)
        rig.wait_until(lambda: rig.worker.stats.counts.looked_at == 1)
        assert rig.worker.stats.counts.is_conserved
    finally:
        rig.worker.stop()


def test_nothing_is_told_of_motion_without_a_gate(rig: Rig) -> None:
    rig.see(3)
    assert rig.motions == []
