"""Which rows are on their way and not yet settled. Pure: numbers in, numbers out.

Rows settle strictly from the oldest on. One that was acknowledged out of turn is sent again when
an older one has to be: so whatever is lost, refused or cut off, a subscriber who takes rows in
turn gets every row in order, some twice.
"""

from __future__ import annotations

from collections import deque


class Window:
    """Rows in flight at one connection.

    Attributes:
        settled_through: The last row that is settled, and with it all before; sending begins
            after it whenever it begins anew.
        last_offered: The newest row that was sent, at this connection or, settled, before.
        is_blocked: A row was refused: it and all after it have to be sent again.
    """

    def __init__(self, limit: int, settled_through: int = 0) -> None:
        self.settled_through = settled_through
        self.last_offered = settled_through
        self.is_blocked = False
        self._limit = limit
        self._rows: deque[int] = deque()  # sent and not settled, oldest first
        self._unanswered: set[int] = set()  # those of them that the broker said nothing to
        self._refused: set[int] = set()

    def __len__(self) -> int:
        """Return how many rows the broker has not answered."""
        return len(self._unanswered)

    @property
    def room(self) -> int:
        """How many rows may be offered now; none after a refusal, until `restart`.

        A row that was answered out of turn keeps its place: what is held is bounded, too. Where
        only one may be on its way, one more is offered after a refusal: whether it is taken tells
        whether the broker refuses that row or all.
        """
        if self.is_blocked:
            return int(self._limit == 1 and len(self._rows) == 1)
        return max(0, self._limit - len(self._rows))

    @property
    def unanswered(self) -> list[int]:
        """The rows that the broker has not answered, oldest first."""
        return [row for row in self._rows if row in self._unanswered]

    def offer(self, row: int) -> None:
        """Note that a row was sent; rows must come in order.

        Raises:
            ValueError: There is no room, or a newer row was sent before.
        """
        if not self.room:
            raise ValueError(f"row {row} was sent without room for it")
        if row <= self.last_offered:
            raise ValueError(f"row {row} was sent out of order")
        self.last_offered = row
        self._rows.append(row)
        self._unanswered.add(row)

    def settle(self, row: int) -> list[int]:
        """Note that the broker has a row; return the rows that are settled by that, in order.

        A row that is not in flight, or was answered before, changes nothing.
        """
        self._unanswered.discard(row)
        settled: list[int] = []
        while self._rows and self._has(self._rows[0]):
            settled.append(self._rows.popleft())
        if settled:
            self.settled_through = settled[-1]
        return settled

    def _has(self, row: int) -> bool:
        """Say whether the broker has a row that was sent."""
        return row not in self._unanswered and row not in self._refused

    def refuse(self, row: int) -> None:
        """Note that the broker did not take a row: nothing more goes out until `restart`."""
        if row in self._unanswered:
            self._unanswered.remove(row)
            self._refused.add(row)
            self.is_blocked = True

    def widen(self, limit: int) -> None:
        """Let so many be on their way from now on."""
        self._limit = limit

    def restart(self, limit: int) -> None:
        """Forget what is in flight, to send again from `settled_through` on."""
        self.last_offered = self.settled_through
        self.is_blocked = False
        self._limit = limit
        self._rows.clear()
        self._unanswered.clear()
        self._refused.clear()
