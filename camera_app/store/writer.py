"""The one writer: the thread that owns the connection on which everything is written.

Whatever waits goes into one transaction. What cannot be written goes back to the hand-over and
is tried again after a pause that grows.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from camera_app.clock import Clock, nanoseconds, seconds
from camera_app.config import RetentionSettings
from camera_app.errors import StoreCorrupt, StoreError
from camera_app.store.commit import CommittedChange
from camera_app.store.database import store_error
from camera_app.store.gaps import TOO_LARGE, TOO_MANY
from camera_app.store.handover import AT_ONCE, Batch, HandOver, Patience, Written
from camera_app.store.ledger import Entries, Ledger, runs
from camera_app.store.redating import UNDATED
from camera_app.store.retention import TRUSTED_FROM_NS, oldest_kept_wall_ns, rows_to_remove
from camera_app.store.timekeeping import Stamper
from camera_app.threads import Closed, Worker

_log = logging.getLogger(__name__)

SETTLE_DELAY_S = 0.5
# Between two steps of work that nobody waits for; and how long notes of films are gathered.
IDLE_S = 2.0
# When there is nothing to do, it looks so often anyway, and gives the sign of life that it owes.
LONGEST_IDLE_S = 20.0
# A card that is worn, or tidies itself up, may keep one transaction waiting so long.
DISK_LIMIT_S = 60.0
RETENTION_INTERVAL_S = 60.0
RETENTION_BATCH = 500
# How much is used is asked again after so many changes: between them a few megabytes come at most.
SIZE_CHECK_CHANGES = 1000

# SQLite folds its log back into the database in the commit that makes a thousand pages of it full,
# and whoever waits for that change waits for several syncs more. A change takes eight pages with
# what settles it: after so many transactions it is done here, in between, when no change waits.
FOLD_AFTER = 100

CommitListener = Callable[[Sequence[CommittedChange]], None]


class Writer(Worker):
    """Takes from the hand-over, writes, answers; and removes what is too old."""

    def __init__(
        self,
        path: Path,
        ledger: Ledger,
        handover: HandOver,
        clock: Clock,
        retention: RetentionSettings,
        stamper: Stamper,
        *,
        listeners: Callable[[], Sequence[CommitListener]],
        group_limit: int,
    ) -> None:
        super().__init__("camera-app store")
        self._path = path
        self._ledger = ledger  # owned by this thread, as is all below
        self._handover = handover
        self._clock = clock
        self._retention = retention
        self._stamper = stamper
        self._undated_row: int | None = None  # first of this run with a stamp nobody vouches for
        self._listeners = listeners
        self._group_limit = group_limit
        self._pause_s = self.retry_first_s
        self._failing_since_ns: int | None = None
        self._retention_due_ns = clock.monotonic_ns()
        self._unfolded = 0  # transactions since the log was folded back
        self._unmeasured = 0  # changes written since the used bytes were looked at
        self._removed_untold = 0  # since it was last logged

    def retain(self, retention: RetentionSettings) -> None:
        """Go by other limits from the next look at them on; any thread."""
        self._retention = retention
        self._retention_due_ns = 0
        self._handover.hurry()

    def wake(self) -> None:
        self._handover.close()

    def run_once(self) -> None:
        patience = Patience(self._idle_s(), IDLE_S, SETTLE_DELAY_S)
        batch = self._handover.take(self._group_limit, patience)
        self.promise(DISK_LIMIT_S)
        if not batch.is_empty and not self._write(batch):
            self.rest(self._pause_s)
            self._pause_s = min(self._pause_s * 2, self.retry_max_s)
            return
        if self._undated_row is not None:
            self._redate_some(self._undated_row)
        if self._unfolded >= FOLD_AFTER and not self._handover.has_waiting:
            self._fold()
        if self._is_retention_due():
            self._remove_what_is_over()

    def _idle_s(self) -> float:
        """Return how long to wait for something to be handed over."""
        if self._undated_row is not None:
            # Each correction is short. Until the date is known, to ask seldom is enough.
            return SETTLE_DELAY_S if self._stamper.is_dated() else IDLE_S
        if self._is_retention_due():
            return IDLE_S  # a batch at a time, so that the disk has others' time in between
        due_s = seconds(self._retention_due_ns - self._clock.monotonic_ns())
        return min(LONGEST_IDLE_S, max(IDLE_S, due_s))

    def closed(self) -> None:
        try:
            self._write_the_rest()
        finally:
            self._ledger.close()

    def _write_the_rest(self) -> None:
        while True:
            batch = self._handover.take(self._group_limit, AT_ONCE)
            if batch.is_empty or not self._write(batch):
                break
        lost = self._handover.abandon()
        if lost:
            _log.error("%s: %d event changes were never written and are lost", self._path, lost)

    def _write(self, batch: Batch) -> bool:
        """Write one batch and tell of it; return whether it went through."""
        try:
            result = self._transact(batch)
        except sqlite3.Error as error:
            self._handle(batch, error)
            return False
        except BaseException as error:
            # A bug, which Worker logs and retries; the changes must not be lost for it.
            self._handover.failed(batch, StoreError(f"cannot be written: {error!r}"))
            raise
        self._handover.written(batch, result)
        self._note_success()
        if result.rows:
            for listener in self._listeners():
                listener(result.rows)
            if _log.isEnabledFor(logging.DEBUG):  # and not before: the publisher waits
                _tell_moments(result)
        return True

    def _transact(self, batch: Batch) -> Written:
        began_ns = self._clock.monotonic_ns()
        entries = Entries(
            batch.changes, batch.shed, runs(batch.settled), batch.refused, batch.films
        )
        entered = self._ledger.write(entries, self._clock.wall_ns(), self._handover.tell_of_room)
        ended_ns = self._clock.monotonic_ns()
        self._unfolded += 1
        self._unmeasured += len(entered.rows)
        if self._undated_row is None:
            undated = (row.row for row in entered.rows if UNDATED in row.record)
            self._undated_row = next(undated, None)
        return Written(
            rows=entered.rows,
            gaps=entered.gaps,
            settled=entered.settled,
            oldest_unsent_wall_ns=self._ledger.oldest_unsettled_wall_ns,
            began_ns=began_ns,
            ended_ns=ended_ns,
        )

    def _handle(self, batch: Batch, error: sqlite3.Error) -> None:
        failure = store_error(error, self._path)
        failure.__cause__ = error
        self._handover.failed(batch, failure)
        if isinstance(failure, StoreCorrupt):
            self._handover.give_up(failure)
            _log.critical("%s", failure)
            raise Closed
        if self._failing_since_ns is None:
            self._failing_since_ns = self._clock.monotonic_ns()
            _log.error("%s: events are kept in memory and tried again", failure)

    def _note_success(self) -> None:
        self._pause_s = self.retry_first_s
        if self._failing_since_ns is not None:
            gap_s = seconds(self._clock.monotonic_ns() - self._failing_since_ns)
            self._failing_since_ns = None
            _log.warning("%s: events are written again after %.0f s", self._path, gap_s)

    def _fold(self) -> None:
        self._unfolded = 0
        try:
            self._ledger.fold()
        except sqlite3.Error as error:
            _log.error("the log cannot be folded back: %s", store_error(error, self._path))

    def _redate_some(self, first_row: int) -> None:
        """Correct stamps of this run once the machine knows the date."""
        uncertainty_s, wall_ns = self._stamper.uncertainty_s(), self._clock.wall_ns()
        if uncertainty_s is None or wall_ns < TRUSTED_FROM_NS:
            return
        try:
            self._undated_row = self._ledger.redate(
                first_row,
                RETENTION_BATCH,
                boot_id=self._stamper.boot_id,
                offset_ns=wall_ns - self._clock.monotonic_ns(),
                uncertainty_s=uncertainty_s,
            )
        except sqlite3.Error as error:
            _log.error("stamps cannot be corrected: %s", store_error(error, self._path))
            return
        if self._undated_row is None:
            _log.warning("the date is known now: earlier changes of this run are dated anew")

    def _is_retention_due(self) -> bool:
        is_over = self._handover.changes() > self._retention.max_events
        is_unmeasured = self._unmeasured >= SIZE_CHECK_CHANGES
        return is_over or is_unmeasured or self._clock.monotonic_ns() >= self._retention_due_ns

    def _remove_what_is_over(self) -> None:
        try:
            is_more_left = self._remove_some()
        except sqlite3.Error as error:
            _log.error("old events cannot be removed: %s", store_error(error, self._path))
            is_more_left = False
        if not is_more_left:
            self._unmeasured = 0
            self._tell_of_untold()
            self._retention_due_ns = self._clock.monotonic_ns() + nanoseconds(RETENTION_INTERVAL_S)

    def _remove_some(self) -> bool:
        """Remove one batch of what is over the limits; return whether there may be more."""
        excess, why = self._excess()
        now_wall_ns = self._clock.wall_ns()
        doomed = rows_to_remove(
            self._ledger.oldest(RETENTION_BATCH),
            excess=excess,
            why=why,
            oldest_wall_ns=oldest_kept_wall_ns(now_wall_ns, self._retention.max_days),
        )
        if not doomed:
            return False
        gone = self._ledger.remove(doomed, now_wall_ns)
        self._removed_untold += gone.untold
        self._handover.removed(len(doomed), gone, self._ledger.oldest_unsettled_wall_ns)
        return len(doomed) >= RETENTION_BATCH

    def _tell_of_untold(self) -> None:
        """Say how many went without being told; once a round, not once a batch."""
        if self._removed_untold:
            _log.error(
                "%s: %d event changes had to go before any broker took them: the limits of "
                "[retention] are reached",
                self._path,
                self._removed_untold,
            )
            self._removed_untold = 0

    def _excess(self) -> tuple[int, str]:
        """Return how many rows have to go for their number or their size, and for which.

        Once there are too many, a few more than needed go: not every commit from then on shall
        cost a second transaction.
        """
        changes = self._handover.changes()
        limit = self._retention.max_events
        too_many = _with_slack(changes, limit, min(RETENTION_BATCH, limit // 10))
        too_large = self._rows_too_large(changes)
        return max(too_many, too_large), TOO_LARGE if too_large > too_many else TOO_MANY

    def _rows_too_large(self, changes: int) -> int:
        """Return how many rows of average size take what is above the limit of bytes."""
        limit = self._retention.max_megabytes * 1_000_000
        used = self._ledger.used_bytes()
        over = _with_slack(used, limit, limit // 50)
        return min(changes, -(-over * changes // used))


def _tell_moments(result: Written) -> None:
    text = "camera %s: change %d is on the disk; that began at %d and ended at %d"
    for row in result.rows:
        _log.debug(text, row.camera, row.seq, result.began_ns, result.ended_ns)


def _with_slack(amount: int, limit: int, slack: int) -> int:
    """Return how much to take away; 0 if it is within the limit."""
    return amount - limit + slack if amount > limit else 0
