"""The store as its callers see it, its writer's thread included."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from camera_app.clock import NS_PER_S, ManualClock
from camera_app.config import RetentionSettings
from camera_app.errors import StoreCorrupt, StoreError, StoreFull
from camera_app.events import canonical_json, change_record
from camera_app.store import CommittedChange, EventStore, StoredFilm, writer
from camera_app.values import ChangeType
from tests.store.conftest import BOOT_ID, EPOCH_NS, LIMIT_S, make_change, rows
from tests.waiting import wait_until

STARTED, UPDATED, ENDED = ChangeType.STARTED, ChangeType.UPDATED, ChangeType.ENDED
Opener = Callable[..., EventStore]
KEPT = ["started", "ended", "started", "ended"]


def test_a_commit_returns_rows_in_order_with_a_gap_free_count_a_camera(open_store: Opener) -> None:
    store = open_store()

    first = store.commit([make_change(1), make_change(2, camera="yard")]).wait(LIMIT_S)
    second = store.commit([make_change(3)]).wait(LIMIT_S)

    told = [(change.row, change.camera, change.seq) for change in (*first, *second)]
    assert told == [(1, "front", 1), (2, "yard", 1), (3, "front", 2)]


def test_a_change_is_in_all_tables_once_it_is_committed(open_store: Opener, path: Path) -> None:
    change = make_change(1, zones=("door", "yard"))
    open_store().commit([change]).wait(LIMIT_S)

    stamp = {"boot_id": BOOT_ID, "monotonic_s": 1.0, "uncertainty_s": 0.01}
    record = canonical_json({**change_record(change), **stamp})
    event_id = change.event.event_id
    assert rows(path, "SELECT * FROM event_change") == [
        (1, "front", 1, event_id, "started", change.wall_ns, EPOCH_NS, record)
    ]
    assert rows(path, "SELECT * FROM outbox") == [(1,)]
    assert rows(path, "SELECT * FROM stream") == [("front", 1, 1)]
    times = (EPOCH_NS + NS_PER_S, EPOCH_NS + NS_PER_S, None)
    assert rows(path, "SELECT * FROM event") == [
        (event_id, "front", "person", *times, 0.75, 0.9, '["door", "yard"]', 0, 1)
    ]


def test_the_event_row_follows_its_newest_change(open_store: Opener, path: Path) -> None:
    store = open_store()
    store.commit([make_change(1), make_change(2)]).wait(LIMIT_S)
    store.commit([make_change(1, change=ENDED, at_s=9, ended=True)]).wait(LIMIT_S)

    ended_ns = EPOCH_NS + 9 * NS_PER_S
    found = rows(path, "SELECT ended_wall_ns, last_row FROM event ORDER BY event_id")
    assert found == [(ended_ns, 3), (None, 2)]


def test_a_transaction_that_fails_leaves_no_part_of_a_change(
    open_store: Opener, path: Path
) -> None:
    """Event, ledger and outbox row are one transaction: a refused outbox row takes all along."""
    store = open_store()
    with sqlite3.connect(path) as other:
        other.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    other.close()

    with pytest.raises(StoreError):
        store.commit([make_change(1)]).wait(LIMIT_S)

    for table in ("event", "event_change", "outbox", "stream"):
        assert rows(path, f"SELECT * FROM {table}") == []


def test_numbers_go_on_after_a_restart_and_after_everything_was_removed(
    open_store: Opener, path: Path
) -> None:
    store = open_store()
    store.commit([make_change(1), make_change(2)]).wait(LIMIT_S)
    store.stop()
    with sqlite3.connect(path) as other:
        other.executescript("DELETE FROM outbox; DELETE FROM event_change; DELETE FROM event;")
    other.close()

    (change,) = open_store().commit([make_change(3)]).wait(LIMIT_S)

    assert (change.row, change.seq) == (3, 3)


def test_what_waits_is_written_on_stop(open_store: Opener, path: Path) -> None:
    store = open_store()
    for number in range(1, 200):
        store.commit([make_change(number)])
    store.stop()

    assert rows(path, "SELECT max(seq), count(*) FROM event_change") == [(199, 199)]


def test_everything_that_waits_goes_into_one_transaction(open_store: Opener, path: Path) -> None:
    """While a transaction is held up, more comes in; the next takes all of it."""
    groups: list[int] = []
    may_go_on, has_begun = threading.Event(), threading.Event()

    def hold(written: Sequence[CommittedChange]) -> None:
        groups.append(len(written))
        has_begun.set()
        may_go_on.wait(LIMIT_S)

    store = EventStore(path, ManualClock(0, EPOCH_NS), RetentionSettings())
    store.add_listener(hold)
    store.start()
    try:
        store.commit([make_change(1)])
        has_begun.wait(LIMIT_S)
        last = [store.commit([make_change(number)]) for number in range(2, 12)][-1]
        may_go_on.set()
        last.wait(LIMIT_S)
    finally:
        store.stop()

    assert groups == [1, 10]


def test_the_producer_waits_at_the_bound_while_the_disk_works(
    path: Path, clock: ManualClock
) -> None:
    may_go_on, is_through = threading.Event(), threading.Event()
    store = EventStore(path, clock, RetentionSettings(), waiting_limit=3)
    store.add_listener(lambda written: may_go_on.wait(LIMIT_S) and None)
    store.start()
    try:
        store.commit([make_change(1)]).wait(LIMIT_S)  # the writer now stands in the listener
        store.commit([make_change(number) for number in (2, 3, 4)])

        def produce() -> None:
            store.commit([make_change(5)])
            is_through.set()

        producer = threading.Thread(target=produce)
        producer.start()
        assert not is_through.wait(0.05)
        assert store.stats().waiting == 3
        may_go_on.set()
        assert is_through.wait(LIMIT_S)
        producer.join(LIMIT_S)
    finally:
        may_go_on.set()
        store.stop()
    assert rows(path, "SELECT count(*) FROM event_change") == [(5,)]


def test_the_log_is_folded_back_before_a_commit_has_to(
    open_store: Opener, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FOLD_AFTER", 3)
    store = open_store()
    for number in range(1, 4):
        wait_long(store.commit([make_change(number)]))
    last = make_change(3).event.event_id.encode()
    assert wait_until(lambda: last in path.read_bytes())  # the database itself, without its log


def test_settled_rows_leave_the_outbox_and_the_ledger_keeps_them(
    open_store: Opener, path: Path
) -> None:
    store = open_store()
    store.commit([make_change(number) for number in range(1, 6)]).wait(LIMIT_S)
    assert store.stats().backlog == 5
    assert not store.wait_drained(0)

    store.settle([1, 2, 4])
    store.settle([3, 5])

    assert store.wait_drained(LIMIT_S)
    assert rows(path, "SELECT * FROM outbox") == []
    assert rows(path, "SELECT count(*) FROM event_change") == [(5,)]
    stats = store.stats()
    assert (stats.backlog, stats.oldest_unsent_age_s, store.settling()) == (0, None, 0)


def test_the_age_of_the_oldest_untold_row_is_told_across_a_restart(
    open_store: Opener, clock: ManualClock
) -> None:
    store = open_store()
    store.commit([make_change(1)]).wait(LIMIT_S)
    clock.advance(30)
    store.commit([make_change(2)]).wait(LIMIT_S)
    assert store.stats().oldest_unsent_age_s == 30
    store.stop()
    clock.advance(10)

    store = open_store()
    assert store.stats().oldest_unsent_age_s == 40
    store.settle([1])
    store.commit([make_change(3)]).wait(LIMIT_S)  # takes the settled row along
    assert store.stats().oldest_unsent_age_s == 10


def test_a_full_disk_keeps_changes_in_memory_and_writes_them_when_there_is_room(
    open_store: Opener, path: Path
) -> None:
    store = open_store()
    connection = writing_connection(store)
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    limit_pages(connection, pages)

    commits = [store.commit([make_change(number)]) for number in range(1, 40)]
    with pytest.raises(StoreFull, match="no space is left"):
        commits[-1].wait(LIMIT_S)
    stats = store.stats()
    assert stats.is_full
    assert "no space" in stats.trouble

    limit_pages(connection, 1_000_000)
    assert wait_for_all(store, 39)
    assert not store.stats().trouble
    assert rows(path, "SELECT max(seq), count(*) FROM event_change") == [(39, 39)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def test_while_the_disk_is_full_the_oldest_updates_are_shed_and_counted(
    open_store: Opener, path: Path
) -> None:
    store = open_store(waiting_limit=4)
    connection = writing_connection(store)
    limit_pages(connection, connection.execute("PRAGMA page_count").fetchone()[0])
    kinds = [STARTED, UPDATED, UPDATED, UPDATED, ENDED, STARTED, ENDED]
    first = store.commit([make_change(100 + number) for number in range(60)])  # more than fits
    with pytest.raises(StoreFull):
        first.wait(LIMIT_S)

    commits = [store.commit([make_change(n, change=k)]) for n, k in enumerate(kinds, start=1)]

    stats = store.stats()
    assert (stats.shed_updates, stats.shed_others) == (3, 60)
    with pytest.raises(StoreFull, match="1 changes were shed"):
        commits[1].wait(LIMIT_S)
    limit_pages(connection, 1_000_000)
    assert [c.event_id[-1] for commit in (commits[0], *commits[4:]) for c in wait_long(commit)] == [
        *"1567"
    ]
    # The 63 that were shed have numbers that a gap stands for; it is told first.
    found = rows(path, "SELECT type, seq FROM event_change ORDER BY row")
    assert found == [("gap", 63), *((kind, 63 + n) for n, kind in enumerate(KEPT, start=1))]
    assert rows(path, "SELECT count(*) FROM outbox") == [(5,)]
    assert store.stats().backlog == 5


def test_a_truly_full_disk_corrupts_nothing(tmp_path: Path) -> None:
    """A file system of one megabyte, filled; then something else goes and the events come."""
    script = Path(__file__).with_name("full_disk.py")

    done = in_mount(tmp_path, "size=1m", [sys.executable, str(script)])

    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().split() == ["full", "ok", "complete"]


def test_what_was_told_durable_is_there_after_a_kill(tmp_path: Path, path: Path) -> None:
    script = Path(__file__).with_name("crash.py")
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)], stdout=-1) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(20)][-1]
        process.kill()

    count = rows(path, "SELECT count(*) FROM event_change")[0][0]
    assert told == 60
    assert count >= told
    assert rows(path, "SELECT seq FROM event_change ORDER BY row") == [
        (seq,) for seq in range(1, count + 1)
    ]
    assert rows(path, "SELECT count(*) FROM outbox JOIN event_change USING (row)") == [(count,)]
    assert rows(path, "SELECT count(*) FROM event") == [(count,)]


def test_a_folder_that_cannot_be_made_is_said_with_what_to_do(
    tmp_path: Path, clock: ManualClock
) -> None:
    (tmp_path / "file").write_text("in the way")
    store = EventStore(tmp_path / "file" / "events.db", clock, RetentionSettings())

    with pytest.raises(StoreError, match="must be able to write to"):
        store.start()


def test_a_read_only_file_system_is_said_with_what_to_do(tmp_path: Path) -> None:
    """The file system refuses, as that of a worn SD card does; so it holds for root as well."""
    code = (
        "import pathlib, sys; from camera_app.store import EventStore;"
        "from camera_app.clock import SystemClock; from camera_app.config import RetentionSettings;"
        "path = pathlib.Path(sys.argv[1]) / 'events.db';"
        "EventStore(path, SystemClock(), RetentionSettings()).start()"
    )
    done = in_mount(tmp_path, "ro", [sys.executable, "-c", code])

    assert done.returncode == 1
    assert "Read-only file system" in done.stderr.decode()
    assert f"must be able to write to {tmp_path}" in done.stderr.decode()


def test_a_second_writer_on_the_same_database_is_refused(open_store: Opener) -> None:
    open_store()
    with pytest.raises(StoreError, match="another camera-app"):
        open_store()


def test_a_damaged_file_is_said_kept_and_refused(open_store: Opener, path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(4096))
    before = path.read_bytes()

    with pytest.raises(StoreCorrupt):
        open_store()
    assert path.read_bytes() == before


def test_damage_found_while_running_stops_the_store_and_keeps_the_file(
    open_store: Opener, path: Path
) -> None:
    store = open_store()
    store.commit([make_change(number) for number in range(1, 300)]).wait(LIMIT_S)
    store.stop()
    store = open_store()
    with path.open("r+b") as file:
        damaged = file.read(4096) + b"\xa5" * (path.stat().st_size - 4096)  # all but the schema
        file.seek(0)
        file.write(damaged)
    writing_connection(store).execute("PRAGMA shrink_memory")  # or it would go by what it has read

    with pytest.raises(StoreCorrupt):
        store.commit([make_change(400)]).wait(LIMIT_S)
    assert store.stats().state == "corrupt"
    with pytest.raises(StoreCorrupt):
        store.commit([make_change(401)]).wait(LIMIT_S)
    store.stop()
    assert path.read_bytes() == damaged


def test_a_store_that_was_stopped_refuses_changes(open_store: Opener) -> None:
    store = open_store()
    store.stop()
    store.stop()
    with pytest.raises(StoreError, match="closed"):
        store.commit([make_change(1)])


def test_waiting_for_a_commit_ends_with_its_time(path: Path, clock: ManualClock) -> None:
    may_go_on = threading.Event()
    store = EventStore(path, clock, RetentionSettings())
    store.add_listener(lambda written: may_go_on.wait(LIMIT_S) and None)
    store.start()
    try:
        store.commit([make_change(1)]).wait(LIMIT_S)
        with pytest.raises(StoreError, match=r"not written within 0\.01 s"):
            store.commit([make_change(2)]).wait(0.01)
    finally:
        may_go_on.set()
        store.stop()


def test_no_change_is_committed_at_once(open_store: Opener) -> None:
    assert open_store().commit([]).wait(0) == ()


def test_old_rows_go_settled_ones_first_and_events_with_their_last_change(
    open_store: Opener, path: Path, clock: ManualClock
) -> None:
    store = open_store(retention=RetentionSettings(max_events=100))
    store.commit([make_change(number) for number in range(1, 101)]).wait(LIMIT_S)
    store.settle(range(50, 101))
    store.commit([make_change(101)]).wait(LIMIT_S)  # one too many; a tenth more goes with it

    assert wait_until(lambda: store.stats().removed == 11)
    kept = rows(path, "SELECT row FROM event_change WHERE type <> 'gap' ORDER BY row")
    assert [row for (row,) in kept] == [*range(1, 50), *range(61, 102)]
    assert rows(path, "SELECT count(*) FROM event") == [(90,)]
    stats = store.stats()
    assert (stats.changes, stats.backlog, stats.removed_untold) == (90, 50, 0)


def test_rows_that_are_too_old_go_while_the_camera_sees_nothing(
    open_store: Opener, path: Path, clock: ManualClock
) -> None:
    store = open_store(retention=RetentionSettings(max_days=1))
    store.commit([make_change(number) for number in (1, 2)]).wait(LIMIT_S)
    store.commit([make_change(3, at_s=80_000)]).wait(LIMIT_S)

    clock.advance(86_400 + 10)

    assert wait_until(lambda: store.stats().removed == 2)
    assert rows(path, "SELECT row, type FROM event_change") == [(2, "gap"), (3, "started")]
    assert store.stats().removed_untold == 2


@pytest.fixture
def nobody_comes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer looks when something is handed over or due, and at no other time."""
    monkeypatch.setattr(writer, "IDLE_S", 0.2)
    monkeypatch.setattr(writer, "LONGEST_IDLE_S", 3600.0)


