"""What can be found wrong, and how that is told: by name, with what to do and the line to type.

Only values. Each kind is defined where it is judged, in `checks/`; the table of them in the guide
is made from there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

_PLACEHOLDER = re.compile(r"<(\w+)>")


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"  # something does not work, or events are in danger
    WARNING = "warning"  # it works, and not as it should, or not for long
    NOTE = "note"  # worth knowing


# Worst first.
_ORDER = tuple(Severity)


class AsTyped(str):
    """A fact that stands in a line as it is: words for the shell, and no single one."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that can be wrong.

    Attributes:
        name: Its check and its own: `power.under_voltage`.
        severity: How much it matters.
        meaning: What it is, for the guide: a sentence without a full stop.
        remedy: What to do; names in angle brackets stand for facts.
        line: What to type, as it is; the same.
    """

    name: str
    severity: Severity
    meaning: str
    remedy: str
    line: str

    def found(self, what: str, *, where: str = "", remedy: str = "", **facts: object) -> Finding:
        """Return a finding of this kind.

        Args:
            what: What is wrong in this case, without a full stop.
            where: What it is about: a camera, a file, a place.
            remedy: What to do where more is known than the kind knows.
            **facts: What stands for the names in brackets; quoted for a shell in the line, but
                for what is `AsTyped`.
        """
        quoted = {name: _quoted(value) for name, value in facts.items()}
        told = remedy or _filled(self.remedy, facts)
        return Finding(self.name, self.severity, where, what, told, _filled(self.line, quoted))

    def shown(self, text: str) -> str:
        """Return its remedy or line for the guide, names in brackets as `NAME`."""
        return _PLACEHOLDER.sub(lambda name: name[1].upper(), text)


def _quoted(fact: object) -> str:
    return fact if isinstance(fact, AsTyped) else shlex.quote(str(fact))


def _filled(text: str, facts: Mapping[str, object]) -> str:
    return _PLACEHOLDER.sub(lambda name: str(facts[name[1]]), text)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong here.

    Attributes:
        kind: Name of its kind.
        severity: How much it matters.
        where: What it is about; empty: the machine.
        what: What is wrong, without a full stop.
        remedy: What to do.
        line: What to type.
    """

    kind: str
    severity: Severity
    where: str
    what: str
    remedy: str
    line: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def worst(severities: set[Severity]) -> Severity | None:
    """Return the worst of some; None of none."""
    return next((severity for severity in _ORDER if severity in severities), None)
