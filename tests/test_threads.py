"""Hand-overs say what happens at their bound; workers survive their bugs and stop promptly."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest

from camera_app import threads
from camera_app.roster import ROSTER, ROUND_LIMIT_S, Sign
from camera_app.threads import Closed, Deadline, LatestBox, Worker

WAIT_S = 5.0
NEVER_S = 600.0


def in_thread(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action, name="camera-app-test", daemon=True)
    thread.start()
    return thread


def ended(thread: threading.Thread) -> bool:
    thread.join(WAIT_S)
    return not thread.is_alive()


# LatestBox


def test_latest_box_counts_a_value_that_was_never_read() -> None:
    box: LatestBox[str] = LatestBox()
    box.put("first")
    box.put("second")
    box.put("third")

    assert box.take() == "third"
    assert box.replaced == 2


def test_latest_box_does_not_count_a_value_that_was_read() -> None:
    box: LatestBox[str] = LatestBox()
    box.put("first")
    box.take()
    box.put("second")

    assert box.take() == "second"
    assert box.replaced == 0


def test_latest_box_gives_a_value_once() -> None:
    box: LatestBox[str] = LatestBox()
    box.put("only")
    box.take()

    assert box.take(timeout_s=0.0) is None


def test_taking_from_a_latest_box_waits_for_a_value() -> None:
    box: LatestBox[int] = LatestBox()
    taken: list[int | None] = []
    taker = in_thread(lambda: taken.append(box.take(NEVER_S)))
    box.put(7)

    assert ended(taker)
    assert taken == [7]


def test_closing_a_latest_box_wakes_whoever_waits() -> None:
    box: LatestBox[int] = LatestBox()
    closed = threading.Event()

    def take() -> None:
        with pytest.raises(Closed):
            box.take(NEVER_S)
        closed.set()

    taker = in_thread(take)
    box.close()

    assert ended(taker)
    assert closed.is_set()


def test_a_closed_latest_box_still_gives_what_was_inside() -> None:
    box: LatestBox[int] = LatestBox()
    box.put(7)
    box.close()

    assert box.take() == 7
    with pytest.raises(Closed):
        box.take()


# Deadline


def test_a_deadline_is_shared_by_several_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr(threads.time, "monotonic", lambda: now_s[0])
    deadline = Deadline(2.0)

    now_s[0] = 101.5
    assert deadline.remaining_s() == 0.5
    assert not deadline.is_over
    now_s[0] = 103.0
    assert deadline.remaining_s() == 0.0
    assert deadline.is_over


# Worker


class Recorder(Worker):
    """A worker whose rounds are written by the test; the last one repeats until the stop."""

    def __init__(self, *rounds: Exception | None) -> None:
        super().__init__("camera-app-recorder")
        self.rounds = list(rounds)
        self.calls: list[str] = []
        self.done = threading.Event()

    def opened(self) -> None:
        self.calls.append("opened")

    def run_once(self) -> None:
        if not self.rounds:
            self.done.set()
            self.stopping.wait(WAIT_S)
            return
        outcome = self.rounds.pop(0)
        self.calls.append("round")
        if outcome is not None:
            raise outcome

    def closed(self) -> None:
        self.calls.append("closed")


class Pauses(threading.Event):
    """Stands in for the stopping event: writes down each pause, and does not make it."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is not None and timeout < WAIT_S:
            self.lengths_s.append(timeout)
            return self.is_set()
        return super().wait(timeout)


def test_a_worker_opens_works_and_closes_on_its_own_thread() -> None:
    worker = Recorder(None, None)
    worker.start()
    assert worker.is_running
    assert worker.done.wait(WAIT_S)
    worker.stop()

    assert worker.calls == ["opened", "round", "round", "closed"]
    assert not worker.is_running


