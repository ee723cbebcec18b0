"""Runs the service while things go wrong around it, and says what came of it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from tools.processes import REPOSITORY, TrialFailed, wait_for
from tools.soak.chaos import Happening, What, Wishes, plan
from tools.soak.gauges import LIMITS, Growth, Sample, back_after_s, growth_of, read
from tools.soak.rig import DEVICE, SOURCE_NAME, STICK_NAME, Rig
from tools.soak.witness import Witness

CHECKER = REPOSITORY / "tests" / "torture" / "checker.py"
SAMPLE_S = 1.0
CHILD_LIMIT_S = 60.0  # a stick that was just pulled out has no process for a while
DRAIN_LIMIT_S = 90.0
FIRST_CHANGES = 3


@dataclass(frozen=True, slots=True)
class Kill:
    """One process that was killed.

    Attributes:
        name: Of the process.
        back_s: Until another one of that name was there; None: none came.
    """

    name: str
    back_s: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        seconds: How long it was.
        cameras: Name and kind of source of each.
        happened: How often what happened.
        kills: Each kill.
        exits: How often the service ended by itself.
        exit_code: With which code it ended when asked to.
        changes: Changes of events that were heard as they came.
        findings: What the checker found wrong.
        tracebacks: Bugs in the log.
        growths: How each gauge went.
        tree_mb: Memory of all processes, its median.
        stick_answers: That the stick gave; none: it took no part.
        frames: That were looked at.
    """

    seconds: float
    cameras: dict[str, str]
    happened: dict[str, int]
    kills: tuple[Kill, ...]
    exits: int
    exit_code: int
    changes: int
    findings: tuple[str, ...]
    tracebacks: int
    growths: tuple[Growth, ...]
    tree_mb: float
    stick_answers: int
    frames: int

    def problems(self) -> list[str]:
        """Return all that must not be; none: it is good."""
        never = [kill.name for kill in self.kills if kill.back_s is None]
        found = [f"not back after a kill: {name}" for name in never]
        found += [f"the ledger: {finding}" for finding in self.findings]
        found += [f"{one.limit.what} grows" for one in self.growths if one.is_flat is False]
        if self.exits or self.exit_code:
            found.append(f"{self.exits} exits, and exit code {self.exit_code} at the end")
        if self.tracebacks:
            found.append(f"{self.tracebacks} tracebacks in the log")
        if not self.changes or not self.stick_answers:
            found.append("nothing was seen, or the stick took no part: this shows nothing")
        return found


