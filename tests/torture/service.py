"""A store and its publisher in the test's own process, for faults that do not kill it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from camera_app.capture.backoff import BackOff
from camera_app.clock import Clock, SystemClock
from camera_app.config import MqttSettings, RetentionSettings
from camera_app.publish import Publisher, StateBoard
from camera_app.store import DATABASE_NAME, EventStore
from tests.publish.conftest import make_change

LIMIT_S = 30.0
HOUR_NS = 3_600_000_000_000


class SteppedClock(SystemClock):
    """The machine's clock, whose wall time somebody sets.

    Attributes:
        step_ns: What is added to the wall time.
    """

    def __init__(self) -> None:
        self.step_ns = 0

    def wall_ns(self) -> int:
        return super().wall_ns() + self.step_ns


class Service:
    """Runs while it is entered; its folder outlives it."""

    def __init__(
        self,
        folder: Path,
        port: int,
        device: str,
        *,
        clock: Clock | None = None,
        acknowledge_limit_s: float = 30.0,
        **mqtt: Any,
    ) -> None:
        self.folder, self.device = folder, device
        folder.mkdir(exist_ok=True)
        clock = clock or SystemClock()
        self.store = EventStore(folder / DATABASE_NAME, clock, RetentionSettings(max_days=1e5))
        self.board = StateBoard()
        self.publisher = Publisher(
            MqttSettings(host="127.0.0.1", port=port, **mqtt),
            device,
            self.store,
            self.board,
            clock,
            back_off=BackOff(random=lambda: 1.0, first_s=0.02, cap_s=0.02),
            acknowledge_limit_s=acknowledge_limit_s,
        )

    def __enter__(self) -> Self:
        self.store.start()
        self.publisher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.publisher.stop()
        self.store.stop()

    def commit(self, numbers: Sequence[int], *, camera: str = "front") -> None:
        """Commit an event a number, wait for the disk, and note the promise."""
        changes = [make_change(number, camera=camera) for number in numbers]
        self.store.commit(changes).wait(LIMIT_S)
        with (self.folder / "promised.jsonl").open("a", encoding="utf-8") as journal:
            for change in changes:
                promise = {"camera": camera, "event_id": change.event.event_id}
                journal.write(f"{json.dumps(promise)}\n")

    def drain(self, limit_s: float = LIMIT_S) -> None:
        """Wait until the broker has everything."""
        assert self.publisher.wait_drained(limit_s), self.publisher.stats()
