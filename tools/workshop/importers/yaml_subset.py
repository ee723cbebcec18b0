"""The little of YAML that `data.yaml` files of object detectors are written in.

Keys at the left margin with a word, a list in brackets, or an indented list or mapping below.
Anything else (anchors, tags, deeper nesting, text over several lines) is skipped: nobody needs it
here, and a whole YAML reader is one more thing to keep safe.
"""

from __future__ import annotations

import re

Value = str | list[str] | dict[str, str]

_KEY = re.compile(r"""^("[^"]*"|'[^']*'|[^\s:#\-][^:#]*?)\s*:(?:\s+(.*))?$""")
_ITEM = re.compile(r"^-\s+(.*)$")


def parse(text: str) -> dict[str, Value]:
    """Return the top-level keys with their words, lists of words or mappings of words."""
    document: dict[str, Value] = {}
    key = ""
    for raw in text.splitlines():
        line = _without_comment(raw)
        if not line.strip():
            continue
        item, pair = _ITEM.match(line.strip()), _KEY.match(line.strip())
        if not line[0].isspace() and pair and not item:
            key = _word(pair[1])
            document[key] = _value(pair[2] or "")
        elif key:
            _add_below(document, key, item, pair)
    return document


def _add_below(
    document: dict[str, Value], key: str, item: re.Match[str] | None, pair: re.Match[str] | None
) -> None:
    """Add one line of the block below a key; the first decides whether it is list or mapping."""
    below = document[key]
    if below == "":
        below = document[key] = [] if item else {}
    if isinstance(below, list) and item:
        below.append(_word(item[1]))
    elif isinstance(below, dict) and pair:
        below[_word(pair[1])] = _word(pair[2] or "")


def _value(text: str) -> Value:
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return [_word(part) for part in _parts(text[1:-1])]
    if text.startswith("{") and text.endswith("}"):
        pairs = (part.partition(":") for part in _parts(text[1:-1]))
        return {_word(key): _word(value) for key, _, value in pairs}
    return _word(text)


def _parts(text: str) -> list[str]:
    """Split at commas outside of quotes."""
    parts = re.findall(r"""(?:"[^"]*"|'[^']*'|[^,])+""", text)
    return [part for part in parts if part.strip()]


def _word(text: str) -> str:
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


def _without_comment(line: str) -> str:
    """Cut a comment off; a `#` inside of quotes or of a word is none."""
    match = re.match(r"""^(?:"[^"]*"|'[^']*'|(?<!\s)\#|[^#"'])*""", line)
    kept = match[0] if match else line
    rest = line[len(kept) :]
    return (kept if not rest or rest.startswith("#") else line).rstrip()
