"""The checker notices each of the product's breaks, and finds nothing where there is none.

Each scene is played twice: by the product as it is, and by one that is broken in one place.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.publish.mosquitto import Mosquitto
from tests.torture.breaks import BREAKS
from tests.torture.checker import Finding
from tests.torture.listener import Listener
from tests.torture.nursery import Nursery, findings
from tests.torture.proxy import FaultProxy
from tests.torture.victim import Job

# A scene: the folder, the device and the break in, what the checker says out.
Scene = Callable[[Path, str, str], list[Finding]]


class Stage:
    """Plays the scenes."""

    def __init__(self, nursery: Nursery, broker: Mosquitto, listener: Listener) -> None:
        self.nursery, self.broker, self.listener = nursery, broker, listener

    def judge(self, folder: Path, device: str) -> list[Finding]:
        return findings(folder, self.listener, device)

    def killed_at_each_commit(self, folder: Path, device: str, broken: str) -> list[Finding]:
        """Killed at every third of the first steps of the writer, then run to the end."""
        dying = [
            Job(
                str(folder / f"{device}x{number}"),
                self.broker.port,
                f"{device}x{number}",
                fatal=("camera-app store", number),
                broken=broken,
            )
            for number in range(1, 26, 3)
        ]
        assert set(self.nursery.run_all(dying)) == {-signal.SIGKILL}
        self.nursery.run_all([replace(job, fatal=None, first=101, count=1) for job in dying])
        judged = [self.judge(Path(job.folder), job.device) for job in dying]
        return [finding for findings in judged for finding in findings]

    def run_twice(self, folder: Path, device: str, broken: str) -> list[Finding]:
        for first in (1, 101):
            job = Job(str(folder), self.broker.port, device, first=first, broken=broken)
            self.nursery.run(job)
        return self.judge(folder, device)

    def killed_while_nothing_arrives(self, folder: Path, device: str, broken: str) -> list[Finding]:
        """The network takes what is sent and delivers nothing; then the power goes."""
        with FaultProxy(self.broker.port) as proxy:
            proxy.faults.swallows_publishes = True
            dying = Job(
                str(folder), proxy.port, device, drains=1.5, dies_at_end=True, broken=broken
            )
            assert self.nursery.run(dying) == -signal.SIGKILL
        self.nursery.run(Job(str(folder), self.broker.port, device, first=101, broken=broken))
        return self.judge(folder, device)

    def cut_in_the_middle(self, folder: Path, device: str, broken: str) -> list[Finding]:
        """The first connection breaks when about four of its seven messages have arrived."""
        with FaultProxy(self.broker.port) as proxy:
            proxy.faults.cut_after = 4_000
            proxy.faults.answer_delay_s = 0.2
            job = Job(str(folder), proxy.port, device, count=30, drains=1.5, broken=broken)
            self.nursery.run(job)
        # What the break left behind is told at last: by then others were told before it.
        self.nursery.run(Job(str(folder), self.broker.port, device, first=101))
        return self.judge(folder, device)

    def over_the_limit(self, folder: Path, device: str, broken: str) -> list[Finding]:
        """More events than the owner's limit lets stay."""
        job = Job(str(folder), self.broker.port, device, count=150, max_events=100, broken=broken)
        self.nursery.run(job)
        return self.judge(folder, device)


@pytest.fixture
def stage(nursery: Nursery, broker: Mosquitto, listener: Listener) -> Stage:
    return Stage(nursery, broker, listener)


CASES = {
    "settles_when_sent": (Stage.killed_while_nothing_arrives, "missing"),
    "writes_the_outbox_later": (Stage.killed_at_each_commit, "missing"),
    "promises_before_the_disk_has_it": (Stage.killed_at_each_commit, "promise"),
    "leaves_a_number_out": (Stage.run_twice, "number"),
    "goes_on_behind_what_was_lost": (Stage.cut_in_the_middle, "order"),
    "names_each_copy_anew": (Stage.cut_in_the_middle, "copy"),
    "removes_without_a_gap": (Stage.over_the_limit, "number"),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_the_checker_notices(stage: Stage, tmp_path: Path, broken: str) -> None:
    play, kind = CASES[broken]
    folder = tmp_path / "broken"
    folder.mkdir()
    kinds = {one.kind for one in play(stage, folder, f"b{list(BREAKS).index(broken)}", broken)}
    assert kind in kinds


@pytest.mark.parametrize("play", dict.fromkeys(play for play, _ in CASES.values()))
def test_the_same_scene_unbroken_gives_nothing_to_notice(
    stage: Stage, tmp_path: Path, play: Callable[..., list[Finding]]
) -> None:
    folder = tmp_path / "whole"
    folder.mkdir()
    assert play(stage, folder, f"w{play.__name__}", "") == []
