"""What a subscriber asks that missed something, and the pages of the answer. Pure.

A page is JSON; in it stand changes and gaps as on the `event` topic, without a hole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from camera_app.errors import PublishError
from camera_app.publish.incoming import Incoming
from camera_app.publish.payloads import ledger_message
from camera_app.publish.topics import Topics
from camera_app.store import CommittedChange

PAGE_SCHEMA = 1
REQUEST_LIMIT_BYTES = 4096
# In one answer; who wants more asks again from where it ended.
MOST_CHANGES = 5000
DEFAULT_CHANGES = 1000
TOPIC_LIMIT = 512


class RequestRefused(PublishError):
    """A request that is not answered as asked; who asked is told why, where that is possible."""


class RequestMessage(BaseModel):
    """What a subscriber asks on `events/request`.

    Attributes:
        camera: The stream that is asked for.
        after_seq: Last number that the subscriber has; 0: none.
        limit: Most changes and gaps in all pages together; 0: only which number is the newest.
        response_topic: Where to answer, for MQTT 3.1.1; MQTT 5 has a property for it.
        correlation: Comes back in each page; MQTT 5 has a property beside it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    camera: Annotated[str, Field(min_length=1, max_length=64)]
    after_seq: Annotated[int, Field(ge=0, lt=2**62)] = 0
    limit: Annotated[int, Field(ge=0, le=MOST_CHANGES)] = DEFAULT_CHANGES
    response_topic: Annotated[str, Field(max_length=TOPIC_LIMIT)] = ""
    correlation: Annotated[str, Field(max_length=256)] = ""


@dataclass(frozen=True, slots=True)
class EventRequest:
    """A request that can be answered.

    Attributes:
        camera: The stream that is asked for.
        after_seq: Last number that was told, or that the subscriber has.
        left: How many rows may still be told.
        response_topic: Where to answer.
        correlation_data: For the property of MQTT 5; may be empty.
        correlation: For the page itself; may be empty.
    """

    camera: str
    after_seq: int
    left: int
    response_topic: str
    correlation_data: bytes = b""
    correlation: str = ""


def parse_request(message: Incoming, topics: Topics) -> EventRequest:
    """Return what a message asks.

    Raises:
        RequestRefused: It is no request, or wants its answer where none may be told.
    """
    if len(message.payload) > REQUEST_LIMIT_BYTES:
        raise RequestRefused(f"the request is longer than {REQUEST_LIMIT_BYTES} bytes")
    try:
        asked = RequestMessage.model_validate_json(message.payload)
    except ValidationError as error:
        raise RequestRefused(_first_problem(error)) from error
    response_topic = message.response_topic or asked.response_topic
    if not may_answer_on(response_topic, topics):
        raise RequestRefused("the request names no topic on which it may be answered")
    return EventRequest(
        camera=asked.camera,
        after_seq=asked.after_seq,
        left=asked.limit,
        response_topic=response_topic,
        correlation_data=message.correlation,
        correlation=asked.correlation,
    )


def _first_problem(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in details["loc"]) or "the request"
    return f"{where}: {details['msg']}"


def may_answer_on(topic: str, topics: Topics) -> bool:
    """Say whether an answer may be told there.

    Not on a topic of a camera of ours, or of another: an answer must not pass for something else.
    Below our own base there is one place for answers.
    """
    if not topic or len(topic.encode()) > TOPIC_LIMIT or not topic.isprintable():
        return False
    if set(topic) & set("+#") or topic.startswith("$"):
        return False
    if topic == topics.base or topic.startswith(f"{topics.base}/"):
        return topic.startswith(topics.answer(""))
    return True


def page_message(
    request: EventRequest,
    rows: Sequence[CommittedChange],
    *,
    device_id: str,
    newest_seq: int,
    is_last: bool,
) -> bytes:
    """Return one page of an answer.

    Args:
        request: What is asked, from where this page begins.
        rows: Changes and gaps in order.
        device_id: Of this device.
        newest_seq: The last number that was given out in the stream.
        is_last: No other page of this answer follows.
    """
    head = {
        "schema": PAGE_SCHEMA,
        "device_id": device_id,
        "camera": request.camera,
        "after_seq": request.after_seq,
        "through_seq": rows[-1].seq if rows else request.after_seq,
        "newest_seq": newest_seq,
        "is_last": is_last,
        "correlation": request.correlation,
        "error": "",
    }
    told = b",".join(ledger_message(row, device_id=device_id, is_delayed=True) for row in rows)
    return json.dumps(head, separators=(",", ":")).encode()[:-1] + b',"changes":[' + told + b"]}"


def error_message(problem: str, *, device_id: str, correlation: str = "") -> bytes:
    """Return a page that says why there is none."""
    plain = {
        "schema": PAGE_SCHEMA,
        "device_id": device_id,
        "camera": "",
        "after_seq": 0,
        "through_seq": 0,
        "newest_seq": 0,
        "is_last": True,
        "correlation": correlation,
        "error": problem,
        "changes": [],
    }
    return json.dumps(plain, separators=(",", ":")).encode()
