"""What stands in the messages. Pure: values in, bytes out.

JSON is UTF-8; each object carries `schema`, the version of its form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from camera_app.store import CommittedChange

STATUS_SCHEMA = 1
CONFIGURATION_SCHEMA = 1
FALLBACK_SCHEMA = 1

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


def motion_message(is_moving: bool) -> bytes:
    """Return what stands on a `motion` topic."""
    return b"ON" if is_moving else b"OFF"


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
        under_way: Frames that are being looked at just now: captured = looked_at + all of shed +
            under_way.
        blind_s: Seconds since the start in which frames came and nothing looked.
        recording: Of films: `off`, `ready`, `filming`, `no_space`, `no_stream` (the camera's stream
            for films is not there), or `impossible`: what the camera sends can neither be copied
            nor may be encoded.
        films: How many are kept.
        film_bytes: What they take.
        failed_films: How many the disk did not take or nothing could be kept of, since the start.
    """

    state: str
    fps: float
    looked_at_fps: float
    captured: int
    looked_at: int
    shed: Mapping[str, int]
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    under_way: int = 0
    blind_s: float = 0.0
    recording: str = "off"
    films: int = 0
    film_bytes: int = 0
    failed_films: int = 0


@dataclass(frozen=True, slots=True)
class NetworkDevice:
    """One device that networks run on, on the `status` topic.

    Attributes:
        kind: `cpu` or `edgetpu`.
        condition: `healthy`, `suspect` (in use, and watched), `probation` (lately back) or `broken`
            (not in use).
        answers: Requests that it has answered.
        failures: Requests that it has failed.
        finding: Name of what is wrong with it; empty if nothing is.
        problem: The same in a sentence, with what to do.
        temperature_c: Of its chip; None where nobody tells.
        service_ms: What a request takes on average, by model pack.
    """

    kind: str
    condition: str
    answers: int = 0
    failures: int = 0
    finding: str = ""
    problem: str = ""
    temperature_c: float | None = None
    service_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """What the `status` topic tells.

    Attributes:
        version: Of camera-app.
        uptime_s: Seconds since the service started.
        cameras: Each camera by name.
        device: What runs the networks now: `cpu`, or the places of the Edge TPUs in use.
        devices: Each device that networks run on, by name.
        rung: How many steps down to smaller models, from 0.
        reasons: Why less is done than was asked for: `overload`, `heat`, `under_voltage`,
            `stick_lost`; empty: nothing is amiss.
        fallbacks: How often an Edge TPU that was in use was lost.
        hedges: Requests that were given to a second device because the first was late or doubted.
        backlog: Event changes that no broker has acknowledged.
        oldest_unsent_age_s: Age of the oldest of those; None if there is none.
        store: State of the event store: `open`, `full`, `corrupt`.
        shed_changes: Event changes given up because the disk took nothing.
        untold_changes: Event changes that went by age or number before they were told.
        refused_changes: Event changes that the broker never takes; a gap was told in their place.
        disk: What a filling disk has stopped: `ample` (nothing), `no_media` (films), `no_snapshots`
            (stills too), `full` (events wait in memory).
        disk_free_bytes: Free space on it.
        reconnects: Connections to the broker that were lost since the start.
        temperature_c: Of the processor; None: not known.
        under_voltage: The supply does not give enough.
        throttled: The processor's clock is held down.
        metrics_trouble: Why nobody can read the metrics that are configured; empty: nothing is
            wrong with them.
    """

    version: str
    uptime_s: float
    cameras: Mapping[str, CameraStatus] = field(default_factory=dict)
    device: str = "cpu"
    devices: Mapping[str, NetworkDevice] = field(default_factory=dict)
    rung: int = 0
    reasons: tuple[str, ...] = ()
    fallbacks: int = 0
    hedges: int = 0
    backlog: int = 0
    oldest_unsent_age_s: float | None = None
    store: str = "open"
    shed_changes: int = 0
    untold_changes: int = 0
    refused_changes: int = 0
    disk: str = "ample"
    disk_free_bytes: int = 0
    reconnects: int = 0
    temperature_c: float | None = None
    under_voltage: bool = False
    throttled: bool = False
    metrics_trouble: str = ""


@dataclass(frozen=True, slots=True)
class FallbackStatus:
    """What the `fallback` topic tells: whether less is done than was asked for.

    Attributes:
        active: Whether it is so now.
        reasons: Why: as in the status.
        device: What runs the networks now.
        rung: How many steps down to smaller models.
        lost: What is wrong with each Edge TPU that is not in use, and what to do, by name.
        since: Unix time in seconds at which this began, good or bad.
        count: How often an Edge TPU that was in use was lost since the start.
    """

    active: bool
    reasons: tuple[str, ...]
    device: str
    rung: int
    lost: Mapping[str, str]
    since: float
    count: int


@dataclass(frozen=True, slots=True)
class ConfigurationProblem:
    """One thing that is wrong with the configuration file.

    Attributes:
        where: Key, such as `camera.front.fps`.
        line: Line of the file; None where none is known.
        problem: What is wrong; what stands in the file is not told.
        remedy: What to do about it; may be empty.
    """

    where: str
    line: int | None
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ConfigurationStatus:
    """What the `configuration` topic tells.

    Attributes:
        problem: The file is not what runs, or something in it does not work.
        outcome: What became of the file when it was last read: `started`: the service started with
            it; `applied`, `unchanged`: a reload took it on, or found nothing new; `refused`: it is
            wrong, or needs a restart; `rolled_back`: it could not be applied, and all is as it was.
        running: What runs: the `file`, as it is or was before it was refused; or the `last_good`
            that was kept of it.
        problems: What is wrong.
        changed: Keys that the last reload changed.
        notes: What to know though nothing is wrong, a sentence each.
        at: When the file was read, UTC.
    """

    problem: bool
    outcome: str
    running: str
    problems: tuple[ConfigurationProblem, ...]
    changed: tuple[str, ...]
    notes: tuple[str, ...]
    at: str


def configuration_message(status: ConfigurationStatus) -> bytes:
    """Return what stands on the `configuration` topic."""
    plain = {"schema": CONFIGURATION_SCHEMA, **asdict(status)}
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def fallback_message(status: FallbackStatus) -> bytes:
    """Return what stands on the `fallback` topic."""
    plain = {"schema": FALLBACK_SCHEMA, **asdict(status)}
    return json.dumps(_rounded(plain), sort_keys=True, separators=(",", ":")).encode()


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