@pytest.mark.usefixtures("nobody_comes_by")
def test_new_limits_hold_at_once_though_nothing_happens(open_store: Opener) -> None:
    store = open_store()
    store.commit([make_change(number) for number in range(1, 151)]).wait(LIMIT_S)
    assert wait_until(lambda: is_asleep(store))
    store.retain(RetentionSettings(max_events=100))

    assert wait_until(lambda: store.stats().removed >= 50)


@pytest.mark.usefixtures("nobody_comes_by")
def test_a_film_is_noted_though_nothing_else_happens(open_store: Opener, path: Path) -> None:
    store = open_store()
    store.commit([make_change(1)]).wait(LIMIT_S)
    assert wait_until(lambda: is_asleep(store))
    store.note_films([StoredFilm("front/1.mp4", "front", 1, 2, 3)])

    assert wait_until(lambda: rows(path, "SELECT name FROM film") == [("front/1.mp4",)])


@pytest.mark.usefixtures("nobody_comes_by")
def test_what_is_acknowledged_or_refused_is_written_though_nothing_else_happens(
    open_store: Opener, path: Path
) -> None:
    store = open_store()
    store.commit([make_change(1), make_change(2)]).wait(LIMIT_S)
    store.settle([1])
    assert wait_until(lambda: store.stats().backlog == 1)
    store.refuse(2, 0x97)
    assert wait_until(lambda: store.stats().refused == 1)


