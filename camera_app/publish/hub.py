"""The thread between the hub and the camera: tells what there is, carries out what is asked.

It decides nothing about payloads, order or rights: `discovery.py`, `announcing.py` and
`commands.py` do. What a command does to the cameras is another's, too: a `Conduct`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from camera_app.clock import Clock, iso_utc, nanoseconds, seconds
from camera_app.config import HomeAssistantSettings
from camera_app.errors import CameraAppError, CommandRefused, StoreError
from camera_app.publish.announcing import FORGET, Announced, Step, announced_by, read_record, steps
from camera_app.publish.board import Notice, StateBoard
from camera_app.publish.commands import (
    PROFILE,
    Command,
    RateLimit,
    Result,
    command_of,
    result_message,
    target_of,
)
from camera_app.publish.discovery import Announcement
from camera_app.publish.incoming import Incoming
from camera_app.publish.settings import SETTINGS
from camera_app.publish.topics import Topics
from camera_app.store.small_files import read_small, write_small
from camera_app.threads import Worker

_log = logging.getLogger(__name__)

RECORD_NAME = "home_assistant.json"
RECORD_LIMIT_BYTES = 4_000_000
# Commands that wait; more than that within a moment is a flood, of which the newest are refused.
INBOX_LIMIT = 64
WAIT_S = 0.5  # while the broker has not confirmed all that was announced
IDLE_S = 5.0  # afterwards: whatever comes ends the wait
# A hub that restarts twice within this is told all once.
SHORTEST_DELAY_S = 1.0


class Conduct(Protocol):
    """Whoever does what is asked; called on the hub's thread."""

    def carry_out(self, command: Command) -> None:
        """Do it, or begin to.

        Raises:
            CameraAppError: It is not done, and why.
        """

    def state_of(self, camera: str, setting: str) -> str:
        """Return how a setting stands, as told on its topic; empty where there is none such.

        The camera is empty for the profile, which is the device's.
        """


class Voice(Protocol):
    """What is needed of the publisher."""

    def listen(self, topic_filter: str, listener: Callable[[Incoming], None]) -> None: ...

    def say(self, notice: Notice) -> None: ...


