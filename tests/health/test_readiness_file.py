"""The file in the runtime folder: what is told, how old it may be, and what goes wrong with it."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from camera_app.capture import SourceStats
from camera_app.clock import ManualClock
from camera_app.errors import HealthUnknown
from camera_app.health import ReadinessFile
from camera_app.readiness import FILE_NAME, STALE_AFTER_S, read_readiness, runtime_folder
from camera_app.store import StoreStats
from tests.health.figures import NOW_NS, WELL

FULL = replace(WELL, store=StoreStats(state="full"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS)


@pytest.fixture
def file(tmp_path: Path, clock: ManualClock) -> ReadinessFile:
    return ReadinessFile(tmp_path, clock)


def test_what_was_told_is_read_with_its_age(
    file: ReadinessFile, tmp_path: Path, clock: ManualClock
) -> None:
    file.tell(FULL)
    clock.advance(4.0)
    report = read_readiness(tmp_path, clock.monotonic_ns())

    assert [str(one) for one in report.readiness.shortfalls] == ["store: is full"]
    assert (report.age_s, report.is_stale, report.is_ready) == (4.0, False, False)


def test_the_newest_word_counts(file: ReadinessFile, tmp_path: Path) -> None:
    file.tell(FULL)
    file.tell(WELL)

    assert read_readiness(tmp_path, NOW_NS).is_ready
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("late_s", [STALE_AFTER_S + 0.1, -0.1])
def test_a_ready_word_that_is_old_or_of_another_boot_is_not_believed(
    file: ReadinessFile, tmp_path: Path, late_s: float
) -> None:
    file.tell(WELL)
    report = read_readiness(tmp_path, NOW_NS + round(late_s * 1e9))

    assert report.readiness.is_ready
    assert report.is_stale
    assert not report.is_ready


def test_a_service_that_ended_leaves_nothing(file: ReadinessFile, tmp_path: Path) -> None:
    file.tell(WELL)
    file.remove()
    file.remove()

    with pytest.raises(HealthUnknown, match="no service tells"):
        read_readiness(tmp_path, NOW_NS)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"shortfalls": [{}], "told_ns": 1}'])
def test_a_file_that_is_not_ours_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)

    with pytest.raises(HealthUnknown, match="cannot be read"):
        read_readiness(tmp_path, NOW_NS)


def test_a_folder_that_is_gone_is_complained_about_once_and_ends_nothing(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    file = ReadinessFile(tmp_path / "gone", clock)
    with caplog.at_level(logging.WARNING):
        file.tell(WELL)
        file.tell(WELL)

    assert [record.getMessage()[:24] for record in caplog.records] == ["readiness cannot be told"]


def test_the_log_has_each_change_once(
    file: ReadinessFile, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for figures in (FULL, FULL, WELL, WELL):
            file.tell(figures)

    assert caplog.messages == ["not ready: store: is full", "ready"]


def test_what_fails_is_logged_once_in_whatever_words_and_as_a_warning_once_it_was_ready(
    file: ReadinessFile, caplog: pytest.LogCaptureFixture
) -> None:
    """A source that is away says with each attempt how long it waits for the next."""
    away = [
        replace(
            WELL,
            cameras={
                "front": replace(
                    WELL.cameras["front"],
                    source=SourceStats(state=f"refused, next try in {wait_s} s"),
                )
            },
        )
        for wait_s in (1, 2, 4)
    ]
    with caplog.at_level(logging.INFO):
        for figures in (*away, WELL, *away):
            file.tell(figures)

    told = "not ready: camera front: brings no pictures: refused, next try in 1 s"
    assert caplog.messages == [told, "ready", told]
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "WARNING"]


def test_what_has_not_changed_is_written_anew_long_before_it_is_stale(
    file: ReadinessFile, tmp_path: Path, clock: ManualClock
) -> None:
    ages_s = []
    for _ in range(6):
        file.tell(WELL)
        ages_s.append(read_readiness(tmp_path, clock.monotonic_ns()).age_s)
        clock.advance(1.0)

    assert ages_s == [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    file.tell(FULL)
    assert not read_readiness(tmp_path, clock.monotonic_ns()).readiness.is_ready


def test_the_file_says_what_it_says_to_other_programs(file: ReadinessFile, tmp_path: Path) -> None:
    file.tell(FULL)

    assert json.loads((tmp_path / FILE_NAME).read_text()) == {
        "schema": 1,
        "ready": False,
        "shortfalls": [{"ability": "deliver", "where": "store", "problem": "is full"}],
        "told_ns": NOW_NS,
    }


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({}, None),
        ({"RUNTIME_DIRECTORY": ""}, None),
        ({"RUNTIME_DIRECTORY": "/run/one"}, Path("/run/one")),
        ({"RUNTIME_DIRECTORY": "/run/one:/run/two"}, Path("/run/one")),
    ],
)
def test_the_runtime_folder_is_the_one_that_we_were_given(
    environment: dict[str, str], folder: Path | None
) -> None:
    assert runtime_folder(environment) == folder
