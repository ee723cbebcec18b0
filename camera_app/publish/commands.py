"""What is asked of the camera over MQTT: read, checked, and answered. Pure.

Nothing that comes from outside goes further than through here: it is the name of a setting or
request that we know, and a short text that is ON, OFF, PRESS, a number, a name, or a place
of an Edge TPU.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from camera_app.clock import nanoseconds, seconds
from camera_app.errors import CommandRefused
from camera_app.inference.edgetpu import PLACE_PATTERN
from camera_app.publish.incoming import Incoming
from camera_app.publish.settings import SETTINGS
from camera_app.publish.topics import Topics

RESULT_SCHEMA = 1
PAYLOAD_LIMIT_BYTES = 64
PRESS = "PRESS"
TRY_EDGETPU = "try_edgetpu"
PROFILE = "profile"  # a setting of the device: the only one
RELOAD = "reload"

# Requests, with the time in seconds in which another one is not carried out.
CAMERA_REQUESTS: Mapping[str, float] = {"snapshot_now": 1.0}
DEVICE_REQUESTS: Mapping[str, float] = {
    "restart": 10.0,
    "self_test": 5.0,
    RELOAD: 2.0,
    TRY_EDGETPU: 1.0,
}

BURST = 20
PER_S = 5.0

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_UNSPEAKABLE = "?"


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that is asked for.

    Attributes:
        camera: Of which camera; empty: of the device.
        name: A setting or a request.
        text: To what to set it; of a request `PRESS`, or the place of the Edge TPU that it is for.
    """

    camera: str
    name: str
    text: str

    @property
    def is_setting(self) -> bool:
        return self.name in SETTINGS or self.name == PROFILE


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a command, as told on the `result` topic.

    Attributes:
        camera: Of which camera; empty: of the device.
        command: The setting or request.
        accepted: It is done, or begun.
        state: How the setting stands now; empty for a request, and where there is no such setting.
        error: Why it is not done; empty if it is.
        at: When, UTC.
    """

    camera: str
    command: str
    accepted: bool
    state: str
    error: str
    at: str


def result_message(result: Result) -> bytes:
    """Return what stands on the `result` topic."""
    plain = {
        "schema": RESULT_SCHEMA,
        "camera": result.camera,
        "command": result.command,
        "accepted": result.accepted,
        "state": result.state,
        "error": result.error,
        "at": result.at,
    }
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def target_of(message: Incoming, topics: Topics) -> tuple[str, str]:
    """Return camera and command that a topic names, as far as they can be names at all."""
    levels = message.topic.removeprefix(f"{topics.root}/").removesuffix("/set").split("/")
    named = [level if _NAME.fullmatch(level) else _UNSPEAKABLE for level in levels]
    return ("", named[0]) if len(named) == 1 else (named[0], named[-1])


def command_of(message: Incoming, topics: Topics, cameras: Collection[str]) -> Command:
    """Return the command that a message is.

    Args:
        message: What came on one of `Topics.command_filters`.
        topics: Names of the topics.
        cameras: Names of the cameras that there are.

    Raises:
        CommandRefused: It is none, or none that may be carried out.
    """
    if message.is_retained:
        raise CommandRefused("a command that the broker kept is not carried out: do not retain it")
    camera, name = target_of(message, topics)
    known = {*SETTINGS, *CAMERA_REQUESTS} if camera else {*DEVICE_REQUESTS, PROFILE}
    if camera and camera not in cameras:
        raise CommandRefused("there is no such camera")
    if name not in known:
        raise CommandRefused(f"there is no such command; known here: {', '.join(sorted(known))}")
    text = _text_of(message.payload)
    _check_request(name, text)
    return Command(camera, name, text)


def _check_request(name: str, text: str) -> None:
    if name == TRY_EDGETPU:
        if not re.fullmatch(PLACE_PATTERN, text):
            raise CommandRefused("expected the place of an Edge TPU, such as usb:1-1.4")
    elif name == PROFILE:
        if not _NAME.fullmatch(text):
            raise CommandRefused("expected the name of a profile")
    elif name not in SETTINGS and text != PRESS:
        raise CommandRefused(f"expected {PRESS}")


def _text_of(payload: bytes) -> str:
    if len(payload) > PAYLOAD_LIMIT_BYTES:
        raise CommandRefused(f"is longer than {PAYLOAD_LIMIT_BYTES} bytes")
    try:
        return payload.decode("ascii")
    except UnicodeDecodeError as error:
        raise CommandRefused("is no text that a command can be") from error


class RateLimit:
    """Lets so many commands through: a burst at once, then so many a second.

    Beside that each request has a time of its own in which it is not repeated: a copy of a message
    must not take two pictures, and a hub's loop must not restart the device for ever.
    """

    def __init__(self) -> None:
        self._tokens = float(BURST)
        self._at_ns: int | None = None
        self._done_ns: dict[tuple[str, str], int] = {}  # bounded by the requests that there are
        self._is_told = False

    def allow(self, now_ns: int) -> bool:
        """Take one from what is allowed; return whether there was one."""
        if self._at_ns is not None:
            gained = PER_S * seconds(max(0, now_ns - self._at_ns))
            self._tokens = min(float(BURST), self._tokens + gained)
        self._at_ns = now_ns
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        self._is_told = False
        return True

    def is_first_refusal(self) -> bool:
        """Say whether this refusal is to be answered: a flood is answered once."""
        is_first, self._is_told = not self._is_told, True
        return is_first

    def check_request(self, command: Command, now_ns: int) -> None:
        """Note a request.

        Raises:
            CommandRefused: The same was asked for just now.
        """
        gap_s = {**CAMERA_REQUESTS, **DEVICE_REQUESTS}[command.name]
        place = (command.camera, command.name)
        done_ns = self._done_ns.get(place)
        if done_ns is not None and now_ns - done_ns < nanoseconds(gap_s):
            raise CommandRefused(f"was asked for just now; again after {gap_s:g} s")
        self._done_ns[place] = now_ns