class Hub(Worker):
    """Announces the device, welcomes the hub, and obeys.

    Args:
        settings: How the hub is to learn of us.
        messages: What it is to know.
        topics: Names of the topics.
        cameras: Names of the cameras.
        conduct: Does what is asked.
        voice: The publisher; to be made before that starts.
        board: Where state is told.
        folder: Where the record of what was announced lies.
        clock: Time.
        random: 0.0 to 1.0, for the delay after the hub's birth.
    """

    def __init__(
        self,
        settings: HomeAssistantSettings,
        messages: Sequence[Announcement],
        *,
        topics: Topics,
        cameras: Collection[str],
        conduct: Conduct | None,
        voice: Voice,
        board: StateBoard,
        folder: Path,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        super().__init__("camera-app hub")
        self._settings = settings
        self._messages = tuple(messages)
        self._topics = topics
        self._cameras = frozenset(cameras)
        self._conduct = conduct
        self._voice = voice
        self._board = board
        self._record = folder / RECORD_NAME
        self._clock = clock
        self._random = random
        self._something = threading.Event()
        # Filled on the publisher's thread, emptied on ours.
        self._inbox: deque[Incoming] = deque()
        self._has_hub_come = threading.Event()
        # What is to be announced instead; put by any thread, taken by ours.
        self._instead: tuple[tuple[Announcement, ...], frozenset[str]] | None = None
        # Owned by this thread.
        self._steps: deque[Step] = deque()
        self._underway: Step = ()
        self._is_announced = False
        self._welcome_ns: int | None = None
        self._limit = RateLimit()
        if settings.discovery != "off":
            voice.listen(settings.birth_topic, self._note_birth)
        if conduct is not None:
            for topic_filter in topics.command_filters:
                voice.listen(topic_filter, self._note_command)

    def wake(self) -> None:
        self._something.set()

    def announce(self, messages: Sequence[Announcement], cameras: Collection[str]) -> None:
        """Announce this instead, and take commands to these cameras; any thread."""
        self._instead = (tuple(messages), frozenset(cameras))
        self.wake()

    def opened(self) -> None:
        self._begin_announcing()

    def _begin_announcing(self) -> None:
        self._tell_settings()
        before = self._known()
        after = announced_by(self._messages, self._topics.root)
        self._steps = deque(steps(before, self._messages, self._topics.root))
        self._underway = ()
        self._is_announced = False
        # From the first message on the hub may know both; a kill between finds them here.
        if before.joined(after) != before:
            self._remember(before.joined(after))

    def run_once(self) -> None:
        self._something.wait(self._wait_s())
        self._something.clear()
        self._take_instead()
        self._advance()
        self._welcome()
        while self._inbox and not self.stopping.is_set():
            self._obey(self._inbox.popleft())

    # On the publisher's thread

    def _note_birth(self, message: Incoming) -> None:
        if message.payload == b"online" and not message.is_retained:
            self._has_hub_come.set()
            self.wake()

    def _note_command(self, message: Incoming) -> None:
        if message.topic == self._topics.probe:
            return
        if len(self._inbox) < INBOX_LIMIT:
            self._inbox.append(message)
        else:
            _log.warning("too many commands at once; one on %r is passed over", message.topic[:80])
        self.wake()

    # Announcing

    def _take_instead(self) -> None:
        instead, self._instead = self._instead, None
        if instead is not None:
            self._messages, self._cameras = instead
            self._begin_announcing()

    def _advance(self) -> None:
        """Go on to the next step once the broker has all of this one."""
        while self._is_over(self._underway):
            for topic, payload in self._underway:
                if payload == FORGET:
                    self._board.forget(topic)
            if not self._steps:
                self._finish()
                return
            self._underway = self._steps.popleft()
            for topic, payload in self._underway:
                self._board.put(topic, payload)

    def _is_over(self, step: Step) -> bool:
        return all(self._board.is_confirmed(topic, payload) for topic, payload in step)

    def _finish(self) -> None:
        """Note once that the hub knows today's announcements and no others."""
        self._underway = ()
        if not self._is_announced:
            self._is_announced = True
            if self._known() != (now := announced_by(self._messages, self._topics.root)):
                self._remember(now)
            _log.debug("announced to the hub: %d messages", len(self._messages))

    def _known(self) -> Announced:
        """Return what the hub may know from earlier."""
        try:
            text = read_small(self._record, RECORD_LIMIT_BYTES)
            return Announced() if text is None else read_record(text)
        except (StoreError, ValueError) as error:
            # Then what is gone stays in the hub until its owner deletes it: a nuisance, no more.
            _log.warning("what was announced before is not known: %s", error)
            return Announced()

    def _remember(self, announced: Announced) -> None:
        try:
            write_small(self._record, announced.as_json())
        except StoreError as error:
            _log.warning("what is announced cannot be kept: %s", error)

    # The hub's birth

    def _welcome(self) -> None:
        """Tell a hub that has started everything, after a random while."""
        now_ns = self._clock.monotonic_ns()
        if self._has_hub_come.is_set():
            self._has_hub_come.clear()
            if self._welcome_ns is None:
                delay_s = max(SHORTEST_DELAY_S, self._random() * self._settings.birth_delay_s)
                self._welcome_ns = now_ns + nanoseconds(delay_s)
                _log.info("the hub has started; it is told everything in %.1f s", delay_s)
        if self._welcome_ns is not None and now_ns >= self._welcome_ns:
            self._welcome_ns = None
            self._board.tell_all()

    def _wait_s(self) -> float:
        if self._inbox or self._has_hub_come.is_set():
            return 0.0
        longest_s = IDLE_S if self._is_announced else WAIT_S
        if self._welcome_ns is None:
            return longest_s
        return min(longest_s, max(0.0, seconds(self._welcome_ns - self._clock.monotonic_ns())))

    # Commands

    def _obey(self, message: Incoming) -> None:
        """Carry a command out, and say what became of it."""
        assert self._conduct is not None, "nothing is heard without one"
        camera, name = target_of(message, self._topics)
        now_ns = self._clock.monotonic_ns()
        if not self._limit.allow(now_ns):
            if self._limit.is_first_refusal():
                self._answer(camera, name, "too many commands; try again later")
            return
        error = ""
        try:
            command = command_of(message, self._topics, self._cameras)
            if not command.is_setting:
                self._limit.check_request(command, now_ns)
            self._conduct.carry_out(command)
            _log.info("did what was asked over MQTT: %s %s %s", camera, name, command.text)
        except CameraAppError as failure:
            error = failure.what if isinstance(failure, CommandRefused) else str(failure)
            _log.info("did not do what was asked over MQTT: %s %s: %s", camera, name, error)
        if camera in self._cameras and name in SETTINGS:
            self._tell_setting(camera, name)
            self._tell_setting("", PROFILE)
        elif name == PROFILE:
            self._tell_settings()
        self._answer(camera, name, error)

    def _answer(self, camera: str, name: str, error: str) -> None:
        assert self._conduct is not None
        is_state = (camera in self._cameras and name in SETTINGS) or name == PROFILE
        result = Result(
            camera=camera,
            command=name,
            accepted=not error,
            state=self._conduct.state_of(camera, name) if is_state else "",
            error=error,
            at=iso_utc(self._clock.wall_ns()),
        )
        payload = result_message(result)
        self._voice.say(Notice(self._topics.result, payload, is_retained=False))

    def _tell_settings(self) -> None:
        for camera in self._cameras:
            for name in SETTINGS:
                self._tell_setting(camera, name)
        self._tell_setting("", PROFILE)

    def _tell_setting(self, camera: str, name: str) -> None:
        """Tell how a setting stands, if there is something to be set."""
        if self._conduct is None or not (state := self._conduct.state_of(camera, name)):
            return
        topic = self._topics.setting(camera, name) if camera else self._topics.profile
        self._board.put(topic, state.encode())
