"""What stops the feeding of the watchdog, and what must not: a table of weeks in no time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from camera_app.clock import nanoseconds
from camera_app.health import CameraFigures, DeviceFigures, Watchdog
from camera_app.health.watchdog import CAMERA_LIMIT_S, STORE_LIMIT_S
from camera_app.pipeline import ShedReason
from camera_app.roster import ROUND_LIMIT_S, Sign
from camera_app.values import FrameCounts
from tests.health.figures import NOW_NS, SOURCE, WATCH, WELL

EVERY_S = 5.0
# Every stage of the service is a thread, and every thread gives signs.
STAGES = (
    "camera-app-source-front",
    "camera-app front",
    "camera-app-cpu-0",
    "camera-app-feed-usb:1-1-0",
    "camera-app-scheduler",
    "camera-app store",
    "camera-app publisher",
    "camera-app heartbeat",
    "camera-app hub",
)

Figures = Callable[[int], DeviceFigures]  # from the number of the look


def hanging(figures: Figures, looks: int = 60, every_s: float = EVERY_S) -> list[list[str]]:
    """Return what hangs at each look."""
    watchdog = Watchdog(EVERY_S)
    return [
        [hang.what for hang in watchdog.look(NOW_NS + nanoseconds(look * every_s), figures(look))]
        for look in range(looks)
    ]


def fed(figures: Figures, looks: int = 60) -> bool:
    return not any(hanging(figures, looks))


def test_a_service_that_is_well_is_fed() -> None:
    assert fed(lambda look: replace(WELL, signs=(Sign("camera-app x", 0, look, 30.0),)))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_gives_no_sign_in_the_promised_time_stops_the_feeding(stage: str) -> None:
    def figures(look: int) -> DeviceFigures:
        signs = [Sign(name, key, look, ROUND_LIMIT_S) for key, name in enumerate(STAGES)]
        key = STAGES.index(stage)
        signs[key] = replace(signs[key], count=min(look, 10))  # after ten looks it stands still
        return replace(WELL, signs=tuple(signs))

    told = hanging(figures)
    stops = 10 + int(ROUND_LIMIT_S / EVERY_S)
    assert told[: stops + 1] == [[]] * (stops + 1)
    assert told[stops + 1 :] == [[f"thread {stage}"]] * (60 - stops - 1)


def test_a_thread_that_is_slow_and_alive_is_no_hang() -> None:
    assert fed(lambda look: replace(WELL, signs=(Sign("slow", 0, look // 6, ROUND_LIMIT_S),)))


def test_a_thread_that_has_said_it_will_take_longer_is_given_the_time_and_no_more() -> None:
    told = hanging(lambda _: replace(WELL, signs=(Sign("publisher", 0, 1, 120.0),)))
    assert told.index(["thread publisher"]) == int(120 / EVERY_S) + 1


def test_a_thread_that_waits_for_others_owes_nothing() -> None:
    assert fed(lambda _: replace(WELL, signs=(Sign("camera-app-cpu-0", 0, 7, math.inf),)))


def test_a_thread_that_was_idle_for_a_day_has_its_whole_time_when_it_begins_to_work() -> None:
    def figures(look: int) -> DeviceFigures:
        sign = Sign("camera-app-cpu-0", 0, 0, math.inf) if look < 100 else None
        return replace(WELL, signs=(sign or Sign("camera-app-cpu-0", 0, 1, 30.0),))

    assert hanging(figures, 120).index(["thread camera-app-cpu-0"]) == 100 + 7


def test_a_thread_in_the_place_of_one_that_hangs_does_not_answer_for_it() -> None:
    def figures(look: int) -> DeviceFigures:
        return replace(WELL, signs=(Sign("source", 0, 3, 30.0), Sign("source", 1, look, 30.0)))

    assert hanging(figures)[-1] == ["thread source"]


def test_a_thread_that_has_ended_is_missed_by_nobody() -> None:
    signs = (Sign("source", 0, 3, 30.0),)
    assert fed(lambda look: replace(WELL, signs=signs if look < 5 else ()))


def test_time_in_which_nobody_looked_counts_for_two_looks() -> None:
    """The machine slept, or the whole process was stopped: nobody could have moved."""
    watchdog = Watchdog(EVERY_S)
    figures = replace(WELL, signs=(Sign("x", 0, 1, ROUND_LIMIT_S),))
    watchdog.look(NOW_NS, figures)
    assert watchdog.look(NOW_NS + nanoseconds(86_400), figures) == ()


def store(look: int, *, state: str, waiting: int, committed: int) -> DeviceFigures:
    figures = replace(WELL.store, state=state, waiting=waiting, committed=committed)  # type: ignore[arg-type]
    return replace(WELL, store=figures)


def test_changes_that_wait_and_are_not_written_stop_the_feeding() -> None:
    told = hanging(lambda look: store(look, state="open", waiting=3, committed=8))
    assert told.index(["store"]) == int(STORE_LIMIT_S / EVERY_S) + 1


@pytest.mark.parametrize(
    ("state", "waiting", "written_every"),
    [
        ("open", 0, 0),  # nothing happens
        ("open", 9, 17),  # a slow disk: one transaction in 85 s
        ("full", 9, 0),  # a full disk: a restart frees none
        ("corrupt", 9, 0),  # the owner's to mend
    ],
)
def test_a_store_that_has_a_reason_or_makes_progress_is_no_hang(
    state: str, waiting: int, written_every: int
) -> None:
    def figures(look: int) -> DeviceFigures:
        committed = look // written_every if written_every else 0
        return store(look, state=state, waiting=waiting, committed=committed)

    assert fed(figures)


def camera(**changes: object) -> CameraFigures:
    """A camera whose pictures come, and of which the last one was not seen."""
    watch = replace(WATCH, unseen_since_ns=NOW_NS, **changes)  # type: ignore[arg-type]
    return CameraFigures(SOURCE, watch)


def cameras(**named: CameraFigures) -> DeviceFigures:
    return replace(WELL, cameras={**WELL.cameras, **named})


def shed(reason: ShedReason, count: int) -> FrameCounts:
    return FrameCounts(captured=9 + count, looked_at=9, shed={reason: count})


def test_a_camera_whose_pictures_nobody_looks_at_stops_the_feeding() -> None:
    told = hanging(lambda _: cameras(garden=camera()))
    assert told.index(["camera garden"]) == int(CAMERA_LIMIT_S / EVERY_S) + 1


@pytest.mark.parametrize("reason", [ShedReason.BUSY, ShedReason.FAILED, ShedReason.STOPPED])
def test_frames_that_are_only_passed_over_are_no_progress(reason: ShedReason) -> None:
    told = hanging(lambda look: cameras(garden=camera(counts=shed(reason, look))))
    assert told[-1] == ["camera garden"]


@pytest.mark.parametrize(
    "reason",
    [
        ShedReason.STILL,
        ShedReason.LATE,
        ShedReason.REPLACED,
        ShedReason.OVERLOAD,
        ShedReason.NO_DEVICE,
        ShedReason.PAUSED,
    ],
)
def test_frames_that_the_gate_or_the_scheduler_leaves_out_are_no_hang(reason: ShedReason) -> None:
    assert fed(lambda look: cameras(garden=camera(counts=shed(reason, look))))


def test_every_reason_is_either_progress_or_none() -> None:
    """A new reason has to be thought about here."""
    assert len(ShedReason) == 9


def test_a_model_that_fails_on_every_frame_is_told_and_not_restarted() -> None:
    """The device answers, and says why not: the same would happen after a restart."""

    def figures(look: int) -> DeviceFigures:
        return cameras(garden=camera(counts=shed(ShedReason.FAILED, look), declined=look))

    assert fed(figures)


def away() -> Iterator[CameraFigures]:
    gone = replace(SOURCE, is_delivering=False, state="lost: unplugged; trying again in 60.0 s")
    yield CameraFigures(gone, camera().watch)
    yield CameraFigures(SOURCE, replace(camera().watch, paused="privacy"))
    yield CameraFigures(SOURCE, WATCH)  # nothing new came


@pytest.mark.parametrize("figures", list(away()), ids=["unplugged", "switched off", "all seen"])
def test_a_camera_with_nothing_to_look_at_is_no_hang(figures: CameraFigures) -> None:
    assert fed(lambda _: cameras(garden=figures))


def test_one_camera_that_hangs_is_named_beside_others_that_do_not() -> None:
    def figures(look: int) -> DeviceFigures:
        counts = FrameCounts(captured=look, looked_at=look)
        return cameras(garden=camera(), yard=camera(counts=counts))

    assert hanging(figures)[-1] == ["camera garden"]
