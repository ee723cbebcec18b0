"""Supervision, on children that do what their levers say."""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from camera_app.capture import LiveSource
from camera_app.capture.backoff import BackOff
from camera_app.capture.live import errand_of
from camera_app.capture.masks import LUMA_FLAT
from camera_app.clock import SystemClock, seconds
from camera_app.config import CameraSettings
from camera_app.threads import LatestBox
from camera_app.values import Frame, Size
from tests.capture.watched import Watched, child_pid_of, starting
from tests.waiting import wait_until

LIMIT_S = 30.0
SMALL = "synthetic:?width=64&height=48&fps=50"


class WatchedBackOff(BackOff):
    """Tells of each failure, and waits next to nothing."""

    def __init__(self) -> None:
        super().__init__(random=lambda: 1.0)
        self.failures: queue.Queue[float] = queue.Queue()

    def after(self, worked_s: float) -> float:
        self.failures.put(worked_s)
        return 0.02

    def longest(self) -> float:
        return self.after(-1.0)


class KeepingBox(LatestBox[Frame]):
    """Keeps when each frame was captured and its size, also where nobody takes it in time."""

    def __init__(self) -> None:
        super().__init__()
        self.stamps_ns: list[int] = []
        self.sizes: list[Size] = []

    def put(self, value: Frame) -> None:
        self.sizes.append(value.size)
        self.stamps_ns.append(value.captured_ns)
        super().put(value)


class Supervised(Watched):
    """One that keeps what came and tells of its failures."""

    def __init__(self, source: str, **settings: object) -> None:
        self.kept = KeepingBox()
        self.back_off = WatchedBackOff()
        super().__init__(source, self.kept, self.back_off, **settings)

    def frames_until(self, is_enough: Callable[[Frame], bool]) -> list[Frame]:
        frames = [self.frame()]
        while not is_enough(frames[-1]):
            assert len(frames) < 500
            frames.append(self.frame())
        return frames

    def failed(self) -> float:
        return self.back_off.failures.get(timeout=LIMIT_S)

    @property
    def child_pid(self) -> int:
        return child_pid_of(self.source)


@pytest.fixture
def watch() -> Iterator[Callable[..., Supervised]]:
    with starting(Supervised) as start:
        yield start


def test_frames_come_numbered_stamped_and_whole(watch: Callable[..., Supervised]) -> None:
    before_ns = SystemClock().monotonic_ns()
    watched = watch("synthetic:?width=64&height=48&fps=20", fps=20)
    frames = watched.frames_until(lambda frame: frame.sequence >= 12)
    assert {frame.camera for frame in frames} == {"front"}
    assert frames[0].size == Size(64, 48)
    numbers = [frame.sequence for frame in frames]
    stamps = [frame.captured_ns for frame in frames]
    assert numbers == sorted(set(numbers))
    assert stamps == sorted(set(stamps))
    assert before_ns < stamps[0] < stamps[-1] <= SystemClock().monotonic_ns()
    stats = watched.source.stats()
    assert (stats.is_delivering, stats.state) == (True, "delivering")
    assert stats.frames >= 13
    assert wait_until(lambda: len(watched.kept.stamps_ns) >= stats.frames)
    newest = watched.kept.stamps_ns[: stats.frames][-50:]
    assert stats.fps == pytest.approx((len(newest) - 1) / seconds(newest[-1] - newest[0]))
    assert stats.fps < 26.0
    assert stats.last_frame_ns is not None
    assert stats.last_frame_ns >= stamps[-1]
    assert (stats.restarts, stats.lost) == (0, {})


def test_a_faster_source_is_thinned_in_the_child_and_counted(
    watch: Callable[..., Supervised],
) -> None:
    watched = watch("synthetic:?width=64&height=48&fps=100", fps=10)
    watched.frames_until(lambda frame: frame.sequence >= 5)
    stats = watched.source.stats()
    # Nine of ten are left out; what was left out since the newest frame may be told already.
    assert 9 * (stats.frames - 1) - 2 <= stats.dropped["thinned"] <= 9 * stats.frames + 2


def test_it_says_when_the_camera_can_see_and_when_not(watch: Callable[..., Supervised]) -> None:
    watched = watch(SMALL + "&lose_after=3")
    assert [watched.changed() for _ in range(4)] == [True, False, True, False]


def test_a_crash_says_what_killed_it_and_the_count_of_frames_goes_on(
    watch: Callable[..., Supervised], caplog: pytest.LogCaptureFixture
) -> None:
    watched = watch(SMALL)
    last = watched.frame().sequence
    os.kill(watched.child_pid, signal.SIGSEGV)
    assert [watched.changed() for _ in range(3)] == [True, False, True]
    assert "crashed: its process ended: SIGSEGV" in caplog.text
    watched.frames_until(lambda frame: frame.sequence > last + 1)
    stats = watched.source.stats()
    assert (stats.lost, stats.restarts) == ({"crashed": 1}, 1)


