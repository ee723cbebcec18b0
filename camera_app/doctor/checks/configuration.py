"""The configuration: whether it is accepted, whether it runs, and what is allowed but unwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from camera_app.assembly import STILLS_FOLDER
from camera_app.capture.address import PASSWORD_PLACE, parse_address
from camera_app.config import Config
from camera_app.doctor.findings import Finding
from camera_app.doctor.service import began_at_s
from camera_app.doctor.subject import Check, Examined, Kinds, Subject
from camera_app.errors import ConfigError, SourceError
from camera_app.store import FILMS_FOLDER
from camera_app.store.known_good import Standing

_kinds = Kinds("configuration")
WRONG = _kinds.error(
    "wrong",
    "the configuration is refused; the text names the place and the line",
    "Correct it there",
    "camera-app config check <config>",
)
UNREADABLE = _kinds.error(
    "unreadable",
    "the configuration is not there, or cannot be read by whoever asks",
    "Correct the path; or ask as somebody who may read it",
    "ls -l <config>; sudo camera-app doctor --config <config>",
)
LAST_GOOD_RUNS = _kinds.error(
    "last_good_runs",
    "the service refuses the file, and runs the last good configuration in its place",
    "Correct the file, and have it read again",
    "camera-app config check <config> && sudo systemctl reload-or-restart <unit>",
)
ROLLED_BACK = _kinds.error(
    "rolled_back",
    "the file could not be applied when it was last read, and all is as it was before; the text is "
    "the service's own",
    "Correct what is named, and have it read again",
    "camera-app config check --here <config> && sudo systemctl reload-or-restart <unit>",
)
NOT_WORKING = _kinds.warning(
    "not_working",
    "the service runs the file, and something in it does not work; the text is its own",
    "Correct what is named, and have it read again",
    "camera-app config check --here <config> && sudo systemctl reload-or-restart <unit>",
)
ABSENT = _kinds.note(
    "absent",
    "no configuration was given, none is in its usual place, and none runs: cameras, broker and "
    "limits cannot be examined",
    "Name it, or write one",
    "camera-app config example > camera.toml && camera-app doctor --config camera.toml",
)
PASSWORD_IN_SOURCE = _kinds.warning(
    "password_in_source",
    "a camera's password stands in the configuration, where whoever reads that reads it",
    "Write the password into a file of its own, mode 0600, and name it: password_file; in the "
    "source write {password} in its place",
    "${EDITOR:-nano} <config>",
)
PASSWORD_UNUSED = _kinds.error(
    "password_unused",
    "a camera's source has a place for a password without a file for it, or a file without a place",
    "Give both: password_file, and {password} in the source",
    "${EDITOR:-nano} <config>",
)
SAME_SOURCE = _kinds.warning(
    "same_source",
    "two cameras read one source: twice the work for one picture, and a local camera serves one",
    "Make one camera of them, with the zones of both",
    "${EDITOR:-nano} <config>",
)
LEFTOVER = _kinds.note(
    "leftover",
    "pictures or films are kept of a camera that the configuration does not name: it was renamed "
    "or removed",
    "Delete them if they are not wanted any more",
    "rm -r <folder>",
)
CHANGED = _kinds.note(
    "changed_since_start",
    "the file was changed after the service had read it: it runs with what stood there before",
    "Have it read again",
    "camera-app config check <config> && sudo systemctl reload-or-restart <unit>",
)


def examine(subject: Subject) -> Examined:
    """Judge the configuration."""
    path = str(subject.config_path or "")
    standing = tuple(_judge_standing(subject, path))
    if subject.config_error is not None:
        wrong = tuple(judge_wrong(subject.config_error, path))
        instead = ("what is examined is the last good one",) if subject.config is not None else ()
        return Examined((path, *instead), (*standing, *wrong))
    if subject.config is None:
        return Examined(findings=(ABSENT.found("no configuration was found"),))
    count = len(subject.config.camera)
    facts = (path, f"{count} {'camera' if count == 1 else 'cameras'}")
    findings = (
        *standing,
        *judge(subject.config, path),
        *_leftovers(subject.config),
        *_changed(subject),
    )
    return Examined(facts, findings)


def _judge_standing(subject: Subject, path: str) -> Iterator[Finding]:
    """Tell what the running service made of the file when it last read it."""
    standing, service = subject.standing, subject.service
    if standing is None or not service.is_running:
        return
    facts = {"config": path, "unit": service.unit}
    if standing.running == "last_good" or standing.outcome == "refused":
        runs = "the last good one" if standing.running == "last_good" else "what it had read before"
        what = f"the service refused it at {standing.at}, and runs {runs}"
        yield LAST_GOOD_RUNS.found(what, where=path, **facts)
    elif standing.outcome == "rolled_back":
        for problem in standing.problems:
            yield ROLLED_BACK.found(str(problem), where=path, **facts)
    else:
        for problem in standing.problems:
            yield NOT_WORKING.found(str(problem), where=path, **facts)


def judge_wrong(error: ConfigError, path: str) -> Iterator[Finding]:
    """Tell every problem of a file that is refused."""
    for problem in error.problems:
        if isinstance(error.__cause__, OSError):
            why = error.__cause__.strerror or str(error.__cause__)
            yield UNREADABLE.found(f"cannot be read: {why}", where=path, config=path)
            continue
        yield WRONG.found(str(problem), where=path, config=path)


def judge(config: Config, path: str) -> Iterator[Finding]:
    """Say what is accepted and yet not as it should be."""
    for name, camera in config.camera.items():
        where = f"camera.{name}"
        has_place = any(PASSWORD_PLACE in source for source in camera.sources)
        has_file = camera.password_file is not None
        if has_place != has_file:
            lacking = "password_file" if has_place else f"{PASSWORD_PLACE} in source"
            yield PASSWORD_UNUSED.found(f"{lacking} is missing", where=where, config=path)
        for key, source in zip(("source", "recording.source"), camera.sources, strict=False):
            if PASSWORD_PLACE not in source and _has_password(source):
                yield PASSWORD_IN_SOURCE.found(
                    f"the password is in {key}", where=where, config=path
                )
    sources = Counter(camera.source for camera in config.camera.values() if camera.enabled)
    for source, count in sources.items():
        if count > 1 and not source.startswith("synthetic:"):
            names = [name for name, camera in config.camera.items() if camera.source == source]
            what = f"{' and '.join(names)} read the same source, {_label(source)}"
            yield SAME_SOURCE.found(what, where=f"camera.{names[0]}", config=path)


def _has_password(source: str) -> bool:
    try:
        return bool(urlsplit(source).password)
    except ValueError:
        return False


def _label(source: str) -> str:
    try:
        return parse_address(source).label
    except SourceError:
        return "which is none"


def _leftovers(config: Config) -> Iterator[Finding]:
    for folders, what in ((STILLS_FOLDER, "pictures"), (FILMS_FOLDER, "films")):
        for folder in _folders_in(config.data.folder / folders):
            if folder.name not in config.camera:
                told = f"{what} of a camera {folder.name!r} are kept, and there is none"
                yield LEFTOVER.found(told, where=str(folder), folder=folder)


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:  # there are none, or they are not ours to see
        return []


def _changed(subject: Subject) -> Iterator[Finding]:
    path, service = subject.config_path, subject.service
    if path is None or service.pid is None:
        return
    began_s = began_at_s(subject.machine, service.pid)
    try:
        written_s = path.stat().st_mtime
    except OSError:  # it has gone meanwhile
        return
    if began_s is not None and written_s > max(began_s, _read_at_s(subject.standing)):
        what = "was changed after the service had read it"
        yield CHANGED.found(what, where=str(path), config=path, unit=service.unit)


def _read_at_s(standing: Standing | None) -> float:
    """Return when a service last read the file, seconds since 1970; 0: none tells."""
    try:
        return datetime.fromisoformat(standing.at).timestamp() if standing is not None else 0.0
    except ValueError:
        return 0.0


CHECK = Check(
    "configuration", "whether it is accepted, and what in it is unwise", examine, _kinds.made
)
