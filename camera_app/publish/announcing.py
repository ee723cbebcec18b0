"""From what a hub was told before to what it is to be told now, step by step. Pure.

A hub forgets nothing by itself: what is gone must be taken back, on the topic on which it was
announced. So a record of what was announced is kept, and each start is a way from that record to
the announcements of today. A step is over when the broker has all of it; then the next begins.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from camera_app.publish.discovery import Announcement, encoded
from camera_app.publish.topics import is_passing

RECORD_SCHEMA = 1
FORGET = b""  # an empty retained message: the broker forgets the topic, the hub what it announced
_HAND_OVER = encoded({"migrate_discovery": True})

Told = tuple[str, bytes]  # topic, payload; all of it retained
Step = tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Announced:
    """What a hub may know of us.

    Attributes:
        topics: Discovery topic -> key of each component it announced -> its platform.
        states: Our retained topics that those read.
    """

    topics: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    states: frozenset[str] = frozenset()

    def as_json(self) -> str:
        """Return the text of the record."""
        plain = {
            "schema": RECORD_SCHEMA,
            "topics": {topic: dict(parts) for topic, parts in self.topics.items()},
            "states": sorted(self.states),
        }
        return json.dumps(plain, indent=1, sort_keys=True)

    @property
    def keys(self) -> frozenset[str]:
        """The components, on whatever topic."""
        return frozenset(chain.from_iterable(self.topics.values()))

    def joined(self, other: Announced) -> Announced:
        """Return what a hub may know that was told both, in whatever order, or a part of it."""
        topics = {
            topic: {**self.topics.get(topic, {}), **other.topics.get(topic, {})}
            for topic in {**self.topics, **other.topics}
        }
        return Announced(topics, self.states | other.states)


def announced_by(messages: Iterable[Announcement], own_root: str) -> Announced:
    """Return what a hub knows after these messages.

    Args:
        messages: What it is told.
        own_root: What is below it is ours to empty.
    """
    listed = list(messages)
    states = {
        topic
        for message in listed
        for part in message.components
        for topic in part.topics
        if topic.startswith(f"{own_root}/") and not is_passing(topic)
    }
    return Announced(
        {one.topic: {part.key: part.platform for part in one.components} for one in listed},
        frozenset(states),
    )


def read_record(text: str) -> Announced:
    """Return what a record says.

    Raises:
        ValueError: It is none.
    """
    plain: Any = json.loads(text)
    if not isinstance(plain, dict) or plain.get("schema") != RECORD_SCHEMA:
        raise ValueError("is no record of announcements")
    topics, states = plain.get("topics"), plain.get("states")
    if not isinstance(topics, dict) or not all(isinstance(one, dict) for one in topics.values()):
        raise ValueError("its topics are none")
    if not isinstance(states, list):
        raise ValueError("its states are none")
    return Announced(
        {
            str(topic): {str(key): str(platform) for key, platform in parts.items()}
            for topic, parts in topics.items()
        },
        frozenset(map(str, states)),
    )


def steps(before: Announced, now: Sequence[Announcement], own_root: str) -> list[Step]:
    """Return what to tell, in order, so that a hub knows today's announcements and no others.

    An entity that is announced on another topic now is handed over, so that the hub keeps its
    history and what its owner named it. Discovery is emptied before the states: templates of
    entities that still live would fail on an empty state.

    Args:
        before: What the hub may know.
        now: What it is to know.
        own_root: As for `announced_by`.
    """
    after = announced_by(now, own_root)
    gone = [topic for topic in before.topics if topic not in after.topics]
    moving = [topic for topic in gone if set(before.topics[topic]) & after.keys]
    shrinking = [one for one in now if _lost(before, one)]
    found: list[Step] = [
        tuple((topic, FORGET) for topic in gone if topic not in moving),
        tuple((topic, _HAND_OVER) for topic in moving),
        tuple((one.topic, _with_tombstones(one, _lost(before, one))) for one in shrinking),
        tuple((one.topic, one.payload) for one in now),
        tuple((topic, FORGET) for topic in moving),
        # Records of earlier versions hold what passes, too: nothing is kept there to be forgotten.
        tuple(
            (topic, FORGET)
            for topic in sorted(before.states - after.states)
            if not is_passing(topic)
        ),
    ]
    return [step for step in found if step]


def _lost(before: Announced, now: Announcement) -> dict[str, str]:
    """Return what a topic announced and does not any more, with its platform."""
    keys = {part.key for part in now.components}
    known = before.topics.get(now.topic, {})
    return {key: platform for key, platform in known.items() if key not in keys}


def _with_tombstones(message: Announcement, lost: Mapping[str, str]) -> bytes:
    """Return the message with the lost components as mere platforms: so a hub removes them."""
    payload = json.loads(message.payload)
    payload["components"] |= {key: {"platform": platform} for key, platform in lost.items()}
    return encoded(payload)
