"""Does the same clip always give the same events? Replays it many times, idle and busy.

    python tools/bench/determinism.py CLIP [--model PACK ...] [--runs 20] [--command PATH ...]

Each `--command` is a `camera-app`, such as that of an environment with another Python; the runs
are shared out among them, every second one with all cores kept busy by something else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

DEFAULT_MODELS = ("person_large", "face")
HERE = Path(sys.executable).parent / "camera-app"


def main() -> int:
    """Replay and compare; 0 when all digests are equal."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--model", action="append", help="may be given often")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--command", action="append", type=Path)
    arguments = parser.parse_args()
    commands = arguments.command or [HERE]
    digests: dict[str, int] = {}
    for number in range(arguments.runs):
        is_busy = number % 2 == 1
        command = commands[number // 2 % len(commands)]
        with busy_cores((os.cpu_count() or 1) if is_busy else 0):
            summary = replayed(command, arguments.clip, arguments.model or DEFAULT_MODELS)
        digest = str(summary["events_sha256"])
        digests[digest] = digests.get(digest, 0) + 1
        load = "busy" if is_busy else "idle"
        print(
            f"run {number + 1:2}  {load}  {summary['fps']:7.1f} fps  {digest}  {command}",
            flush=True,
        )
    print(f"{arguments.runs} runs, {len(digests)} different event logs")
    return 0 if len(digests) == 1 else 1


def replayed(command: Path, clip: Path, models: Sequence[str]) -> dict[str, object]:
    """Replay once and return the summary."""
    words = [str(command), "replay", str(clip), "--json", "--quiet"]
    words += [word for model in models for word in ("--model", model)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    summary: dict[str, object] = json.loads(done.stdout)
    return summary


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Keep so many cores busy."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


if __name__ == "__main__":
    sys.exit(main())
