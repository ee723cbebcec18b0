"""`camera-app config`: check a configuration, print its schema, print one to start from."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from camera_app.config import Config, load_config
from camera_app.config_reference import example_toml
from camera_app.errors import ConfigError
from camera_app.publish import unencrypted_password_warning


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
    check.set_defaults(run=run_check)
    schema = actions.add_parser("schema", help="print the JSON schema, for an editor")
    schema.set_defaults(run=run_schema)
    example = actions.add_parser("example", help="print a configuration with every key explained")
    example.set_defaults(run=run_example)


def run_check(arguments: argparse.Namespace) -> int:
    """Check a file; every problem is in the error."""
    if arguments.json:
        return _check_for_a_program(arguments.file)
    config = load_config(arguments.file)
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


def _check_for_a_program(file: Path) -> int:
    problems, warnings = [], list[str]()
    try:
        warnings = _warnings(load_config(file))
    except ConfigError as error:
        problems = [
            {
                "where": problem.where,
                "line": problem.line,
                "problem": problem.problem,
                "suggestion": problem.suggestion,
            }
            for problem in error.problems
        ]
    told = {"file": str(file), "problems": problems, "warnings": warnings}
    print(json.dumps(told, indent=2))
    return 1 if problems else 0


def run_schema(_: argparse.Namespace) -> int:
    """Print the JSON schema."""
    print(json.dumps(Config.model_json_schema(), indent=2))
    return 0


def run_example(_: argparse.Namespace) -> int:
    """Print the example."""
    print(example_toml(), end="")
    return 0