class Soak:
    """One run."""

    def __init__(self, rig: Rig, wishes: Wishes, seed: int, say: Callable[[str], None]) -> None:
        self._rig, self._wishes, self._say = rig, wishes, say
        self._happenings = plan(wishes, seed)
        self._pick = seed  # which of several children is killed: one after the other
        self._began_s = 0.0
        self._samples: list[Sample] = []  # of the sampler's thread until `_is_over`
        self._is_over = threading.Event()
        self._killed: list[tuple[str, int, float]] = []  # name, number, when
        self._happened: Counter[str] = Counter()

    def run(self) -> Outcome:
        """Do it.

        Raises:
            TrialFailed: It could not be done to the end.
        """
        rig = self._rig
        with Witness(rig.broker.port, DEVICE, rig.heard) as witness:
            rig.service.start()
            witness.wait_changes(FIRST_CHANGES)
            wait_for("the stick in use", lambda: rig.stick.invokes > 0)
            self._began_s = time.monotonic()
            sampler = threading.Thread(target=self._sample, daemon=True)
            sampler.start()
            try:
                self._live_through()
                witness.wait_subscribed()
                wait_for("an empty outbox", self._is_drained, DRAIN_LIMIT_S)
                for camera in rig.cameras:
                    witness.catch_up(camera)
            finally:
                self._is_over.set()
                sampler.join()
            exits = int(not rig.service.is_running)
            exit_code = rig.service.stop_in_order()
            witness.wait_farewell()
            return self._outcome(witness, exits, exit_code)

    def _live_through(self) -> None:
        for happening in self._happenings:
            self._wait_until(happening.at_s)
            self._let(happening)
        self._wait_until(self._wishes.seconds)

    def _wait_until(self, at_s: float) -> None:
        while (left_s := at_s - self._now_s()) > 0:
            if not self._rig.service.is_running:
                raise TrialFailed(f"the service ended\n{self._rig.service.text()[-3000:]}")
            self._is_over.wait(min(1.0, left_s))

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s

    def _let(self, happening: Happening) -> None:
        what, rig = happening.what, self._rig
        self._say(f"{self._now_s():7.1f} s  {what.value}")
        self._happened[what.name] += 1
        if what is What.KILL_SOURCE:
            self._kill(SOURCE_NAME)
        elif what is What.KILL_STICK:
            self._kill(STICK_NAME)
        elif what is What.BROKER_AWAY:
            rig.broker.kill()
        elif what is What.BROKER_BACK:
            rig.broker.start()
        elif what is What.UNPLUG:
            rig.stick.unplug()
        else:
            rig.stick.plug()

    def _kill(self, beginning: str) -> None:
        """Kill one of the processes of that sort; a stick that is out has none, so wait for it."""
        if beginning == STICK_NAME and not self._rig.stick.is_plugged:
            beginning = SOURCE_NAME  # nobody is there to be killed before it is plugged in again
        service = self._rig.service
        wait_for("a process to kill", lambda: service.children(beginning), CHILD_LIMIT_S)
        children = sorted(service.children(beginning), key=lambda child: child.name())
        if not children:
            return self._kill(beginning)
        self._pick += 1
        child = children[self._pick % len(children)]
        try:
            name = child.name()
            child.kill()
        except psutil.NoSuchProcess:  # it ended by itself just now
            return self._kill(beginning)
        self._killed.append((name, child.pid, self._now_s()))
        return None

    def _sample(self) -> None:
        while not self._is_over.wait(SAMPLE_S):
            try:
                self._samples.append(read(self._rig.service.pid, self._rig.data, self._now_s()))
            except psutil.Error:
                return  # it has ended; the run says so

    def _is_drained(self) -> bool:
        database = f"file:{self._rig.data / 'events.db'}?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as connection:
            [[waiting]] = connection.execute("SELECT count(*) FROM outbox").fetchall()
        return int(waiting) == 0

    def _outcome(self, witness: Witness, exits: int, exit_code: int) -> Outcome:
        cameras = witness.status.get("cameras", {})
        return Outcome(
            seconds=self._wishes.seconds,
            cameras={name: source.partition(":")[0] for name, source in self._rig.cameras.items()},
            happened=dict(self._happened),
            kills=tuple(
                Kill(name, back_after_s(self._samples, name, pid, at_s))
                for name, pid, at_s in self._killed
            ),
            exits=exits,
            exit_code=exit_code,
            changes=witness.changes,
            findings=tuple(checked(self._rig.data / "events.db", self._rig.heard)),
            tracebacks=self._rig.service.text().count("Traceback (most recent call last)"),
            growths=tuple(growth_of(self._samples, limit) for limit in LIMITS),
            tree_mb=median(sample.tree_mb for sample in self._samples),
            stick_answers=self._rig.stick.invokes,
            frames=sum(one["looked_at"] for one in cameras.values()),
        )


def checked(database: Path, heard: Path) -> Sequence[str]:
    """Return what the checker finds wrong: a program of its own, which shares no code with us."""
    command = [sys.executable, str(CHECKER), str(database), str(heard)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode and len(lines) < 2:
        return [f"the checker failed: {done.stderr[-300:]}"]
    return lines[:-1]


def as_json(outcome: Outcome) -> str:
    """Return the figures for programs."""
    figures = {
        "seconds": outcome.seconds,
        "cameras": outcome.cameras,
        "happened": outcome.happened,
        "back_after_kill_s": [kill.back_s for kill in outcome.kills],
        "exits": outcome.exits,
        "changes": outcome.changes,
        "findings": list(outcome.findings),
        "tracebacks": outcome.tracebacks,
        "grown": {one.limit.gauge: round(one.grown, 3) for one in outcome.growths},
        "usual": {one.limit.gauge: round(one.usual, 1) for one in outcome.growths},
        "tree_mb": round(outcome.tree_mb, 1),
        "stick_answers": outcome.stick_answers,
        "frames": outcome.frames,
        "problems": outcome.problems(),
    }
    return json.dumps(figures, indent=2)
