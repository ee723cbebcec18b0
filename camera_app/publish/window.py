"""Which rows are on their way and not yet settled. Pure: numbers in, numbers out.

Rows settle strictly from the oldest on. One that was acknowledged out of turn is sent again when
an older one has to be: so whatever is lost, refused or cut off, a subscriber who takes rows in
turn gets every row in order, some twice.
"""

from __future__ import annotations


class Window:
    """Rows in flight at one connection.

    Attributes:
        settled_through: The last row that is settled, and with it all before; sending begins
            after it whenever it begins anew.
    """

    def __init__(self, limit: int, settled_through: int = 0) -> None:
        self.settled_through = settled_through
        self._limit = limit
        self._acknowledged: dict[int, bool] = {}  # row in flight -> was it, oldest first
        self._unanswered: set[int] = set()  # those of them that the broker said nothing to
        self._is_blocked = False

    def __len__(self) -> int:
        """Return how many rows the broker has not answered."""
        return len(self._unanswered)

    @property
    def room(self) -> int:
        """How many rows may be offered now; none after a refusal, until `restart`.

        A row that was answered out of turn keeps its place: what is held is bounded, too.
        """
        return 0 if self._is_blocked else max(0, self._limit - len(self._acknowledged))

    @property
    def last_offered(self) -> int:
        """The newest row that was sent, at this connection or, settled, before."""
        return next(reversed(self._acknowledged), self.settled_through)

    @property
    def is_blocked(self) -> bool:
        """A row was refused: it and all after it have to be sent again."""
        return self._is_blocked

    def offer(self, row: int) -> None:
        """Note that a row was sent; rows must come in order.

        Raises:
            ValueError: There is no room, or a newer row was sent before.
        """
        if not self.room:
            raise ValueError(f"row {row} was sent without room for it")
        if row <= self.last_offered:
            raise ValueError(f"row {row} was sent out of order")
        self._acknowledged[row] = False
        self._unanswered.add(row)

    def settle(self, row: int) -> list[int]:
        """Note that the broker has a row; return the rows that are settled by that, in order."""
        if row not in self._unanswered:
            return []
        self._unanswered.remove(row)
        self._acknowledged[row] = True
        return self._take_head()

    def _take_head(self) -> list[int]:
        settled = []
        for row, is_acknowledged in self._acknowledged.items():
            if not is_acknowledged:
                break
            settled.append(row)
        for row in settled:
            del self._acknowledged[row]
        if settled:
            self.settled_through = settled[-1]
        return settled

    def refuse(self, row: int) -> None:
        """Note that the broker did not take a row: nothing more goes out until `restart`."""
        if row in self._unanswered:
            self._unanswered.remove(row)
            self._is_blocked = True

    def restart(self, limit: int) -> None:
        """Forget what is in flight, to send again from `settled_through` on."""
        self._limit = limit
        self._acknowledged.clear()
        self._unanswered.clear()
        self._is_blocked = False
