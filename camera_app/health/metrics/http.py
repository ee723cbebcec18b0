"""As much of HTTP as two pages need: one request, one answer, goodbye. Pure.

What a stranger sends is read up to a limit, understood or refused in one sentence, and never
repeated to anybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

HEAD_LIMIT_BYTES = 8192
TEXT = "text/plain; charset=utf-8"

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) ([!-~]{1,2048}) HTTP/1\.[01]")
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Page:
    """What is answered.

    Attributes:
        status: The code.
        body: The text.
        content_type: What kind of text.
    """

    status: int
    body: bytes
    content_type: str = TEXT


Pages = Mapping[str, Callable[[], Page]]


class Exchange:
    """One client from its first byte to our last.

    Args:
        pages: By path; each is made when somebody asks for it.

    Attributes:
        unsent: What is still to be sent.
        is_answered: The answer is made; nothing more is read.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._head = bytearray()
        self.unsent = b""
        self.is_answered = False

    def receive(self, data: bytes) -> None:
        """Take what has come; the answer is made when the request is whole."""
        if self.is_answered:
            return
        self._head += data
        end = _end_of_head(self._head)
        if end is not None:
            self._answer(bytes(self._head[:end]))
        elif len(self._head) > HEAD_LIMIT_BYTES:
            self._refuse(431)

    def _answer(self, head: bytes) -> None:
        line = _REQUEST_LINE.fullmatch(re.split(rb"\r?\n", head, maxsplit=1)[0])
        if line is None or len(head) > HEAD_LIMIT_BYTES:
            self._refuse(400 if line is None else 431)
            return
        method, target = line[1].decode("ascii"), line[2].decode("ascii")
        make = self._pages.get(target.partition("?")[0])
        if make is None:
            self._refuse(404)
        elif method not in {"GET", "HEAD"}:
            self._refuse(405)
        else:
            self._send(make(), has_body=method == "GET")

    def _refuse(self, status: int) -> None:
        self._send(Page(status, f"{_REASONS[status]}\n".encode()))

    def _send(self, page: Page, *, has_body: bool = True) -> None:
        lines = [
            f"HTTP/1.1 {page.status} {_REASONS[page.status]}",
            f"Content-Type: {page.content_type}",
            f"Content-Length: {len(page.body)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            *(["Allow: GET, HEAD"] if page.status == 405 else []),
            "Connection: close",
        ]
        head = "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"
        self.unsent = head + page.body if has_body else head
        self.is_answered = True


def _end_of_head(data: bytearray) -> int | None:
    """Return where the empty line begins that ends a head; None: it is still to come."""
    found = re.search(rb"\r?\n\r?\n", data)
    return None if found is None else found.start()
