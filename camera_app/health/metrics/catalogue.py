"""Every metric: its name, what it means, and where in the figures it is read. Pure.

The page and its reference are both made of this list. Names follow Prometheus: base units, counters
end in `_total`. A counter begins at 0 again when what it counts was begun anew: a restart, or a
change of the configuration that replaced a part. Prometheus expects that.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import get_args

from camera_app.clock import seconds
from camera_app.health.metrics.process import ProcessFigures
from camera_app.health.status import CameraFigures, DeviceFigures
from camera_app.histogram import Distribution
from camera_app.logs import LogCounts
from camera_app.media import SpaceLevel
from camera_app.pipeline import ShedReason
from camera_app.publish import PublisherState, PublisherStats
from camera_app.readiness import Ability, Readiness
from camera_app.scheduling import Condition, DeviceKind, DeviceStats, Reason, ShedCause
from camera_app.store import StoreState

PREFIX = "camera_app_"
_LOST = ("stalled", "crashed", "refused", "ended", "unsupported", "lost")
_DROPPED = ("thinned", "corrupt", "no_slot")
_RECORDING = ("off", "ready", "filming", "no_space", "no_stream", "impossible")
_LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


@dataclass(frozen=True, slots=True)
class Scrape:
    """All that is told at one moment.

    Attributes:
        figures: Of every part.
        readiness: Whether it can see and deliver.
        processes: Ours.
        log: What was logged.
        now_ns: Monotonic time.
        wall_s: Seconds since 1970.
    """

    figures: DeviceFigures
    readiness: Readiness
    processes: tuple[ProcessFigures, ...] = ()
    log: LogCounts = field(default_factory=LogCounts)
    now_ns: int = 0
    wall_s: float = 0.0


class Kind(StrEnum):
    """What can be done with a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


Value = float | Distribution
# Values of the labels, in their order, and the value; None: nobody knows it, and nothing is told.
Sample = tuple[tuple[str, ...], Value | None]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: As it stands on the page; of a histogram without `_bucket` and the like.
        kind: What can be done with it.
        help: What it means.
        labels: What tells its series apart.
        read: Returns its series.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    read: Callable[[Scrape], Iterable[Sample]]

    def samples(self, scrape: Scrape) -> Iterator[tuple[tuple[str, ...], Value]]:
        """Return the series whose value is known."""
        for labels, value in self.read(scrape):
            if value is not None:
                yield labels, value


def _one(kind: Kind, name: str, text: str, read: Callable[[Scrape], Value | None]) -> Metric:
    return Metric(PREFIX + name, kind, text, (), lambda scrape: [((), read(scrape))])


def _of_cameras(
    kind: Kind, name: str, text: str, read: Callable[[CameraFigures], Value | None]
) -> Metric:
    def samples(scrape: Scrape) -> Iterator[Sample]:
        for camera, figures in scrape.figures.cameras.items():
            yield (camera,), read(figures)

    return Metric(PREFIX + name, kind, text, ("camera",), samples)


def _of_cameras_by(
    kind: Kind,
    name: str,
    text: str,
    label: str,
    read: Callable[[CameraFigures], Mapping[str, Value]],
) -> Metric:
    def samples(scrape: Scrape) -> Iterator[Sample]:
        for camera, figures in scrape.figures.cameras.items():
            for key, value in read(figures).items():
                yield (camera, key), value

    return Metric(PREFIX + name, kind, text, ("camera", label), samples)


def _of_devices(
    kind: Kind, name: str, text: str, read: Callable[[DeviceStats], Value | None]
) -> Metric:
    def samples(scrape: Scrape) -> Iterator[Sample]:
        for device in scrape.figures.executor.devices:
            yield (device.name, device.kind.value), read(device)

    return Metric(PREFIX + name, kind, text, ("device", "kind"), samples)


def _of_processes(
    kind: Kind, name: str, text: str, read: Callable[[ProcessFigures], Value | None]
) -> Metric:
    def samples(scrape: Scrape) -> Iterator[Sample]:
        for process in scrape.processes:
            yield (process.name,), read(process)

    return Metric(PREFIX + name, kind, text, ("process",), samples)


def _of_publisher(
    kind: Kind, name: str, text: str, read: Callable[[PublisherStats], Value | None]
) -> Metric:
    def value(scrape: Scrape) -> Value | None:
        publisher = scrape.figures.publisher
        return None if publisher is None else read(publisher)

    return _one(kind, name, text, value)


