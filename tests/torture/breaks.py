"""The product broken on purpose, each in one place, to see whether the checker notices."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from camera_app.publish import client
from camera_app.publish.client import Publisher
from camera_app.publish.window import Window
from camera_app.store import event_store, ledger
from camera_app.store.ledger import Ledger


def settles_when_sent() -> None:
    """Take a row for told once it was written to the socket."""
    send = Publisher._send_change

    def broken(self: Publisher, *arguments: Any) -> None:
        send(self, *arguments)
        self._store.settle([self._window.last_offered])

    Publisher._send_change = broken  # type: ignore[method-assign, assignment]


def writes_the_outbox_later() -> None:
    """Write event and outbox row in two transactions."""
    insert = Ledger._insert

    def broken(self: Ledger, changes: Any, rows: Sequence[Any]) -> None:
        insert(self, changes, rows)
        keys = [(row.row,) for row in rows]
        self._connection.executemany("DELETE FROM outbox WHERE row = ?", keys)
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO outbox VALUES (?)", keys)

    Ledger._insert = broken  # type: ignore[method-assign]


def promises_before_the_disk_has_it() -> None:
    """Tell who commits that all is well as soon as it was handed over."""

    class Hasty:
        def wait(self, timeout_s: float | None = None) -> tuple[()]:
            return ()

    commit = event_store.EventStore.commit

    def broken(self: event_store.EventStore, changes: Any) -> Any:
        commit(self, changes)
        return Hasty()

    event_store.EventStore.commit = broken  # type: ignore[method-assign]


def leaves_a_number_out() -> None:
    """Begin after a restart one number too late."""
    begin = Ledger.__init__

    def broken(self: Ledger, connection: Any) -> None:
        begin(self, connection)
        self._last_seq = {camera: seq + 1 for camera, seq in self._last_seq.items()}

    Ledger.__init__ = broken  # type: ignore[method-assign]


def goes_on_behind_what_was_lost() -> None:
    """After a broken connection begin behind what was in flight, not at it."""
    restart = Window.restart

    def broken(self: Window, limit: int) -> None:
        offered = self.last_offered
        restart(self, limit)
        self.last_offered = offered

    Window.restart = broken  # type: ignore[method-assign]


def names_each_copy_anew() -> None:
    """Give each message an id of its own, instead of its event's."""
    make = client.ledger_message

    def broken(*arguments: Any, **options: Any) -> bytes:
        told = json.loads(make(*arguments, **options))
        return json.dumps({**told, "event_id": str(uuid.uuid4())}).encode()

    client.ledger_message = broken  # type: ignore[assignment]


def removes_without_a_gap() -> None:
    """Let rows go by retention and leave nothing in their place."""

    def broken(self: Ledger, doomed: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        return [], []

    ledger.Ledger._gaps_left_by = broken  # type: ignore[method-assign]


BREAKS: Mapping[str, Callable[[], None]] = {
    break_.__name__: break_
    for break_ in (
        settles_when_sent,
        writes_the_outbox_later,
        promises_before_the_disk_has_it,
        leaves_a_number_out,
        goes_on_behind_what_was_lost,
        names_each_copy_anew,
        removes_without_a_gap,
    )
}
