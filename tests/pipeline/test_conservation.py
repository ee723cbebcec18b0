"""Whatever happens to frames: captured = looked at + shed for each reason + under way, always."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_app.capture import Doorway
from camera_app.clock import ManualClock
from camera_app.config import CameraSettings, MotionSettings
from camera_app.errors import DeviceError, DeviceTimeout, ModelOutputError
from camera_app.pipeline import Asking, CameraWatch, CameraWorker, ShedReason
from camera_app.pipeline.tally import FrameTally
from camera_app.scheduling import Answer, Demand, DemandShed, ShedCause
from camera_app.threads import Closed
from camera_app.values import (
    Box,
    Detection,
    Event,
    EventChange,
    Frame,
    FrameCounts,
    Motion,
    Size,
    Yuv420,
)

LUMA = np.zeros((120, 160), np.uint8)
PICTURE = Yuv420(LUMA, LUMA[::2, ::2], LUMA[::2, ::2])
PERSON = Detection(Box(10, 10, 60, 90), "person", 0.9)
ENDINGS: dict[str, Exception | None] = {
    "answered": None,
    "device failed": DeviceError("gone"),
    "device silent": DeviceTimeout("no answer"),
    "model wrong": ModelOutputError("what is this"),
    "never came": TimeoutError(),
    "cancelled": CancelledError(),
    "stopped": Closed(),
    **{f"shed: {cause.value}": DemandShed(cause) for cause in ShedCause},
    "a bug": ZeroDivisionError(),
}


class FatefulSeats:
    """Ends each demand as told, and looks at the books while a frame is under way."""

    def __init__(self) -> None:
        self.ending = "answered"
        self.watch: CameraWatch | None = None
        self.books: list[FrameCounts] = []

    def ask(self, demands: Sequence[Demand]) -> list[Answer]:
        return [self._answer(demand) for demand in demands]

    def _answer(self, demand: Demand) -> Answer:
        assert self.watch is not None
        self.books.append(self.watch.counts)
        failure = ENDINGS[self.ending]
        if isinstance(failure, Closed):
            raise failure
        answer: Answer = Future()
        if failure is None:
            answer.set_result([PERSON])
        else:
            answer.set_exception(failure)
        return answer


def worker_with(seats: FatefulSeats, *, is_gated: bool) -> tuple[CameraWorker, Doorway]:
    camera = CameraSettings(source="test", motion=MotionSettings(enabled=is_gated))
    watch = CameraWatch("front", camera, Size(64, 64), lambda _: "e")
    seats.watch = watch
    frames = Doorway()

    def concluded(
        _frame: Frame | None, _changes: Sequence[EventChange], _events: Sequence[Event]
    ) -> None:
        seats.books.append(watch.counts)

    worker = CameraWorker(
        watch,
        frames,
        seats,
        asking=Asking(("m",), 0.1),
        clock=ManualClock(),
        commit=lambda _changes: None,
        concluded=concluded,
    )
    return worker, frames


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(sorted(ENDINGS)), st.integers(0, 3)), min_size=1, max_size=12
    ),
    is_gated=st.booleans(),
    left_unread=st.booleans(),
)
def test_no_frame_is_ever_without_a_fate(
    steps: list[tuple[str, int]], is_gated: bool, left_unread: bool
) -> None:
    seats = FatefulSeats()
    worker, frames = worker_with(seats, is_gated=is_gated)
    put = 0
    looked_with: list[str] = []  # the endings of those frames that were not still

    def bring() -> None:
        nonlocal put
        motion = Motion((), 0.0) if is_gated and put else None
        frames.put(Frame("front", put, (put + 1) * 100_000_000, PICTURE, motion))
        put += 1

    for ending, overtaken in steps:
        seats.ending, books = ending, len(seats.books)
        for _ in range(overtaken + 1):
            bring()
        if frames.peek() is None:  # all of them passed by
            assert is_gated
            assert worker.stats.counts.captured == put
            continue
        try:
            worker.run_once()
        except ZeroDivisionError:
            assert ending == "a bug"
        if len(seats.books) > books:
            looked_with.append(ending)
        counts = worker.stats.counts
        assert (counts.captured, counts.under_way) == (put, 0)
        assert counts.is_conserved
    if left_unread:
        bring()
        left_unread = frames.peek() is not None
    worker.closed()
    assert worker.stats.counts.captured == put
    assert worker.stats.counts.is_conserved
    at_the_end = worker.stats.counts.shed.get(ShedReason.STOPPED, 0)
    assert at_the_end == left_unread + sum(
        ending in ("cancelled", "stopped") for ending in looked_with
    )
    assert all(counts.is_conserved and counts.under_way <= 1 for counts in seats.books)


def test_a_frame_under_way_is_counted_as_such() -> None:
    seats = FatefulSeats()
    worker, frames = worker_with(seats, is_gated=False)
    frames.put(Frame("front", 0, 1, PICTURE))
    worker.run_once()
    asked, concluded = seats.books
    assert asked == FrameCounts(captured=1, under_way=1)
    assert concluded == FrameCounts(captured=1, looked_at=1)


def test_the_law_holds_for_whoever_reads_while_frames_move() -> None:
    tally = FrameTally()
    is_over = threading.Event()
    wrong: list[FrameCounts] = []

    def read() -> None:
        while not is_over.is_set():
            counts = tally.counts
            if not counts.is_conserved:
                wrong.append(counts)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(3000):
        tally.begin()
        tally.pass_over(ShedReason.BUSY, number % 3)
        tally.look() if number % 2 else tally.shed(ShedReason.STILL)
    is_over.set()
    reader.join(5.0)
    assert wrong == []
    assert tally.counts == FrameCounts(6000, 1500, {"busy": 3000, "still": 1500})


def test_a_fate_for_a_frame_that_nobody_took_up_is_a_bug_that_shows() -> None:
    with pytest.raises(AssertionError, match="nobody had taken up"):
        FrameTally().look()
