from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from camera_app.clock import ManualClock
from camera_app.store import EventStore
from camera_app.store.timekeeping import KernelTime, Stamper
from tests.store.conftest import BOOT_ID, LIMIT_S, SteadyTime, make_change, rows


def test_the_kernel_names_its_run_and_how_far_off_its_clock_may_be() -> None:
    kernel = KernelTime()

    assert uuid.UUID(kernel.boot_id()) == uuid.UUID(KernelTime().boot_id())
    uncertainty_s = kernel.uncertainty_s()
    assert uncertainty_s is None or 0 <= uncertainty_s < 60


def test_a_stamp_is_uncertain_until_somebody_keeps_the_clock(clock: ManualClock) -> None:
    time = SteadyTime()
    time.known_s = None
    stamper = Stamper(time, clock)
    assert stamper.stamp(make_change(1)).uncertainty_s is None

    time.known_s = 0.0123
    assert stamper.stamp(make_change(2)).uncertainty_s is None  # asked once a second at most
    clock.advance(1)

    assert stamper.stamp(make_change(3)).uncertainty_s == 0.012


def test_a_date_of_1970_is_nobodys_word(clock: ManualClock) -> None:
    change = replace(make_change(5), wall_ns=5_000_000_000)

    stamp = Stamper(SteadyTime(), clock).stamp(change)

    assert (stamp.boot_id, stamp.monotonic_s, stamp.uncertainty_s) == (BOOT_ID, 5.0, None)


def test_every_record_says_when_in_which_run_of_the_machine(
    open_store: Callable[..., EventStore], path: Path
) -> None:
    open_store().commit([make_change(7)]).wait(LIMIT_S)

    record = json.loads(rows(path, "SELECT record FROM event_change")[0][0])
    assert (record["boot_id"], record["monotonic_s"], record["uncertainty_s"]) == (
        BOOT_ID,
        7.0,
        0.01,
    )
