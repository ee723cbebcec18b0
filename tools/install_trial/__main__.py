"""`python -m tools.install_trial`: the installer in a fresh Debian, to events and back."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools.debian import NoMirror, mirror
from tools.install_trial.container import (
    Container,
    Failed,
    debootstrap,
    pip_settings,
    temporary_folder,
)
from tools.install_trial.trial import Step, Trial
from tools.processes import TrialFailed


def main() -> int:
    """Try the suites that are named; 0 if all went well."""
    parser = argparse.ArgumentParser(prog="python -m tools.install_trial", description=__doc__)
    parser.add_argument("--suite", action="append", help="of Debian; default: bookworm")
    parser.add_argument("--mirror", help="of Debian; default: that of this machine")
    parser.add_argument("--clip", type=Path, required=True, help="a film with a person in it")
    parser.add_argument("--base", type=Path, help="a folder that debootstrap has filled, to copy")
    options = parser.parse_args()
    missing = [name for name in ("debootstrap", "unshare", "nsenter") if not shutil.which(name)]
    if os.getuid() or missing:
        sys.stderr.write(f"needs root, and: debootstrap util-linux; missing: {missing}\n")
        return 2
    for suite in options.suite or ["bookworm"]:
        try:
            _try(suite, options)
        except (Failed, TrialFailed, NoMirror, AssertionError) as problem:
            sys.stderr.write(f"{suite}: {type(problem).__name__}: {problem}\n")
            return 1
    return 0


def _try(suite: str, options: argparse.Namespace) -> None:
    with temporary_folder() as folder:
        root = Path(folder) / suite
        began_s = time.monotonic()
        if options.base:
            subprocess.run(["cp", "-a", str(options.base), str(root)], check=True)  # nosec B607
        else:
            debootstrap(suite, options.mirror or mirror(), root)
        _tell(Step(f"a fresh Debian {suite}", time.monotonic() - began_s))
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        environment, binds = pip_settings(root)
        container = Container(root, binds, environment)
        try:
            container.boot()
            Trial(container, options.clip, _tell).run()
        except (Failed, TrialFailed, AssertionError):
            sys.stderr.write(container.journal())
            raise
        finally:
            container.stop()


def _tell(step: Step) -> None:
    print(f"{step.took_s:7.1f} s  {step.what}{': ' if step.found else ''}{step.found}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
