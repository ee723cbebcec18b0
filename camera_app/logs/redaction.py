"""Takes secrets out of texts before anybody reads them.

Two nets, one behind the other: secrets that are known, because whoever read one from a file said
so, go wherever they stand; and what looks like the place of one (the password of an address, a
token behind a question mark, a key in PEM) goes although nobody said so.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

MASK = "***"

# Shorter ones are in every other word: to mask those would tell them, and ruin the log besides.
SHORTEST = 4
# One that is as short as a word is masked only where it stands alone.
WORD_LENGTH = 8
FILE_LIMIT_BYTES = 16 * 1024

_NAMING = r"[\w.-]*(?:pass|pwd|token|secret|api[_-]?key|apikey|auth|credential|signature)\w*"

_PLACES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A key or a part of one: everything from its first line on.
    (
        re.compile(
            r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
        ),
        rf"\1{MASK}\2",
    ),
    # The password of an address; greedy, because a password may hold an @ that nobody escaped.
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://[^\s/?#'\"<>:@]*):[^\s/?#'\"<>]*@"), rf"\1:{MASK}@"),
    # What stands alone before the @ and is as long is a token more often than a name.
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/?#'\"<>:@]{16,}@"), rf"\1{MASK}@"),
    # A header of HTTP.
    (
        re.compile(r"\b((?:proxy-)?authorization['\"]?\s*[:=]\s*['\"]?\w+\s+)[^\r\n'\"]+", re.I),
        rf"\1{MASK}",
    ),
)
# Behind a question mark, a line of a file, a piece of JSON: name, equals sign or colon, value.
_ASSIGNMENTS = (
    re.compile(rf"([?&;](?:{_NAMING}|key|sig))(=)[^\s&;#'\"<>]+", re.I),
    re.compile(rf"\b({_NAMING})(\s*=\s*)(?:'[^']*'|\"[^\"]*\"|[^\s,;&'\"]+)", re.I),
    re.compile(rf"([\"']{_NAMING})([\"']\s*:\s*)(?:'[^']*'|\"(?:[^\"\\]|\\.)*\")", re.I),
)
# Names of keys whose value is no secret: it names a file, or the word means something else.
_HARMLESS = re.compile(r"(?:_file|_files|_place|author\w*)$", re.I)


class Redactor:
    """Knows secrets, and takes them and what looks like one out of texts; from any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()  # guards the two fields below
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def keep_secret(self, text: str) -> None:
        """Take this text out of everything from now on, as it is and in its usual disguises."""
        new = {form for form in _disguises(text) if len(form) >= SHORTEST}
        with self._guard:
            if new <= self._known:
                return
            self._known |= new
            # The longest first: of two secrets one may be the other's beginning.
            forms = sorted(self._known, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(_standing(form) for form in forms))

    def redact(self, text: str) -> str:
        """Return a text without secrets."""
        pattern = self._pattern
        if pattern is not None:
            text = pattern.sub(MASK, text)
        for place, mask in _PLACES:
            text = place.sub(mask, text)
        for assignment in _ASSIGNMENTS:
            text = assignment.sub(_without_value, text)
        return text


def _without_value(found: re.Match[str]) -> str:
    return found[0] if _HARMLESS.search(found[1]) else f"{found[1]}{found[2]}{MASK}"


def _disguises(text: str) -> Iterator[str]:
    """Return a secret as it stands in addresses, JSON, quoted text and HTTP's basic form."""
    yield text
    yield quote(text, safe="")
    yield quote(text)
    yield quote_plus(text)
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    yield base64.b64encode(text.encode()).decode()


def _standing(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= WORD_LENGTH else rf"(?<!\w){escaped}(?!\w)"


# One process has one standard error, and what is secret is so for all of it.
_redactor = Redactor()
keep_secret = _redactor.keep_secret
redact = _redactor.redact


def keep_file_secret(path: Path) -> None:
    """Take what stands in a file out of everything; one that cannot be read tells nothing."""
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            return
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return  # whoever needs it says so
    for line in text.splitlines():
        keep_secret(line.strip())


def keep_address_secret(source: str, place: str) -> None:
    """Take the password that an owner wrote into an address out of everything.

    As it stands there and, should it be escaped, as it is meant; in whatever way he mistyped what
    is around it.

    Args:
        source: The address, or what was to be one.
        place: What stands for a password that is kept elsewhere.
    """
    before, _, _ = source.rpartition("@")
    words = before.rpartition("//")[2]
    if ":" not in words or place in words:
        return
    # A password may hold a colon; where a slash is missing, what is before the last one is none.
    for password in (words.partition(":")[2], words.rpartition(":")[2]):
        keep_secret(password)
        keep_secret(unquote(password))


def keep_misplaced_secret(path: Path) -> None:
    """Take what was given for the name of a file with a secret out of everything, if it is none.

    Some write the password itself where its file is asked for; then every error about the file
    would tell it.
    """
    folders = len(path.parents)
    is_whole_path = folders > 1 and str(path).startswith(("/", "$"))
    if not is_whole_path and not (folders > 1 and path.parent.is_dir()):
        keep_secret(str(path))
