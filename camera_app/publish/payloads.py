"""What stands in the messages. Pure: values in, bytes out.

JSON is UTF-8; each object carries `schema`, the version of its form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from camera_app.store import CommittedChange

STATUS_SCHEMA = 1

ONLINE = b"online"
OFFLINE = b"offline"


def ledger_message(change: CommittedChange, *, device_id: str, is_delayed: bool) -> bytes:
    """Return one change as told on `event` and `now`: the stored record and four facts more.

    The record is spliced in as it was stored, not parsed and written again: a backlog of a
    hundred thousand is sent from it.

    Args:
        change: From the ledger.
        device_id: Of this device; a name of the configuration, which needs no escaping in JSON.
        is_delayed: It is told late, so that no hub takes it for now.
    """
    delayed = "true" if is_delayed else "false"
    head = f'{{"delayed":{delayed},"device_id":"{device_id}","seq":{change.seq},'
    return (head + change.record[1:]).encode()


def availability_message(is_available: bool) -> bytes:
    """Return what stands on an `availability` topic."""
    return ONLINE if is_available else OFFLINE


def count_message(count: int) -> bytes:
    """Return what stands on a count's topic: the bare number."""
    return str(count).encode()


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """One camera on the `status` topic.

    Attributes:
        state: What its source does, such as `running` or `lost`.
        fps: Frames a second that it delivers.
        looked_at_fps: Frames a second that a network sees.
        captured: Frames since the start.
        looked_at: Of those, how many a network saw.
        shed: How many nothing looked at, by reason.
        latency_p50_ms: From capture to committed event, half are faster; None: not known.
        latency_p95_ms: The same, nineteen of twenty are faster.
    """

    state: str
    fps: float
    looked_at_fps: float
    captured: int
    looked_at: int
    shed: Mapping[str, int]
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """What the `status` topic tells.

    Attributes:
        version: Of camera-app.
        uptime_s: Seconds since the service started.
        cameras: Each camera by name.
        device: What runs the networks now, such as `cpu`.
        backlog: Event changes that no broker has acknowledged.
        oldest_unsent_age_s: Age of the oldest of those; None if there is none.
        store: State of the event store: `open`, `full`, `corrupt`.
        shed_changes: Event changes given up because the disk took nothing.
        untold_changes: Event changes that went by age or number before they were told.
        reconnects: Connections to the broker that were lost since the start.
        temperature_c: Of the processor; None: not known.
    """

    version: str
    uptime_s: float
    cameras: Mapping[str, CameraStatus] = field(default_factory=dict)
    device: str = "cpu"
    backlog: int = 0
    oldest_unsent_age_s: float | None = None
    store: str = "open"
    shed_changes: int = 0
    untold_changes: int = 0
    reconnects: int = 0
    temperature_c: float | None = None


def status_message(status: DeviceStatus) -> bytes:
    """Return what stands on the `status` topic; numbers to a thousandth."""
    plain = {"schema": STATUS_SCHEMA, **asdict(status)}
    return json.dumps(_rounded(plain), sort_keys=True, separators=(",", ":")).encode()


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return value
