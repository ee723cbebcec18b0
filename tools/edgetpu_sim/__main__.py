"""`python -m tools.edgetpu_sim COMMAND`: words in, one call out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import tools.edgetpu_sim
from camera_app.errors import CameraAppError
from tools.edgetpu_sim.build import DEFAULT_FOLDER, build
from tools.edgetpu_sim.errors import SimulationError
from tools.edgetpu_sim.levers import LEVERS, describe, pull
from tools.edgetpu_sim.run import default_folder, run
from tools.edgetpu_sim.sticks import SimulatedSticks


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; 2 when it was refused."""
    arguments = _parser().parse_args(words)
    try:
        return int(arguments.do(arguments))
    except CameraAppError as error:
        print(f"edgetpu_sim: {error}", file=sys.stderr)
        return 2


def _build(arguments: argparse.Namespace) -> int:
    print(build(arguments.out))
    return 0


def _compile(arguments: argparse.Namespace) -> int:
    from tools.edgetpu_sim.compiler import compile_file  # loads NumPy and the schema

    made = compile_file(arguments.source, arguments.target, is_blank=arguments.blank)
    print(
        f"{arguments.target}: {made.claimed} operators on the Edge TPU, "
        f"{made.head} before and {made.tail} after it on the CPU"
    )
    return 0


def _pack(arguments: argparse.Namespace) -> int:
    from camera_app.models import PrivateKey, find_pack
    from tools.edgetpu_sim.packs import make_twin_pack

    key = PrivateKey(os.urandom(32))
    for name in arguments.names:
        folder = arguments.out / name
        if folder.exists():
            raise SimulationError("is there already", where=str(folder), remedy="Remove it first")
        make_twin_pack(find_pack(name), folder, key)
    models = ", ".join(f'"{(arguments.out / name).resolve()}"' for name in arguments.names)
    print(f'[inference]\nmodel = [{models}]\n\n[models]\ntrusted_keys = ["{key.public}"]')
    return 0


def _run(arguments: argparse.Namespace) -> int:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise SimulationError("no command to run", remedy="Name it after --")
    return run(
        command,
        arguments.folder,
        usb=arguments.sticks,
        pci=arguments.pci,
        latency_ms=arguments.latency_ms,
        is_plugged=not arguments.unplugged,
    )


def _lever(arguments: argparse.Namespace) -> int:
    sticks = SimulatedSticks.attach(arguments.folder)
    if arguments.stick not in sticks:
        raise SimulationError(
            f"no stick {arguments.stick!r}", remedy=f"There are: {', '.join(sticks)}"
        )
    pull(sticks[arguments.stick], arguments.lever, arguments.value)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    for stick in SimulatedSticks.attach(arguments.folder).values():
        print(describe(stick))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.edgetpu_sim", description=tools.edgetpu_sim.__doc__
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for configure in (_add_build, _add_compile, _add_pack, _add_run, _add_lever, _add_show):
        configure(commands)
    return parser


_Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse names it nowhere else


def _add_build(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("build", help="build the library")
    parser.add_argument("--out", type=Path, default=DEFAULT_FOLDER, metavar="FOLDER")
    parser.set_defaults(do=_build)


def _add_compile(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("compile", help="compile a network for the simulated Edge TPU")
    parser.add_argument("source", type=Path, metavar="X.tflite")
    parser.add_argument("target", type=Path, metavar="Y_edgetpu.tflite")
    parser.add_argument("--blank", action="store_true", help="it computes and finds nothing")
    parser.set_defaults(do=_compile)


def _add_pack(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "pack",
        help="give model packs a file for simulated sticks",
        description="Copy packs, give each a file for simulated sticks, sign the copies with a key "
        "that is thrown away, and print what a configuration needs to use them.",
    )
    parser.add_argument("names", nargs="+", metavar="PACK")
    parser.add_argument("--out", type=Path, default=DEFAULT_FOLDER / "packs", metavar="FOLDER")
    parser.set_defaults(do=_pack)


def _add_run(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("run", help="run a command that finds simulated sticks")
    parser.add_argument("--sticks", type=int, default=1, metavar="N", help="USB sticks; 1")
    parser.add_argument("--pci", type=int, default=0, metavar="N", help="PCIe cards; 0")
    parser.add_argument("--latency-ms", type=float, default=7.0, metavar="MS", help="7")
    parser.add_argument("--unplugged", action="store_true", help="they are plugged in later")
    _add_folder(parser)
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …")
    parser.set_defaults(do=_run)


def _add_lever(commands: _Commands[argparse.ArgumentParser]) -> None:
    known = "\n".join(
        f"  {f'{name} {lever.value}':<42}{lever.explanation}" for name, lever in LEVERS.items()
    )
    parser = commands.add_parser(
        "lever",
        help="plug, unplug, hang … a stick of a command that runs",
        epilog=f"levers:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_folder(parser)
    parser.add_argument("stick", metavar="STICK", help="such as usb0")
    parser.add_argument("lever", metavar="LEVER")
    parser.add_argument("value", nargs="?", default="", metavar="VALUE")
    parser.set_defaults(do=_lever)


def _add_show(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("show", help="tell how the sticks are")
    _add_folder(parser)
    parser.set_defaults(do=_show)


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", type=Path, default=default_folder(), help="where the sticks stand"
    )


if __name__ == "__main__":
    sys.exit(main())
