"""What grows and what does not, told from samples."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from tools.soak.gauges import LIMITS, Limit, Sample, back_after_s, growth_of, read, slope

MEMORY = Limit("memory_mb", "memory", noise=5.0, per_hour=6.0)


def samples(grows_mb_an_hour: float, *, minutes: int = 20, noise_mb: float = 2.0) -> list[Sample]:
    """Return a run with a warm-up, noise, and now and then a peak."""
    chance = Random(4)
    found = []
    for second in range(minutes * 60):
        memory_mb = 90.0 + grows_mb_an_hour * second / 3600 + chance.uniform(0, noise_mb)
        memory_mb -= 40.0 * (second < 30)  # not all is loaded yet
        memory_mb += 60.0 * (second % 97 == 0)
        found.append(Sample(second, memory_mb, 200.0, 30, 20, 3.0))
    return found


def test_noise_and_peaks_are_no_growth() -> None:
    growth = growth_of(samples(0.0), MEMORY)
    assert abs(growth.grown) < 0.5
    assert growth.is_flat is True
    assert growth.usual == pytest.approx(91.0, abs=0.5)
    assert growth.highest > 140


def test_a_leak_of_a_megabyte_a_minute_is_found() -> None:
    growth = growth_of(samples(60.0), MEMORY)
    assert growth.grown == pytest.approx(15.0, abs=1.0)  # in the last three quarters
    assert growth.is_flat is False


def test_what_is_lost_is_no_growth() -> None:
    assert growth_of(samples(-60.0), MEMORY).is_flat is True


def test_in_a_short_run_nobody_can_tell() -> None:
    assert growth_of(samples(60.0, minutes=5), MEMORY).is_flat is None


def test_every_limit_is_of_a_gauge_that_is_read() -> None:
    assert {limit.gauge for limit in LIMITS} == {"memory_mb", "descriptors", "threads", "disk_mb"}
    assert all(hasattr(samples(0.0)[0], limit.gauge) for limit in LIMITS)


def test_a_slope_is_that_of_most_pairs() -> None:
    points = [(float(at), 2.0 * at) for at in range(50)]
    points[20] = (20.0, 9000.0)
    assert slope(points) == pytest.approx(2.0)
    assert slope(points[:1]) == 0.0


def test_a_child_is_back_when_another_of_its_name_is_there() -> None:
    def at(second: float, *children: tuple[str, int]) -> Sample:
        return Sample(second, 1, 1, 1, 1, 1, frozenset(children))

    run = [at(1, ("cam-a", 5), ("cam-b", 6)), at(2, ("cam-b", 6)), at(3, ("cam-a", 9))]
    assert back_after_s(run, "cam-a", 5, 1.5) == 1.5
    assert back_after_s(run, "cam-b", 6, 1.5) is None


def test_a_process_is_read_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_bytes(bytes(2_000_000))
    before = read(os.getpid(), tmp_path, 1.0)
    with (tmp_path / "events.db").open():
        after = read(os.getpid(), tmp_path, 2.0)
    assert after.descriptors == before.descriptors + 1
    assert before.disk_mb == pytest.approx(2.0)
    assert before.memory_mb > 10
    assert before.threads >= 1
