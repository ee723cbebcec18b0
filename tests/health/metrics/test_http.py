"""Two pages over HTTP, and whatever a stranger sends instead."""

from __future__ import annotations

import http.client
import io
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.health.metrics.http import HEAD_LIMIT_BYTES, Exchange, Page

PAGES = {"/metrics": lambda: Page(200, b"body\n"), "/ready": lambda: Page(503, b"not ready\n")}


class _Wire:
    """A connection that has said all, for the standard library's parser."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def parsed(data: bytes) -> tuple[int, bytes, Message]:
    response = http.client.HTTPResponse(_Wire(data))  # type: ignore[arg-type]
    response.begin()
    return response.status, response.read(), response.headers


def asked(request: bytes) -> tuple[int, bytes, Message]:
    exchange = Exchange(PAGES)
    exchange.receive(request)
    assert exchange.is_answered
    return parsed(exchange.unsent)


def test_a_page_comes_whole_with_its_length_and_a_goodbye() -> None:
    status, body, headers = asked(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status, body) == (200, b"body\n")
    assert (headers["Content-Length"], headers["Connection"]) == ("5", "close")


def test_a_head_without_a_body_is_told_the_length() -> None:
    exchange = Exchange(PAGES)
    exchange.receive(b"HEAD /metrics HTTP/1.0\r\n\r\n")
    assert exchange.unsent.endswith(b"\r\n\r\n")
    assert b"Content-Length: 5\r\n" in exchange.unsent


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /ready HTTP/1.1", 503),
        (b"GET /metrics?name[]=x HTTP/1.1", 200),
        (b"GET / HTTP/1.1", 404),
        (b"GET /metrics/ HTTP/1.1", 404),
        (b"GET /../etc/passwd HTTP/1.1", 404),
        (b"GET http://x/metrics HTTP/1.1", 404),
        (b"POST /metrics HTTP/1.1", 405),
        (b"DELETE /ready HTTP/1.1", 405),
        (b"get /metrics HTTP/1.1", 400),
        (b"GET /metrics", 400),
        (b"GET  /metrics HTTP/1.1", 400),
        (b"GET /metrics HTTP/2", 400),
        (b"GET /\xff HTTP/1.1", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"GET /" + b"a" * 2100 + b" HTTP/1.1", 400),
    ],
)
def test_each_request_has_its_answer(request_line: bytes, status: int) -> None:
    answer, body, headers = asked(request_line + b"\r\nHost: x\r\n\r\n")
    assert answer == status
    assert body.count(b"\n") == 1
    assert (headers["Allow"] == "GET, HEAD") == (status == 405)


def test_a_head_without_end_is_refused_at_the_limit() -> None:
    exchange = Exchange(PAGES)
    exchange.receive(b"GET /metrics HTTP/1.1\r\nX: " + b"a" * HEAD_LIMIT_BYTES)
    assert parsed(exchange.unsent)[0] == 431


def test_a_request_may_come_byte_by_byte_and_with_bare_line_ends() -> None:
    exchange = Exchange(PAGES)
    for byte in b"GET /metrics HTTP/1.1\nHost: x\n\n":
        assert not exchange.is_answered
        exchange.receive(bytes([byte]))
    assert parsed(exchange.unsent)[1] == b"body\n"


def test_what_comes_after_the_request_is_not_read() -> None:
    exchange = Exchange(PAGES)
    exchange.receive(b"GET /metrics HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\n\r\n")
    before = exchange.unsent
    exchange.receive(b"GET /ready HTTP/1.1\r\n\r\n")
    assert exchange.unsent == before


PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"GET ", b"/metrics", b" HTTP/1.1", b"\r\n", b"\n", b"\r\n\r\n", b"\0", b":"]),
)


@given(st.lists(PIECES, max_size=30))
def test_whatever_is_sent_is_answered_in_one_page_or_waited_for(pieces: list[bytes]) -> None:
    exchange = Exchange(PAGES)
    for piece in pieces:
        exchange.receive(piece)
    if exchange.is_answered:
        status, body, headers = parsed(exchange.unsent)
        assert status in {200, 400, 404, 405, 431, 503}
        if exchange.unsent.endswith(body) and body:
            assert headers["Content-Length"] == str(len(body))
    else:
        assert len(b"".join(pieces)) <= HEAD_LIMIT_BYTES
        assert exchange.unsent == b""
