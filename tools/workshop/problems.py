"""What is wrong with data that was brought, all of it, and how that is told."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.workshop.runs import write_text

FILE = "problems.json"

# What each kind means, in the words that an owner reads.
KINDS = {
    "picture-missing": "labels name a picture that is not there",
    "picture-unreadable": "the picture is cut short or is none",
    "size-differs": "the picture has another size than its labels say",
    "label-unreadable": "a label is malformed or no number",
    "class-unknown": "a label is of a class that the data set does not declare",
    "box-outside": "a box reaches out of its picture",
    "box-empty": "a box has no area",
    "box-tiny": "a box is too small to see anything in it",
    "no-labels": "nobody said what is in the picture",
    "duplicate": "the same picture came before",
    "leak": "nearly the same picture is in the other split",
    "held-out": "nearly the same picture is held out for evaluation",
}


@dataclass(frozen=True, slots=True)
class DataProblem:
    """One thing wrong with one picture or its labels.

    Attributes:
        kind: One of `KINDS`.
        where: The picture, by source folder and name.
        what: Details: numbers, names.
        outcome: What was done about it.
    """

    kind: str
    where: str
    what: str
    outcome: str


@dataclass(slots=True)
class Problems:
    """All problems of one preparation, in the order found."""

    found: list[DataProblem] = field(default_factory=list)

    def add(self, kind: str, where: str, what: str, outcome: str) -> None:
        """Note one."""
        self.found.append(DataProblem(kind, where, what, outcome))

    def counts(self) -> dict[str, int]:
        """Return how many there are of each kind, in the order of `KINDS`."""
        counted = Counter(problem.kind for problem in self.found)
        return {kind: counted[kind] for kind in KINDS if counted[kind]}

    def save(self, folder: Path) -> Path:
        """Write `problems.json`."""
        document = {"counts": self.counts(), "problems": [asdict(p) for p in self.found]}
        path = folder / FILE
        write_text(path, json.dumps(document, indent=1) + "\n")
        return path

    def text(self, first: int) -> str:
        """Return the counts, and the first few of each kind by name."""
        return "\n".join(line for kind in self.counts() for line in self._lines(kind, first))

    def _lines(self, kind: str, first: int) -> list[str]:
        of_kind = [problem for problem in self.found if problem.kind == kind]
        lines = [f"{len(of_kind):6d}  {kind}: {KINDS[kind]}"]
        lines += [f"          {p.where}: {p.what} ({p.outcome})" for p in of_kind[:first]]
        if len(of_kind) > first:
            lines.append(f"          and {len(of_kind) - first} more")
        return lines
