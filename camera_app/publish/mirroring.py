"""Tells Frigate's messages beside ours: hands what we tell to the mirror, and on what it says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from camera_app.clock import Clock, nanoseconds
from camera_app.publish.board import Notice, StateBoard
from camera_app.publish.frigate import FrigateMirror
from camera_app.store import CommittedChange


class MirroringBoard(StateBoard):
    """A board on which Frigate's state appears beside ours."""

    def __init__(self, mirror: FrigateMirror) -> None:
        super().__init__()
        self._mirror = mirror
        self._mirror_lock = threading.Lock()  # guards what the mirror remembers of state

    def put(self, topic: str, payload: bytes, retain: bool = True, qos: int = 1) -> None:
        super().put(topic, payload, retain, qos)
        with self._mirror_lock:
            beside = self._mirror.state(topic, payload)
        for notice in beside:
            super().put(notice.topic, notice.payload, notice.is_retained, notice.qos)

    def say_farewell(self) -> None:
        """Say what Frigate says when it stops; to be called while the publisher still runs."""
        notice = self._mirror.farewell()
        super().put(notice.topic, notice.payload, notice.is_retained, notice.qos)


class FreshEvents:
    """Hands fresh changes to the mirror: a listener of the store, on its writer's thread.

    Args:
        mirror: What Frigate would say.
        say: Tells something once, at the connection that stands.
        clock: Time.
        max_age_s: What happened longer ago is not fresh.
    """

    def __init__(
        self,
        mirror: FrigateMirror,
        say: Callable[[Notice], None],
        clock: Clock,
        max_age_s: float,
    ) -> None:
        self._mirror = mirror
        self._say = say
        self._clock = clock
        self._max_age_ns = nanoseconds(max_age_s)

    def __call__(self, changes: Sequence[CommittedChange]) -> None:
        for change in changes:
            notice = self._mirror.event(change)  # also of an old one: it remembers it
            is_fresh = abs(self._clock.wall_ns() - change.at_wall_ns) <= self._max_age_ns
            if notice is not None and is_fresh:
                self._say(notice)
