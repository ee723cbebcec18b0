"""What a configuration costs on a machine whose costs are known. Pure: figures in, figures out.

The picture behind it: an idle service costs something, and more if it tells a broker; a camera's
pictures are decoded by its child and pass the motion gate there, whatever is looked for in them;
frames in which something moves are brought to the service and looked at, each of their regions by
each model, on a stick or on the processor; event changes and stills are written; and a second
stream for films is read and kept back for some seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp
from statistics import fmean

from camera_app.bench.stick_load import (
    Asking,
    Crowd,
    StickShare,
    StickWork,
    changes_per_s,
    checks_per_s,
    share_of_stick,
)
from camera_app.config import CameraSettings, Config
from camera_app.health.activity import EVERY_S, Activity
from camera_app.store import SETTLE_DELAY_S

COSTS_SCHEMA = 3
SECONDS_A_DAY = 86_400.0
MS_PER_S = 1000.0
# Beyond this share of the cores nothing is left for what else a machine does, and frames are shed.
MOST_CPU_SHARE = 0.85
MOST_DUTY = 0.95
MOST_MEMORY_SHARE = 0.85
# Where nobody knows better; `--activity` says otherwise.
ASSUMED = Activity(looked_share=0.1, regions=1.5, changes_per_s=0.02, stills_per_s=0.004)
MOTION_REGIONS = 1.5
# A look is rare if the last one was this long ago: others have had the processor's caches since.
RARE_EVERY_S = 1.0
# More than this share of the cores is not left to chance: the figures are others' as much as ours.
OTHERS_SHARE = 0.25
# A range of the time that a stick is busy is told where it is wider than this share of it.
WIDE_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class SourceCosts:
    """What the pictures of one source cost, or those of a size.

    Attributes:
        width: Of its pictures, pixels.
        height: The same.
        codec: How they come.
        decode_ms: Processor time of its child for each picture that comes, motion gate and all.
        frame_ms: Processor time of the service for each that is kept, if nothing moves in it: few
            of those are brought to it.
        memory_bytes: Of the child, and what the service grows by.
        still_ms: Processor time of making a JPEG.
        still_bytes: Size of one.
        fps: Pictures a second that the source brings; None: a size, not a source.
        look_ms: Processor time of all for each that is looked at, beyond its networks: it is
            brought to the service, and what was found in it is followed.
    """

    width: int
    height: int
    codec: str
    decode_ms: float
    frame_ms: float
    memory_bytes: float
    still_ms: float
    still_bytes: float
    fps: float | None = None
    look_ms: float = 0.0

    @property
    def pixels(self) -> int:
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class ModelCosts:
    """What a model costs on the CPU.

    Attributes:
        digest: Of the pack that was measured.
        cpu_ms: Processor time of one region: tensor, network and detections.
        memory_bytes: Of one interpreter; each seat has one.
    """

    digest: str
    cpu_ms: float
    memory_bytes: float


@dataclass(frozen=True, slots=True)
class StickCosts:
    """What a model costs on an Edge TPU.

    Attributes:
        service_ms: Time that the stick is busy with one region.
        cpu_ms: Processor time of the service and the stick's child meanwhile.
        memory_bytes: Of the stick's child, and what the service grows by.
        change_ms: What that takes longer where another model had the stick before.
        shared_bytes: Of that memory, what models on the stick share.
    """

    service_ms: float
    cpu_ms: float
    memory_bytes: float = 0.0
    change_ms: float = 0.0
    shared_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class TellingCosts:
    """What it costs to be connected to a broker.

    Attributes:
        cores: Processor time a second, if nothing happens.
        memory_bytes: More than without.
        change_ms: Processor time of taking a change that was acknowledged out of the outbox.
        change_written_bytes: What is written to the disk for that.
    """

    cores: float = 0.0
    memory_bytes: float = 0.0
    change_ms: float = 0.0
    change_written_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class StreamCosts:
    """What a second stream costs, that is only kept for films.

    Attributes:
        picture_ms: Processor time for each picture that it brings.
        memory_bytes: Of the child that reads it, and what the service grows by.
    """

    picture_ms: float = 0.0
    memory_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured on one machine.

    Attributes:
        machine: Which one: processor, cores, versions; others cost otherwise.
        at: When, UTC.
        cores: Of the machine, that the service may use.
        base_cores: Processor time a second of a service that sees nothing.
        base_bytes: Its memory, without networks.
        rare_look_ms: What a look takes more that is rare.
        look_bytes: Memory of a camera that is looked at, beyond its networks.
        sizes: Of pictures, from small to large.
        sources: The owner's own, by `source_key`.
        models: By name.
        sticks: By place, then by model.
        change_ms: Processor time of an event change.
        change_kept_bytes: What the database grows by.
        change_written_bytes: What is written to the disk for it.
        still_more_bytes: What is written for a still beyond its length.
        note_written_bytes: What is written for a small file that is put in another's place.
        telling: With a broker.
        stream: A second one, for films.
        made: Pictures that are made up and need no decoding, from small to large.
        others_cores: Processor time a second of everything else while this was measured.
        request_ms: Processor time of each region and model of a frame after the first, beyond its
            network.
    """

    machine: Mapping[str, str]
    at: str
    cores: int
    base_cores: float
    base_bytes: float
    rare_look_ms: float
    look_bytes: float
    sizes: Sequence[SourceCosts]
    models: Mapping[str, ModelCosts]
    change_ms: float
    change_kept_bytes: float
    change_written_bytes: float
    sources: Mapping[str, SourceCosts] = field(default_factory=dict)
    sticks: Mapping[str, Mapping[str, StickCosts]] = field(default_factory=dict)
    still_more_bytes: float = 0.0
    note_written_bytes: float = 0.0
    telling: TellingCosts = field(default_factory=TellingCosts)
    stream: StreamCosts = field(default_factory=StreamCosts)
    made: Sequence[SourceCosts] = ()
    others_cores: float = 0.0
    request_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class CameraLoad:
    """One camera, as its costs are counted.

    Attributes:
        name: In the configuration.
        settings: Its section.
        models: Names of the packs that look.
        source: What its pictures cost.
        source_fps: Pictures a second that come; more than are kept, perhaps.
        activity: How busy its scene is.
        basis: Where these come from, in words.
    """

    name: str
    settings: CameraSettings
    models: tuple[str, ...]
    source: SourceCosts
    source_fps: float
    activity: Activity
    basis: str

    @property
    def fps(self) -> float:
        """Frames a second that are kept."""
        return min(self.settings.fps, self.source_fps)

    @property
    def looks_per_s(self) -> float:
        """Frames a second that are looked at."""
        return self.fps * self.activity.looked_share if self.settings.detection else 0.0

    @property
    def is_open(self) -> bool:
        return self.settings.enabled and not self.settings.privacy

    @property
    def has_film_stream(self) -> bool:
        """Whether a second stream is read for its films."""
        return self.settings.recording.enabled and bool(self.settings.recording.source)

    def asks(self, looks_per_s: float, runs: Iterable[str]) -> Asking:
        """Return what it asks of a stick that runs these models."""
        return Asking(
            fps=self.fps,
            looked_share=looks_per_s / self.fps,
            least_share=_rechecked_share(self.settings),
            models=frozenset(self.models) & frozenset(runs),
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a configuration costs.

    Attributes:
        cores: Processor time a second, of all cores together, on average.
        peak_cores: While something moves before all cameras at once.
        duty: Share of its time in which each Edge TPU is busy, by place.
        duty_between: The least and the most that this can be, by place: the processor answers what
            would have to wait for the stick, and how much that is depends on whether the pictures
            of several cameras come at the same moments.
        memory_bytes: Of all processes.
        kept_bytes_per_day: What events and stills come to.
        written_bytes_per_day: What is written to the disk, which wears a memory card.
        promised_cores: Of the peak, what is promised by `min_fps`, whatever else is shed.
    """

    cores: float
    peak_cores: float
    duty: Mapping[str, float]
    memory_bytes: float
    kept_bytes_per_day: float
    written_bytes_per_day: float
    promised_cores: float
    duty_between: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def activity_of_share(share: float, settings: CameraSettings) -> Activity:
    """Return the activity of a scene in which something moves for a share of the time."""
    looked = share + (1.0 - share) * _rechecked_share(settings)
    per_share = share / ASSUMED.looked_share
    return Activity(
        looked_share=looked,
        regions=MOTION_REGIONS if share else 1.0,
        changes_per_s=ASSUMED.changes_per_s * per_share,
        stills_per_s=ASSUMED.stills_per_s * per_share,
    )


def _rechecked_share(settings: CameraSettings) -> float:
    """Return the share of frames that are looked at though nothing moves."""
    if not settings.motion.enabled:
        return 1.0
    return min(1.0, 1.0 / (settings.motion.recheck_s * settings.fps))


def of_size(measured: Iterable[SourceCosts], width: int, height: int, codec: str) -> SourceCosts:
    """Return what pictures of any size cost, in proportion between those that were measured.

    Args:
        measured: Two sizes at least.
        width: Pixels.
        height: Pixels.
        codec: How they come.
    """
    pixels = width * height
    sizes = sorted(measured, key=lambda one: one.pixels)
    above = next((n for n, one in enumerate(sizes) if one.pixels >= pixels), len(sizes) - 1)
    high = sizes[max(1, above)]
    low = sizes[max(1, above) - 1]
    share = (pixels - low.pixels) / (high.pixels - low.pixels)

    def between(one: float, other: float) -> float:
        return max(0.0, one + share * (other - one))

    return SourceCosts(
        width,
        height,
        codec,
        decode_ms=between(low.decode_ms, high.decode_ms),
        frame_ms=between(low.frame_ms, high.frame_ms),
        memory_bytes=between(low.memory_bytes, high.memory_bytes),
        still_ms=between(low.still_ms, high.still_ms),
        still_bytes=between(low.still_bytes, high.still_bytes),
        look_ms=between(low.look_ms, high.look_ms),
    )


def estimate(costs: Costs, config: Config, cameras: Iterable[CameraLoad], seats: int) -> Estimate:
    """Return what cameras cost together.

    Args:
        costs: Of the machine.
        config: What they are configured by.
        cameras: Those that are enabled.
        seats: Networks side by side on the CPU.
    """
    loads = [camera for camera in cameras if camera.is_open]
    usual = _Sum(costs, config, {one.name: one.looks_per_s for one in loads})
    peak = _Sum(costs, config, {one.name: one.fps for one in loads if one.settings.detection})
    promised = _Sum(
        costs,
        config,
        {one.name: min(one.fps, one.settings.min_fps) for one in loads if one.settings.detection},
    )
    rest = costs.base_cores + _happenings_cores(costs, config, loads)
    cores, shares = usual.of(loads)
    return Estimate(
        cores=rest + cores,
        peak_cores=rest + peak.of(loads)[0],
        duty={place: share.duty for place, share in shares.items()},
        memory_bytes=_memory(costs, config, loads, seats) + usual.stick_bytes(loads),
        kept_bytes_per_day=SECONDS_A_DAY * _kept_bytes_per_s(costs, loads),
        written_bytes_per_day=SECONDS_A_DAY * _written_bytes_per_s(costs, config, loads),
        promised_cores=rest + promised.of(loads)[0],
        duty_between={place: (share.least, share.most) for place, share in shares.items()},
    )


def _happenings_cores(costs: Costs, config: Config, cameras: Sequence[CameraLoad]) -> float:
    """Return processor time a second of telling, of event changes and of stills."""
    telling = _telling(costs, config)
    happenings_ms = sum(
        one.activity.changes_per_s * (costs.change_ms + telling.change_ms)
        + _stills_per_s(one) * one.source.still_ms
        for one in cameras
    )
    return telling.cores + happenings_ms / MS_PER_S


def _kept_bytes_per_s(costs: Costs, cameras: Sequence[CameraLoad]) -> float:
    return sum(
        one.activity.changes_per_s * costs.change_kept_bytes
        + _stills_per_s(one) * one.source.still_bytes
        for one in cameras
    )


def _written_bytes_per_s(costs: Costs, config: Config, cameras: Sequence[CameraLoad]) -> float:
    """Return what is written: whole pages, and each change twice where a broker is told of it.

    That a broker has a change is written along with the next one, if that comes soon enough.
    """
    next_after = SETTLE_DELAY_S * sum(one.activity.changes_per_s for one in cameras)
    settled = exp(-next_after) * _telling(costs, config).change_written_bytes
    a_change = costs.change_written_bytes + settled
    how_busy = costs.note_written_bytes / EVERY_S if cameras else 0.0  # the service notes it down
    return how_busy + sum(
        one.activity.changes_per_s * a_change
        + _stills_per_s(one) * (one.source.still_bytes + costs.still_more_bytes)
        for one in cameras
    )


def _stills_per_s(camera: CameraLoad) -> float:
    return camera.activity.stills_per_s if camera.settings.snapshots.enabled else 0.0


def _telling(costs: Costs, config: Config) -> TellingCosts:
    return costs.telling if config.mqtt.enabled else TellingCosts()


class _Sum:
    """Adds up processor and stick time for so many looks a second of each camera."""

    def __init__(self, costs: Costs, config: Config, looks_per_s: Mapping[str, float]) -> None:
        self._costs = costs
        self._looks_per_s = looks_per_s
        named = config.inference.edgetpu
        self._sticks = {
            place: models
            for place, models in costs.sticks.items()
            if named == ("auto",) or place in named
        }

    def of(self, cameras: Iterable[CameraLoad]) -> tuple[float, dict[str, StickShare]]:
        """Return cores, and what each stick has of the work."""
        cameras = list(cameras)
        cpu_ms = sum(map(self._pictures_ms, cameras))
        left = self._regions_per_s(cameras)
        shares: dict[str, StickShare] = {}
        for place, models in self._sticks.items():
            shares[place], more_ms = self._on_stick(place, models, cameras, left)
            cpu_ms += more_ms
            for model, taken in shares[place].taken_per_s.items():
                cpu_ms += taken * models[model].cpu_ms
                left[model] -= taken
        cpu_ms += sum(per_s * self._costs.models[model].cpu_ms for model, per_s in left.items())
        return cpu_ms / MS_PER_S, shares

    def _looks(self, camera: CameraLoad) -> float:
        return self._looks_per_s.get(camera.name, 0.0)

    def _pictures_ms(self, camera: CameraLoad) -> float:
        """Return processor time a second of a camera's pictures, without networks."""
        source, looks = camera.source, self._looks(camera)
        cpu_ms = camera.source_fps * source.decode_ms + camera.fps * source.frame_ms
        cpu_ms += looks * source.look_ms + min(looks, 1 / RARE_EVERY_S) * self._costs.rare_look_ms
        requests = looks * camera.activity.regions * len(camera.models)
        cpu_ms += max(0.0, requests - looks) * self._costs.request_ms
        if camera.has_film_stream:
            cpu_ms += camera.source_fps * self._costs.stream.picture_ms
        return cpu_ms

    def _regions_per_s(self, cameras: Iterable[CameraLoad]) -> dict[str, float]:
        found: dict[str, float] = {}  # by model
        for camera in cameras:
            for model in camera.models:
                wanted = self._looks(camera) * camera.activity.regions
                found[model] = found.get(model, 0.0) + wanted
        return found

    def _on_stick(
        self,
        place: str,
        models: Mapping[str, StickCosts],
        cameras: Sequence[CameraLoad],
        left: Mapping[str, float],
    ) -> tuple[StickShare, float]:
        """Return what a stick has of the work, and processor time of its known answers."""
        askings = [
            camera.asks(looks, models)
            for camera in cameras
            if (looks := self._looks(camera)) and not models.keys().isdisjoint(camera.models)
        ]
        used = [models[name] for name in frozenset().union(*(one.models for one in askings))]
        if not used:
            return StickShare(), 0.0
        checks = checks_per_s(askings)
        changing_ms = changes_per_s(askings) * fmean(one.change_ms for one in used)
        wanted = {model: left[model] for model in models if left.get(model)}
        work = {
            model: StickWork(
                per_s=per_s,
                stick_ms=models[model].service_ms,
                change_ms=changing_ms / sum(wanted.values()),
                cpu_ms=self._costs.models[model].cpu_ms,
                other_stick_ms=self._on_later_sticks_ms(place, model),
            )
            for model, per_s in wanted.items()
        }
        checking = checks * fmean(one.service_ms for one in used) / MS_PER_S
        share = share_of_stick(work, self._crowd(models, cameras), checking, MOST_DUTY)
        return share, checks * fmean(one.cpu_ms for one in used)

    def _crowd(self, models: Mapping[str, StickCosts], cameras: Iterable[CameraLoad]) -> Crowd:
        looks_per_s, regions_per_s = 0.0, []
        for camera in cameras:
            looks = self._looks(camera)
            together = camera.activity.regions * len(models.keys() & set(camera.models))
            if together:
                looks_per_s += looks
                regions_per_s.append(looks * together)
        together = sum(regions_per_s) / looks_per_s if looks_per_s else 1.0
        return Crowd(regions_per_s, max(1.0, together))

    def _on_later_sticks_ms(self, place: str, model: str) -> float | None:
        """Return what a model takes on the quickest stick that is asked after this one."""
        places = list(self._sticks)
        later = [self._sticks[other] for other in places[places.index(place) + 1 :]]
        return min((one[model].service_ms for one in later if model in one), default=None)

    def stick_bytes(self, cameras: Iterable[CameraLoad]) -> float:
        """Return the memory of the sticks' children, for the models that they run."""
        names = {model for camera in cameras for model in camera.models}
        return sum(
            _child_bytes([one for name, one in models.items() if name in names])
            for models in self._sticks.values()
        )


def _child_bytes(models: Sequence[StickCosts]) -> float:
    """Return the memory of a stick's child that runs these models."""
    shared = max((one.shared_bytes for one in models), default=0.0)
    return shared + sum(one.memory_bytes - one.shared_bytes for one in models)


def _memory(costs: Costs, config: Config, cameras: Sequence[CameraLoad], seats: int) -> float:
    models = {model for camera in cameras for model in camera.models}
    networks = seats * sum(costs.models[model].memory_bytes for model in models)
    looked = sum(costs.look_bytes for camera in cameras if camera.looks_per_s)
    sources = sum(camera.source.memory_bytes for camera in cameras)
    streams = sum(costs.stream.memory_bytes for camera in cameras if camera.has_film_stream)
    service = costs.base_bytes + _telling(costs, config).memory_bytes
    return service + networks + looked + sources + streams


@dataclass(frozen=True, slots=True)
class Room:
    """What a machine has.

    Attributes:
        memory_bytes: That processes may use.
        disk_bytes: Free where the data lies, what the service keeps there already included.
    """

    memory_bytes: float
    disk_bytes: float


def refusals(costs: Costs, config: Config, found: Estimate, room: Room) -> list[str]:
    """Return why a configuration cannot be met, each with what to lower; empty: it can."""
    reasons = []
    limit = costs.cores * MOST_CPU_SHARE
    if found.cores > limit:
        reasons.append(
            f"it needs {found.cores:.2f} cores on average, and {limit:.2f} of {costs.cores} can be "
            "used: lower `fps`, take a smaller `model`, take streams of fewer pixels, or leave "
            "`motion.enabled` on"
        )
    elif found.promised_cores > limit:
        reasons.append(
            f"what `min_fps` promises needs {found.promised_cores:.2f} cores when everything moves "
            f"at once, and {limit:.2f} can be used: lower `min_fps` or take a smaller `model`"
        )
    named = [place for place in config.inference.edgetpu if ":" in place]
    reasons += [
        f"inference.edgetpu names {place}, of which no costs are known: plug it in and calibrate "
        "anew, or take it out"
        for place in named
        if place not in costs.sticks
    ]
    if found.memory_bytes > room.memory_bytes * MOST_MEMORY_SHARE:
        reasons.append(
            f"it needs {found.memory_bytes / 1e6:.0f} MB of memory, and "
            f"{room.memory_bytes * MOST_MEMORY_SHARE / 1e6:.0f} can be used: have fewer cameras or "
            "models, or lower `cpu_seats`"
        )
    kept = _kept_bytes(config, found)
    wanted = kept + config.data.reserve_megabytes * 1e6
    if wanted > room.disk_bytes:
        reasons.append(
            f"what is to be kept comes to {kept / 1e6:.0f} MB, with "
            f"{config.data.reserve_megabytes:.0f} MB to stay free, and the disk has "
            f"{room.disk_bytes / 1e6:.0f}: lower `max_days` or `max_megabytes` of [retention] and "
            "of the snapshots"
        )
    return reasons


def _kept_bytes(config: Config, found: Estimate) -> float:
    """Return what is on the disk once limits of age or size hold."""
    limits = config.retention.max_megabytes * 1e6 + sum(
        camera.snapshots.max_megabytes * 1e6 for camera in config.camera.values()
    )
    days = max(
        config.retention.max_days,
        *(camera.snapshots.max_days for camera in config.camera.values()),
    )
    return float(min(limits, found.kept_bytes_per_day * days))


def warnings(costs: Costs, found: Estimate) -> list[str]:
    """Return what can be met and yet should be known."""
    told = []
    if found.peak_cores > costs.cores * MOST_CPU_SHARE:
        told.append(
            f"while everything moves before all cameras at once, {found.peak_cores:.2f} cores "
            f"would be needed of {costs.cores}: smaller models stand in, and frames are left out"
        )
    if costs.others_cores > costs.cores * OTHERS_SHARE:
        told.append(
            f"others took {costs.others_cores:.1f} of {costs.cores} cores while the costs were "
            "measured, and each figure may be too high for it: measure anew when less goes on"
        )
    return [*told, *_wide_duties(found)]


def _wide_duties(found: Estimate) -> Iterable[str]:
    for place, (least, most) in wide_duties(found).items():
        yield (
            f"Edge TPU {place} may be busy between {least:.0%} and {most:.0%} of its time: the "
            "processor answers what would wait for the stick for too long, and how much that "
            "is depends on whether pictures of several cameras come at the same moments"
        )


def wide_duties(found: Estimate) -> Mapping[str, tuple[float, float]]:
    """Return between what figures each Edge TPU's duty is foreseen, by place, where that is far."""
    return {
        place: (least, most)
        for place, (least, most) in found.duty_between.items()
        if most - least > WIDE_SHARE * found.duty[place]
    }
