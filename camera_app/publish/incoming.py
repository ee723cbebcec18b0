"""What others tell us: commands, requests, and that a hub has come. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# A broker that speaks MQTT 5 keeps larger packets to itself; nothing for us is nearly as long.
PACKET_LIMIT_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message that came from the broker.

    Attributes:
        topic: Where it was told.
        payload: What it says.
        is_retained: The broker kept it from earlier: nobody says it now.
        response_topic: Where its sender wants the answer; empty: nowhere. MQTT 5 only.
        correlation: What the answer is to carry, so that its sender knows it; may be empty.
    """

    topic: str
    payload: bytes
    is_retained: bool = False
    response_topic: str = ""
    correlation: bytes = b""


def matches(topic_filter: str, topic: str) -> bool:
    """Say whether a topic falls under a filter with `+` and `#`."""
    wanted, given = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted, given = wanted[:-1], given[: len(wanted) - 1]
    return len(wanted) == len(given) and all(
        one in ("+", other) for one, other in zip(wanted, given, strict=True)
    )
