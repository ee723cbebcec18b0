"""Every error this house raises on purpose.

The branches follow what the caller does next, not which library failed. A foreign error is
translated once, where the foreign library is called, with the cause chained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class CameraAppError(Exception):
    """Something went wrong that an owner can understand.

    Attributes:
        what: What happened, one sentence without a full stop.
        where: The thing it happened to: a file, a camera, a configuration key; may be empty.
        remedy: What to do about it; may be empty.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where, remedy)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. {self.remedy}" if self.remedy else text


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a piece of input.

    Attributes:
        where: Dotted place in the input, such as `camera.front.zones[1].polygon`.
        problem: What is wrong there.
        line: 1-based line in the file, where one is known.
        suggestion: What was probably meant, or is to be done; may be empty.
        got: What stood there, as it may be shown to the owner and to nobody else; may be empty.
    """

    where: str
    problem: str
    line: int | None = None
    suggestion: str = ""
    got: str = ""

    @property
    def text(self) -> str:
        """What is wrong, with what stood there."""
        return f"{self.problem}, got {self.got}" if self.got else self.problem

    def __str__(self) -> str:
        line = f"line {self.line}: " if self.line is not None else ""
        suggestion = f" ({self.suggestion})" if self.suggestion else ""
        return f"{line}{self.where}: {self.text}{suggestion}"


class ConfigError(CameraAppError, ValueError):
    """A configuration that is refused whole; it carries every problem, not the first.

    Attributes:
        problems: All of them.
        may_pass: The file is right, and what it names is not here, or not yet: trying again may
            help.
    """

    def __init__(
        self, problems: Sequence[Problem], *, where: str = "", may_pass: bool = False
    ) -> None:
        self.problems = tuple(problems)
        self.may_pass = may_pass
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        listing = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{count} {noun} in the configuration{listing}", where=where)


class NeedsRestart(CameraAppError):
    """A configuration differs in what cannot change while the service runs; nothing was changed."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)
        names = ", ".join(self.keys)
        super().__init__(
            f"what differs cannot change while the service runs: {names}",
            remedy="Restart the service to apply the file as a whole",
        )


class UsageError(CameraAppError):
    """A command was asked for something that cannot be done as asked."""


class SourceError(CameraAppError):
    """A source delivers no pictures."""


class SourceLost(SourceError):
    """The source was there, or may come: try again later."""


class SourceUnsupported(SourceError):
    """Trying again will not help: the file or stream is nothing we can read."""


class DeviceError(CameraAppError):
    """A device that runs networks failed."""


class DeviceLost(DeviceError):
    """The device is gone: fall back to another."""


class DeviceTimeout(DeviceError):
    """The device did not answer in time: suspect it."""


class DeviceRefused(DeviceError):
    """Driver, version or permission: trying again will not help."""


class ModelError(CameraAppError):
    """A model cannot be used."""


class PackRejected(ModelError):
    """A model pack's manifest, hash or weights do not check out; it is never loaded."""


class ModelOutputError(ModelError):
    """A model's tensors do not fit the family that its pack declares."""


class StoreError(CameraAppError):
    """The event store cannot do what was asked."""


class StoreFull(StoreError):
    """No space is left: shed by rule, try again when there is some."""


class StoreCorrupt(StoreError):
    """The database is damaged: stop, keep the file."""


class PublishError(CameraAppError):
    """The way to the broker failed."""


class BrokerUnreachable(PublishError):
    """Nobody answers: try again later."""


class BrokerRefused(PublishError):
    """The broker said no: credentials or rights need the owner."""


class CommandRefused(CameraAppError):
    """What was asked for over MQTT is not done: who asked is told why."""


class HealthUnknown(CameraAppError):
    """Nobody tells whether the service is well."""
