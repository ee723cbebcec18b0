"""MQTT 5 properties of an event message, packed by hand.

paho packs properties through a general table, which takes longer than all else it does for a
message; here only a number and an id change from one message to the next.
"""

from __future__ import annotations

_IS_UTF8 = b"\x01\x01"
_EXPIRY = b"\x02"
_LONGEST_EXPIRY_S = 2**32 - 1
_CONTENT_TYPE = b"\x03"
_USER_PROPERTY = b"\x26"


class EventProperties:
    """Content type `application/json`, and `seq` and `event_id` for brokers that route by them.

    And after how many seconds a broker that could not deliver the message may forget it. Stands in
    for paho's `Properties`, of which a message needs `pack` only.
    """

    __slots__ = ("_packed",)

    def __init__(self, seq: int, event_id: str, expiry_s: int) -> None:
        number, event = str(seq).encode(), event_id.encode()
        body = b"%b%b%b%b%b%b%b%b" % (
            _EXPIRY,
            min(max(1, expiry_s), _LONGEST_EXPIRY_S).to_bytes(4, "big"),
            _BEFORE_SEQ,
            len(number).to_bytes(2, "big"),
            number,
            _BEFORE_EVENT_ID,
            len(event).to_bytes(2, "big"),
            event,
        )
        self._packed = _length(len(body)) + body

    def pack(self) -> bytes:
        return self._packed


def _text(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


def _length(count: int) -> bytes:
    """Return MQTT's variable byte integer; two bytes are enough here, up to 16383."""
    return bytes((count,)) if count < 128 else bytes((count & 127 | 128, count >> 7))


_BEFORE_SEQ = _IS_UTF8 + _CONTENT_TYPE + _text(b"application/json") + _USER_PROPERTY + _text(b"seq")
_BEFORE_EVENT_ID = _USER_PROPERTY + _text(b"event_id")
