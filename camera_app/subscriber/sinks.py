"""Where a subscriber gives its lines: a terminal or pipe, a file, another topic."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Protocol, TextIO

import paho.mqtt.client as paho

from camera_app.errors import BrokerUnreachable, UsageError
from camera_app.threads import Deadline

FORWARD_LIMIT_S = 30.0


class Sink(Protocol):
    """Takes lines, in order."""

    def open(self, position: int | None) -> int | None:
        """Begin; take back what was written after a position, as its state was not saved.

        Return the position to save before anything is written; None: there is none.
        """

    def write(self, lines: Sequence[str]) -> int | None:
        """Take lines for good; return the position to save, or None where there is none."""

    def close(self) -> None:
        """End."""


class TextSink:
    """A terminal or pipe. After a kill between writing and saving, the last lines come twice."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def open(self, position: int | None) -> int | None:
        """Begin; nothing can be taken back."""
        del position
        return None

    def write(self, lines: Sequence[str]) -> int | None:
        self._out.writelines(f"{line}\n" for line in lines)
        self._out.flush()
        return None

    def close(self) -> None:
        """Leave it open: it is not ours."""


class FileSink:
    """A file that holds each line exactly once, even if the writer is killed at any moment.

    What was written and not saved is cut off at the next start, and told again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None

    def open(self, position: int | None) -> int | None:
        """Open the file for appending, as long as it was; return that length.

        Raises:
            UsageError: It cannot be written, or is shorter than it was.
        """
        try:
            # Kept open; unbuffered, so that what was written is known.
            self._file = self._path.open("ab", buffering=0)
            length = self._file.seek(0, os.SEEK_END)
            if position is not None and length < position:
                self.close()
                raise UsageError(
                    f"has {length} bytes, and had {position}: lines are gone",
                    where=str(self._path),
                    remedy="Put it back, or name another file and another state",
                )
            if position is None:
                return length
            self._file.truncate(position)
            return position
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(f"cannot be written: {reason}", where=str(self._path)) from error

    def write(self, lines: Sequence[str]) -> int | None:
        assert self._file is not None, "open comes first"
        data = "".join(f"{line}\n" for line in lines).encode()
        try:
            while data:
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(f"cannot be written: {reason}", where=str(self._path)) from error
        return self._file.tell()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class ForwardSink:
    """Another topic at the same broker. After a kill before saving, the last come twice."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.client: paho.Client | None = None  # of the connection that stands

    def open(self, position: int | None) -> int | None:
        """Begin; nothing can be taken back."""
        del position
        return None

    def write(self, lines: Sequence[str]) -> int | None:
        """Tell each line and wait until the broker has them all.

        Raises:
            BrokerUnreachable: It does not say so; they are not saved, and told again.
        """
        client = self.client
        if client is None:
            raise BrokerUnreachable("no connection to forward on", where=self._topic)
        sent = [client.publish(self._topic, line.encode(), qos=1) for line in lines]
        deadline = Deadline(FORWARD_LIMIT_S)
        while not all(one.is_published() for one in sent):
            if client.loop(0.1) != paho.MQTT_ERR_SUCCESS or deadline.is_over:
                raise BrokerUnreachable("what is forwarded is not taken", where=self._topic)
        return None

    def close(self) -> None:
        """Nothing is held."""
