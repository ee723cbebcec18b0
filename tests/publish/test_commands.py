"""Commands as they may come: right, wrong, old, too long, too many, and anything at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.errors import CommandRefused
from camera_app.publish import Incoming
from camera_app.publish.commands import (
    BURST,
    CAMERA_REQUESTS,
    DEVICE_REQUESTS,
    PAYLOAD_LIMIT_BYTES,
    Command,
    RateLimit,
    Result,
    command_of,
    result_message,
    target_of,
)
from camera_app.publish.incoming import matches
from camera_app.publish.settings import SETTINGS
from camera_app.publish.topics import Topics

TOPICS = Topics("camera_app", "cam1")
ROOT = TOPICS.root
CAMERAS = {"front": None}
SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("topic", "payload", "command"),
    [
        ("front/detection/set", b"OFF", Command("front", "detection", "OFF")),
        ("front/threshold/set", b"0.5", Command("front", "threshold", "0.5")),
        ("front/snapshot_now/set", b"PRESS", Command("front", "snapshot_now", "PRESS")),
        ("restart/set", b"PRESS", Command("", "restart", "PRESS")),
        ("self_test/set", b"PRESS", Command("", "self_test", "PRESS")),
        ("try_edgetpu/set", b"usb:1-1.4", Command("", "try_edgetpu", "usb:1-1.4")),
    ],
)
def test_a_command_is_read(topic: str, payload: bytes, command: Command) -> None:
    assert command_of(Incoming(f"{ROOT}/{topic}", payload), TOPICS, CAMERAS) == command


@pytest.mark.parametrize(
    ("topic", "payload", "why"),
    [
        ("back/detection/set", b"OFF", "no such camera"),
        ("front/format_disk/set", b"PRESS", "no such command; known here: detection"),
        ("front/restart/set", b"PRESS", "no such command"),
        (
            "detection/set",
            b"OFF",
            "no such command; known here: profile, reload, restart, self_test, try_edgetpu",
        ),
        ("front/detection/set", b"x" * (PAYLOAD_LIMIT_BYTES + 1), "longer than"),
        ("front/detection/set", b"\xff\xfe", "no text"),
        ("front/detection/set", "ÖN".encode(), "no text"),
        ("restart/set", b"", "expected PRESS"),
        ("front/snapshot_now/set", b"/etc/passwd", "expected PRESS"),
        ("try_edgetpu/set", b"PRESS", "the place of an Edge TPU"),
        ("try_edgetpu/set", b"usb:../../dev", "the place of an Edge TPU"),
        ("../../etc/set", b"ON", "no such"),
    ],
)
def test_what_is_no_command_is_refused_with_a_reason(topic: str, payload: bytes, why: str) -> None:
    with pytest.raises(CommandRefused, match=why):
        command_of(Incoming(f"{ROOT}/{topic}", payload), TOPICS, CAMERAS)


def test_a_command_that_the_broker_kept_is_not_carried_out() -> None:
    """It would be carried out at every connection: a restart that restarts for ever."""
    with pytest.raises(CommandRefused, match="retain"):
        command_of(Incoming(f"{ROOT}/restart/set", b"PRESS", is_retained=True), TOPICS, CAMERAS)


LEVELS = st.one_of(
    st.sampled_from([*SETTINGS, *CAMERA_REQUESTS, *DEVICE_REQUESTS, "front", "..", ""]),
    st.text(st.characters(codec="utf-8", exclude_characters="/+#\0"), max_size=40),
)
PAYLOADS = st.one_of(st.sampled_from([b"ON", b"OFF", b"PRESS", b"0.5"]), st.binary(max_size=80))


@given(st.lists(LEVELS, min_size=1, max_size=2), PAYLOADS, st.booleans())
def test_whatever_comes_is_a_command_that_we_know_or_refused(
    levels: list[str], payload: bytes, is_retained: bool
) -> None:
    topic = "/".join((ROOT, *levels, "set"))
    message = Incoming(topic, payload, is_retained)
    assert any(matches(topic_filter, topic) for topic_filter in TOPICS.command_filters)
    camera, name = target_of(message, TOPICS)
    assert len(camera) <= 32
    assert len(name) <= 32
    try:
        command = command_of(message, TOPICS, CAMERAS)
    except CommandRefused:
        return
    assert not is_retained
    assert command.camera in ("", "front")
    assert command.name in ({*SETTINGS, *CAMERA_REQUESTS} if command.camera else DEVICE_REQUESTS)
    assert command.text.encode() == payload


def test_a_burst_is_let_through_and_a_flood_is_not() -> None:
    limit = RateLimit()
    allowed = [limit.allow(0) for _ in range(BURST + 5)]
    assert allowed == [True] * BURST + [False] * 5


def test_a_flood_is_answered_once_until_it_ebbs() -> None:
    limit = RateLimit()
    for _ in range(BURST):
        assert limit.allow(0)
    assert not limit.allow(0)
    assert [limit.is_first_refusal() for _ in range(3)] == [True, False, False]
    assert limit.allow(SECOND_NS)
    assert limit.is_first_refusal()


def test_what_is_let_through_grows_again_with_time_up_to_a_burst() -> None:
    limit = RateLimit()
    for _ in range(BURST):
        limit.allow(0)
    assert sum(limit.allow(SECOND_NS) for _ in range(BURST)) == 5
    assert sum(limit.allow(3600 * SECOND_NS) for _ in range(2 * BURST)) == BURST


@pytest.mark.parametrize(
    ("command", "gap_s"),
    [
        (Command("", "restart", "PRESS"), 10.0),
        (Command("", "self_test", "PRESS"), 5.0),
        (Command("front", "snapshot_now", "PRESS"), 1.0),
    ],
)
def test_a_copy_of_a_request_is_not_carried_out(command: Command, gap_s: float) -> None:
    limit = RateLimit()
    limit.check_request(command, 0)
    with pytest.raises(CommandRefused, match="just now"):
        limit.check_request(command, round(gap_s * SECOND_NS) - 1)
    limit.check_request(command, round(gap_s * SECOND_NS))


def test_one_camera_may_be_asked_while_another_is() -> None:
    limit = RateLimit()
    limit.check_request(Command("front", "snapshot_now", "PRESS"), 0)
    limit.check_request(Command("back", "snapshot_now", "PRESS"), 0)


def test_a_result_says_all_that_the_one_who_asked_needs() -> None:
    result = Result("front", "threshold", False, "0.5", "too high", "2025-01-01T00:00:00.000Z")
    assert json.loads(result_message(result)) == {
        "schema": 1,
        "camera": "front",
        "command": "threshold",
        "accepted": False,
        "state": "0.5",
        "error": "too high",
        "at": "2025-01-01T00:00:00.000Z",
    }
