"""MQTT 5 properties of an event message, packed by hand.

paho packs properties through a general table, which takes longer than all else it does for a
message; here only a number and an id change from one message to the next.
"""

from __future__ import annotations

_IS_UTF8 = b"\x01\x01"
_CONTENT_TYPE = b"\x03"
_USER_PROPERTY = b"\x26"


class EventProperties:
    """Content type `application/json`, and `seq` and `event_id` for brokers that route by them.

    Stands in for paho's `Properties`, of which a message needs `pack` only.
    """

    __slots__ = ("_packed",)

    def __init__(self, seq: int, event_id: str) -> None:
        body = _HEAD + _text(str(seq)) + _EVENT_ID + _text(event_id)
        self._packed = _length(len(body)) + body

    def pack(self) -> bytes:
        return self._packed


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _length(count: int) -> bytes:
    """Return MQTT's variable byte integer."""
    encoded = bytearray()
    while count > 127:
        encoded.append(count & 127 | 128)
        count >>= 7
    encoded.append(count)
    return bytes(encoded)


_HEAD = _IS_UTF8 + _CONTENT_TYPE + _text("application/json") + _USER_PROPERTY + _text("seq")
_EVENT_ID = _USER_PROPERTY + _text("event_id")
