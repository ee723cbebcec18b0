"""What was found, told: as lines for people, as JSON for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from camera_app import __version__
from camera_app.doctor.examination import Report
from camera_app.doctor.findings import Finding, Severity, worst

SCHEMA = 1
_NAME_WIDTH = 14
_STATES = {
    Severity.ERROR: "ERROR",
    Severity.WARNING: "warning",
    Severity.NOTE: "note",
    None: "ok",
}


def state_of(report: Report) -> str:
    """Return in a word how a check came out: `ok`, `skipped`, or its worst finding."""
    if report.severity is not None:
        return report.severity.value
    return "skipped" if report.examined.skipped else "ok"


def as_json(reports: Sequence[Report], config_path: str | None, at: str) -> dict[str, Any]:
    """Return what a program reads.

    Args:
        reports: What was found.
        config_path: The configuration that was examined; None: none.
        at: When, UTC.
    """
    severities = [finding.severity for report in reports for finding in report.examined.findings]
    return {
        "schema": SCHEMA,
        "version": __version__,
        "at": at,
        "config": config_path,
        "result": (worst(set(severities)) or "ok"),
        "counts": {severity.value: severities.count(severity) for severity in Severity},
        "checks": [_check_record(report) for report in reports],
    }


def _check_record(report: Report) -> dict[str, Any]:
    found = report.examined
    return {
        "name": report.check,
        "state": state_of(report),
        "facts": list(found.facts),
        "findings": [finding.as_json() for finding in found.findings],
        "skipped": found.skipped,
        "took_s": None if report.took_s is None else round(report.took_s, 2),
    }


def as_lines(reports: Sequence[Report]) -> Iterator[str]:
    """Yield what a person reads: a line a check, what was found below it, and a sum."""
    for report in reports:
        yield _headline(report)
        for finding in report.examined.findings:
            yield from _told(finding)
    yield ""
    yield summary(reports)


def _headline(report: Report) -> str:
    found = report.examined
    skipped = (f"not examined: {found.skipped}",) if found.skipped else ()
    state = "-" if skipped and report.severity is None else _STATES[report.severity]
    text = "; ".join((*skipped, *found.facts))
    return f"{state:<8} {report.check:<{_NAME_WIDTH}} {text}".rstrip()


def _told(finding: Finding) -> Iterator[str]:
    where = f"{finding.where}: " if finding.where else ""
    yield f"  {_STATES[finding.severity]} {finding.kind}: {where}{finding.what}"
    yield f"      {finding.remedy.removesuffix('.')}:"
    yield f"      $ {finding.line}"


def summary(reports: Sequence[Report]) -> str:
    """Return the last line: how many of what."""
    severities = [finding.severity for report in reports for finding in report.examined.findings]
    counts = [(severities.count(severity), severity.value) for severity in Severity]
    told = [f"{count} {name}{'s' if count > 1 else ''}" for count, name in counts if count]
    return ", ".join(told) if told else "all is well"
