"""Ask for known weaknesses of every package that setup may install.

    python -m tools.audit [--limit SECONDS] [LIST …]

Runs pip-audit over the locks in requirements/. Ends with 1 when a weakness is known. Where the
database of weaknesses cannot be reached, that is said and nothing fails: it is no fault of the
code. What was clean today is not asked for again today.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
STAMP = Path(sys.prefix) / "audited"
LIMIT_S = 60.0
ANSWER_LIMIT_S = 5  # of the database, for one package

_PIN = re.compile(r"^([A-Za-z0-9._-]+==[^\s;\\]+)", re.MULTILINE)


@dataclass(slots=True)
class Verdict:
    """What is known of the packages.

    Attributes:
        weaknesses: One line each: package, version, name of the weakness, what mends it.
        unknown: Packages of which the database knows nothing, as `name version`.
        audited: How many it knows.
        problems: Why nothing, or not everything, could be asked.
    """

    weaknesses: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    audited: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether everything was asked and is clean."""
        return not (self.weaknesses or self.unknown or self.problems)

    def take(self, answer: str) -> None:
        """Take in what pip-audit printed for one list.

        Raises:
            ValueError: It is no report.
        """
        for package in json.loads(answer)["dependencies"]:
            name = f"{package['name']} {package.get('version', '')}".strip()
            if "skip_reason" in package:
                self.unknown.append(name)
                continue
            self.audited += 1
            for weakness in package["vulns"]:
                mended = ", ".join(weakness["fix_versions"]) or "no version yet"
                self.weaknesses.append(f"{name}: {weakness['id']}, mended in {mended}")

    def lines(self) -> list[str]:
        """Return what to print."""
        said = [f"audit: {line}" for line in dict.fromkeys(self.weaknesses)]
        if not self.audited:
            why = self.problems or ["it knows none of the packages"]
            return [*said, f"audit: the database cannot be reached: not audited ({why[0]})"]
        said += [f"audit: not everything was asked: {problem}" for problem in self.problems]
        if self.unknown:
            names = ", ".join(sorted(set(self.unknown)))
            said.append(f"audit: not in the database, so not audited: {names}")
        return [*said, f"audit: {self.audited} packages asked for"]


def main() -> int:
    """Ask and print; 1 when a weakness is known."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("lists", nargs="*", type=Path, metavar="LIST")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds in all; default: 60")
    arguments = parser.parse_args()
    lists = arguments.lists or sorted(REQUIREMENTS.glob("*.txt"))
    today = _fingerprint(lists)
    if STAMP.is_file() and STAMP.read_text() == today:
        sys.stdout.write("audit: clean, as asked before today\n")
        return 0
    verdict = audit(widest(lists), arguments.limit)
    sys.stdout.write("\n".join(verdict.lines()) + "\n")
    if verdict.is_whole:
        STAMP.write_text(today)
    return 1 if verdict.weaknesses else 0


def widest(lists: Sequence[Path]) -> list[Path]:
    """Return the lists without those whose every package is in another one as well."""
    pins = {path: frozenset(_PIN.findall(path.read_text())) for path in lists}
    return [path for path in lists if not any(pins[path] < other for other in pins.values())]


def audit(lists: Sequence[Path], limit_s: float) -> Verdict:
    """Ask for all lists at once, and for no longer than the limit."""
    ends_s = time.monotonic() + limit_s
    asked = [subprocess.Popen(_command(path), stdout=-1, stderr=-1, text=True) for path in lists]
    verdict = Verdict()
    for path, process in zip(lists, asked, strict=True):
        try:
            answer, complaint = process.communicate(timeout=max(0.1, ends_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            verdict.problems.append(f"no answer on {path.name} within {limit_s:.0f} s")
            continue
        try:
            verdict.take(answer)
        except ValueError:  # it printed no report, so it could not ask
            verdict.problems.append((complaint.strip().splitlines() or ["no answer"])[-1][:200])
    return verdict


def _command(path: Path) -> list[str]:
    # The lists are whole: pip is neither asked what they need, nor to install anything.
    how = "--require-hashes" if "--hash=" in path.read_text() else "--no-deps"
    words = ["-r", str(path), how, "--disable-pip", "--format", "json"]
    patience = ["--progress-spinner", "off", "--timeout", str(ANSWER_LIMIT_S)]
    return [sys.executable, "-m", "pip_audit", *words, *patience]


def _fingerprint(lists: Sequence[Path]) -> str:
    content = b"".join(path.read_bytes() for path in lists)
    return f"{datetime.now(UTC):%Y-%m-%d} {hashlib.sha256(content).hexdigest()}"


if __name__ == "__main__":
    sys.exit(main())
