"""Answers subscribers that missed something, a page at a time, so that nothing fresh waits long.

Belongs to the publisher's thread, which asks for a page whenever it has room for one.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from camera_app.errors import StoreError
from camera_app.publish.board import Notice
from camera_app.publish.incoming import Incoming
from camera_app.publish.requests import (
    EventRequest,
    RequestRefused,
    error_message,
    may_answer_on,
    page_message,
    parse_request,
)
from camera_app.publish.topics import Topics
from camera_app.store import CommittedChange, LedgerReader, refused_gap

_log = logging.getLogger(__name__)

# Requests that wait; another is told to come again.
WAITING_LIMIT = 32
PAGE_ROWS = 100
# With a full window before it, an event that is fresh waits under a second at 1 Mbit/s.
PAGE_BYTES = 32 * 1024
# What stands in a page beside its rows, topic and properties included.
PAGE_HEAD_BYTES = 2048


class Page(NamedTuple):
    """One message of an answer."""

    notice: Notice
    properties: Properties


class CatchUp:
    """Requests that are not answered to the end yet, oldest first, each in turn a page."""

    def __init__(self, database: Path, device_id: str, topics: Topics) -> None:
        self._reader = LedgerReader(database)
        self._device_id = device_id
        self._topics = topics
        self._waiting: deque[EventRequest] = deque()
        self._refusals: deque[Page] = deque(maxlen=WAITING_LIMIT)

    @property
    def has_work(self) -> bool:
        return bool(self._waiting or self._refusals)

    def take(self, message: Incoming) -> None:
        """Note a request; one that the broker kept was asked by nobody now."""
        if message.is_retained:
            return
        try:
            request = parse_request(message, self._topics)
            if len(self._waiting) >= WAITING_LIMIT:
                raise RequestRefused("too many requests wait; ask again in a moment")
            self._waiting.append(request)
        except RequestRefused as refusal:
            self._refuse(message, refusal)

    def _refuse(self, message: Incoming, refusal: RequestRefused) -> None:
        _log.info("%s: %s", message.topic, refusal)
        if may_answer_on(message.response_topic, self._topics):
            payload = error_message(refusal.what, device_id=self._device_id)
            self._refusals.append(_page(message.response_topic, payload, message.correlation))

    def forget(self) -> None:
        """Drop what waits: the connection it was asked on is gone, and who asked asks again."""
        self._waiting.clear()
        self._refusals.clear()

    def next_page(self, limit_bytes: int | None) -> Page | None:
        """Return the next message to tell, or None.

        Args:
            limit_bytes: Size of a packet that the broker takes; None: no limit told.
        """
        if self._refusals:
            return self._refusals.popleft()
        if not self._waiting:
            return None
        request = self._waiting.popleft()
        try:
            payload = self._answer(request, min(PAGE_BYTES, limit_bytes or PAGE_BYTES))
        except StoreError as error:
            _log.error("%s", error)
            payload = error_message(
                error.what, device_id=self._device_id, correlation=request.correlation
            )
        return _page(request.response_topic, payload, request.correlation_data)

    def _answer(self, request: EventRequest, limit_bytes: int) -> bytes:
        found = self._reader.page(request.camera, request.after_seq, min(PAGE_ROWS, request.left))
        rows = _within(found.rows, limit_bytes - PAGE_HEAD_BYTES)
        through_seq = rows[-1].seq if rows else request.after_seq
        left = request.left - len(rows)
        is_last = not rows or left <= 0 or through_seq >= found.newest_seq
        if not is_last:  # behind the others, so that none waits for a long answer
            self._waiting.append(replace(request, after_seq=through_seq, left=left))
        return page_message(
            request,
            rows,
            device_id=self._device_id,
            newest_seq=found.newest_seq,
            is_last=is_last,
        )

    def close(self) -> None:
        self.forget()
        self._reader.close()


def _within(rows: Sequence[CommittedChange], limit_bytes: int) -> list[CommittedChange]:
    """Return the first rows that fit together; one that fits into no page as a gap."""
    kept: list[CommittedChange] = []
    used = 0
    for row in rows:
        size = _size_bytes(row)
        if used + size > limit_bytes and kept:
            break
        if size > limit_bytes:
            row = refused_gap(row, row.committed_wall_ns)  # noqa: PLW2901 told in its place
            size = _size_bytes(row)
        kept.append(row)
        used += size
    return kept


def _size_bytes(row: CommittedChange) -> int:
    return len(row.record.encode()) + 128


def _page(topic: str, payload: bytes, correlation: bytes) -> Page:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.PayloadFormatIndicator = 1
    properties.ContentType = "application/json"
    if correlation:
        properties.CorrelationData = correlation
    return Page(Notice(topic, payload, is_retained=False), properties)
