"""The whole examination: finds out what is to be examined, and has all checks done at once."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from camera_app.config import USUAL_FILE, Config, load_config, parse_config
from camera_app.doctor.catalogue import CRASHED, HUNG
from camera_app.doctor.checks.permissions import secret_files
from camera_app.doctor.credentials import credentials_of
from camera_app.doctor.findings import Finding, Severity, worst
from camera_app.doctor.machine import Machine
from camera_app.doctor.service import Service, find_service, running_config
from camera_app.doctor.subject import LIMIT_S, Check, Examined, Subject
from camera_app.doctor.together import Undone, done_together
from camera_app.errors import ConfigError, StoreError
from camera_app.logs import keep_file_secret, redact
from camera_app.store.known_good import KnownGood, Standing, read_standing, state_folder

GRACE_S = 1.5  # for a check to notice by itself that its time is over


@dataclass(frozen=True, slots=True)
class Report:
    """What one check brought.

    Attributes:
        check: Its name.
        examined: What it saw and found.
        took_s: How long it took; None: it was not done in time.
    """

    check: str
    examined: Examined
    took_s: float | None

    @property
    def severity(self) -> Severity | None:
        """The worst of its findings; None: there is none."""
        return worst({finding.severity for finding in self.examined.findings})


def subject_of(
    config_path: Path | None, machine: Machine | None = None, limit_s: float = LIMIT_S
) -> Subject:
    """Find out what is to be examined.

    Args:
        config_path: What the owner named; None: that of the service that runs, or in its usual
            place, or none.
        machine: Where facts come from; None: this one.
        limit_s: How long a check may take.
    """
    machine = machine or Machine()
    path = config_path or running_config(machine) or _usual(machine)
    if path is None:
        return Subject(machine, find_service(machine, None, None), limit_s=limit_s)
    config, error = _loaded(path)
    folder = config.data.folder if config is not None else None
    service = find_service(machine, folder, path)
    state = service.state_folder or state_folder(None, _text_of(path), {})
    if config is None:
        config = _last_good(state, path)
    return Subject(machine, service, path, config, error, limit_s, _standing(state, path))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # told by the check of the configuration
        return ""


def _last_good(state: Path, path: Path) -> Config | None:
    """Return what the service runs in place of a file that is refused."""
    good = KnownGood(state, path).load()
    try:
        return parse_config(good.text) if good is not None else None
    except ConfigError:  # good for another version of the program
        return None


def _standing(state: Path, path: Path) -> Standing | None:
    try:
        standing = read_standing(state)
    except StoreError:  # damaged, or not ours to read: then the file and the log have to do
        return None
    is_ours = standing is not None and standing.file == str(path.absolute())
    return standing if is_ours else None


def borrowed_credentials(config_path: Path | None, machine: Machine | None = None) -> Path | None:
    """Return the folder of secrets that systemd has handed to the running service, if any.

    Args:
        config_path: As for `subject_of`.
        machine: The same.
    """
    machine = machine or Machine()
    path = config_path or running_config(machine)
    service = find_service(machine, None, path) if path is not None else Service()
    return credentials_of(machine, service.unit) if service.is_running else None


def _usual(machine: Machine) -> Path | None:
    path = machine.place(USUAL_FILE)
    return path if os.path.exists(path) else None  # noqa: PTH110  it says no where it may not look


def _loaded(path: Path) -> tuple[Config | None, ConfigError | None]:
    try:
        return load_config(path), None
    except ConfigError as error:
        return None, error


def examined(subject: Subject, checks: Sequence[Check]) -> list[Report]:
    """Do checks, all at once, each within its time; what fails or hangs is a finding."""
    if subject.config is not None:
        _keep_secrets(subject.config)
    tasks = {check.name: partial(_done, check, subject) for check in checks}
    outcomes = done_together(tasks, subject.limit_s + GRACE_S)
    return [_discreet(_report(check, outcomes[check.name], subject)) for check in checks]


def _done(check: Check, subject: Subject) -> Report:
    began_s = time.monotonic()
    found = check.examine(subject)
    return Report(check.name, found, time.monotonic() - began_s)


def _report(check: Check, outcome: Report | Undone, subject: Subject) -> Report:
    if isinstance(outcome, Report):
        return outcome
    kind = CRASHED if outcome.error else HUNG
    what = f"the check {check.name} {outcome}"
    finding = kind.found(what, where=check.name, check=check.name, config=subject.config_argument)
    return Report(check.name, Examined(findings=(finding,)), None)


# --- secrets -------------------------------------------------------------------------------------


def _keep_secrets(config: Config) -> None:
    """Make every password of a configuration known as one, whoever may read it later.

    Those that stand in it are known since it was read.
    """
    for path in secret_files(config):
        keep_file_secret(path)


def _discreet(report: Report) -> Report:
    """Take every secret out of what is told: the last net below those that keep them out."""
    found = report.examined
    facts = tuple(map(redact, found.facts))
    findings = tuple(map(_without_secrets, found.findings))
    return replace(report, examined=replace(found, facts=facts, findings=findings))


def _without_secrets(finding: Finding) -> Finding:
    return replace(
        finding,
        where=redact(finding.where),
        what=redact(finding.what),
        remedy=redact(finding.remedy),
        line=redact(finding.line),
    )
