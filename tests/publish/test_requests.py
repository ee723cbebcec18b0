"""Requests: what is understood, what is refused, and where an answer may go."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.publish.incoming import Incoming
from camera_app.publish.requests import (
    DEFAULT_CHANGES,
    REQUEST_LIMIT_BYTES,
    RequestRefused,
    may_answer_on,
    parse_request,
)
from camera_app.publish.topics import Topics

TOPICS = Topics("home/cams", "cam1")
ANSWER = "home/cams/cam1/events/answer/me"


def incoming(payload: bytes | dict[str, Any], response_topic: str = ANSWER) -> Incoming:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Incoming(TOPICS.request, text, response_topic=response_topic, correlation=b"7")


def test_a_request_names_a_stream_and_what_the_asker_has() -> None:
    asked = parse_request(incoming({"camera": "front", "after_seq": 12, "limit": 5}), TOPICS)

    assert (asked.camera, asked.after_seq, asked.left) == ("front", 12, 5)
    assert (asked.response_topic, asked.correlation_data) == (ANSWER, b"7")
    assert parse_request(incoming({"camera": "front"}), TOPICS).left == DEFAULT_CHANGES


def test_an_older_mqtt_says_in_the_payload_where_to_answer() -> None:
    plain = {"camera": "front", "response_topic": ANSWER, "correlation": "seven"}

    asked = parse_request(incoming(plain, response_topic=""), TOPICS)

    assert (asked.response_topic, asked.correlation) == (ANSWER, "seven")


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[]", "object"),
        (b"{}", "camera"),
        ({"camera": ""}, "camera"),
        ({"camera": "front", "after_seq": -1}, "after_seq"),
        ({"camera": "front", "after_seq": "3"}, "after_seq"),
        ({"camera": "front", "after_seq": 2**70}, "after_seq"),
        ({"camera": "front", "limit": 10**9}, "limit"),
        ({"camera": "front", "path": "/etc"}, "path"),
        (b'{"camera":"front","x":"' + b"y" * REQUEST_LIMIT_BYTES + b'"}', "longer"),
    ],
)
def test_what_is_no_request_is_refused_with_the_reason(
    payload: bytes | dict[str, Any], problem: str
) -> None:
    with pytest.raises(RequestRefused, match=problem):
        parse_request(incoming(payload), TOPICS)


@given(st.binary(max_size=200))
def test_any_bytes_are_understood_or_refused(payload: bytes) -> None:
    with suppress(RequestRefused):  # and nothing else is raised
        parse_request(incoming(payload), TOPICS)


@pytest.mark.parametrize(
    ("topic", "is_allowed"),
    [
        (ANSWER, True),
        ("replies/me", True),
        ("", False),
        ("home/cams/cam1/front/event", False),
        ("home/cams/cam1/availability", False),
        ("home/cams/cam2/front/detection/set", False),
        ("home/cams", False),
        ("home/cams/cam1/events/request", False),
        ("replies/#", False),
        ("replies/+/x", False),
        ("$SYS/broker", False),
        ("replies/\0", False),
        ("x" * 600, False),
    ],
)
def test_an_answer_never_passes_for_what_a_camera_says(topic: str, is_allowed: bool) -> None:
    assert may_answer_on(topic, TOPICS) is is_allowed
