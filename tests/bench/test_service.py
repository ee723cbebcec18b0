"""The measurement of the service runs it, three times, and says what it took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from camera_app.bench import latency, processes
from camera_app.bench import service as bench
from camera_app.bench.running import RunningService
from camera_app.cli import main
from camera_app.errors import UsageError
from camera_app.kernel import tree


def quicken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the latency measured at the first rate that is tried."""
    for name, value in (("SETTLE_S", 0.5), ("TRIAL_S", 1.0), ("ATTEMPTS", 1)):
        monkeypatch.setattr(latency, name, value)


BUSY = "x = 0\nprint('on', flush=True)\nwhile True: x += 1"


@pytest.mark.shared
def test_the_whole_service_is_measured(
    shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = shared / "clips" / "signers" / "book.mkv"
    monkeypatch.setattr(bench, "SETTLE_S", 1.0)
    quicken(monkeypatch)
    words = ["--clip", str(clip), "--model", "person_small", "--seconds", "2", "--cameras", "1"]
    assert main(["bench", "service", "--json", "--memory-after", "1", *words]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert 0.1 < figures["start_s"] < 60
    assert 20 < figures["pss_mb"] < figures["alone_mb"] < 1000
    assert (figures["memory_after_s"], figures["seconds"]) == (1.0, 2.0)
    assert figures["idle_cpu_s_per_minute"] > 0
    assert figures["bare_cpu_s_per_minute"] > 0
    assert figures["latency"]["changes"] > 5


def test_without_a_film_it_is_said_what_to_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "service"]) == 1
    assert "--clip FILM" in capsys.readouterr().err


def test_what_is_no_film_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = tmp_path / "film.mp4"
    film.write_text("no film")
    with pytest.raises(bench.SourceUnsupported, match="no film"):
        bench.write_still(film, tmp_path / "still.mp4")


@pytest.mark.shared
def test_a_still_film_is_what_was_asked_for(shared: Path, tmp_path: Path) -> None:
    bench.write_still(shared / "clips" / "one_by_one_person.mp4", tmp_path / "still.mp4")
    with av.open(str(tmp_path / "still.mp4")) as film:
        (stream,) = film.streams.video
        assert (stream.width, stream.height, stream.frames) == (768, 432, 600)
        frames = [frame for frame, _ in zip(film.decode(video=0), range(20), strict=False)]
    assert sum(frame.key_frame for frame in frames) == 1  # else decoding costs more than a camera's


def test_a_service_that_ends_is_told_with_its_last_word(tmp_path: Path) -> None:
    config = tmp_path / "camera.toml"
    config.write_text("device_id = 7\n")
    with RunningService(config) as service, pytest.raises(UsageError, match="device_id"):
        service.wait_seen()


@pytest.fixture
def busy() -> Iterator[int]:
    """A process that does nothing, with one below it that never rests."""
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "on\n"
    below = tree(parent.pid)[1:]
    yield parent.pid
    for pid in below:
        os.kill(pid, 9)
    parent.wait(30)
    parent.stdout.close()


def test_a_tree_is_counted_with_all_below_it(busy: int) -> None:
    before_s = processes.cpu_s(busy)
    pause = threading.Event()
    for _ in range(3000):
        if processes.cpu_s(busy) >= before_s + 0.2:
            break
        pause.wait(0.02)
    assert processes.cpu_s(busy) >= before_s + 0.2
    assert len(tree(busy)) == 2
    assert processes.pss_mb(busy) > processes.pss_mb(tree(busy)[1]) > 1


def test_pages_that_processes_share_count_once_and_whole(busy: int) -> None:
    both = tree(busy)
    each = [processes.alone_bytes([pid]) for pid in both]
    assert max(each) < processes.alone_bytes(both) < sum(each) - 1e6  # the interpreter is shared
    assert processes.alone_bytes(both) > processes.pss_bytes(both)  # with us, too


def test_a_process_that_has_ended_takes_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(30)
    assert (processes.cpu_s(gone.pid), processes.pss_mb(gone.pid)) == (0.0, 0.0)
    assert processes.alone_bytes([gone.pid]) == 0
