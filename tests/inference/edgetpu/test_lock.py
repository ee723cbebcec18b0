from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from camera_app.inference.edgetpu.lock import LockTaken, StickLock, holder_of, lock_path

HOLD = """
import sys
from pathlib import Path
from camera_app.inference.edgetpu.lock import StickLock
StickLock("usb:1-1", root=Path(sys.argv[1])).take(4711)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_one_is_told_who_has_it(tmp_path: Path) -> None:
    ours = StickLock("usb:1-1", root=tmp_path)
    ours.take(os.getpid())
    with pytest.raises(LockTaken) as taken:
        StickLock("usb:1-1", root=tmp_path).take(99)
    assert taken.value.holder == os.getpid()
    assert holder_of("usb:1-1", root=tmp_path) == os.getpid()
    ours.release()


def test_each_place_has_a_lock_of_its_own(tmp_path: Path) -> None:
    one, other = StickLock("usb:1-1", root=tmp_path), StickLock("pci:apex_0", root=tmp_path)
    one.take(1)
    other.take(1)
    one.release()
    other.release()


def test_a_released_lock_can_be_taken_and_is_nobodys(tmp_path: Path) -> None:
    lock = StickLock("usb:1-1", root=tmp_path)
    lock.take(os.getpid())
    lock.release()
    lock.release()
    assert holder_of("usb:1-1", root=tmp_path) is None
    again = StickLock("usb:1-1", root=tmp_path)
    again.take(os.getpid())
    again.release()


def test_a_lock_that_was_never_taken_is_nobodys(tmp_path: Path) -> None:
    assert holder_of("usb:1-1", root=tmp_path) is None


def test_whoever_asks_who_has_it_keeps_nobody_from_taking_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one who asks holds it for a moment, shared; the one who takes tries again."""
    lock_path("usb:1-1", root=tmp_path).touch()
    asking = os.open(lock_path("usb:1-1", root=tmp_path), os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    monkeypatch.setattr("time.sleep", lambda seconds: os.close(asking))
    lock = StickLock("usb:1-1", root=tmp_path)
    lock.take(os.getpid())
    lock.release()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert holder_of("usb:1-1", root=tmp_path) == 4711
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    lock = StickLock("usb:1-1", root=tmp_path)
    lock.take(os.getpid())
    lock.release()


def test_other_users_may_take_it_too(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        lock = StickLock("usb:1-1", root=tmp_path)
        lock.take(os.getpid())
    finally:
        os.umask(before)
    lock.release()
    assert lock_path("usb:1-1", root=tmp_path).stat().st_mode & 0o777 == 0o666


def test_a_link_put_in_its_place_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("keep")
    lock_path("usb:1-1", root=tmp_path).symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        StickLock("usb:1-1", root=tmp_path).take(1)
    assert target.read_text() == "keep"
