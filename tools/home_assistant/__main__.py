"""`python -m tools.home_assistant`: try the camera with the real Home Assistant."""

from __future__ import annotations

import argparse
import logging
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from camera_app.demo import make_film
from tools.home_assistant.environments import EDITIONS, made
from tools.home_assistant.trial import Report, Trial, table
from tools.processes import TrialFailed


def main() -> int:
    """Try each edition; return 0 if all went well."""
    parser = argparse.ArgumentParser(prog="python -m tools.home_assistant", description=__doc__)
    told = "a film in which people come, cross the middle and go; default: a made one"
    parser.add_argument("--clip", type=Path, help=told)
    parser.add_argument("--only", choices=[one.name for one in EDITIONS], help="one edition")
    parser.add_argument("--keep", type=Path, help="folder for what the programs write")
    words = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # So that what was started is ended with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    reports: list[Report] = []
    failed = False
    for edition in EDITIONS:
        if words.only in (None, edition.name):
            folder = (words.keep or Path(tempfile.mkdtemp())) / edition.name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            clip = words.clip or make_film(folder).clip
            trial = Trial(made(edition), folder, f"{clip}?loop=1", edition.style)
            try:
                trial.run()
            except TrialFailed as error:
                failed = True
                sys.stderr.write(f"{edition.name}: {error}\nwhat they wrote: {folder}\n")
            reports.append(trial.report)
    print("\n".join(table(reports)))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
