"""What of the repository a build may see: `.dockerignore`, read as an engine reads it. Pure.

A rule is a pattern relative to the repository; `!` before it lets in again what earlier rules left
out, and the last rule that fits decides. `*` does not cross a slash, `**` does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class Rule:
    """One line.

    Attributes:
        pattern: What it fits, and all that is below it.
        lets_in: It lets in, rather than leaves out.
    """

    pattern: str
    lets_in: bool


def rules_of(text: str) -> tuple[Rule, ...]:
    """Return the rules of a `.dockerignore`."""
    lines = [line.strip() for line in text.splitlines()]
    return tuple(
        Rule(line.removeprefix("!").strip("/"), line.startswith("!"))
        for line in lines
        if line and not line.startswith("#")
    )


def is_sent(path: str, rules: tuple[Rule, ...]) -> bool:
    """Say whether a build sees this file.

    Args:
        path: Relative to the repository.
        rules: In their order.
    """
    verdict = True
    for rule in rules:
        if _fits(path, rule.pattern):
            verdict = rule.lets_in
    return verdict


def _fits(path: str, pattern: str) -> bool:
    places = [path, *map(str, PurePosixPath(path).parents)]
    return any(_compiled(pattern).fullmatch(place) for place in places)


@lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    text = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern):
        text += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(
            part, re.escape(part)
        )
    return re.compile(text)