def test_a_stall_is_ended_by_the_deadline(watch: Callable[..., Supervised]) -> None:
    watched = watch(SMALL + "&stall_after=4", deadline_s=0.3)
    watched.frame()
    stalled = watched.child_pid
    watched.failed()
    assert not Path(f"/proc/{stalled}").exists()
    watched.frames_until(lambda frame: frame.sequence >= 5)
    assert watched.source.stats().lost["stalled"] >= 1


def test_a_child_that_stands_still_in_the_kernel_is_ended_too(
    watch: Callable[..., Supervised],
) -> None:
    """SIGSTOP stands in for a driver that does not return: no thread of the child runs."""
    watched = watch(SMALL, deadline_s=1.0)
    watched.frame()
    stopped = watched.child_pid
    os.kill(stopped, signal.SIGSTOP)
    watched.failed()
    assert not Path(f"/proc/{stopped}").exists()
    assert set(watched.source.stats().lost) == {"stalled"}
    watched.box.take(0.0)
    assert watched.frame()


def test_a_slow_rate_is_no_stall(watch: Callable[..., Supervised]) -> None:
    """At a frame in two and a half seconds, two without one are as it should be."""
    watched = watch("synthetic:?width=64&height=48&fps=50", fps=0.4, deadline_s=2.0)
    watched.frames_until(lambda frame: frame.sequence >= 1)
    assert watched.source.stats().lost == {}


def test_a_refusal_is_tried_again_and_told(watch: Callable[..., Supervised]) -> None:
    watched = watch("synthetic:?refuse=1")
    watched.failed()
    watched.failed()
    stats = watched.source.stats()
    assert stats.lost["refused"] >= 2
    assert not stats.is_delivering
    assert watched.changes.empty()  # it never could see


def test_what_cannot_be_read_is_tried_again_after_the_longest_wait(
    watch: Callable[..., Supervised], tmp_path: Path
) -> None:
    path = tmp_path / "fake.mp4"
    path.write_bytes(b"no video" * 100)
    watched = watch(str(path))
    assert watched.failed() == -1.0
    assert watched.source.stats().lost == {"unsupported": 1}
    assert "read as video" in watched.source.stats().state


def test_nonsense_in_the_source_is_told_without_starting_anything(
    watch: Callable[..., Supervised],
) -> None:
    watched = watch("picamera:front")
    assert watched.failed() == -1.0
    assert watched.source.stats().restarts == 0
    assert watched.source._child is None


def test_a_clip_is_played_in_real_time_and_ends(
    watch: Callable[..., Supervised], make_clip: Callable[..., Path]
) -> None:
    path = str(make_clip("clip.mp4", stamps_ms=range(0, 500, 100)))
    before_ns = SystemClock().monotonic_ns()
    watched = watch(path)
    assert [watched.changed(), watched.changed()] == [True, False]
    assert watched.kept.stamps_ns[-1] >= before_ns + 0.4e9
    watched.source._thread.join(LIMIT_S)
    stats = watched.source.stats()
    assert (stats.state, stats.frames, stats.lost) == ("ended", 5, {"ended": 1})


def test_a_looped_clip_goes_on(
    watch: Callable[..., Supervised], make_clip: Callable[..., Path]
) -> None:
    path = make_clip("clip.mp4", stamps_ms=[0, 40, 80])
    watched = watch(f"{path}?loop=1")
    watched.frames_until(lambda frame: frame.sequence >= 8)
    assert watched.source.stats().lost == {}


def test_a_change_of_size_comes_through_without_a_restart(watch: Callable[..., Supervised]) -> None:
    watched = watch(SMALL + "&resize_after=5")
    watched.frames_until(lambda frame: frame.size == Size(32, 24))
    assert watched.kept.sizes[0] == Size(64, 48)
    assert watched.source.stats().restarts == 0


def test_counts_of_children_that_have_ended_are_kept(watch: Callable[..., Supervised]) -> None:
    watched = watch(SMALL + "&corrupt_every=2&lose_after=8")
    watched.failed()
    before = watched.source.stats().dropped["corrupt"]
    watched.failed()
    assert 0 < before < watched.source.stats().dropped["corrupt"]


