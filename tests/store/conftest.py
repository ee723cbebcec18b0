"""What the tests of the store share: changes to write, and a store that is always stopped."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from camera_app.clock import NS_PER_S, ManualClock
from camera_app.config import RetentionSettings
from camera_app.store import EventStore, writer
from camera_app.values import BestMoment, Box, ChangeType, Event, EventChange, Size

# 2026-01-01T00:00:00Z: the wall time at which the tests' manual clock stands at zero.
EPOCH_NS = 1_767_225_600 * NS_PER_S
LIMIT_S = 10.0

BOOT_ID = "6f1f0a52-2c7e-4f67-9a51-3ce0a1b2c3d4"


class SteadyTime:
    """A machine whose clock is known to a hundredth of a second, until it is told otherwise.

    Attributes:
        known_s: How far off the wall clock may be; None: nobody knows.
    """

    def __init__(self) -> None:
        self.known_s: float | None = 0.01

    def boot_id(self) -> str:
        return BOOT_ID

    def uncertainty_s(self) -> float | None:
        return self.known_s


ChangeMaker = Callable[..., EventChange]


def make_change(
    number: int,
    *,
    camera: str = "front",
    label: str = "person",
    change: ChangeType = ChangeType.STARTED,
    at_s: float | None = None,
    ended: bool = False,
    zones: tuple[str, ...] = (),
) -> EventChange:
    """Return a change of event `number`, which happens at that many seconds unless told."""
    at_ns = round((number if at_s is None else at_s) * NS_PER_S)
    box = Box(10, 20, 40, 80)
    event = Event(
        event_id=f"019b0000-0000-7000-8000-{number:012d}",
        camera=camera,
        label=label,
        started_ns=number * NS_PER_S,
        last_seen_ns=at_ns,
        box=box,
        score=0.75,
        top_score=0.9,
        best=BestMoment(at_ns, box, 0.9),
        frame_size=Size(640, 480),
        entered_zones=zones,
        ended_ns=at_ns if ended else None,
    )
    return EventChange(change, at_ns, EPOCH_NS + at_ns, event, "appeared")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(0, EPOCH_NS)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer comes by often: a clock that is put by hand wakes nobody when something is due."""
    monkeypatch.setattr(writer, "IDLE_S", 0.2)
    monkeypatch.setattr(writer, "LONGEST_IDLE_S", 0.2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def open_store(path: Path, clock: ManualClock) -> Iterator[Callable[..., EventStore]]:
    """Return a maker of started stores; every one is stopped at the end."""
    stores: list[EventStore] = []

    def start(**options: Any) -> EventStore:
        retention = options.pop("retention", RetentionSettings())
        options.setdefault("timekeeping", SteadyTime())
        store = EventStore(options.pop("path", path), clock, retention, **options)
        stores.append(store)
        store.start()
        return store

    yield start
    for store in stores:
        store.stop()


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return what a query of another program sees."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def record_of(text: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(text)
    return record
