"""One stream as a subscriber follows it: what is new, what is a copy, what is missing. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

# Changes that came out of turn and wait for those before them. Beyond it they are let go, and
# asked for again.
AHEAD_LIMIT = 2000
GAP_TYPE = "gap"


@dataclass(frozen=True, slots=True)
class Told:
    """One message of the ledger, from its topic or from a page.

    Attributes:
        from_seq: First number that it stands for.
        to_seq: Last number; the same but for a gap.
        record: The JSON object as it was told.
    """

    from_seq: int
    to_seq: int
    record: dict[str, Any]  # JSON

    @classmethod
    def of(cls, record: dict[str, Any]) -> Told:
        """Return what a JSON object tells.

        Raises:
            ValueError: It is none of the ledger's.
        """
        try:
            to_seq = int(record["seq"])
            from_seq = int(record["from_seq"]) if record["type"] == GAP_TYPE else to_seq
        except (KeyError, TypeError) as error:
            raise ValueError(f"no message of a ledger: {error!r}") from error
        if not 1 <= from_seq <= to_seq:
            raise ValueError(f"numbers that cannot be: {from_seq} to {to_seq}")
        return cls(from_seq, to_seq, record)

    def after(self, seq: int) -> Told:
        """Return the part of a gap that lies after a number."""
        if self.from_seq > seq:
            return self
        return replace(self, from_seq=seq + 1, record={**self.record, "from_seq": seq + 1})

    @property
    def line(self) -> str:
        """The record as one line of JSON."""
        return json.dumps(self.record, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class Stream:
    """The ledger of one camera, followed from a number on; belongs to one thread.

    Attributes:
        through_seq: All up to this number was given out.
        copies: Messages that came again.
        missing_told: Numbers that gaps stand for.
    """

    def __init__(self, through_seq: int) -> None:
        self.through_seq = through_seq
        self.copies = 0
        self.missing_told = 0
        self._ahead: dict[int, Told] = {}  # by first number; all lie beyond the next one
        self._newest_seq = through_seq  # the highest that is known to exist

    @property
    def is_behind(self) -> bool:
        """Something is missing that is known to exist."""
        return self.through_seq < self._newest_seq

    def take(self, told: Told) -> list[Told]:
        """Take a message; return what can be given out now, in order."""
        self._newest_seq = max(self._newest_seq, told.to_seq)
        if told.to_seq <= self.through_seq:
            self.copies += 1
            return []
        if told.from_seq > self.through_seq + 1:
            self._keep(told)
            return []
        return [self._give(told), *self._give_what_follows()]

    def note_newest(self, seq: int) -> None:
        """Note that the stream reaches this number."""
        self._newest_seq = max(self._newest_seq, seq)

    def begin_anew(self) -> None:
        """Forget the place: the camera's ledger was begun anew, and counts from 1 again."""
        self.through_seq = self._newest_seq = 0
        self._ahead.clear()

    def _keep(self, told: Told) -> None:
        if told.from_seq in self._ahead:
            self.copies += 1
        elif len(self._ahead) < AHEAD_LIMIT:
            self._ahead[told.from_seq] = told

    def _give(self, told: Told) -> Told:
        new = told.after(self.through_seq)
        if new.record["type"] == GAP_TYPE:
            self.missing_told += new.to_seq - new.from_seq + 1
        self.through_seq = told.to_seq
        return new

    def _give_what_follows(self) -> list[Told]:
        given = []
        while self._ahead:
            first = min(self._ahead)
            if first > self.through_seq + 1:
                break
            told = self._ahead.pop(first)
            if told.to_seq > self.through_seq:
                given.append(self._give(told))
            else:
                self.copies += 1
        return given
