"""Follows every stream below a base topic, and asks the cameras for what it missed.

One thread: it turns the client's crank, hands lines to the sink, saves its place, and only then
acknowledges. What is cut off in between comes again and is seen to be a copy, or is asked for.
"""

from __future__ import annotations

import json
import logging
import random
import threading
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from camera_app.capture.backoff import BackOff
from camera_app.clock import Clock, nanoseconds, seconds
from camera_app.errors import BrokerRefused, BrokerUnreachable, PublishError
from camera_app.subscriber.connection import CONNECT_TIMEOUT_S, BrokerAddress, connect, new_client
from camera_app.subscriber.place import Stream, Told
from camera_app.subscriber.sinks import ForwardSink, Sink
from camera_app.subscriber.state import State, load_state, save_state
from camera_app.threads import Deadline

_log = logging.getLogger(__name__)

TICK_S = 0.2
# A camera that does not answer in this time is asked again: it was away, or the answer got lost.
ANSWER_LIMIT_S = 10.0
# Lines a round at most; the place is saved once a round.
ROUND_LIMIT = 500
ASK_LIMIT = 1000
# Numbers that a member of a group remembers of each stream, to know a copy.
GROUP_MEMORY = 10_000
_REFUSED_FROM = 0x80


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a subscriber is to follow, and how.

    Attributes:
        base_topic: First part of the cameras' topics.
        device: Only this device; `+`: all.
        camera: Only cameras of this name; `+`: all.
        from_start: A stream that is new to us is told from the first change the camera still has;
            otherwise from now on.
        group: Share the work with others of the group; empty: do all of it.
        is_once: End when nothing is missing.
    """

    base_topic: str = "camera_app"
    device: str = "+"
    camera: str = "+"
    from_start: bool = False
    group: str = ""
    is_once: bool = False


@dataclass(frozen=True, slots=True)
class SubscriberStats:
    """What a subscriber has done so far.

    Attributes:
        given: Lines handed to the sink.
        copies: Messages that came again and were dropped.
        missing: Changes that gaps stand for: nobody can tell them any more.
        asked: Requests for what was missed.
    """

    given: int
    copies: int
    missing: int
    asked: int


@dataclass(slots=True)
class _Followed:
    """One stream, and what is being asked about it.

    Attributes:
        stream: Where we are; None: not known yet, the camera is asked.
        asked_ns: When the request that is not answered yet was sent; None: none is.
        asked_after_seq: What that request said we have.
        is_current: The camera has told on this connection how far the stream reaches.
    """

    stream: Stream | None
    asked_ns: int | None = None
    asked_after_seq: int = 0
    is_current: bool = False


class Subscriber:
    """Follows, until it is told to stop; everything on the thread that calls `run`.

    Args:
        address: The broker.
        wishes: What to follow.
        sink: Where lines go.
        state_file: Keeps the place.
        clock: Time.
        back_off: Pauses between attempts to connect.
    """

    def __init__(
        self,
        address: BrokerAddress,
        wishes: Wishes,
        sink: Sink,
        state_file: Path,
        clock: Clock,
        back_off: BackOff | None = None,
    ) -> None:
        self._address = address
        self._wishes = wishes
        self._sink = sink
        self._state_file = state_file
        self._clock = clock
        self._back_off = back_off or BackOff(random=random.random)
        self._state = State("")
        self._streams: dict[str, _Followed] = {}  # by `device/camera`
        self._seen: dict[str, deque[int]] = {}  # of a group's member: numbers, by stream
        self._arrived: deque[paho.MQTTMessage] = deque()  # bounded by our Receive Maximum
        self._lines: list[str] = []  # to be given out this round
        self._end: PublishError | None = None
        self._is_greeted = False
        self._quiet_since_ns: int | None = None
        self._given = self._asked = self._group_copies = 0

    @property
    def stats(self) -> SubscriberStats:
        streams = [followed.stream for followed in self._streams.values() if followed.stream]
        return SubscriberStats(
            given=self._given,
            copies=self._group_copies + sum(stream.copies for stream in streams),
            missing=sum(stream.missing_told for stream in streams),
            asked=self._asked,
        )

    def run(self, stopping: threading.Event) -> None:
        """Follow until told to stop, or, if only once, until nothing is missing.

        Raises:
            UsageError: The state or the sink cannot be read or written.
            BrokerRefused: The broker does not let us in.
        """
        self._state = load_state(self._state_file)
        self._streams = {
            name: _Followed(Stream(seq)) for name, seq in self._state.through_seq.items()
        }
        position = self._sink.open(self._state.out_bytes)
        self._state = replace(self._state, out_bytes=position)
        save_state(self._state_file, self._state)
        try:
            while not stopping.is_set():
                began_ns = self._clock.monotonic_ns()
                try:
                    if self._follow(stopping):
                        return
                except BrokerUnreachable as error:
                    _log.warning("%s", error)
                    worked_s = seconds(self._clock.monotonic_ns() - began_ns)
                    stopping.wait(self._back_off.after(worked_s))
        finally:
            self._sink.close()

    # One connection

    def _follow(self, stopping: threading.Event) -> bool:
        """Follow on one connection; return whether all is done."""
        client = self._new_client()
        try:
            connect(client, self._address)
            self._await_greeting(client, stopping)
            while not stopping.is_set():
                self._listen(client)
                self._take_round(client)
                self._raise_if_over(client)
                self._ask_where_needed(client)
                if self._wishes.is_once and self._is_done():
                    return True
            return True
        finally:
            if isinstance(self._sink, ForwardSink):
                self._sink.client = None
            client.disconnect()
            client.loop(0)

    def _new_client(self) -> paho.Client:
        client = new_client(self._address, self._state.client_id)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        self._end, self._is_greeted = None, False
        self._arrived.clear()
        for followed in self._streams.values():
            followed.asked_ns, followed.is_current = None, False
        if isinstance(self._sink, ForwardSink):
            self._sink.client = client
        return client

    def _await_greeting(self, client: paho.Client, stopping: threading.Event) -> None:
        deadline = Deadline(CONNECT_TIMEOUT_S)
        while not self._is_greeted and not stopping.is_set():
            client.loop(TICK_S)
            self._raise_if_over(client)
            if deadline.is_over:
                raise BrokerUnreachable("the broker says nothing", where=self._address.where)
        for topic in self._topics():
            client.subscribe(topic, qos=1)

    def _topics(self) -> list[str]:
        wishes = self._wishes
        root = f"{wishes.base_topic}/{wishes.device}"
        ledger = f"{root}/{wishes.camera}/event"
        if wishes.group:
            return [f"$share/{wishes.group}/{ledger}"]
        # Retained: from it we know the streams that tell nothing just now.
        known = f"{root}/{wishes.camera}/availability"
        return [ledger, f"{root}/events/answer/{self._state.client_id}", known]

    def _raise_if_over(self, client: paho.Client) -> None:
        if self._end is not None:
            raise self._end
        if client.socket() is None:
            raise BrokerUnreachable("the connection was lost", where=self._address.where)

    def _listen(self, client: paho.Client) -> None:
        """Wait for a message, and read what else has come with it: a round is saved as one."""
        client.loop(TICK_S)
        count = 0
        while count < len(self._arrived) < ROUND_LIMIT:
            count = len(self._arrived)
            client.loop(0)

    # What has come

    def _take_round(self, client: paho.Client) -> None:
        """Give out what has come, save the place, then acknowledge: in this order."""
        while self._arrived:
            round_size = min(len(self._arrived), ROUND_LIMIT)
            messages = [self._arrived.popleft() for _ in range(round_size)]
            for message in messages:
                self._take(message)
            self._give_out()
            for message in messages:
                client.ack(message.mid, message.qos)
        self._give_out()  # what a connection that broke had left

    def _take(self, message: paho.MQTTMessage) -> None:
        device, *rest = message.topic.removeprefix(f"{self._wishes.base_topic}/").split("/")
        payload = bytes(message.payload)
        match rest:
            case [camera, "event"]:
                self._take_record(f"{device}/{camera}", payload)
            case ["events", "answer", _]:
                self._take_page(device, payload)
            case [camera, "availability"]:
                self._take_availability(f"{device}/{camera}", payload)

    def _take_record(self, name: str, payload: bytes) -> None:
        try:
            told = Told.of(json.loads(payload))
        except ValueError as error:
            _log.warning("%s: passed over: %s", name, error)
            return
        if self._wishes.group:
            self._take_for_group(name, told)
            return
        followed = self._streams.setdefault(name, _Followed(None))
        if followed.stream is None:
            before = 0 if self._wishes.from_start else told.from_seq - 1
            followed.stream = Stream(before)
        self._lines += [one.line for one in followed.stream.take(told)]

    def _take_for_group(self, name: str, told: Told) -> None:
        seen = self._seen.setdefault(name, deque(maxlen=GROUP_MEMORY))
        if told.to_seq in seen:
            self._group_copies += 1
            return
        seen.append(told.to_seq)
        self._lines.append(told.line)

    def _take_availability(self, name: str, payload: bytes) -> None:
        """Learn of a stream; one that comes back is asked again where it stands.

        It may have missed our request, or come back with a new ledger.
        """
        followed = self._streams.setdefault(name, _Followed(None))
        if payload == b"online":
            followed.asked_ns, followed.is_current = None, False

    def _take_page(self, device: str, payload: bytes) -> None:
        try:
            page = json.loads(payload)
            name = f"{device}/{page['camera']}"
            newest_seq, is_last = int(page["newest_seq"]), bool(page["is_last"])
            told = [Told.of(record) for record in page["changes"]]
            problem = str(page["error"])
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("%s: an answer that is none: %r", device, error)
            return
        followed = self._streams.get(name)
        if problem:
            _log.warning("%s does not answer: %s", device, problem)
        elif followed is not None:
            self._follow_page(name, followed, told, newest_seq, is_last=is_last)

    def _follow_page(
        self, name: str, followed: _Followed, told: list[Told], newest_seq: int, *, is_last: bool
    ) -> None:
        if followed.stream is None:
            followed.stream = Stream(0 if self._wishes.from_start else newest_seq)
        stream = followed.stream
        if newest_seq < followed.asked_after_seq:
            _log.warning("%s counts from 1 again: its ledger was begun anew", name)
            stream.begin_anew()
        for one in told:
            self._lines += [new.line for new in stream.take(one)]
        stream.note_newest(newest_seq)
        if is_last:
            followed.asked_ns = None
            followed.is_current = True

    def _give_out(self) -> None:
        through = {
            name: followed.stream.through_seq
            for name, followed in self._streams.items()
            if followed.stream is not None
        }
        if not self._lines and through == self._state.through_seq:
            return
        position = self._state.out_bytes
        if self._lines:
            position = self._sink.write(self._lines)
            self._given += len(self._lines)
            self._lines = []
        state = replace(self._state, through_seq=through, out_bytes=position)
        save_state(self._state_file, state)
        self._state = state

    # Asking

    def _ask_where_needed(self, client: paho.Client) -> None:
        if self._wishes.group:
            return
        now_ns = self._clock.monotonic_ns()
        for name, followed in self._streams.items():
            is_asked = followed.asked_ns is not None and now_ns - followed.asked_ns < nanoseconds(
                ANSWER_LIMIT_S
            )
            stream = followed.stream
            is_needed = stream is None or stream.is_behind or not followed.is_current
            if is_needed and not is_asked:
                self._ask(client, name, followed, now_ns)

    def _ask(self, client: paho.Client, name: str, followed: _Followed, now_ns: int) -> None:
        device, _, camera = name.partition("/")
        root = f"{self._wishes.base_topic}/{device}/events"
        after_seq = 0 if followed.stream is None else followed.stream.through_seq
        is_place_wanted = followed.stream is None and not self._wishes.from_start
        request = {
            "camera": camera,
            "after_seq": after_seq,
            "limit": 0 if is_place_wanted else ASK_LIMIT,
        }
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = f"{root}/answer/{self._state.client_id}"
        client.publish(f"{root}/request", json.dumps(request), qos=1, properties=properties)
        followed.asked_ns, followed.asked_after_seq = now_ns, after_seq
        self._asked += 1

    def _is_done(self) -> bool:
        """Say whether every stream that is known is complete, and no other came for a moment."""
        now_ns = self._clock.monotonic_ns()
        is_complete = bool(self._streams) and all(
            followed.is_current and followed.stream is not None and not followed.stream.is_behind
            for followed in self._streams.values()
        )
        if not is_complete or self._quiet_since_ns is None:
            self._quiet_since_ns = now_ns if is_complete else None
            return False
        return now_ns - self._quiet_since_ns >= nanoseconds(2 * TICK_S)

    # What paho calls, on our thread

    def _on_connect(
        self,
        _client: paho.Client,
        _userdata: Any,
        _flags: paho.ConnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if code.value >= _REFUSED_FROM:
            remedy = "Check user name, password file and the broker's access list"
            what = f"the broker does not let us in: {code}"
            self._end = BrokerRefused(what, where=self._address.where, remedy=remedy)
        self._is_greeted = code.value < _REFUSED_FROM

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: Any,
        _flags: paho.DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self._end is None:
            where = self._address.where
            self._end = BrokerUnreachable(f"the connection has ended: {code}", where=where)

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        self._arrived.append(message)
