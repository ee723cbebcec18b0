"""What the threads of the house and the one writer share: the only state in here with a lock."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from camera_app.clock import seconds
from camera_app.errors import StoreError
from camera_app.histogram import Distribution, Histogram
from camera_app.store.commit import Commit, CommittedChange
from camera_app.store.films import FilmNote
from camera_app.store.ledger import Removed
from camera_app.store.waiting import WaitingChange, WaitingChanges
from camera_app.values import ChangeType

# So many acknowledged rows are worth a transaction of their own at once.
SETTLE_GROUP = 500

StoreState = Literal["closed", "open", "full", "corrupt"]


@dataclass(frozen=True, slots=True)
class StoreStats:
    """How the store does.

    Attributes:
        state: `closed`, `open`, `full` (kept in memory and tried again; also for a disk that
            fails) or `corrupt` (given up).
        trouble: What is wrong and what to do about it; empty: nothing.
        changes: Rows of the ledger.
        backlog: Rows that no broker has acknowledged.
        oldest_unsent_wall_ns: When the oldest of those was written; None if there is none.
        oldest_unsent_age_s: How long ago that is; None if there is none.
        waiting: Changes in memory that are not on disk yet.
        committed: Changes written since the start.
        shed_updates: Updates given up because the disk took nothing.
        shed_others: Starts and ends given up for the same reason.
        removed: Rows that retention removed since the start.
        removed_untold: How many of those no broker had acknowledged.
        refused: Changes that the broker never takes, given up since the start.
        last_commit_ms: How long the newest transaction took.
        size_bytes: Of the database and its log.
        commits: How long transactions took.
        written_bytes: What the thread that writes has handed to the kernel; None where the kernel
            does not tell.
    """

    state: StoreState = "closed"
    trouble: str = ""
    changes: int = 0
    backlog: int = 0
    oldest_unsent_wall_ns: int | None = None
    oldest_unsent_age_s: float | None = None
    waiting: int = 0
    committed: int = 0
    shed_updates: int = 0
    shed_others: int = 0
    removed: int = 0
    removed_untold: int = 0
    refused: int = 0
    last_commit_ms: float = 0.0
    size_bytes: int = 0
    commits: Distribution = field(default_factory=Distribution)
    written_bytes: int | None = None

    @property
    def is_full(self) -> bool:
        return self.state == "full"


@dataclass(slots=True)
class _Tally:
    """The changing numbers behind `StoreStats`, by the same names."""

    changes: int = 0
    backlog: int = 0
    oldest_unsent_wall_ns: int | None = None
    committed: int = 0
    shed_updates: int = 0
    shed_others: int = 0
    removed: int = 0
    removed_untold: int = 0
    refused: int = 0
    last_commit_ms: float = 0.0


# Asked for every second; `asdict` would copy each number's depths.
_TALLIED = tuple(one.name for one in fields(_Tally))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for work; changes are waited for by others, and end every wait at once.

    Attributes:
        idle_s: For anything at all.
        films_s: For more, once there are notes of films.
        settled_s: For more, once there are settled rows.
    """

    idle_s: float
    films_s: float
    settled_s: float


AT_ONCE = Patience(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Batch:
    """What the writer takes into one transaction.

    Attributes:
        changes: To be inserted, in this order.
        settled: Rows to take out of the outbox.
        refused: Rows that the broker never takes, each with its code.
        shed: Changes given up in memory that no gap stands for yet, by camera.
        films: What became of films.
    """

    changes: Sequence[WaitingChange]
    settled: frozenset[int] = frozenset()
    refused: Mapping[int, int] = field(default_factory=dict)
    shed: Mapping[str, int] = field(default_factory=dict)
    films: Sequence[FilmNote] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.changes or self.settled or self.refused or self.shed or self.films)


@dataclass(frozen=True, slots=True)
class Written:
    """What came of one transaction.

    Attributes:
        rows: The rows of the changes.
        gaps: Rows beside them that stand for what was shed.
        settled: How many rows left the outbox.
        oldest_unsent_wall_ns: When the oldest row still there was written, if any is.
        began_ns: When it was begun, monotonic.
        ended_ns: When all was on the disk, monotonic.
    """

    rows: Sequence[CommittedChange]
    gaps: int
    settled: int
    oldest_unsent_wall_ns: int | None
    began_ns: int
    ended_ns: int


