"""The checker notices each of the product's breaks, and finds nothing where there is none.

Each scene is played at once by the product as it is and by those that are broken where it matters.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.publish.mosquitto import Mosquitto
from tests.torture.breaks import BREAKS
from tests.torture.checker import Finding
from tests.torture.listener import Listener
from tests.torture.nursery import Nursery, findings
from tests.torture.proxy import FaultProxy
from tests.torture.victim import Job

WHOLE = ""  # not broken


@dataclass(frozen=True)
class Actor:
    """One product that plays in a scene."""

    folder: Path
    device: str
    broken: str

    def job(self, port: int, **options: Any) -> Job:
        return Job(str(self.folder), port, self.device, broken=self.broken, **options)

    def double(self, number: int) -> Actor:
        """Return one that plays the same part with data of its own."""
        device = f"{self.device}x{number}"
        return Actor(self.folder.with_name(device), device, self.broken)


class Stage:
    """Plays the scenes, each once."""

    def __init__(
        self, nursery: Nursery, broker: Mosquitto, listener: Listener, folder: Path
    ) -> None:
        self._nursery, self._listener, self._folder = nursery, listener, folder
        self._port = broker.port
        self._played: dict[str, dict[str, list[Finding]]] = {}

    def play(self, scene: Scene) -> dict[str, list[Finding]]:
        """Return what the checker says of each, by the name of its break."""
        name = scene.__name__
        if name not in self._played:
            broken = [one for one, (where, _) in CASES.items() if where is scene]
            prefix = name.replace("_", "")
            actors = [
                Actor(self._folder / f"{prefix}{n}", f"{prefix}{n}", one)
                for n, one in enumerate((WHOLE, *broken))
            ]
            found = scene(self, actors)
            self._played[name] = {
                actor.broken: one for actor, one in zip(actors, found, strict=True)
            }
        return self._played[name]

    def _judge(self, actors: Sequence[Actor]) -> list[list[Finding]]:
        return [findings(actor.folder, self._listener, actor.device) for actor in actors]

    def killed_at_each_commit(self, actors: Sequence[Actor]) -> list[list[Finding]]:
        """Killed at every third of the first steps of the writer, then run to the end."""
        doubles = [[actor.double(number) for number in range(1, 26, 3)] for actor in actors]
        dying = [
            double.job(self._port, fatal=("camera-app store", number))
            for one in doubles
            for double, number in zip(one, range(1, 26, 3), strict=True)
        ]
        assert set(self._nursery.run_all(dying)) == {-signal.SIGKILL}
        self._nursery.run_all([replace(job, fatal=None, first=101, count=1) for job in dying])
        return [list(chain.from_iterable(self._judge(one))) for one in doubles]

    def run_twice(self, actors: Sequence[Actor]) -> list[list[Finding]]:
        for first in (1, 101):
            self._nursery.run_all([actor.job(self._port, first=first) for actor in actors])
        return self._judge(actors)

    def killed_while_nothing_arrives(self, actors: Sequence[Actor]) -> list[list[Finding]]:
        """The network takes what is sent and delivers nothing; then the power goes."""
        with FaultProxy(self._port) as proxy:
            proxy.faults.swallows_publishes = True
            dying = [actor.job(proxy.port, drains=1.5, dies_at_end=True) for actor in actors]
            assert set(self._nursery.run_all(dying)) == {-signal.SIGKILL}
        self._nursery.run_all([actor.job(self._port, first=101) for actor in actors])
        return self._judge(actors)

    def cut_in_the_middle(self, actors: Sequence[Actor]) -> list[list[Finding]]:
        """The first connection breaks when some of its seven messages have arrived."""
        with ExitStack() as stack:
            jobs = []
            for actor in actors:
                proxy = stack.enter_context(FaultProxy(self._port))
                proxy.faults.cut_after = 4_000
                proxy.faults.answer_delay_s = 0.2
                jobs.append(actor.job(proxy.port, count=30, drains=2.0))
            self._nursery.run_all(jobs)
        # What a break left behind is told at last: by then others were told before it.
        rest = [replace(actor, broken=WHOLE).job(self._port, first=101) for actor in actors]
        self._nursery.run_all(rest)
        return self._judge(actors)

    def over_the_limit(self, actors: Sequence[Actor]) -> list[list[Finding]]:
        """More events than the owner's limit lets stay."""
        jobs = [actor.job(self._port, count=150, max_events=100) for actor in actors]
        self._nursery.run_all(jobs)
        return self._judge(actors)


Scene = Callable[[Stage, Sequence[Actor]], list[list[Finding]]]

CASES: dict[str, tuple[Scene, str]] = {
    "settles_when_sent": (Stage.killed_while_nothing_arrives, "missing"),
    "writes_the_outbox_later": (Stage.killed_at_each_commit, "missing"),
    "promises_before_the_disk_has_it": (Stage.killed_at_each_commit, "promise"),
    "leaves_a_number_out": (Stage.run_twice, "number"),
    "goes_on_behind_what_was_lost": (Stage.cut_in_the_middle, "order"),
    "names_each_copy_anew": (Stage.cut_in_the_middle, "copy"),
    "removes_without_a_gap": (Stage.over_the_limit, "number"),
}


@pytest.fixture(scope="module")
def stage(
    nursery: Nursery,
    broker: Mosquitto,
    listener: Listener,
    tmp_path_factory: pytest.TempPathFactory,
) -> Stage:
    return Stage(nursery, broker, listener, tmp_path_factory.mktemp("stage"))


@pytest.mark.parametrize("broken", BREAKS)
def test_the_checker_notices(stage: Stage, broken: str) -> None:
    scene, kind = CASES[broken]
    assert kind in {finding.kind for finding in stage.play(scene)[broken]}


@pytest.mark.parametrize("scene", dict.fromkeys(scene for scene, _ in CASES.values()))
def test_the_same_scene_unbroken_gives_nothing_to_notice(stage: Stage, scene: Scene) -> None:
    assert stage.play(scene)[WHOLE] == []
