"""What our processes take, held against what others measure of them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from camera_app.health.metrics.process import ProcessFigures, our_processes
from camera_app.threads import Worker


def test_the_figures_are_those_that_psutil_has() -> None:
    [own] = [one for one in our_processes() if one.name == "service"]
    process = psutil.Process()
    assert own.started_s == pytest.approx(process.create_time(), abs=1.0)
    assert own.threads == process.num_threads()
    assert own.open_files == pytest.approx(process.num_fds(), abs=1)
    assert own.memory_bytes is not None
    assert own.memory_bytes == pytest.approx(process.memory_full_info().pss, rel=0.05)
    times = process.cpu_times()
    assert own.cpu_s == pytest.approx(times.user + times.system, abs=0.5)
    assert own.written_bytes is not None


def test_a_child_and_its_child_are_among_them_until_they_end() -> None:
    inner = "import sys; print('up', flush=True); sys.stdin.read()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    child = subprocess.Popen(
        [sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == b"up\n"
    found = our_processes()
    child.stdin.close()
    child.wait(10)
    child.stdout.close()
    assert len(found) - len(our_processes()) == 2
    assert all(one.cpu_s is not None for one in found)


def test_a_process_with_an_awkward_name_is_read(tmp_path: Path) -> None:
    """A name may hold brackets; a kernel without accounts of memory and disk tells none."""
    folder = tmp_path / "7"
    (folder / "task" / "7").mkdir(parents=True)
    fields = ["S", "1", *["0"] * 9, "250", "50", "0", "0", "0", "0", "3", "0", "1000"]
    (folder / "stat").write_text("7 (a) b (c)) " + " ".join(fields))
    (tmp_path / "stat").write_text("cpu 1 2\nbtime 1700000000\n")
    ticks = os.sysconf("SC_CLK_TCK")
    assert our_processes(tmp_path, pid=7) == (
        ProcessFigures(
            "service", cpu_s=300 / ticks, threads=3, started_s=1_700_000_000 + 1000 / ticks
        ),
    )


def test_a_process_that_ended_is_left_out(tmp_path: Path) -> None:
    assert our_processes(tmp_path, pid=7) == ()


def test_a_threads_own_bytes_are_those_that_it_wrote(tmp_path: Path) -> None:
    """Written beside it by others: not counted."""

    class Scribe(Worker):
        wrote = threading.Event()

        def run_once(self) -> None:
            (tmp_path / "own").write_bytes(b"x" * 100_000)
            self.wrote.set()
            self.stopping.wait(10)

    scribe = Scribe("camera-app scribe")
    assert scribe.written_bytes is None
    scribe.start()
    try:
        assert scribe.wrote.wait(10)
        (tmp_path / "other").write_bytes(b"x" * 500_000)
        assert scribe.written_bytes is not None
        assert 100_000 <= scribe.written_bytes < 101_000
    finally:
        scribe.stop()
    assert scribe.written_bytes is None