def _counted(words: type[Enum], counts: Mapping[str, int]) -> dict[str, Value]:
    """Return a count for each word, 0 too: a series that begins with its first event hides it."""
    return {str(word.value): counts.get(str(word.value), 0) for word in words}


def _state(words: Iterable[str], now: str) -> Iterator[Sample]:
    """Return 1 for the word that holds and 0 for the others."""
    for word in words:
        yield (word,), float(word == now)


def _device_states(scrape: Scrape) -> Iterator[Sample]:
    for device in scrape.figures.executor.devices:
        for condition in Condition:
            labels = device.name, device.kind.value, condition.value
            yield labels, float(device.condition is condition)


def _device_steps(scrape: Scrape) -> Iterator[Sample]:
    for device in scrape.figures.executor.devices:
        for step, distribution in device.times.items():
            yield (device.name, device.kind.value, step.value), distribution


def _recording_states(scrape: Scrape) -> Iterator[Sample]:
    for camera, figures in scrape.figures.cameras.items():
        for (state,), value in _state(_RECORDING, figures.recording.state):
            yield (camera, state), value


def _written_by_part(scrape: Scrape) -> Iterator[Sample]:
    figures = scrape.figures
    yield ("database",), figures.store.written_bytes
    yield ("snapshots",), sum(one.stills.written_bytes for one in figures.cameras.values())
    yield ("films",), sum(one.recording.made_bytes for one in figures.cameras.values())


def _sticks_in_use(scrape: Scrape) -> float:
    return sum(
        device.kind is DeviceKind.EDGETPU and device.condition is not Condition.BROKEN
        for device in scrape.figures.executor.devices
    )


def _last_look_s(scrape: Scrape) -> Iterator[Sample]:
    for camera, figures in scrape.figures.cameras.items():
        last_ns = figures.watch.last_look_ns
        age_s = None if last_ns is None else seconds(scrape.now_ns - last_ns)
        yield (camera,), None if age_s is None else scrape.wall_s - age_s


def _shortfalls(scrape: Scrape) -> Iterator[Sample]:
    lacking = {shortfall.ability for shortfall in scrape.readiness.shortfalls}
    for ability in Ability:
        yield (ability.value,), float(ability not in lacking)


def _build(scrape: Scrape) -> Iterator[Sample]:
    yield (scrape.figures.version, platform.python_version()), 1.0


def _lost_changes(scrape: Scrape) -> Iterator[Sample]:
    store = scrape.figures.store
    yield ("disk",), store.shed_updates + store.shed_others
    yield ("retention",), store.removed_untold
    yield ("refused",), store.refused


_COUNTER, _GAUGE, _HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

