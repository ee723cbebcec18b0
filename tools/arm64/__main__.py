"""`python -m tools.arm64`: build the image of Dockerfile.arm64 without an engine, and use it."""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import replace
from pathlib import Path

from camera_app.demo.film import make_film
from tools.arm64.build import Builder, Image
from tools.arm64.dockerfile import DockerfileError, parse
from tools.arm64.emulation import Emulator, find_emulator
from tools.arm64.errors import ProofFailed
from tools.arm64.report import Report, lines_of, problems_of, report_of, write_json
from tools.arm64.trial import Trial
from tools.arm64.wheels import fetch_wheels
from tools.processes import TrialFailed

REPOSITORY = Path(__file__).parent.parent.parent
DOCKERFILE = REPOSITORY / "Dockerfile.arm64"
LOCKS = tuple(REPOSITORY / "requirements" / name for name in ("build.txt", "run.txt"))
_WHEELS_INSIDE = "/wheels-of-the-host"


def main() -> int:
    """Build, weigh, check and try; return 0 if all is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tools.arm64", description=__doc__)
    parser.add_argument("--clip", type=Path, help="a film with a person; default: the demo's scene")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "build" / "arm64")
    parser.add_argument("--no-trial", action="store_true", help="build, weigh and check only")
    words = parser.parse_args()
    # So that what was started is ended with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _prove(words.cache.resolve(), words.clip, tries=not words.no_trial)
    except (ProofFailed, DockerfileError, TrialFailed) as error:
        say(str(error))
        return 1


def say(text: str) -> None:
    """Tell what is being done."""
    sys.stderr.write(f"arm64: {text}\n")


def _prove(cache: Path, clip: Path | None, *, tries: bool) -> int:
    emulator = find_emulator(cache)
    builder = _builder(emulator, cache)
    image = builder.build(parse(DOCKERFILE.read_text(encoding="utf-8")))
    report = report_of(image, cache / "stages" / "installed", builder.timings)
    if tries:
        report = _tried(report, emulator, image, _clip(clip, cache), cache)
    return concluded(report, cache)


def concluded(report: Report, cache: Path) -> int:
    """Tell what came of it, and write it down; return 0 if all is as it should be."""
    print("\n".join(lines_of(report)))
    write_json(report, cache / "report.json")
    problems = problems_of(report)
    for problem in problems:
        say(f"wrong: {problem}")
    return int(bool(problems))


def _builder(emulator: Emulator, cache: Path) -> Builder:
    wheels = cache / "wheels"
    say("fetching wheels")
    fetch_wheels(LOCKS, wheels)
    return Builder(
        emulator,
        REPOSITORY,
        cache,
        mounts=(("/etc/resolv.conf", "/etc/resolv.conf"), (str(wheels), _WHEELS_INSIDE)),
        environment={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": _WHEELS_INSIDE},
        say=say,
    )


def _clip(given: Path | None, cache: Path) -> Path:
    if given is not None and given.exists():
        return given.resolve()
    say("drawing the scene of the demo")
    return make_film(cache / "scene").clip


def _tried(report: Report, emulator: Emulator, image: Image, clip: Path, cache: Path) -> Report:
    return replace(report, findings=Trial(emulator, image, clip, cache / "trial", say).run())


if __name__ == "__main__":
    sys.exit(main())
