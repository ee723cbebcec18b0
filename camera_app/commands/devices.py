"""`camera-app devices`: what networks can run on here, and what is wrong with it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any

from camera_app.inference import choose_runtime
from camera_app.inference.edgetpu import (
    Finding,
    StickFailed,
    Surveyed,
    Trial,
    library_version,
    survey_sticks,
    try_out,
)
from camera_app.kernel import processor_name
from camera_app.models import ModelPack, find_pack

DESCRIPTION = """The CPU and the Edge TPUs of this machine, and what is wrong with them.

Sticks are only looked at from outside, so that nothing that is in use is disturbed. With --probe
each one that no process of this program has is opened: another program that has it loses it. With
--model, networks are run on it too, must give their known answers, and are timed."""

EPILOGUE = "exit codes: 0 all is well, 1 something is wrong with a stick, 2 not understood"

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LibraryState:
    """How it stands with the library of the Edge TPU.

    Attributes:
        version: As it says itself; empty if it cannot be loaded.
        finding: Why it cannot.
    """

    version: str = ""
    finding: Finding | None = None


def configure(subparsers: Any) -> None:
    """Add the parser of this command."""
    parser = subparsers.add_parser(
        "devices",
        help="show the CPU and the Edge TPUs, and what is wrong with them",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--probe", action="store_true", help="open each stick that is free")
    parser.add_argument(
        "--model",
        metavar="PACK",
        action="append",
        default=[],
        help="run this pack on each stick, may be given often; implies --probe",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print all devices; 1 if something is wrong with a stick."""
    packs = [find_pack(name) for name in arguments.model]
    sticks = survey_sticks()
    library = _library()
    is_asked = arguments.probe or bool(packs)
    trials = [_trial(stick, packs) if is_asked else None for stick in sticks]
    if arguments.json:
        records = [_stick_record(*pair) for pair in zip(sticks, trials, strict=True)]
        document = {"cpu": _cpu(), "library": _library_record(library), "sticks": records}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        sys.stdout.writelines(_lines(library, sticks, trials))
    is_wrong = any(_all_findings(*pair) for pair in zip(sticks, trials, strict=True))
    return 1 if is_wrong or (sticks and library.finding) else 0


def _library() -> LibraryState:
    try:
        return LibraryState(version=library_version())
    except StickFailed as failure:
        return LibraryState(finding=failure.finding)


def _trial(stick: Surveyed, packs: list[ModelPack]) -> Trial | None:
    """Try a stick out, if nobody of this house has it."""
    return try_out(stick.place, packs) if stick.used_by is None else None


def _all_findings(stick: Surveyed, trial: Trial | None) -> tuple[Finding, ...]:
    found = trial.findings if trial is not None else ()
    return (*stick.findings, *(finding for finding in found if finding not in stick.findings))


# --- for programs --------------------------------------------------------------------------------


def _cpu() -> Record:
    runtime = choose_runtime()
    return {
        "name": processor_name(),
        "cores": os.cpu_count() or 1,
        "runtime": f"{runtime.name} {runtime.version}",
    }


def _library_record(library: LibraryState) -> Record:
    finding = library.finding.as_json() if library.finding is not None else None
    return {"version": library.version, "finding": finding}


def _stick_record(stick: Surveyed, trial: Trial | None) -> Record:
    return {
        **asdict(stick.place),
        "temperature_c": stick.temperature_c,
        "used_by": stick.used_by,
        "findings": [finding.as_json() for finding in _all_findings(stick, trial)],
        "open_s": round(trial.open_s, 3) if trial is not None else None,
        "invoke_ms": _rounded(trial.invoke_ms) if trial is not None else None,
    }


def _rounded(invoke_ms: dict[str, float]) -> dict[str, float]:
    return {pack: round(value, 2) for pack, value in invoke_ms.items()}


# --- for people ----------------------------------------------------------------------------------


def _lines(
    library: LibraryState, sticks: tuple[Surveyed, ...], trials: list[Trial | None]
) -> list[str]:
    cpu = _cpu()
    lines = [f"cpu  {cpu['name']}, {cpu['cores']} cores, {cpu['runtime']}\n"]
    for stick, trial in zip(sticks, trials, strict=True):
        lines.append(f"{stick.place.name}  {', '.join(_facts(stick, trial))}\n")
        lines += [_line(finding) for finding in _all_findings(stick, trial)]
    if not sticks:
        lines.append("no Edge TPU is plugged in\n")
    if library.version:
        lines.append(f"library  {library.version}\n")
    elif library.finding is not None and sticks:
        lines += ["library\n", _line(library.finding)]
    return lines


def _facts(stick: Surveyed, trial: Trial | None) -> list[str]:
    place = stick.place
    facts = [place.product or "Edge TPU"]
    if place.speed_mbit is not None:
        facts.append(f"{place.speed_mbit:g} Mbit/s")
    if not place.has_firmware:
        facts.append("not used since it was plugged in")
    if stick.temperature_c is not None:
        facts.append(f"{stick.temperature_c:.1f} °C")
    if stick.used_by is not None:
        facts.append(f"in use by process {stick.used_by}" if stick.used_by else "in use")
    if trial is not None and trial.invoke_ms:
        times = (f"{pack} {value:.1f} ms" for pack, value in trial.invoke_ms.items())
        facts += [f"opened in {trial.open_s:.1f} s", *times]
    elif trial is not None and not trial.findings:
        facts.append(f"opened in {trial.open_s:.1f} s")
    return facts


def _line(finding: Finding) -> str:
    return f"  {finding.kind}: {finding}\n"