# Helpers. The page limit makes SQLite itself report a full disk, at a size of our choosing.


def is_asleep(store: EventStore) -> bool:
    """Tell whether the writer waits for something to be handed over."""
    return bool(getattr(store._handover._work, "_waiters"))  # noqa: B009 not in its type


def writing_connection(store: EventStore) -> sqlite3.Connection:
    assert store._writer is not None
    return store._writer._ledger._connection


def limit_pages(connection: sqlite3.Connection, pages: int) -> None:
    connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()


def wait_for_all(store: EventStore, count: int) -> bool:
    return wait_until(lambda: store.stats().committed == count)


def wait_long(commit: object) -> tuple[CommittedChange, ...]:
    """Wait through the reports of a full disk."""
    from camera_app.store import Commit

    assert isinstance(commit, Commit)
    for _ in range(1000):
        try:
            return commit.wait(LIMIT_S)
        except StoreFull:
            threading.Event().wait(0.01)
    raise AssertionError("never committed")


def in_mount(
    folder: Path, options: str, command: Sequence[str]
) -> subprocess.CompletedProcess[bytes]:
    """Run a command, given `folder`, with a file system of its own mounted there."""
    mount = f"mount -t tmpfs -o {options} none {folder}"
    own = ["unshare", "-rm", "sh", "-c"]
    if subprocess.run([*own, mount], check=False, capture_output=True).returncode:
        pytest.skip("needs a user namespace with a mount of its own")
    script = f'{mount} && exec "$0" "$@"'
    return subprocess.run(
        [*own, script, *command, str(folder)], check=False, capture_output=True, timeout=60
    )
