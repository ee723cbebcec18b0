"""The few packets of MQTT 5 that a fleet needs, as bytes. Pure.

Ten thousand clients of a library would measure the library. Only what a simulated camera and its
listener say is here; properties of a message come packed from the product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

CONNACK, PUBLISH, PUBACK, SUBACK = 0x20, 0x30, 0x40, 0x90
FAILURE_FROM = 0x80
MESSAGE_IDS = 65535

DISCONNECT = b"\xe0\x00"
_NO_PROPERTIES = b"\x00"
_RECEIVE_MAXIMUM = 0x21
_LARGEST = b"\xff\xff"
_RETAINED = 0x01
_QOS_1 = 0x02


def connect(client_id: str, keepalive_s: int, will: tuple[str, bytes] | None = None) -> bytes:
    """Return the hello of a client that wants no old session; the will is retained, QoS 1."""
    flags, last_words = 0x02, b""
    if will is not None:
        topic, payload = will
        flags |= 0x04 | 0x08 | 0x20
        last_words = _NO_PROPERTIES + _text(topic) + _binary(payload)
    head = _text("MQTT") + bytes((5, flags)) + keepalive_s.to_bytes(2, "big")
    properties = bytes((3, _RECEIVE_MAXIMUM)) + _LARGEST
    return _packet(0x10, head + properties + _text(client_id) + last_words)


def subscribe(message_id: int, filters: Sequence[str]) -> bytes:
    """Return a subscription with QoS 1."""
    wanted = b"".join(_text(one) + b"\x01" for one in filters)
    return _packet(0x82, message_id.to_bytes(2, "big") + _NO_PROPERTIES + wanted)


def publish(
    message_id: int,
    topic: str,
    payload: bytes,
    *,
    is_retained: bool = False,
    properties: bytes = _NO_PROPERTIES,
) -> bytes:
    """Return a message.

    Args:
        message_id: 1 to 65535, not in use on this connection; 0: QoS 0, else QoS 1.
        topic: Where.
        payload: What.
        is_retained: The broker is to keep it.
        properties: Packed, their length first.
    """
    kind = PUBLISH | (_QOS_1 if message_id else 0) | (_RETAINED if is_retained else 0)
    number = message_id.to_bytes(2, "big") if message_id else b""
    return _packet(kind, _text(topic) + number + properties + payload)


def puback(message_id: bytes) -> bytes:
    """Return the acknowledgement of a message, whose id is given as it came."""
    return b"\x40\x02" + message_id


def delivered(kind: int, body: bytes) -> tuple[str, bytes, bytes]:
    """Return topic, message id as it came (empty with QoS 0), and payload of a PUBLISH."""
    size = int.from_bytes(body[:2], "big")
    topic, position = body[2 : 2 + size].decode(), 2 + size
    message_id = b""
    if kind & 0x06:
        message_id = body[position : position + 2]
        position += 2
    properties_size, width = _length_at(body, position)
    return topic, message_id, body[position + width + properties_size :]


class PacketReader:
    """Cuts what comes over a connection into packets."""

    __slots__ = ("_unread",)

    def __init__(self) -> None:
        self._unread = b""  # the beginning of a packet whose rest is still to come

    def take(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield first byte and body of each packet that is whole now."""
        data = self._unread + data
        position = 0
        try:
            while position < len(data):
                size, width = _length_at(data, position + 1)
                begin = position + 1 + width
                if begin + size > len(data):
                    break
                kind, body = data[position], data[begin : begin + size]
                position = begin + size
                yield kind, body
        finally:
            self._unread = data[position:]


def _length_at(data: bytes, position: int) -> tuple[int, int]:
    """Return a variable byte integer and its width; one that is cut off is too long to fit."""
    value = 0
    for width in range(4):
        if position + width >= len(data):
            return len(data), 0
        byte = data[position + width]
        value |= (byte & 0x7F) << (7 * width)
        if byte < 0x80:
            return value, width + 1
    raise ValueError("no length of MQTT has more than four bytes")


def _packet(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + _length(len(body)) + body


def _length(size: int) -> bytes:
    width = bytearray()
    while size >= 0x80:
        width.append(size & 0x7F | 0x80)
        size >>= 7
    width.append(size)
    return bytes(width)


def _text(text: str) -> bytes:
    return _binary(text.encode())


def _binary(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data
