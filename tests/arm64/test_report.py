"""What is told at the end, and what counts as a failure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tools.arm64.build import Timing
from tools.arm64.comparison import Agreement
from tools.arm64.files import Weight
from tools.arm64.report import (
    Report,
    largest_in,
    lines_of,
    problems_of,
    wheels_in,
    write_json,
)
from tools.arm64.rules import MOST_BYTES
from tools.arm64.trial import Findings

SAME = Agreement(True, 100, 99, 0.97, 0.01)
FINDINGS = Findings(50.0, SAME, 11.0, 2, 2.2)
REPORT = Report(
    weight=Weight(286_000_000, 295_000_000, 3000),
    wheels=27,
    largest={"cv2": 38_500_000, "Debian": 40_200_000},
    timings=[Timing("root", "RUN " + "x" * 100, 24.8)],
    broken=(),
    findings=FINDINGS,
)
SITE_PACKAGES = "opt/camera-app/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("report", "problems"),
    [
        (REPORT, []),
        (replace(REPORT, findings=None), []),
        (replace(REPORT, weight=Weight(MOST_BYTES - 1, MOST_BYTES - 1)), []),
        (replace(REPORT, weight=Weight(MOST_BYTES, 0)), ["the image is too large"]),
        (replace(REPORT, weight=Weight(0, MOST_BYTES)), ["the image is too large"]),
        (replace(REPORT, broken=("it runs as root",)), ["it runs as root"]),
        (
            replace(
                REPORT, findings=replace(FINDINGS, agreement=replace(SAME, is_same_story=False))
            ),
            ["the replay differs from this machine's"],
        ),
    ],
)
def test_what_breaks_a_rule_is_too_large_or_answers_otherwise_is_told(
    report: Report, problems: list[str]
) -> None:
    assert problems_of(report) == problems


def test_people_read_sizes_times_and_agreement() -> None:
    text = "\n".join(lines_of(REPORT))

    assert "24.8" in text
    assert "286.0 MB in 3000 files (limit 300 MB); 295.0 MB on this disk" in text
    assert "cv2 38.5, Debian 40.2" in text
    assert "27, each by version and hash" in text
    assert "the same events as on this machine; 99 of 100 boxes" in text
    assert max(map(len, text.splitlines()[:3])) <= 80


def test_programs_read_the_same(tmp_path: Path) -> None:
    write_json(REPORT, tmp_path / "report.json")
    plain = json.loads((tmp_path / "report.json").read_text())

    assert plain["weight"]["content_bytes"] == 286_000_000
    assert plain["findings"]["agreement"]["least_overlap"] == 0.97


def test_packages_are_counted_and_the_largest_parts_named(tmp_path: Path) -> None:
    packages = tmp_path / SITE_PACKAGES
    for name, size in (("numpy", 300), ("numpy-2.0.dist-info", 10), ("camera_app-1.dist-info", 5)):
        (packages / name).mkdir(parents=True)
        (packages / name / "file").write_bytes(b"x" * size)
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/python3").write_bytes(b"x" * 100)

    assert wheels_in(tmp_path) == 1
    assert list(largest_in(tmp_path).items())[:2] == [("numpy", 300), ("Debian", 100)]
