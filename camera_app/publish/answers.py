"""What a broker's codes mean for us. Pure.

MQTT 3.1.1 has six answers to a connection; paho gives them in the numbers of MQTT 5.
"""

from __future__ import annotations

from camera_app.errors import BrokerRefused, BrokerUnreachable, PublishError

UNSUPPORTED_VERSION = 0x84

_RIGHTS = "Check username and password_file in [mqtt], and the broker's access list"
_CLIENT_ID = "Give this device a client_id of its own in [mqtt]"
_LATER = "It is tried again by itself"

# Code of CONNACK or DISCONNECT -> what happened, what to do, whether the owner is needed.
_MEANINGS: dict[int, tuple[str, str, bool]] = {
    UNSUPPORTED_VERSION: (
        "the broker does not speak this version of MQTT",
        'Set protocol = "auto" in [mqtt]',
        True,
    ),
    0x85: ("the broker does not accept the client id", _CLIENT_ID, True),
    0x86: ("the broker does not accept user name or password", _RIGHTS, True),
    0x87: ("the broker does not allow this client to connect", _RIGHTS, True),
    0x88: ("the broker says that it is not available", _LATER, False),
    0x89: ("the broker says that it is busy", _LATER, False),
    0x8A: ("the broker has banned this client", "Ask who runs the broker", True),
    0x8B: ("the broker is shutting down", _LATER, False),
    0x8C: ("the broker does not accept how this client identifies itself", _RIGHTS, True),
    0x8D: ("the broker heard nothing for too long", _LATER, False),
    0x8E: ("another client came with the same client id", _CLIENT_ID, False),
    0x90: ("the broker does not accept the will's topic", "Check base_topic in [mqtt]", True),
    0x93: ("the broker got more at once than it wanted", "Lower window in [mqtt]", False),
    0x95: ("a message was larger than the broker takes", "Raise the broker's limit", True),
    0x97: ("the broker's quota for this client is used up", _LATER, False),
    0x9A: ("the broker keeps no retained messages", "Allow them in the broker", True),
    0x9B: ("the broker takes no QoS 1", "Allow it in the broker", True),
    0x9F: ("the broker has too many new connections", _LATER, False),
}

# Code of PUBACK, or 0 where there was none -> what happened, what to do.
_REFUSALS: dict[int, tuple[str, str]] = {
    0x00: ("the broker hangs up whenever it gets one message", "Look into the broker's log"),
    0x87: ("the broker does not allow this topic", "Check the broker's access list"),
    0x90: ("the broker does not accept this topic", "Check base_topic in [mqtt]"),
    0x95: ("a message was larger than the broker takes", "Raise the broker's limit"),
    0x97: ("the broker's quota for this client is used up", _LATER),
    0x99: ("the broker finds a message malformed", "Please report this"),
}


def is_success(code: int) -> bool:
    """Say whether a reason code means yes; 0x10, nobody subscribed, does."""
    return code < 0x80


def connection_error(code: int, where: str) -> PublishError:
    """Return the error for a code with which a broker answered or ended a connection."""
    what, remedy, needs_owner = _MEANINGS.get(
        code, (f"the broker ended the connection with code 0x{code:02X}", _LATER, False)
    )
    kind = BrokerRefused if needs_owner else BrokerUnreachable
    return kind(what, where=where, remedy=remedy)


def refusal(code: int, topic: str) -> BrokerRefused:
    """Return the error for a message that a broker did not take."""
    default = (f"the broker did not take a message, code 0x{code:02X}", _LATER)
    what, remedy = _REFUSALS.get(code, default)
    return BrokerRefused(what, where=topic, remedy=remedy)