class HandOver:
    """Changes and settlements on their way to the writer, and its answers on their way back.

    The callers' side: `put`, `settle`, `stats`, the waiting. The writer's side: `take`, then
    `written` or `failed`.
    """

    def __init__(self, where: str, waiting_limit: int) -> None:
        self._where = where
        lock = threading.Lock()  # guards every field below
        self._work = threading.Condition(lock)  # there is something to write
        self._progress = threading.Condition(lock)  # there may be room, or nothing left
        self._lock = lock
        self._waiting = WaitingChanges(waiting_limit)
        self._in_hand: Sequence[WaitingChange] = ()  # what the writer is writing
        self._settled: set[int] = set()  # acknowledged, still in the outbox
        self._refused: dict[int, int] = {}  # given up, not written down yet; row -> code
        # Not written down yet. Bounded by the films that there are: each comes and goes once.
        self._films: list[FilmNote] = []
        self._is_hurried = False
        self._untold_shed: Counter[str] = Counter()  # shed, no gap is written yet; by camera
        self._failure: StoreError | None = None  # the newest attempt's; None: it went through
        self._state: StoreState = "closed"
        self._tally = _Tally()
        self._commits = Histogram()

    # The callers' side

    def new_commit(self, count: int) -> Commit:
        """Return a commit for so many changes; they must be put next."""
        return Commit(count, self._lock)

    def put(self, commit: Commit, changes: Sequence[WaitingChange]) -> None:
        """Append the changes of one commit: waits at the limit, or sheds while nothing is written.

        Raises:
            StoreError: The store is closed or has given up.
        """
        with self._work:
            self._progress.wait_for(self._takes_more)
            self._refuse_if_closed()
            self._waiting.put(changes)
            if self._failure is not None:
                commit.delay(self._failure)
                self._shed()
            self._work.notify()

    def _takes_more(self) -> bool:
        return not self._waiting.is_at_limit or self._state != "open"

    def _refuse_if_closed(self) -> None:
        if self._state == "corrupt" and self._failure is not None:
            raise self._failure
        if self._state == "closed":
            raise StoreError("the event store is closed", where=self._where)

    def _shed(self) -> None:
        shed = self._waiting.shed()
        updates = sum(1 for waiting in shed if waiting.change.change is ChangeType.UPDATED)
        for waiting in shed:
            waiting.commit.shed_one()
            self._untold_shed[waiting.change.event.camera] += 1
        self._tally.shed_updates += updates
        self._tally.shed_others += len(shed) - updates

    def settle(self, rows: Iterable[int]) -> None:
        with self._work:
            is_first = not self._settled
            self._settled.update(rows)
            if is_first or len(self._settled) >= SETTLE_GROUP:
                self._work.notify()

    def refuse(self, row: int, code: int) -> None:
        """Note that the broker never takes a row; it leaves the outbox by `settle`."""
        with self._work:
            self._refused[row] = code
            self._work.notify()

    def note_films(self, notes: Iterable[FilmNote]) -> None:
        """Have written down what became of films; no hurry, the files can be found again."""
        with self._work:
            self._films += notes
            self._work.notify()

    def hurry(self) -> None:
        """Have the writer come by, though there may be nothing to write."""
        with self._work:
            self._is_hurried = True
            self._work.notify()

    def settling(self) -> int:
        """Return how many acknowledged rows were not yet taken out of the outbox."""
        with self._work:
            return len(self._settled)

    def wait_drained(self, timeout_s: float) -> bool:
        """Wait until everything is written and acknowledged; return whether it is."""
        with self._progress:
            return self._progress.wait_for(self._is_drained, timeout_s)

    def _is_drained(self) -> bool:
        return self._tally.backlog == 0 and not self._in_hand and not len(self._waiting)

    def stats(self) -> StoreStats:
        with self._work:
            return StoreStats(
                state=self._state,
                trouble="" if self._failure is None else str(self._failure),
                waiting=len(self._waiting) + len(self._in_hand),
                commits=self._commits.distribution(),
                **{name: getattr(self._tally, name) for name in _TALLIED},
            )

    def close(self) -> None:
        """Refuse what comes from now on; what waits can still be taken."""
        with self._work:
            if self._state != "corrupt":
                self._state = "closed"
            self._work.notify_all()
            self._progress.notify_all()

    def abandon(self) -> int:
        """Give up what still waits, and tell who waits for it; return how much that was."""
        with self._work:
            count = len(self._waiting)
            failure = self._failure or StoreError("the event store is closed", where=self._where)
            for waiting in self._waiting.take(count):
                waiting.commit.fail(failure)
            self._progress.notify_all()
            return count

    # The writer's side

    def open(self, changes: int, backlog: int, oldest_unsent_wall_ns: int | None) -> None:
        """Begin to take changes, given what the ledger holds."""
        with self._work:
            self._failure = None
            self._state = "open"
            self._tally = _Tally(changes, backlog, oldest_unsent_wall_ns)

    def take(self, limit: int, patience: Patience) -> Batch:
        """Return what is to be written: at once if changes wait, else what came in the time.

        Settled rows alone are no hurry: they are told again after a crash, which does no harm,
        and so a quiet camera writes once for an event and not twice.

        Args:
            limit: Of changes.
            patience: How long to wait.
        """
        with self._work:
            self._work.wait_for(self._has_any, patience.idle_s)
            if self._films:
                self._work.wait_for(self._has_rows, patience.films_s)
            if self._has_rows():
                self._work.wait_for(self._is_urgent, patience.settled_s)
            self._is_hurried = False
            self._in_hand = self._waiting.take(limit)
            settled, self._settled = self._settled, set()
            refused, self._refused = self._refused, {}
            shed, self._untold_shed = self._untold_shed, Counter()
            films, self._films = self._films, []
            return Batch(self._in_hand, frozenset(settled), refused, shed, films)

    def _has_any(self) -> bool:
        return self._has_rows() or bool(self._films)

    def _has_rows(self) -> bool:
        return self._is_urgent() or bool(self._settled or self._refused)

    def _is_urgent(self) -> bool:
        return (
            bool(len(self._waiting))
            or len(self._settled) >= SETTLE_GROUP
            or self._state == "closed"
            or self._is_hurried
        )

    @property
    def has_waiting(self) -> bool:
        """Whether a change waits to be taken."""
        return bool(len(self._waiting))

    def changes(self) -> int:
        """Return how many rows the ledger has."""
        return self._tally.changes

    def tell_of_room(self) -> None:
        """Wake who waits for room, which `take` made.

        Called when the writer begins to wait for the disk: what is made meanwhile costs no time.
        Woken earlier, they would contend with the writer for the interpreter, and then both wait.
        """
        with self._work:
            self._progress.notify_all()

    def written(self, batch: Batch, result: Written) -> None:
        """Tell everybody that a batch is on disk."""
        with self._work:
            self._in_hand = ()
            self._failure = None
            for waiting, row in zip(batch.changes, result.rows, strict=True):
                waiting.commit.add(row)
            if self._state == "full":
                self._state = "open"
            tally = self._tally
            tally.changes += len(result.rows)
            tally.committed += len(result.rows)
            tally.backlog += len(result.rows) + result.gaps - result.settled
            tally.refused += len(batch.refused)
            tally.oldest_unsent_wall_ns = result.oldest_unsent_wall_ns
            took_s = seconds(result.ended_ns - result.began_ns)
            tally.last_commit_ms = took_s * 1e3
            self._commits.observe(took_s)
            if self._is_drained():
                self._progress.notify_all()

    def failed(self, batch: Batch, failure: StoreError) -> None:
        """Take a batch back that could not be written, and tell who waits."""
        with self._work:
            self._in_hand = ()
            self._failure = failure
            self._waiting.put_back(batch.changes)
            self._settled |= batch.settled
            self._refused |= batch.refused
            self._untold_shed.update(batch.shed)
            self._films = [*batch.films, *self._films]
            for waiting in self._waiting:
                waiting.commit.delay(failure)
            if self._state == "open":
                self._state = "full"
            self._shed()
            self._progress.notify_all()

    def give_up(self, failure: StoreError) -> None:
        """Refuse everything from now on: the file is damaged and stays as it is."""
        with self._work:
            self._failure = failure
            self._state = "corrupt"
        self.abandon()

    def removed(self, changes: int, gone: Removed, oldest_unsent_wall_ns: int | None) -> None:
        """Count what retention removed."""
        with self._work:
            tally = self._tally
            tally.changes -= changes
            tally.backlog += gone.backlog
            tally.oldest_unsent_wall_ns = oldest_unsent_wall_ns
            tally.removed += changes
            tally.removed_untold += gone.untold
            self._progress.notify_all()
