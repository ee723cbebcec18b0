"""`camera-app config plan`: what a new configuration would change, and what it would cost."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from camera_app.assembly import examine
from camera_app.bench.calibration import costs_path, read_costs
from camera_app.bench.costs import Costs, Estimate
from camera_app.bench.planning import Forecast, forecast
from camera_app.config import Config, load_config
from camera_app.control import Change, changes
from camera_app.errors import ConfigError, ModelError, UsageError

UNMET = 4
CALIBRATE = "camera-app bench --calibrate --config"
MB = 1e6


def configure(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    usual_file: Path,
) -> None:
    """Add the action's parser."""
    plan = actions.add_parser(
        "plan",
        help="tell what a new configuration would change and cost, before it is used",
        description="Tell what would change, and what it would cost on this machine: processor, "
        "Edge TPUs, memory, disk, writes that wear a memory card. Needs costs that were measured "
        "here by `camera-app bench --calibrate`. Exit code 0 if it can be met, 1 if something is "
        f"wrong with it, {UNMET} if this machine cannot meet it.",
    )
    plan.add_argument("new", type=Path, metavar="NEW", help="the new configuration, TOML")
    plan.add_argument(
        "--config",
        type=Path,
        metavar="OLD",
        help=f"the one in use; without it {usual_file}, if there is one",
    )
    plan.add_argument(
        "--activity",
        action="append",
        default=[],
        metavar="[CAMERA=]SHARE",
        help="how much of the time something moves there, 0 to 1; without it what the running "
        "camera has seen, else 0.1",
    )
    plan.add_argument("--costs", type=Path, metavar="FILE", help="costs; default: this machine's")
    plan.add_argument("--json", action="store_true", help="print it as JSON")
    plan.set_defaults(run=run, usual_file=usual_file)


def run(arguments: argparse.Namespace) -> int:
    """Compare, foresee and print."""
    new = _right(arguments.new)
    old = _old(arguments.config, arguments.usual_file)
    stated = _stated(arguments.activity, new)
    found = () if old is None else changes(old, new)
    path = arguments.costs or costs_path()
    costs = read_costs(path)
    if costs is None:
        _print_without_costs(arguments, old, found)
        return 0
    after = forecast(new, costs, stated)
    try:
        before = None if old is None else forecast(old, costs, _known(stated, old))
    except ModelError as error:  # the new one may need none of its models
        before, told = None, f"what the one in use costs is not known: {error}"
        after = replace(after, warnings=(*after.warnings, told))
    if arguments.json:
        print(json.dumps(_record(found, costs, before, after), indent=2))
    else:
        print("\n".join(_changes_told(old, found)))
        print("\n".join(_forecast_told(costs, before, after)))
    return UNMET if after.refusals else 0


def _right(path: Path) -> Config:
    """Return a configuration that can run here.

    Raises:
        ConfigError: It cannot, and every reason why.
    """
    config = load_config(path)
    examination = examine(config)
    if examination.problems:
        raise ConfigError(examination.problems, where=str(path))
    return config


def _old(given: Path | None, usual: Path) -> Config | None:
    if given is not None:
        return load_config(given)
    return load_config(usual) if usual.exists() else None


def _stated(words: Sequence[str], config: Config) -> dict[str, float]:
    """Return shares by camera; those of all others under an empty name.

    Raises:
        UsageError: One is no share, or of no camera.
    """
    found: dict[str, float] = {}
    for word in words:
        name, _, text = word.rpartition("=")
        try:
            share = float(text)
        except ValueError:
            share = -1.0
        if not 0.0 <= share <= 1.0 or (name and name not in config.camera):
            known = ", ".join(config.camera)
            raise UsageError(
                "is no activity",
                where=word,
                remedy=f"Write a share such as 0.2, or CAMERA=0.2; the cameras are: {known}",
            )
        found[name] = share
    return found


def _known(stated: Mapping[str, float], config: Config) -> dict[str, float]:
    return {name: share for name, share in stated.items() if not name or name in config.camera}


def _print_without_costs(
    arguments: argparse.Namespace, old: Config | None, found: Sequence[Change]
) -> None:
    line = f"{CALIBRATE} {arguments.new}"
    if arguments.json:
        plain = {"schema": 1, "changes": _plain_changes(found), "costs": None, "calibrate": line}
        print(json.dumps(plain, indent=2))
        return
    print("\n".join(_changes_told(old, found)))
    print("What it would cost is not known: nothing was measured on this machine yet. Type:")
    print(f"  {line}")


def _changes_told(old: Config | None, found: Sequence[Change]) -> Iterable[str]:
    if old is None:
        yield "There is no other configuration to compare with."
        return
    if not found:
        yield "Nothing changes."
        return
    yield "What changes:"
    width = max(len(str(change)) for change in found)
    for change in found:
        yield f"  {change!s:{min(width, 60)}}  {change.effect}"


def _forecast_told(costs: Costs, before: Forecast | None, after: Forecast) -> Iterable[str]:
    yield f"What it costs (measured {costs.at}):"
    columns = [one.estimate for one in (before, after) if one is not None]
    heads = ("now", "then") if before is not None else ("",)
    yield f"  {'':32}{''.join(f'{head:>12}' for head in heads)}"
    for name, figures in _rows(columns, costs):
        yield f"  {name:32}{''.join(f'{figure:>12}' for figure in figures)}"
    yield "What this rests on:"
    for camera in after.cameras:
        yield f"  camera {camera.name}: {camera.basis}"
    for warning in after.warnings:
        yield f"note: {warning}"
    for reason in after.refusals:
        yield f"cannot be met: {reason}"


def _rows(columns: Sequence[Estimate], costs: Costs) -> Iterable[tuple[str, list[str]]]:
    yield (
        f"processor, cores of {costs.cores}",
        [f"{one.cores:.2f} ({one.cores / costs.cores:.0%})" for one in columns],
    )
    yield "  if everything moves at once", [f"{one.peak_cores:.2f}" for one in columns]
    for place in dict.fromkeys(place for one in columns for place in one.duty):
        yield f"Edge TPU {place}, busy", [f"{one.duty.get(place, 0.0):.0%}" for one in columns]
    yield "memory, MB", [f"{one.memory_bytes / MB:.0f}" for one in columns]
    yield "disk a day, MB", [f"{one.kept_bytes_per_day / MB:.1f}" for one in columns]
    yield (
        "written a day, MB (wears a card)",
        [f"{one.written_bytes_per_day / MB:.1f}" for one in columns],
    )


def _plain_changes(found: Sequence[Change]) -> list[dict[str, str]]:
    return [
        {"where": change.where, "change": str(change), "effect": change.effect.value}
        for change in found
    ]


def _record(
    found: Sequence[Change], costs: Costs, before: Forecast | None, after: Forecast
) -> dict[str, object]:
    return {
        "schema": 1,
        "changes": _plain_changes(found),
        "costs": {"at": costs.at, "machine": dict(costs.machine), "cores": costs.cores},
        "now": None if before is None else asdict(before.estimate),
        "then": asdict(after.estimate),
        "rests_on": {camera.name: camera.basis for camera in after.cameras},
        "notes": list(after.warnings),
        "cannot_be_met": list(after.refusals),
    }