CATALOGUE: tuple[Metric, ...] = (
    # What this is, and whether it does what it is there for
    Metric(
        PREFIX + "build_info",
        _GAUGE,
        "Always 1; the labels say which version runs on which Python.",
        ("version", "python"),
        _build,
    ),
    _one(
        _GAUGE,
        "ready",
        "1 while it can see and deliver, as `/ready` says.",
        lambda scrape: float(scrape.readiness.is_ready),
    ),
    Metric(
        PREFIX + "able",
        _GAUGE,
        "1 while every camera that is to look sees (`see`), and events get out (`deliver`).",
        ("ability",),
        _shortfalls,
    ),
    _one(
        _COUNTER,
        "uptime_seconds_total",
        "Seconds since the service started.",
        lambda scrape: seconds(scrape.figures.uptime_ns),
    ),
    # Cameras
    _of_cameras(
        _GAUGE,
        "camera_delivering",
        "1 while the camera brings pictures.",
        lambda camera: float(camera.source.is_delivering),
    ),
    _of_cameras(
        _GAUGE,
        "camera_frames_per_second",
        "Frames a second that come from the camera now.",
        lambda camera: camera.source.fps,
    ),
    _of_cameras(
        _COUNTER,
        "camera_restarts_total",
        "How often the process that reads the camera was started again.",
        lambda camera: camera.source.restarts,
    ),
    _of_cameras_by(
        _COUNTER,
        "camera_lost_total",
        "How often the camera was lost, by reason.",
        "reason",
        lambda camera: {word: camera.source.lost.get(word, 0) for word in _LOST},
    ),
    _of_cameras_by(
        _COUNTER,
        "camera_frames_dropped_total",
        "Pictures that were left out before they counted as frames: the camera is faster than was "
        "asked (`thinned`), they are damaged (`corrupt`), the service was too busy (`no_slot`).",
        "reason",
        lambda camera: {word: camera.source.dropped.get(word, 0) for word in _DROPPED},
    ),
    _of_cameras(
        _COUNTER,
        "frames_captured_total",
        "Frames that came. Those looked at, those shed for each reason and those under way add up "
        "to it, at every moment.",
        lambda camera: camera.watch.counts.captured,
    ),
    _of_cameras(
        _COUNTER,
        "frames_looked_at_total",
        "Frames that a network has seen.",
        lambda camera: camera.watch.counts.looked_at,
    ),
    _of_cameras_by(
        _COUNTER,
        "frames_shed_total",
        "Frames that no network has seen, by reason. `still`: nothing moved.",
        "reason",
        lambda camera: _counted(ShedReason, camera.watch.counts.shed),
    ),
    _of_cameras(
        _GAUGE,
        "frames_under_way",
        "Frames that are being looked at just now.",
        lambda camera: camera.watch.counts.under_way,
    ),
    _of_cameras(
        _COUNTER,
        "blind_seconds_total",
        "Seconds in which frames came and nothing looked.",
        lambda camera: camera.watch.blind_s,
    ),
    _of_cameras(
        _GAUGE,
        "events_open",
        "Events that have started and not ended.",
        lambda camera: camera.watch.open_events,
    ),
    Metric(
        PREFIX + "camera_last_look_timestamp_seconds",
        _GAUGE,
        "When a network last saw a frame of the camera, in seconds since 1970.",
        ("camera",),
        _last_look_s,
    ),
    _of_cameras(
        _HISTOGRAM,
        "frame_latency_seconds",
        "From capture until everybody knew what was found, for frames that were looked at.",
        lambda camera: camera.watch.times.latency,
    ),
    _of_cameras_by(
        _HISTOGRAM,
        "frame_step_seconds",
        "The steps of that: `hand_over` (from capture until the camera's thread has it, with "
        "looking for motion), `gate` (whether and where to look), `look` (the networks, with "
        "waiting for them), `track` (tracks and events), `tell` (to the store, stills, counts).",
        "step",
        lambda camera: {step.value: one for step, one in camera.watch.times.steps.items()},
    ),
    _of_cameras(
        _COUNTER,
        "snapshots_total",
        "Stills that were kept.",
        lambda camera: camera.stills.written,
    ),
    _of_cameras(
        _COUNTER,
        "snapshots_failed_total",
        "Stills that were not kept, for want of space or of a disk that takes them.",
        lambda camera: camera.stills.failed,
    ),
    Metric(
        PREFIX + "recording_state",
        _GAUGE,
        "1 for how a camera's films do: `off`, `ready`, `filming`, `no_space`, `no_stream` (its "
        "stream for films is not there), `impossible` (what it sends can neither be copied nor may "
        "be encoded).",
        ("camera", "state"),
        _recording_states,
    ),
    _of_cameras(
        _GAUGE,
        "films_kept",
        "Films of a camera on the disk.",
        lambda camera: camera.recording.films,
    ),
    _of_cameras(
        _GAUGE,
        "films_size_bytes",
        "What they take.",
        lambda camera: camera.recording.size_bytes,
    ),
    _of_cameras(
        _COUNTER,
        "films_failed_total",
        "Films that a full or failing disk did not take, or that nothing could be kept of.",
        lambda camera: camera.recording.failed,
    ),
    _of_cameras(
        _COUNTER,
        "film_pictures_left_out_total",
        "Pictures that are missing in films because the disk was too slow.",
        lambda camera: camera.recording.left_out,
    ),
    # Networks and what they run on
    Metric(
        PREFIX + "device_condition",
        _GAUGE,
        "1 for how far a device is trusted now, 0 for the other conditions. One that is `broken` "
        "is not in use.",
        ("device", "kind", "condition"),
        _device_states,
    ),
    _of_devices(
        _COUNTER,
        "device_answers_total",
        "Requests that a device has answered.",
        lambda device: device.answers,
    ),
    _of_devices(
        _COUNTER,
        "device_failures_total",
        "Requests that a device has failed; another answered them, if there was one.",
        lambda device: device.failures,
    ),
    _of_devices(
        _COUNTER,
        "device_openings_total",
        "How often an Edge TPU was opened, with a process of its own each time.",
        lambda device: device.openings if device.kind is DeviceKind.EDGETPU else None,
    ),
    _of_devices(
        _GAUGE,
        "device_temperature_celsius",
        "Temperature of an Edge TPU, where a driver tells it.",
        lambda device: device.temperature_c,
    ),
    Metric(
        PREFIX + "device_step_seconds",
        _HISTOGRAM,
        "What a device does for one region: `tensor` (makes it the network's input), `invoke` (the "
        "network), `boxes` (makes its outputs detections).",
        ("device", "kind", "step"),
        _device_steps,
    ),
    _one(
        _HISTOGRAM,
        "request_queue_seconds",
        "How long a region waited until a device had it.",
        lambda scrape: scrape.figures.executor.queue,
    ),
    Metric(
        PREFIX + "requests_shed_total",
        _COUNTER,
        "Regions that were given up, by cause; a frame may have several.",
        ("cause",),
        lambda scrape: (
            ((cause.value,), float(scrape.figures.executor.sheds.get(cause, 0)))
            for cause in ShedCause
        ),
    ),
    _one(_GAUGE, "accelerators_in_use", "Edge TPUs that are in use.", _sticks_in_use),
    _one(
        _COUNTER,
        "fallbacks_total",
        "How often an Edge TPU that was in use was lost.",
        lambda scrape: scrape.figures.executor.fallbacks,
    ),
    _one(
        _COUNTER,
        "hedges_total",
        "Requests that were given to a second device, because the first was late or in doubt.",
        lambda scrape: scrape.figures.executor.hedges,
    ),
    _one(
        _GAUGE,
        "model_rung",
        "How many steps down to smaller models; 0: those that were asked for.",
        lambda scrape: scrape.figures.executor.rung,
    ),
    Metric(
        PREFIX + "degraded",
        _GAUGE,
        "1 for each reason for which less is done than was asked for.",
        ("reason",),
        lambda scrape: (
            ((reason.value,), float(reason in scrape.figures.executor.reasons)) for reason in Reason
        ),
    ),
    # Events, their store, and the way to the broker
    Metric(
        PREFIX + "store_state",
        _GAUGE,
        "1 for the state of the event store: `open`, `full` (events wait in memory), `corrupt`, "
        "`closed`.",
        ("state",),
        lambda scrape: _state(get_args(StoreState), scrape.figures.store.state),
    ),
    _one(
        _COUNTER,
        "changes_committed_total",
        "Changes of events that were written to the disk.",
        lambda scrape: scrape.figures.store.committed,
    ),
    _one(
        _GAUGE,
        "changes_waiting",
        "Changes in memory that are not on the disk yet.",
        lambda scrape: scrape.figures.store.waiting,
    ),
    _one(
        _GAUGE,
        "changes_stored",
        "Changes that the database holds.",
        lambda scrape: scrape.figures.store.changes,
    ),
    _one(
        _COUNTER,
        "changes_removed_total",
        "Changes that the limits of `[retention]` took away.",
        lambda scrape: scrape.figures.store.removed,
    ),
    Metric(
        PREFIX + "changes_untold_total",
        _COUNTER,
        "Changes that no broker ever gets: the disk took none (`disk`), the limits of "
        "`[retention]` came first (`retention`), the broker never takes it (`refused`). A gap is "
        "told in their place.",
        ("reason",),
        _lost_changes,
    ),
    _one(
        _HISTOGRAM,
        "commit_seconds",
        "How long a transaction of the event store took.",
        lambda scrape: scrape.figures.store.commits,
    ),
    _one(
        _GAUGE,
        "store_size_bytes",
        "Size of the database with its log.",
        lambda scrape: scrape.figures.store.size_bytes,
    ),
    _one(
        _GAUGE,
        "outbox_changes",
        "Changes that no broker has acknowledged yet.",
        lambda scrape: scrape.figures.store.backlog,
    ),
    _one(
        _GAUGE,
        "outbox_oldest_age_seconds",
        "Age of the oldest of them; 0 if there is none.",
        lambda scrape: scrape.figures.store.oldest_unsent_age_s or 0.0,
    ),
    _of_publisher(
        _HISTOGRAM,
        "delivery_lag_seconds",
        "From a change being on the disk until the broker acknowledged it.",
        lambda publisher: publisher.lag,
    ),
    Metric(
        PREFIX + "broker_state",
        _GAUGE,
        "1 for how it stands with the broker: `connected`, `connecting`, `unreachable`, `refused` "
        "(the owner has to mend something), `stopped`.",
        ("state",),
        lambda scrape: (
            ()
            if scrape.figures.publisher is None
            else _state(get_args(PublisherState), scrape.figures.publisher.state)
        ),
    ),
    _of_publisher(
        _COUNTER,
        "broker_connects_total",
        "Connections that the broker accepted.",
        lambda publisher: publisher.connects,
    ),
    _of_publisher(
        _COUNTER,
        "broker_reconnects_total",
        "Connections to the broker that were lost.",
        lambda publisher: publisher.reconnects,
    ),
    _of_publisher(
        _COUNTER,
        "changes_sent_total",
        "Changes handed to the network, those sent again included.",
        lambda publisher: publisher.sent,
    ),
    _of_publisher(
        _COUNTER,
        "changes_acknowledged_total",
        "Changes that the broker has acknowledged.",
        lambda publisher: publisher.acknowledged,
    ),
    _of_publisher(
        _COUNTER,
        "broker_refusals_total",
        "Messages that the broker did not take.",
        lambda publisher: publisher.refused,
    ),
    _of_publisher(
        _GAUGE,
        "changes_in_flight",
        "Changes that were sent and are not answered yet.",
        lambda publisher: publisher.in_flight,
    ),
    # The disk, the machine, ourselves
    Metric(
        PREFIX + "written_bytes_total",
        _COUNTER,
        "Bytes handed to the kernel for the disk, by what they are for; films when they are done.",
        ("part",),
        _written_by_part,
    ),
    Metric(
        PREFIX + "disk_level",
        _GAUGE,
        "1 for what the free space allows: `ample` (all), `no_media` (no films), `no_snapshots` "
        "(no stills either), `full` (events wait in memory).",
        ("level",),
        lambda scrape: _state([level.value for level in SpaceLevel], scrape.figures.space.level),
    ),
    _one(
        _GAUGE,
        "disk_free_bytes",
        "Free space where the data folder is.",
        lambda scrape: scrape.figures.space.free_bytes,
    ),
    _one(
        _GAUGE,
        "temperature_celsius",
        "Temperature of the processor, where it can be read.",
        lambda scrape: scrape.figures.executor.pressure.temperature_c,
    ),
    _one(
        _GAUGE,
        "throttled",
        "1 while the processor's clock is held down because of heat.",
        lambda scrape: float(scrape.figures.executor.pressure.throttled),
    ),
    _one(
        _GAUGE,
        "under_voltage",
        "1 while the power supply does not give enough.",
        lambda scrape: float(scrape.figures.executor.pressure.under_voltage),
    ),
    _one(
        _GAUGE,
        "cpu_others_ratio",
        "Share of all cores, 0 to 1, that other programs take.",
        lambda scrape: scrape.figures.executor.pressure.cpu_busy_share,
    ),
    _of_processes(
        _GAUGE,
        "process_memory_bytes",
        "Memory of each of our processes; what several share counts for each in part (PSS).",
        lambda process: process.memory_bytes,
    ),
    _of_processes(
        _COUNTER,
        "process_cpu_seconds_total",
        "Processor time of each of our processes.",
        lambda process: process.cpu_s,
    ),
    _of_processes(
        _GAUGE,
        "process_threads",
        "Threads of each of our processes.",
        lambda process: process.threads,
    ),
    _of_processes(
        _GAUGE,
        "process_open_fds",
        "Open file descriptors of each of our processes.",
        lambda process: process.open_files,
    ),
    _of_processes(
        _GAUGE,
        "process_start_time_seconds",
        "When each of our processes started, in seconds since 1970.",
        lambda process: process.started_s,
    ),
    _of_processes(
        _COUNTER,
        "process_storage_bytes_total",
        "Bytes that each of our processes has caused to be written to a disk or card.",
        lambda process: process.storage_bytes,
    ),
    _of_processes(
        _COUNTER,
        "process_written_bytes_total",
        "Bytes that each of our processes has handed to the kernel: files, pipes, sockets.",
        lambda process: process.written_bytes,
    ),
    Metric(
        PREFIX + "log_lines_total",
        _COUNTER,
        "Lines written to the log, by level.",
        ("level",),
        lambda scrape: (((level,), float(scrape.log.lines.get(level, 0))) for level in _LOG_LEVELS),
    ),
    _one(
        _COUNTER,
        "log_lines_withheld_total",
        "Lines that were not written, because one like them just was.",
        lambda scrape: scrape.log.withheld,
    ),
)
