"""The place of a subscriber on disk: there whole or as it was before, whatever is cut off."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from camera_app.durable import replace_text
from camera_app.errors import UsageError

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class State:
    """What a subscriber knows between two runs.

    Attributes:
        client_id: Under which it comes to the broker, and is answered.
        through_seq: By `device/camera`, the last number that was given out.
        out_bytes: Length of the file it writes to, when that was so; None: it writes to none.
    """

    client_id: str
    through_seq: dict[str, int] = field(default_factory=dict)
    out_bytes: int | None = None


def new_state() -> State:
    """Return the state of a subscriber that was never run."""
    return State(client_id=f"camera_app-subscribe-{secrets.token_hex(4)}")


def load_state(path: Path) -> State:
    """Return what a file says; one that is absent: a new state.

    Raises:
        UsageError: It cannot be read, or is no state of ours.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return new_state()
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read: {error}", where=str(path), remedy=_REMEDY) from error
    try:
        if plain["schema"] != SCHEMA:
            raise ValueError(f"schema {plain['schema']}, known here is {SCHEMA}")
        through = {str(name): int(seq) for name, seq in plain["through_seq"].items()}
        out_bytes = plain["out_bytes"]
        return State(
            str(plain["client_id"]), through, None if out_bytes is None else int(out_bytes)
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"is no state: {error!r}", where=str(path), remedy=_REMEDY) from error


_REMEDY = "Name another file, or move this one away to begin anew"


def save_state(path: Path, state: State) -> None:
    """Write a state; when this returns it survives a power cut.

    Raises:
        UsageError: It cannot be written.
    """
    plain = {
        "schema": SCHEMA,
        "client_id": state.client_id,
        "through_seq": state.through_seq,
        "out_bytes": state.out_bytes,
    }
    try:
        replace_text(path, json.dumps(plain, sort_keys=True))
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"cannot be written: {reason}", where=str(path)) from error
