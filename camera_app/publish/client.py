"""The publisher: the thread that drains the outbox, tells fresh changes and keeps state told.

It decides nothing about order, versions or pauses: `window.py`, `protocol.py` and the back-off
do. It moves no bytes itself: `link.py` does.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from camera_app.capture.backoff import BackOff
from camera_app.clock import NS_PER_S, Clock, nanoseconds, seconds
from camera_app.config import MqttSettings
from camera_app.errors import BrokerRefused, BrokerUnreachable, PublishError, StoreError
from camera_app.histogram import DELIVERY_BOUNDS_S, Distribution, Histogram
from camera_app.logs import redact
from camera_app.publish.answers import UNSUPPORTED_VERSION, is_success, refusal
from camera_app.publish.board import Notice, StateBoard
from camera_app.publish.catch_up import CatchUp
from camera_app.publish.incoming import Incoming, matches
from camera_app.publish.link import CONNECT_TIMEOUT_S, Answer, Link, Packable
from camera_app.publish.payloads import availability_message, ledger_message
from camera_app.publish.properties import EventProperties
from camera_app.publish.protocol import ProtocolChoice
from camera_app.publish.refusals import Refusals
from camera_app.publish.security import unencrypted_password_warning
from camera_app.publish.topics import Topics
from camera_app.publish.waker import Waker
from camera_app.publish.window import Window
from camera_app.store import TRUSTED_FROM_NS, CommittedChange, EventStore, Outbox, refused_gap
from camera_app.threads import Deadline, Worker

_log = logging.getLogger(__name__)

PublisherState = Literal["stopped", "connecting", "connected", "unreachable", "refused"]

# Read from the outbox at a time: enough to fill a window, little enough to hold.
READ_AHEAD = 256
# A window is sent in so many parts: the broker works on one while the next is made.
BURSTS_A_WINDOW = 4
# Fresh changes that wait for a connection; older ones are told on the ledger's topic only.
FRESH_LIMIT = 256
# Acknowledged rows that the store has not taken out yet; with a full disk they would pile up.
SETTLING_LIMIT = 5000
# How often to look whether the store has caught up, of which it does not tell.
TICK_S = 1.0
# All else wakes the thread; so often it looks anyway, and gives the sign of life that it owes.
IDLE_S = 20.0
# A broker may answer pings and yet acknowledge nothing; then another connection is tried.
ACKNOWLEDGE_LIMIT_S = 30.0
GOODBYE_LIMIT_S = 1.5
# To look up a name may take so long where the network is half there; that is no hang.
ATTEMPT_LIMIT_S = 120.0
# Pages are long; with more of them before it, what is fresh would wait for a slow network.
PAGES_ON_THE_WAY = 1
PACKET_TOO_LARGE = 0x95
# Answers that wait to be told; the connection that their question came on ends with them.
SAID_LIMIT = 256

# Called with what came, on the publisher's thread; must not block.
Listener = Callable[[Incoming], None]


@dataclass(frozen=True, slots=True)
class PublisherStats:
    """How the publisher does.

    Attributes:
        state: `connected`; `connecting`; `unreachable`, tried again soon; `refused`, the owner
            has to mend something, tried again seldom; `stopped`.
        is_connected: The broker has accepted us.
        protocol: Version of MQTT that is spoken or tried; `3.1.1` under `auto` is the fallback.
        sent: Ledger messages handed to the network, those sent again included.
        acknowledged: Ledger messages that the broker has.
        refused: Answers of the broker that it does not take a message.
        given_up: Changes that it never takes; a gap was told in the place of each.
        in_flight: Ledger messages sent and not answered.
        connects: Connections that the broker accepted.
        reconnects: Connections that were lost.
        last_error: What went wrong last and what to do about it; empty: nothing yet.
        warning: What the owner should know about the settings; empty: nothing.
        lag: From commit to acknowledgement, in seconds; without changes whose date is not known.
    """

    state: PublisherState
    is_connected: bool
    protocol: str
    sent: int
    acknowledged: int
    refused: int
    given_up: int
    in_flight: int
    connects: int
    reconnects: int
    last_error: str
    warning: str
    lag: Distribution = field(default_factory=Distribution)


def client_id_of(settings: MqttSettings, device_id: str) -> str:
    """Return the client id of the service."""
    return settings.client_id or f"camera_app-{device_id}"


class Publisher(Worker):
    """Tells the broker what the store holds: a part that is started and stopped.

    Only its own thread touches the fields below, but `_fresh` and `_has_more`, which the store's
    writer adds to, and `_said`, which any thread adds to; a reader of `stats` may see a number that
    is one behind.
    """

    def __init__(
        self,
        settings: MqttSettings,
        device_id: str,
        store: EventStore,
        board: StateBoard,
        clock: Clock,
        *,
        back_off: BackOff | None = None,
        acknowledge_limit_s: float = ACKNOWLEDGE_LIMIT_S,
    ) -> None:
        """Remember what to use, and listen to the store: what is fresh is not in the outbox."""
        super().__init__("camera-app publisher")
        self._settings = settings
        self._device_id = device_id
        self._store = store
        self._board = board
        self._clock = clock
        self._back_off = back_off or BackOff(random=random.random)
        self._acknowledge_limit_ns = nanoseconds(acknowledge_limit_s)
        self._now_max_age_ns = nanoseconds(settings.now_max_age_s)
        self._expiry_ns = nanoseconds(store.max_age_s)
        self._topics = Topics(settings.base_topic, device_id)
        self._warning = unencrypted_password_warning(settings)
        self._protocol = ProtocolChoice(settings.protocol)
        self._event_topics: dict[str, str] = {}  # by camera: made once, not once a message
        self._outbox = Outbox(store.path)
        self._waker = Waker()
        # With the monotonic time of their commit.
        self._fresh: deque[tuple[int, CommittedChange]] = deque(maxlen=FRESH_LIMIT)
        self._has_more = True
        self._said: deque[tuple[Notice, Packable | None]] = deque(maxlen=SAID_LIMIT)
        self._listeners: dict[str, Listener] = {}  # by filter; not changed after `start`
        self._catch_up = CatchUp(store.path, device_id, self._topics)
        self._listeners[self._topics.request] = self._catch_up.take
        self._link: Link | None = None
        self._window = Window(settings.window)
        self._refusals = Refusals()
        self._instead: dict[int, CommittedChange] = {}  # row that was given up -> its gap
        self._refused_rows: dict[int, CommittedChange] = {}  # by row; since the last restart
        self._read: deque[CommittedChange] = deque()  # from the outbox, not yet sent
        self._rows: dict[int, CommittedChange] = {}  # message id -> ledger row in flight
        self._notices: dict[int, Notice] = {}  # message id -> state in flight
        self._pages: set[int] = set()  # message ids, of those, that are pages of the ledger
        self._state: PublisherState = "stopped"
        self._sent = self._acknowledged = self._refused = self._given_up = 0
        self._connects = self._reconnects = 0
        self._lag = Histogram(DELIVERY_BOUNDS_S)
        self._last_error = ""
        self._connected_ns = 0
        self._progress_ns = 0  # when the broker last answered, or had nothing to answer
        self._resume_ns: int | None = None  # when to send again after a refusal
        store.add_listener(self._on_commit)

    def stats(self) -> PublisherStats:
        """Return how the publisher does now."""
        return PublisherStats(
            state=self._state,
            is_connected=self._state == "connected",
            protocol=self._protocol.version,
            sent=self._sent,
            acknowledged=self._acknowledged,
            refused=self._refused,
            given_up=self._given_up,
            in_flight=len(self._window),
            connects=self._connects,
            reconnects=self._reconnects,
            last_error=self._last_error,
            warning=self._warning,
            lag=self._lag.distribution(),
        )

    def listen(self, topic_filter: str, listener: Listener) -> None:
        """Hand on what others say under a filter; to be called before `start`."""
        self._listeners[topic_filter] = listener

    def detach(self) -> None:
        """Listen to the store no more: another publisher takes over."""
        self._store.remove_listener(self._on_commit)

    def say(self, notice: Notice, properties: Packable | None = None) -> None:
        """Tell something once, such as an answer, at the connection that stands; any thread.

        It is not kept for another connection. Over `SAID_LIMIT` the oldest go.
        """
        self._said.append((notice, properties))
        self._waker.wake()

    def wait_drained(self, timeout_s: float) -> bool:
        """Wait until the broker has everything that was committed; return whether it has."""
        return self._store.wait_drained(timeout_s)

    # The thread

    def wake(self) -> None:
        self._waker.wake()

    def opened(self) -> None:
        if self._warning:
            _log.warning("%s", self._warning)
        self._waker.open()
        self._board.subscribe(self._waker.wake)
        self._board.put(self._topics.availability, availability_message(True))

    def run_once(self) -> None:
        try:
            if self._link is None:
                self._connect()
            else:
                self._serve(self._link)
        except BaseException:
            self._link = None  # a bug, which Worker logs; the next round begins from the start
            raise

    def closed(self) -> None:
        link, self._link = self._link, None
        if link is not None and link.is_greeted:
            self._say_goodbye(link)
        self._board.unsubscribe(self._waker.wake)
        self._waker.close()
        self._outbox.close()
        self._catch_up.close()
        self._state = "stopped"

    def _on_commit(self, changes: Sequence[CommittedChange]) -> None:
        """Note fresh changes: on the thread of the store's writer."""
        now_ns = self._clock.monotonic_ns()
        self._fresh.extend((now_ns, change) for change in changes)
        self._has_more = True
        self._waker.wake()

    # Connecting

    def _connect(self) -> None:
        self.promise(ATTEMPT_LIMIT_S)
        self._state = "connecting" if self._state == "stopped" else self._state
        link = Link(
            self._settings,
            client_id_of(self._settings, self._device_id),
            self._will,
            self._protocol.version,
            self._waker,
        )
        try:
            link.open()
            self._await_greeting(link)
        except PublishError as error:
            self._handle_failed_attempt(link, error)
        else:
            self._begin(link)

    @property
    def _will(self) -> Notice:
        return Notice(self._topics.availability, availability_message(False))

    def _await_greeting(self, link: Link) -> None:
        deadline = Deadline(CONNECT_TIMEOUT_S)
        while not link.is_greeted and not self.stopping.is_set():
            link.pump(min(TICK_S, deadline.remaining_s()))
            if link.end is not None:
                raise link.end
            if deadline.is_over:
                raise BrokerUnreachable(
                    "the broker takes the connection and says nothing", where=link.where
                )

    def _handle_failed_attempt(self, link: Link, error: PublishError) -> None:
        may_be_version = link.refused_code in (0, UNSUPPORTED_VERSION) and link.was_opened
        link.close()
        if may_be_version and self._protocol.fall_back():
            _log.info("%s; trying MQTT 3.1.1", error)
            return
        self._protocol.start_over()
        self._pause_after(error, worked_s=0.0)

    def _begin(self, link: Link) -> None:
        self._link = link
        self._connects += 1
        self._connected_ns = self._progress_ns = self._clock.monotonic_ns()
        self._state = "connected"
        _log.info("connected to %s, MQTT %s", link.where, link.version)
        self._notices.clear()
        self._pages.clear()
        self._said.clear()
        self._catch_up.forget()
        self._restart()
        link.subscribe(self._listeners)
        self._board.tell_all()

    def _restart(self) -> None:
        """Send again from the last settled row on, less what is given up by now."""
        for row, code in self._refusals.end_round().items():
            self._give_up(self._refused_rows[row], code)
        self._refused_rows.clear()
        limit = self._settings.window if self._link is None else self._limit(self._link)
        self._window.restart(limit)
        self._rows.clear()
        self._read.clear()
        self._has_more = True
        self._resume_ns = None

    def _limit(self, link: Link) -> int:
        """Return how many messages may be unanswered; a row under suspicion is sent alone."""
        is_alone = self._refusals.suspect is not None
        return 1 if is_alone else min(self._settings.window, link.receive_maximum)

    def _lose(self, error: PublishError) -> None:
        code = 0 if self._link is None else self._link.end_code
        on_the_way = {change.row: change for change in self._rows.values()}
        now_ns = self._clock.monotonic_ns()
        given_up = self._refusals.lose(self._window.unanswered, code, now_ns)
        for row, last_code in given_up.items():
            self._give_up(on_the_way[row], last_code)
        self._link = None
        self._reconnects += 1
        self._protocol.start_over()
        worked_s = seconds(self._clock.monotonic_ns() - self._connected_ns)
        self._pause_after(error, worked_s)

    def _pause_after(self, error: PublishError, worked_s: float) -> None:
        """Tell what is wrong, and wait; an owner's mistake is not tried again at once."""
        is_refused = isinstance(error, BrokerRefused)
        state: PublisherState = "refused" if is_refused else "unreachable"
        self._note(error, is_new=state != self._state or str(error) != self._last_error)
        self._state = state
        pause_s = self._back_off.longest() if is_refused else self._back_off.after(worked_s)
        self.rest(pause_s)

    def _note(self, error: Exception, *, is_new: bool) -> None:
        """Keep an error for `stats`; the log has it once, and not once an attempt."""
        self._last_error = redact(str(error))
        if is_new:
            _log.warning("%s", error)

    # Serving a connection

    def _serve(self, link: Link) -> None:
        self._send_notices(link)
        self._send_said(link)
        self._send_fresh(link)
        self._send_page(link)
        is_more_to_send = self._send_ledger(link) or self._may_send_page(link)
        self._take(link.pump(0.0 if is_more_to_send else self._wait_s()))
        self._hand_on(link)
        self._check(link)

    def _send_said(self, link: Link) -> None:
        while self._said and self._room(link) > 0:
            notice, properties = self._said.popleft()
            self._send_notice(link, notice, properties)

    def _hand_on(self, link: Link) -> None:
        for message in link.take_incoming():
            for topic_filter, listener in self._listeners.items():
                if matches(topic_filter, message.topic):
                    listener(message)
        for topic_filter, code in link.take_refused_filters():
            self._note_refusal(code, topic_filter)

    def _send_notices(self, link: Link) -> None:
        while self._room(link) > 0:
            notice = self._board.take()
            if notice is None:
                return
            if not link.takes(notice):
                self._note_refusal(PACKET_TOO_LARGE, notice.topic)
                continue
            self._send_notice(link, notice)

    def _send_notice(self, link: Link, notice: Notice, properties: Packable | None = None) -> int:
        """Send what is no row of the ledger; return its message id."""
        message_id = link.send(notice, properties)
        if notice.qos:
            self._note_question()
            self._notices[message_id] = notice
        return message_id

    def _note_question(self) -> None:
        """Count the broker's silence from now on, if it had nothing to answer before."""
        if not self._rows and not self._notices:
            self._progress_ns = self._clock.monotonic_ns()

    def _room(self, link: Link) -> int:
        """Return how many messages the broker takes now, of whatever kind."""
        return self._limit(link) - len(self._window) - len(self._notices)

    def _send_fresh(self, link: Link) -> None:
        """Tell what happened just now to automations, past any backlog."""
        while self._fresh:
            committed_ns, change = self._fresh.popleft()
            left_ns = self._now_max_age_ns - self._age_ns(committed_ns, change)
            if left_ns >= 0:
                payload = self._message(change, is_delayed=False)
                notice = Notice(self._topics.now(change.camera), payload, is_retained=False, qos=0)
                expiry_s = -(-left_ns // NS_PER_S)
                link.send(notice, EventProperties(change.seq, change.event_id, expiry_s))
                link.flush()  # before the ledger is read, which asks the database

    def _send_page(self, link: Link) -> None:
        """Answer one page of what somebody missed, in turn with the backlog."""
        if not self._may_send_page(link):
            return
        page = self._catch_up.next_page(link.maximum_packet_bytes)
        if page is not None:
            self._pages.add(self._send_notice(link, page.notice, page.properties))

    def _may_send_page(self, link: Link) -> bool:
        is_room = self._room(link) > 0 and len(self._pages) < PAGES_ON_THE_WAY
        return is_room and self._catch_up.has_work

    def _age_ns(self, committed_ns: int, change: CommittedChange) -> int:
        """Return how long ago a change of this run happened, wherever the wall clock is put."""
        before_commit_ns = max(0, change.committed_wall_ns - change.at_wall_ns)
        return before_commit_ns + self._clock.monotonic_ns() - committed_ns

    def _send_ledger(self, link: Link) -> bool:
        """Send a burst of the backlog; return whether there is room and cause for another."""
        room = min(self._window.room, self._room(link))
        burst = min(room, max(1, self._limit(link) // BURSTS_A_WINDOW))
        for _ in range(burst):
            change = self._next()
            if change is None:
                return False
            self._send_change(link, change)
        return room > burst

    def _send_change(self, link: Link, change: CommittedChange) -> None:
        age_ns = self._clock.wall_ns() - change.at_wall_ns
        notice = self._ledger_notice(change, age_ns)
        is_too_large = not link.takes(notice)
        if is_too_large and self._takes_a_later_one(link, change.camera):
            self._give_up(change, PACKET_TOO_LARGE)
            notice = self._ledger_notice(change, age_ns)
            is_too_large = not link.takes(notice)
        self._note_question()
        self._window.offer(change.row)
        if is_too_large:
            self._refuse(change, PACKET_TOO_LARGE)
            return
        expiry_s = (self._expiry_ns - age_ns) // NS_PER_S
        properties = EventProperties(change.seq, change.event_id, expiry_s)
        self._rows[link.send(notice, properties)] = change
        self._sent += 1

    def _ledger_notice(self, change: CommittedChange, age_ns: int) -> Notice:
        """Return what is told of a row: the change, or the gap in its place.

        It is late if it is old; or from the future, where the clock was put back.
        """
        told = self._instead.get(change.row, change) if self._instead else change
        payload = self._message(told, is_delayed=abs(age_ns) > self._now_max_age_ns)
        return Notice(self._event_topic(change.camera), payload, is_retained=False)

    def _takes_a_later_one(self, link: Link, camera: str) -> bool:
        """Say whether the broker's limit is for some; where it is for all, the owner mends it."""
        later = (change for change in self._read if change.camera == camera)
        return any(link.takes(self._ledger_notice(change, 0)) for change in later)

    def _event_topic(self, camera: str) -> str:
        topic = self._event_topics.get(camera)
        if topic is None:
            topic = self._event_topics[camera] = self._topics.event(camera)
        return topic

    def _message(self, change: CommittedChange, *, is_delayed: bool) -> bytes:
        return ledger_message(change, device_id=self._device_id, is_delayed=is_delayed)

    def _next(self) -> CommittedChange | None:
        if not self._read and self._has_more and self._store.settling() < SETTLING_LIMIT:
            self._read_ahead()
        return self._read.popleft() if self._read else None

    def _read_ahead(self) -> None:
        self._has_more = False  # before reading: a commit meanwhile sets it again
        after_row = self._window.last_offered
        try:
            found = self._outbox.pending(after_row, READ_AHEAD)
        except StoreError as error:
            self._note(error, is_new=str(error) != self._last_error)
            self._resume_ns = self._clock.monotonic_ns() + nanoseconds(self._back_off.longest())
            return
        self._read.extend(found)
        self._has_more = self._has_more or len(found) == READ_AHEAD

    def _take(self, answers: Sequence[Answer]) -> None:
        if answers:
            self._progress_ns = self._clock.monotonic_ns()
        settled: list[int] = []
        for answer in answers:
            change = self._rows.pop(answer.message_id, None)
            if change is None:
                self._take_for_notice(answer)
            elif is_success(answer.code):
                self._acknowledged += 1
                self._note_lag(change)
                if self._refusals.take(change.row, change.camera) and self._link is not None:
                    self._window.widen(self._limit(self._link))
                settled += self._window.settle(change.row)
            else:
                self._refuse(change, answer.code)
        if settled:
            self._store.settle(settled)
            for row in self._instead.keys() & settled:
                del self._instead[row]

    def _note_lag(self, change: CommittedChange) -> None:
        """Count how long a change took, if the date was known when it was committed."""
        if change.committed_wall_ns >= TRUSTED_FROM_NS:
            # Never negative: the wall clock may have been put back since.
            lag_ns = max(0, self._clock.wall_ns() - change.committed_wall_ns)
            self._lag.observe(seconds(lag_ns))

    def _take_for_notice(self, answer: Answer) -> None:
        notice = self._notices.pop(answer.message_id, None)
        self._pages.discard(answer.message_id)
        if notice is not None and is_success(answer.code):
            self._board.confirm(notice)
        elif notice is not None:
            self._refused += 1
            self._note_refusal(answer.code, notice.topic)

    def _refuse(self, change: CommittedChange, code: int) -> None:
        """Keep a row that the broker did not take, and begin again from it after a pause."""
        self._refused += 1
        self._window.refuse(change.row)
        self._refused_rows[change.row] = change
        self._refusals.refuse(change.row, change.camera, code)
        self._note_refusal(code, self._event_topic(change.camera))
        if self._resume_ns is None:
            pause_s = self._back_off.after(0.0)
            self._resume_ns = self._clock.monotonic_ns() + nanoseconds(pause_s)

    def _give_up(self, change: CommittedChange, code: int) -> None:
        """Tell a gap from now on in the place of a row, as the broker never takes it."""
        if change.row in self._instead:
            return  # the gap itself is refused: then all is, and waits for the owner
        self._instead[change.row] = refused_gap(change, self._clock.wall_ns())
        self._given_up += 1
        self._store.refuse(change.row, code)
        error = refusal(code, self._event_topic(change.camera))
        self._note(error, is_new=True)
        _log.error("the broker never takes change %d; a gap is told in its place", change.seq)

    def _note_refusal(self, code: int, topic: str) -> None:
        error = refusal(code, topic)
        self._note(error, is_new=str(error) != self._last_error)

    def _check(self, link: Link) -> None:
        now_ns = self._clock.monotonic_ns()
        if link.end is not None:
            self._lose(link.end)
        elif self._is_stalled(now_ns):
            link.close()
            what = "the broker acknowledges nothing any more"
            self._lose(BrokerUnreachable(what, where=link.where))
        elif self._resume_ns is not None and now_ns >= self._resume_ns and not self._rows:
            self._restart()

    def _is_stalled(self, now_ns: int) -> bool:
        is_waiting = bool(self._rows or self._notices)
        return is_waiting and now_ns - self._progress_ns > self._acknowledge_limit_ns

    def _wait_s(self) -> float:
        """Return how long to wait for the broker, or to be woken, when there is nothing to send."""
        dues_ns = []
        if self._rows or self._notices:
            dues_ns.append(self._progress_ns + self._acknowledge_limit_ns + 1)
        if self._resume_ns is not None and not self._rows:  # else their answers come first
            dues_ns.append(self._resume_ns)
        longest_s = TICK_S if self._has_more else IDLE_S
        now_ns = self._clock.monotonic_ns()
        return min([longest_s, *(max(0.0, seconds(due_ns - now_ns)) for due_ns in dues_ns)])

    # Stopping

    def _say_goodbye(self, link: Link) -> None:
        """Take the last acknowledgements, say that we are offline, and hang up."""
        deadline = Deadline(GOODBYE_LIMIT_S)
        self._send_notices(link)  # other parts said their last on the board
        goodbye = link.send(self._will)
        self._notices[goodbye] = self._will
        while (self._notices or self._rows) and link.end is None and not deadline.is_over:
            self._take(link.pump(min(TICK_S, deadline.remaining_s())))
        link.close()
