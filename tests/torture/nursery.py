"""Runs jobs of `victim.py`, and gathers what the checker needs of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from tests.torture.checker import Finding, check, read_promises
from tests.torture.listener import Listener
from tests.torture.victim import Job

PROGRAM = Path(__file__).with_name("victim.py")


class Nursery:
    """A process that makes services; a context manager."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10.0)
        self._process.stdout.close()

    def run(self, job: Job) -> int:
        """Do a job; return 0, 3 when not everything was told in time, or minus a signal."""
        return self.run_all([job])[0]

    def run_all(self, jobs: Sequence[Job]) -> list[int]:
        """Do several at a time, as `run`."""
        assert self._process is not None
        assert self._process.stdin is not None
        for job in jobs:
            Path(job.folder).mkdir(exist_ok=True)
        self._process.stdin.write(f"{json.dumps([asdict(job) for job in jobs])}\n")
        self._process.stdin.flush()
        codes: list[int] = self._answer()
        return codes

    def _answer(self) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the nursery ended"
        return json.loads(line)


def findings(
    folder: Path,
    listener: Listener,
    device: str,
    *,
    is_stopped: bool = True,
    is_heard_from_the_start: bool = True,
) -> list[Finding]:
    """Return what the checker says of a device whose backlog was drained.

    Args:
        folder: Its data.
        listener: Who heard it.
        device: Its id.
        is_stopped: It ended cleanly: then its goodbye comes after all else.
        is_heard_from_the_start: The listener was there before it.
    """
    if is_stopped:
        assert listener.wait_for(lambda _: _said_goodbye(listener, device))
    assert listener.problems == []
    promised = folder / "promised.jsonl"
    promises = read_promises(promised) if promised.exists() else []
    return check(
        folder / "events.db",
        listener.of(device),
        promises,
        is_heard_from_the_start=is_heard_from_the_start,
    )


def _said_goodbye(listener: Listener, device: str) -> bool:
    heard = listener.of(device)
    return bool(heard) and heard[-1].payload == "offline"
