"""State for subscribers: the newest value of each topic wins, and all of it is told anew after
each connection. For what must not be lost there is the outbox.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """The newest value of one topic.

    Attributes:
        topic: Where it is told.
        payload: What is told; empty and retained: the broker forgets the topic.
        is_retained: The broker keeps it for whoever comes later.
        qos: 0 or 1; 2 only for what is asked and never released.
    """

    topic: str
    payload: bytes
    is_retained: bool = True
    qos: int = 1


class StateBoard:
    """Holds what is to be known; any thread puts, the publisher takes.

    Bounded by the number of topics, which the configuration bounds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the fields below
        self._notices: dict[str, Notice] = {}
        self._untold: dict[str, None] = {}  # topics, in the order in which they changed
        self._confirmed: dict[str, bytes] = {}  # what the broker of this connection has
        self._on_change: Callable[[], None] = _nobody

    def put(self, topic: str, payload: bytes, retain: bool = True, qos: int = 1) -> None:
        """Say what a topic's value is now; one that was retained and is the same is not sent."""
        notice = Notice(topic, payload, retain, qos)
        with self._lock:
            if retain and self._notices.get(topic) == notice:
                return
            self._notices[topic] = notice
            self._confirmed.pop(topic, None)
            self._untold.pop(topic, None)
            self._untold[topic] = None
            on_change = self._on_change
        on_change()

    def take(self) -> Notice | None:
        """Return what changed longest ago and was not taken since, or None."""
        with self._lock:
            topic = next(iter(self._untold), None)
            if topic is None:
                return None
            del self._untold[topic]
            return self._notices[topic]

    def tell_all(self) -> None:
        """Make everything untold, availability first: for a broker that may know nothing."""
        with self._lock:
            retained = [topic for topic, notice in self._notices.items() if notice.is_retained]
            self._untold = dict.fromkeys(sorted(retained, key=_rank))
            self._confirmed.clear()
            on_change = self._on_change
        on_change()

    def confirm(self, notice: Notice) -> None:
        """Note that the broker has a notice; a newer one on its topic is not meant."""
        with self._lock:
            if self._notices.get(notice.topic) == notice:
                self._confirmed[notice.topic] = notice.payload

    def is_confirmed(self, topic: str, payload: bytes) -> bool:
        """Say whether the broker has this as the newest of a topic."""
        with self._lock:
            return self._confirmed.get(topic) == payload

    def forget(self, topic: str) -> None:
        """Tell a topic no more: it is over."""
        with self._lock:
            for known in (self._notices, self._untold, self._confirmed):
                known.pop(topic, None)

    def retire(self, below: str) -> None:
        """Have the broker forget every topic below one: nobody tells there any more."""
        with self._lock:
            topics = [topic for topic in self._notices if topic.startswith(f"{below}/")]
        for topic in topics:
            self.put(topic, b"")

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Call this after each change, on the thread that put it; it must not block."""
        with self._lock:
            self._on_change = on_change

    def unsubscribe(self, on_change: Callable[[], None]) -> None:
        """Call this no more; who subscribed since, in its place, is called on."""
        with self._lock:
            if self._on_change == on_change:
                self._on_change = _nobody


def _rank(topic: str) -> tuple[int, int]:
    """Sort availability first, and there the device's own before the cameras'.

    Then what is announced to a hub, then the state that it can make use of by now, pictures last.
    """
    order = {"availability": 0, "config": 1, "snapshot": 3}
    return order.get(topic.rpartition("/")[2], 2), topic.count("/")


def _nobody() -> None:
    """Stand in until somebody listens."""
