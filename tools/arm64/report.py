"""What is told of a proof: for people at the end, and as JSON beside what was built."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.arm64.build import Image, Timing
from tools.arm64.comparison import Agreement
from tools.arm64.files import Weight, weigh
from tools.arm64.rules import MOST_BYTES, broken_rules
from tools.arm64.trial import Findings

_SITE_PACKAGES = "opt/camera-app/lib/python3.11/site-packages"
_LARGEST = 8
_MEGA = 1e6


@dataclass(frozen=True, slots=True)
class Report:
    """One proof.

    Attributes:
        weight: Of the image.
        wheels: How many packages were installed from wheels, ours left out.
        largest: The largest parts of the image, in bytes by place.
        timings: Each step.
        broken: Rules that the image breaks, in words.
        findings: What the trial found; None: it was not tried.
    """

    weight: Weight
    wheels: int
    largest: dict[str, int]
    timings: Sequence[Timing]
    broken: Sequence[str]
    findings: Findings | None = None


def report_of(image: Image, installed: Path, timings: Sequence[Timing]) -> Report:
    """Return what is told of an image as it was built: before it is used, which leaves traces.

    Args:
        image: What was built.
        installed: Root of the stage in which everything was installed.
        timings: Each step.
    """
    return Report(
        weight=weigh(image.root),
        wheels=wheels_in(installed),
        largest=largest_in(image.root),
        timings=timings,
        broken=broken_rules(image),
    )


def wheels_in(installed: Path) -> int:
    """Return how many packages pip installed in a root, ours left out."""
    found = (installed / _SITE_PACKAGES).glob("*.dist-info")
    return sum(not path.name.startswith("camera_app-") for path in found)


def largest_in(root: Path) -> dict[str, int]:
    """Return the largest parts of an image: each package's, and the rest of Debian."""
    packages = root / _SITE_PACKAGES
    parts = {path.name: weigh(path).content_bytes for path in packages.iterdir() if path.is_dir()}
    parts["Debian"] = weigh(root).content_bytes - weigh(root / "opt").content_bytes
    ordered = sorted(parts.items(), key=lambda part: part[1], reverse=True)
    return dict(ordered[:_LARGEST])


def lines_of(report: Report) -> list[str]:
    """Return the report for people."""
    weight = report.weight
    lines = [
        "step                                                                 seconds",
        *(f"{_short(one):68} {one.took_s:7.1f}" for one in report.timings),
        "",
        f"image      {weight.content_bytes / _MEGA:.1f} MB in {weight.files} files "
        f"(limit {MOST_BYTES / _MEGA:.0f} MB); {weight.disk_bytes / _MEGA:.1f} MB on this disk",
        "largest    "
        + ", ".join(f"{name} {size / _MEGA:.1f}" for name, size in report.largest.items()),
        f"wheels     {report.wheels}, each by version and hash",
    ]
    return lines if report.findings is None else lines + _lines_of_findings(report.findings)


def problems_of(report: Report) -> list[str]:
    """Return what is not as it should be; nothing: all is."""
    problems = list(report.broken)
    if max(report.weight.content_bytes, report.weight.disk_bytes) >= MOST_BYTES:
        problems.append("the image is too large")
    if report.findings is not None and not report.findings.agreement.holds:
        problems.append("the replay differs from this machine's")
    return problems


def write_json(report: Report, path: Path) -> None:
    """Write the report for programs."""
    path.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")


def _short(timing: Timing) -> str:
    text = f"{timing.stage}: {timing.text}"
    return text if len(text) <= 68 else f"{text[:67]}…"


def _lines_of_findings(findings: Findings) -> list[str]:
    return [
        f"replay     {findings.replay_s:.0f} s emulated; {_of_agreement(findings.agreement)}",
        f"service    ready after {findings.ready_s:.0f} s, {findings.events} event changes heard "
        f"at the broker, not ready without it, ended within {findings.stop_s:.1f} s",
    ]


def _of_agreement(agreement: Agreement) -> str:
    story = "the same events" if agreement.is_same_story else "OTHER EVENTS"
    return (
        f"{story} as on this machine; {agreement.shared} of {agreement.boxes} boxes in both, "
        f"overlap {agreement.least_overlap:.3f} or more, "
        f"scores {agreement.most_score_apart:.3f} apart or less"
    )