def test_masked_pixels_never_reach_the_parent(watch: Callable[..., Supervised]) -> None:
    """Guarantee 7, across the process boundary: not in a frame, nor anywhere in its memory."""
    mask = {"polygon": [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]}
    watched = watch(SMALL + "&objects=4", privacy_masks=[mask])
    for _ in range(5):
        picture = watched.frame().picture
        assert (picture.luma[:, :32] == LUMA_FLAT).all()
        assert (picture.u[:, :16] == 128).all()
        assert (picture.v[:, :16] == 128).all()
        assert (picture.luma[:, 34:] != LUMA_FLAT).all()


def test_stop_ends_the_child_and_can_be_repeated(watch: Callable[..., Supervised]) -> None:
    watched = watch(SMALL)
    watched.frame()
    pid = watched.child_pid
    watched.source.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert watched.source.stats().state == "stopped"
    assert watched.changed() is True
    assert watched.changed() is False
    watched.source.stop()


def test_stop_does_not_wait_for_a_long_back_off(watch: Callable[..., Supervised]) -> None:
    watched = watch("synthetic:?refuse=1")
    watched.back_off.after = lambda worked_s: watched.back_off.failures.put(1.0) or 600.0
    watched.failed()
    watched.source.stop()
    assert not watched.source.is_running


def test_it_can_be_started_again_after_a_stop(watch: Callable[..., Supervised]) -> None:
    watched = watch(SMALL)
    last = watched.frame()
    watched.source.stop()
    watched.box.take(0.0)
    watched.source.start()
    assert watched.frame().sequence > last.sequence


class UnreadBox(LatestBox[Frame]):
    """Nobody takes from it; sets an event when ten frames in a row came without one left out."""

    def __init__(self) -> None:
        super().__init__()
        self.puts = 0
        self.source: LiveSource | None = None
        self.has_ten_in_a_row = threading.Event()
        self._in_a_row = 0
        self._no_slot = 0

    def put(self, value: Frame) -> None:
        super().put(value)
        self.puts += 1
        assert self.source is not None
        no_slot = self.source.stats().dropped.get("no_slot", 0)
        self._in_a_row = self._in_a_row + 1 if no_slot == self._no_slot else 0
        self._no_slot = no_slot
        if self._in_a_row == 10:
            self.has_ten_in_a_row.set()


def test_nobody_who_takes_no_frames_holds_the_source_up() -> None:
    """Slots run out only while this process does not run; ten is more than there are."""
    box = UnreadBox()
    settings = CameraSettings(source=SMALL, fps=50)
    source = box.source = LiveSource("front", settings, SystemClock(), box)
    source.start()
    try:
        assert box.has_ten_in_a_row.wait(LIMIT_S)
    finally:
        source.stop()
    assert source.stats().lost == {}
    assert box.replaced == box.puts - 1


def test_a_password_from_a_file_reaches_the_child_and_nothing_else(
    watch: Callable[..., Supervised], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    watched = watch("rtsp://me:{password}@127.0.0.1:9/live?t={password}", password_file=str(secret))
    errand = errand_of(watched.source._settings)
    assert errand.source == "rtsp://me:hunter2@127.0.0.1:9/live?t=hunter2"
    watched.failed()
    assert "nobody answers there" in watched.source.stats().state
    assert "hunter2" not in watched.source.stats().state + caplog.text
    assert "hunter2" not in repr(watched.source.stats())


def test_a_password_file_that_is_missing_is_told(
    watch: Callable[..., Supervised], tmp_path: Path
) -> None:
    watched = watch("rtsp://me:{password}@cam/", password_file=str(tmp_path / "none"))
    watched.failed()
    assert watched.source.stats().lost == {"refused": 1}
    assert "the password file cannot be read" in watched.source.stats().state


def test_a_camera_at_the_ribbon_that_never_returns_is_restarted(
    watch: Callable[..., Supervised], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Path(__file__).parent / "fake_picamera2.py"
    (tmp_path / "picamera2.py").write_text(fake.read_text())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("FAKE_STALL_AFTER", "4")
    watched = watch("picamera:0", width=100, height=64, deadline_s=0.4)
    assert watched.frame().size == Size(100, 64)
    watched.failed()
    watched.box.take(0.0)
    assert watched.frame().size == Size(100, 64)
    assert watched.source.stats().lost["stalled"] >= 1


def test_the_child_imports_no_more_than_it_needs(watch: Callable[..., Supervised]) -> None:
    """What it maps tells what it loaded; memory and start-up of each camera hang on this."""
    watched = watch(SMALL)
    watched.frame()
    mapped = Path(f"/proc/{watched.child_pid}/maps").read_text()
    assert "/numpy/" in mapped
    assert "cv2" not in mapped
    assert "pydantic" not in mapped
