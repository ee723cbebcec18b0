"""The command line: finds the command, calls it, turns errors into a sentence and an exit code.

Exit codes: 0 done; 1 something is wrong, and the text says what; 2 the words of the call are off;
3 the demo lacks a model; 78 the service is not started, because its configuration is wrong;
130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from camera_app import __version__
from camera_app.errors import CameraAppError, ConfigError
from camera_app.logs import redact

COMMANDS = (
    "run",
    "replay",
    "detect",
    "events",
    "config",
    "models",
    "devices",
    "doctor",
    "health",
    "subscribe",
    "bench",
    "demo",
)

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

_EPILOG = """exit codes:
  0    done
  1    something is wrong; the text on standard error says what and what to do
  2    the words of the call are off
  3    the demo lacks a model
  4    `config plan` only: this machine cannot meet it
  78   `run` only: the configuration is wrong, and to try again would not help
  130  interrupted
"""


class _Command(Protocol):
    """What a module in `commands/` offers."""

    def configure(
        self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]
    ) -> None: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = build_parser(words).parse_args(words)
    try:
        return int(options.run(options))
    except CameraAppError as error:
        sys.stdout.flush()
        sys.stderr.write(f"camera-app: {redact(str(error))}\n")
        return _exit_code(error, options)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone, as `| head` does. Python would complain at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def _exit_code(error: CameraAppError, options: argparse.Namespace) -> int:
    """Return the code of an error; a command may have one of its own for a wrong configuration."""
    if isinstance(error, ConfigError) and not error.may_pass:
        return int(getattr(options, "exit_misconfigured", EXIT_FAILED))
    return EXIT_FAILED


def build_parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser, with all commands or with the one that the words name.

    A command's module is imported only when it is called: that saves a second at each start.
    """
    parser = argparse.ArgumentParser(
        prog="camera-app",
        description="A smart camera that is its own computer.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-V", "--version", action="version", version=f"camera-app {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        module = importlib.import_module(f"camera_app.commands.{name}")
        cast(_Command, module).configure(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