def test_a_worker_survives_an_error_and_logs_its_stack(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = Recorder(RuntimeError("a bug of ours"), None)
    worker.stopping = Pauses()
    with caplog.at_level(logging.ERROR):
        worker.start()
        assert worker.done.wait(WAIT_S)
        worker.stop()

    assert worker.calls.count("round") == 2
    [record] = caplog.records
    assert "camera-app-recorder failed, trying again in 0.5 s" in record.getMessage()
    assert record.exc_info is not None
    assert "a bug of ours" in str(record.exc_info[1])


def test_the_pause_after_an_error_doubles_up_to_a_limit_and_starts_anew_after_a_success() -> None:
    bug = RuntimeError("again")
    worker = Recorder(bug, bug, bug, bug, None, bug)
    worker.stopping = pauses = Pauses()
    worker.retry_max_s = 2.0
    worker.start()
    assert worker.done.wait(WAIT_S)
    worker.stop()

    assert pauses.lengths_s == [0.5, 1.0, 2.0, 2.0, 0.5]


def test_stopping_interrupts_the_pause_after_an_error() -> None:
    failed = threading.Event()

    class Failing(Worker):
        retry_first_s = NEVER_S

        def run_once(self) -> None:
            failed.set()
            raise RuntimeError("always")

    worker = Failing("camera-app-failing")
    worker.start()
    assert failed.wait(WAIT_S)
    began_s = time.monotonic()
    worker.stop()

    assert not worker.is_running
    assert time.monotonic() - began_s < threads.STOP_LIMIT_S


def test_an_error_while_opening_is_tried_again_before_any_work() -> None:
    class Late(Recorder):
        def opened(self) -> None:
            super().opened()
            if self.calls.count("opened") < 3:
                raise OSError("not there yet")

    worker = Late(None)
    worker.stopping = Pauses()
    worker.start()
    assert worker.done.wait(WAIT_S)
    worker.stop()

    assert worker.calls == ["opened", "opened", "opened", "round", "closed"]


def test_a_worker_ends_when_the_hand_over_it_reads_is_closed() -> None:
    worker = Recorder(None, Closed())
    worker.start()
    thread = worker._thread
    assert thread is not None
    thread.join(WAIT_S)

    assert worker.calls == ["opened", "round", "round", "closed"]
    assert not worker.is_running
    worker.stop()


def test_stopping_wakes_a_worker_that_waits_on_something_else() -> None:
    class Reader(Worker):
        def __init__(self) -> None:
            super().__init__("camera-app-reader")
            self.box: LatestBox[int] = LatestBox()
            self.waits = threading.Event()

        def run_once(self) -> None:
            self.waits.set()
            self.box.take(NEVER_S)

        def wake(self) -> None:
            self.box.close()

    worker = Reader()
    worker.start()
    assert worker.waits.wait(WAIT_S)
    worker.stop()

    assert not worker.is_running


def test_a_worker_may_be_stopped_twice_and_started_again() -> None:
    worker = Recorder()
    worker.start()
    assert worker.done.wait(WAIT_S)
    worker.stop()
    worker.stop()
    worker.done.clear()
    worker.start()
    assert worker.done.wait(WAIT_S)
    worker.stop()

    assert worker.calls == ["opened", "closed", "opened", "closed"]


def test_a_thread_that_stays_is_an_error_with_its_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threads, "STOP_LIMIT_S", 0.01)
    release, waits = threading.Event(), threading.Event()

    class Stubborn(Worker):
        def run_once(self) -> None:
            waits.set()
            release.wait(WAIT_S)

    worker = Stubborn("camera-app-stubborn")
    worker.start()
    assert waits.wait(WAIT_S)
    with caplog.at_level(logging.ERROR):
        worker.stop()
    release.set()

    assert [record.getMessage() for record in caplog.records] == [
        "thread camera-app-stubborn did not end within 0 s"
    ]


def test_an_unread_value_can_be_thrown_away_once() -> None:
    box: LatestBox[int] = LatestBox()
    assert box.discard() == 0
    box.put(1)
    assert (box.discard(), box.discard(), box.replaced) == (1, 0, 0)


# Signs of life


def test_a_worker_gives_a_sign_each_round_and_leaves_the_roster_when_it_ends() -> None:
    worker = Recorder()
    worker.start()
    assert worker.done.wait(WAIT_S)
    (sign,) = [one for one in ROSTER.signs() if one.thread == worker.name]
    worker.stop()

    assert sign.count >= 2  # before `opened` and before each round
    assert worker.name not in {one.thread for one in ROSTER.signs()}


def test_a_worker_that_rests_promises_its_next_sign_for_afterwards() -> None:
    rests = threading.Event()

    class Resting(Worker):
        def run_once(self) -> None:
            rests.set()
            self.rest(300.0)

    worker = Resting("camera-app-resting")
    worker.start()
    assert rests.wait(WAIT_S)
    wait_for(lambda: sign_of(worker).within_s == 300.0 + ROUND_LIMIT_S)
    worker.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_of_an_error_stays_in_the_roster_and_owes_a_sign() -> None:
    class Mortal(Worker):
        def run_once(self) -> None:
            raise Closed

        def closed(self) -> None:
            raise SystemError("a bug where nothing catches it")

    worker = Mortal("camera-app-mortal")
    worker.start()
    wait_for(lambda: not worker.is_running)
    sign = sign_of(worker)
    ROSTER.leave(worker._vital)

    assert sign.within_s == ROUND_LIMIT_S


def sign_of(worker: Worker) -> Sign:
    (sign,) = [one for one in ROSTER.signs() if one.thread == worker.name]
    return sign


def wait_for(holds: Callable[[], bool]) -> None:
    pause, deadline = threading.Event(), Deadline(WAIT_S)
    while not holds():
        assert not deadline.is_over
        pause.wait(0.005)
