from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from camera_app.clock import ManualClock, nanoseconds
from camera_app.config import RetentionSettings
from camera_app.events import canonical_json, change_record
from camera_app.store import EventStore
from camera_app.store.redating import redated
from camera_app.store.timekeeping import KernelTime, Stamper
from camera_app.values import Crossing, Direction, Loitering
from tests.store.conftest import (
    BOOT_ID,
    EPOCH_NS,
    LIMIT_S,
    SteadyTime,
    make_change,
    record_of,
    rows,
)
from tests.waiting import wait_until


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


def test_what_was_stamped_before_the_date_was_known_is_dated_anew(
    open_store: Callable[..., EventStore], path: Path, tmp_path: Path
) -> None:
    """A Pi starts in 1970, sees somebody for ten seconds, and then hears a time server."""
    time, clock = SteadyTime(), ManualClock(nanoseconds(100))  # wall time is monotonic time
    time.known_s = None
    store = EventStore(path, clock, RetentionSettings(), timekeeping=time)
    store.start()
    for at_s in (91, 95):
        change = make_change(91, at_s=at_s, ended=at_s == 95)
        store.commit([replace(change, wall_ns=change.at_ns)]).wait(LIMIT_S)
    assert not store.is_dated
    clock.wall_offset_ns = EPOCH_NS
    time.known_s = 0.02
    clock.advance(5)

    try:
        assert store.is_dated
        assert wait_until(lambda: undated(path) == 0)
    finally:
        store.stop()

    found = rows(path, "SELECT seq, at_wall_ns, record FROM event_change ORDER BY row")
    assert [(seq, at) for seq, at, _ in found] == [
        (1, EPOCH_NS + nanoseconds(91)),
        (2, EPOCH_NS + nanoseconds(95)),
    ]
    record = json.loads(found[1][2])
    assert (record["at"], record["started_at"], record["ended_at"], record["best"]["at"]) == (
        "2026-01-01T00:01:35.000Z",
        "2026-01-01T00:01:31.000Z",
        "2026-01-01T00:01:35.000Z",
        "2026-01-01T00:01:35.000Z",
    )
    assert (record["uncertainty_s"], record["event_id"]) == (0.02, make_change(91).event.event_id)
    assert rows(path, "SELECT started_wall_ns, ended_wall_ns FROM event") == [
        (EPOCH_NS + nanoseconds(91), EPOCH_NS + nanoseconds(95))
    ]


def undated(path: Path) -> int:
    return len(rows(path, "SELECT 1 FROM event_change WHERE at_wall_ns < 1e18"))


def test_a_record_of_another_run_is_left_as_it_is() -> None:
    record = canonical_json(
        {**change_record(make_change(1)), "boot_id": "other", "monotonic_s": 1.0}
    )

    assert redated(record, 0, boot_id=BOOT_ID, offset_ns=5, uncertainty_s=0.1) is None


def test_a_clock_that_was_right_all_along_moves_nothing() -> None:
    change = make_change(1)
    facts = {"boot_id": BOOT_ID, "monotonic_s": 1.0, "uncertainty_s": None}
    record = canonical_json({**change_record(change), **facts})

    found = redated(
        record, change.wall_ns, boot_id=BOOT_ID, offset_ns=EPOCH_NS + 1_000_000, uncertainty_s=0.1
    )

    assert found == (record.replace('"uncertainty_s":null', '"uncertainty_s":0.1'), 0)


def test_the_stamps_of_what_a_rule_has_found_are_corrected_with_the_others() -> None:
    change = make_change(1)
    found = [
        replace(change, crossing=Crossing("sill", Direction.IN, change.at_ns)),
        replace(change, loitering=Loitering("mat", change.at_ns)),
    ]
    stamps = []
    for one in found:
        facts = {"boot_id": BOOT_ID, "monotonic_s": 1.0, "uncertainty_s": None}
        record = canonical_json({**change_record(one), **facts})
        right_ns = EPOCH_NS + nanoseconds(3600)
        new = redated(record, one.wall_ns, boot_id=BOOT_ID, offset_ns=right_ns, uncertainty_s=0.1)
        assert new is not None
        stamps.append(record_of(new[0]))
    hour_later = "2026-01-01T01:00:01.000Z"
    assert stamps[0]["crossing"]["at"] == stamps[0]["at"] == hour_later
    assert stamps[1]["loitering"]["since"] == hour_later
