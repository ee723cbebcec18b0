"""The checker and the proxy by themselves: made-up logs and bare bytes, without the product."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.torture.checker import Heard, Promise, check, main
from tests.torture.proxy import FaultProxy, packet_end
from tests.waiting import wait_until

TOPIC = "camera_app/cam/front/event"


def record(seq: int, **edit: Any) -> dict[str, Any]:
    return {"type": "started", "event_id": f"id{seq}", "camera": "front", **edit}


def gap(first: int, last: int) -> dict[str, Any]:
    return record(last, type="gap", from_seq=first, to_seq=last)


def heard(seq: int, *, session: int = 1, topic: str = TOPIC, **edit: Any) -> Heard:
    return Heard(session, topic, {**record(seq), "seq": seq, "delayed": False, **edit})


def database(
    path: Path, rows: dict[int, dict[str, Any]], waiting: tuple[int, ...] = (), last: int = 0
) -> Path:
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE event_change (camera, seq, event_id, record)")
        made.execute("CREATE TABLE outbox (row)")
        made.execute("CREATE TABLE stream (camera, last_seq)")
        for seq, text in rows.items():
            values = ("front", seq, text["event_id"], json.dumps(text))
            made.execute("INSERT INTO event_change VALUES (?, ?, ?, ?)", values)
        made.executemany("INSERT INTO outbox VALUES (?)", [(row,) for row in waiting])
        made.execute("INSERT INTO stream VALUES ('front', ?)", (last or max(rows, default=0),))
        made.commit()
    return path


THREE = {seq: record(seq) for seq in (1, 2, 3)}
ALL_TOLD = [heard(1), heard(2), heard(3)]


@pytest.mark.parametrize(
    ("rows", "told", "kinds"),
    [
        (THREE, ALL_TOLD, []),
        (THREE, [heard(1), heard(2), heard(1), heard(2, delayed=True), heard(3)], []),
        (THREE, [heard(1), heard(3)], ["missing", "order"]),
        (THREE, [heard(1), heard(3), heard(2), heard(3)], ["order"]),
        (THREE, [*ALL_TOLD, heard(2, event_id="other")], ["content", "copy"]),
        (THREE, [heard(1), heard(2, label="cat"), heard(3)], []),  # a fact more is no other fact
        (THREE, [heard(1), heard(2, type="ended"), heard(3)], ["content"]),
        ({1: record(1), 3: record(3)}, ALL_TOLD, ["number"]),
        ({1: record(1), 3: gap(2, 3)}, ALL_TOLD, []),
        ({1: record(1), 3: gap(2, 3)}, [heard(1)], ["missing", "missing"]),
        ({1: record(1), 3: gap(2, 3)}, [heard(1), heard(3, **gap(2, 3))], []),
        (THREE, [heard(3, session=2), heard(1, topic="a/answer"), heard(2, topic="a/answer")], []),
        (THREE, [heard(1), heard(3, session=2)], ["missing"]),
    ],
)
def test_findings_are_those_and_no_others(
    tmp_path: Path, rows: dict[int, dict[str, Any]], told: list[Heard], kinds: list[str]
) -> None:
    path = database(tmp_path / "events.db", rows)
    assert sorted(finding.kind for finding in check(path, told)) == kinds


def test_what_waits_or_was_promised_and_is_not_there_is_found(tmp_path: Path) -> None:
    path = database(tmp_path / "events.db", THREE, waiting=(3,), last=4)
    promises = [Promise("front", "id1"), Promise("front", "id9")]
    found = [finding.kind for finding in check(path, ALL_TOLD, promises)]
    assert sorted(found) == ["missing", "number", "promise", "unsettled"]
    undrained = [f.kind for f in check(path, ALL_TOLD, promises, is_drained=False)]
    assert sorted(undrained) == ["number", "promise"]


def test_it_can_be_run_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, log = database(tmp_path / "events.db", THREE), tmp_path / "heard"
    lines = [{"session": h.session, "topic": h.topic, "payload": h.payload} for h in ALL_TOLD]
    whole = "".join(f"{json.dumps(line)}\n" for line in lines)
    log.write_text(f'{whole}{{"session": 1, "top')  # who wrote it died in the last line
    assert main([str(path), str(log)]) == 0
    assert "3 messages, 0 promises, 0 findings" in capsys.readouterr().out
    log.write_text(json.dumps(lines[0]) + "\n")
    assert main([str(path), str(log)]) == 1
    assert "missing: front: 2 was never told" in capsys.readouterr().out


class Sink:
    """Takes one connection at a time and keeps what comes."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]

    def all_of_next(self) -> bytes:
        """Return what the next connection brings until it ends."""
        opened, _ = self.server.accept()
        opened.settimeout(5.0)
        with opened:
            data = b""
            while chunk := opened.recv(4096):
                data += chunk
        return data


@pytest.fixture
def sink() -> Any:
    made = Sink()
    yield made
    made.server.close()


def send(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 5.0) as opened:
        opened.sendall(data)


@pytest.mark.parametrize("cut_after", [1, 7, 99])
def test_a_cut_passes_so_many_bytes_and_no_more(sink: Sink, cut_after: int) -> None:
    with FaultProxy(sink.port) as proxy:
        proxy.faults.cut_after = cut_after
        send(proxy.port, bytes(100))
        assert sink.all_of_next() == bytes(cut_after)
        send(proxy.port, bytes(100))  # only one connection is cut
        assert sink.all_of_next() == bytes(100)


@pytest.mark.parametrize(
    ("fault", "out"),
    [
        (lambda faults: setattr(faults, "duplicates", True), b"\x30\x02ab\x30\x02ab\xc0\x00"),
        (lambda faults: setattr(faults, "swallows_publishes", True), b"\xc0\x00"),
        (lambda faults: setattr(faults, "swallows", True), b""),
    ],
)
def test_publishes_come_twice_or_not_at_all(
    sink: Sink, fault: Callable[[Any], None], out: bytes
) -> None:
    with FaultProxy(sink.port) as proxy:
        fault(proxy.faults)
        send(proxy.port, b"\x30\x02ab\xc0\x00")
        assert sink.all_of_next() == out


def test_a_proxy_refuses_and_lets_in_again(sink: Sink) -> None:
    with FaultProxy(sink.port) as proxy:
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            send(proxy.port, b"x")
        proxy.accept()
        send(proxy.port, b"x")
        assert sink.all_of_next() == b"x"
        assert wait_until(lambda: proxy.connections == 1)


def test_a_packet_ends_where_its_length_says() -> None:
    assert packet_end(b"\x30") is None
    assert packet_end(b"\x30\x80") is None
    assert packet_end(b"\x30\x05abc") == 7
    assert packet_end(b"\x30\x80\x01") == 131
