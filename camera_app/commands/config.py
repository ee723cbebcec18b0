"""`camera-app config`: check a configuration, print its schema, print one to start from."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from camera_app.assembly import examine
from camera_app.commands import plan
from camera_app.config import USUAL_FILE, Config, load_config
from camera_app.config_reference import example_toml
from camera_app.errors import ConfigError, Problem, UsageError
from camera_app.publish import unencrypted_password_warning
from camera_app.store.known_good import Standing, read_standing, state_folder

_OUTCOMES = {
    "started": "the service started with it",
    "applied": "was applied",
    "unchanged": "was read, and nothing differed",
    "refused": "was refused",
    "rolled_back": "could not be applied, all is as it was before it was read",
}


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "config",
        help="check a configuration, or print one to start from",
        description="Check a configuration, or print one to start from.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="name every problem of a configuration file",
        description="Name every problem of a configuration file, with its line. "
        "Exit code 0 if there is none, 1 if there is any.",
    )
    check.add_argument("file", type=Path, metavar="FILE", help="the configuration, TOML")
    check.add_argument("--json", action="store_true", help="print the findings as JSON")
    check.add_argument(
        "--here",
        action="store_true",
        help="look also whether models, folders and files that it names are on this machine",
    )
    check.set_defaults(run=run_check)
    status = actions.add_parser(
        "status",
        help="tell whether the service runs what the file says",
        description="Tell what became of the configuration file when the service last read it: "
        "what is wrong with it, and what runs instead. Exit code 0 if the file runs, 1 if there "
        "is a problem.",
    )
    status.add_argument(
        "--config",
        type=Path,
        default=USUAL_FILE,
        metavar="FILE",
        help="the configuration, TOML (%(default)s)",
    )
    status.add_argument("--state", type=Path, metavar="FOLDER", help="as given to `camera-app run`")
    status.add_argument("--json", action="store_true", help="print it as JSON")
    status.set_defaults(run=run_status)
    plan.configure(actions, USUAL_FILE)
    schema = actions.add_parser("schema", help="print the JSON schema, for an editor")
    schema.set_defaults(run=run_schema)
    example = actions.add_parser("example", help="print a configuration with every key explained")
    example.set_defaults(run=run_example)


def run_check(arguments: argparse.Namespace) -> int:
    """Check a file; every problem is in the error."""
    if arguments.json:
        return _check_for_a_program(arguments.file, is_here=arguments.here)
    config = load_config(arguments.file)
    if arguments.here and (problems := examine(config).problems):
        raise ConfigError(problems, where=str(arguments.file))
    count = len(config.camera)
    noun = "camera" if count == 1 else "cameras"
    print(f"{arguments.file}: no problems, {count} {noun}: {', '.join(config.camera)}")
    for warning in _warnings(config):
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def _warnings(config: Config) -> list[str]:
    """Return what is allowed and yet should be known."""
    warning = unencrypted_password_warning(config.mqtt) if config.mqtt.enabled else ""
    warnings = [warning] if warning else []
    if config.metrics.listen and not config.metrics.is_loopback:
        warnings.append(
            f"metrics.listen: everybody who reaches {config.metrics.listen} can read the metrics; "
            "127.0.0.1 keeps them on this machine"
        )
    return warnings


def _check_for_a_program(file: Path, *, is_here: bool) -> int:
    found: tuple[Problem, ...] = ()
    warnings = list[str]()
    try:
        config = load_config(file)
        warnings = _warnings(config)
        found = examine(config).problems if is_here else ()
    except ConfigError as error:
        found = error.problems
    problems = [_plain(problem) for problem in found]
    told = {"file": str(file), "problems": problems, "warnings": warnings}
    print(json.dumps(told, indent=2))
    return 1 if problems else 0


def _plain(problem: Problem) -> dict[str, str | int | None]:
    return {
        "where": problem.where,
        "line": problem.line,
        "problem": problem.text,
        "suggestion": problem.suggestion,
    }


def run_status(arguments: argparse.Namespace) -> int:
    """Tell what the service wrote down when it last read the file."""
    folder = state_folder(arguments.state, _text_of(arguments.config))
    standing = read_standing(folder)
    if standing is None:
        raise UsageError(
            "no service has written down how its configuration stands",
            where=str(folder),
            remedy="Name the folder that `camera-app run` was given with --state, or the data "
            "folder's configuration with --config",
        )
    if arguments.json:
        plain = {**asdict(standing), "problems": [_plain(one) for one in standing.problems]}
        print(json.dumps({"schema": 1, **plain}, indent=2))
    else:
        print("\n".join(_told(standing)))
    return 1 if standing.is_problem else 0


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""  # then the folder is looked for without it


def _told(standing: Standing) -> Iterator[str]:
    yield f"{standing.file}: {_OUTCOMES[standing.outcome]} at {standing.at}; {_runs(standing)} runs"
    for problem in standing.problems:
        yield f"  {problem}"
    for key in standing.changed:
        yield f"  changed: {key}"
    for note in standing.notes:
        yield f"  note: {note}"


def _runs(standing: Standing) -> str:
    if standing.running == "last_good":
        return "the last good configuration"
    is_taken = standing.outcome not in ("refused", "rolled_back")
    return "what it says" if is_taken else "what it said before"


def run_schema(_: argparse.Namespace) -> int:
    """Print the JSON schema."""
    print(json.dumps(Config.model_json_schema(), indent=2))
    return 0


def run_example(_: argparse.Namespace) -> int:
    """Print the example."""
    print(example_toml(), end="")
    return 0
