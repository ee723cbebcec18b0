"""Measures what the camera costs on this machine, and keeps it in a file.

Most of it is measured on the real service, in processes of its own, each time with one thing more:
nothing to see; pictures that nobody looks at, in several sizes; pictures that are looked at. What
a thing costs is the difference. Networks, commits and stills are measured by themselves.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from camera_app import __version__
from camera_app.assembly import models_of
from camera_app.bench.costs import (
    COSTS_SCHEMA,
    Costs,
    ModelCosts,
    SourceCosts,
    StickCosts,
    of_size,
)
from camera_app.bench.films import FPS, write_film
from camera_app.bench.made import made_change
from camera_app.bench.measured import MEASURED, MeasuredService, Use
from camera_app.bench.processes import pss_bytes, written_bytes
from camera_app.capture import ClipReader
from camera_app.capture.live import errand_of
from camera_app.capture.trial import CameraTrial, try_camera
from camera_app.clock import NS_PER_S, SystemClock, iso_utc
from camera_app.config import CameraSettings, Config, RetentionSettings
from camera_app.errors import CameraAppError, StoreError, UsageError
from camera_app.inference import load_network
from camera_app.inference.edgetpu import find_places
from camera_app.inference.known_answers import known_picture
from camera_app.kernel import processor_name
from camera_app.media import encode_jpeg
from camera_app.models import ModelPack, cache_folder, find_pack
from camera_app.store import EventStore
from camera_app.store.small_files import read_small, write_small
from camera_app.values import (
    EventChange,
    Picture,
    Pixels,
    Region,
    Size,
    Yuv420,
)

FILE_NAME = "costs.json"
LIMIT_BYTES = 4_000_000
SIZES = (Size(640, 360), Size(1280, 720), Size(1920, 1080))
FILM_S = 5
START_LIMIT_S = 60.0
SOURCE_LIMIT_S = 20.0
INVOKES = 60
# Between two regions, as live: a core that has rested, and whose cache others have used, is slower
# than one that does nothing else; by a fifth to a half.
REST_S = 0.05
CHANGES = 150
STILLS = 10
# Memory grows for a while when networks look, so that is watched for longer.
LOOK_SPANS = 3
STILL_QUALITY = 85  # what the configuration has, if nothing else is said
MS_PER_S = 1000.0
USUAL_MODELS = ("person_large", "person_small", "face")

Progress = Callable[[str], None]


def costs_path() -> Path:
    """Return where the costs of this machine are kept."""
    return cache_folder().parent / FILE_NAME


def read_costs(path: Path) -> Costs | None:
    """Return what was measured; None: nothing was, or by a version that measured otherwise.

    Raises:
        StoreError: The file is there and cannot be read.
    """
    text = read_small(path, LIMIT_BYTES)
    if text is None:
        return None
    try:
        plain: Any = json.loads(text)
        return _read_costs(plain) if plain.get("schema") == COSTS_SCHEMA else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"holds no costs: {error!r}", where=str(path), remedy="camera-app bench --calibrate"
        ) from error


def write_costs(path: Path, costs: Costs) -> None:
    """Keep what was measured.

    Raises:
        StoreError: It cannot be written.
    """
    plain = {"schema": COSTS_SCHEMA, **asdict(costs)}
    write_small(path, json.dumps(plain, indent=1, sort_keys=True))


def this_machine() -> dict[str, str]:
    """Return what tells one machine from another that costs otherwise."""
    return {
        "processor": processor_name(),
        "architecture": platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "version": __version__,
    }


def source_key(camera: CameraSettings) -> str:
    """Return a name for a source, by which its costs are found again and nothing is learned."""
    text = "\0".join(map(str, (camera.source, camera.width, camera.height, camera.rtsp_transport)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def calibrate(config: Config | None, *, span_s: float, progress: Progress) -> Costs:
    """Measure.

    Args:
        config: Whose sources and models are measured besides; None: nobody's.
        span_s: How long each measurement of a service lasts.
        progress: Is told what is being measured.

    Raises:
        CameraAppError: Something cannot be measured.
    """
    with tempfile.TemporaryDirectory(prefix="camera-app-calibration-") as folder:
        return _Calibration(Path(folder), config, span_s, progress).run()


class _Calibration:
    """One round of measurements in a folder of its own."""

    def __init__(
        self, folder: Path, config: Config | None, span_s: float, progress: Progress
    ) -> None:
        self._folder = folder
        self._config = config
        self._span_s = span_s
        self._progress = progress
        self._packs = _packs_of(config)
        self._pack = self._packs[0]
        self._subject = _subject(self._packs)

    def run(self) -> Costs:
        models = {pack.name: self._model(pack) for pack in self._packs}
        self._progress("a service that sees nothing")
        base = self._use("synthetic:", "privacy = true")
        sizes = [self._size(size, base) for size in SIZES]
        look_ms, look_bytes = self._looks(base, sizes[0], models[self._pack.name])
        sources = dict(self._own_sources(base, sizes))
        change_ms, kept, written = self._changes()
        return Costs(
            machine=this_machine(),
            at=iso_utc(SystemClock().wall_ns()),
            cores=len(os.sched_getaffinity(0)),
            base_cores=base.service_cores + base.children_cores,
            base_bytes=base.memory_bytes - models[self._pack.name].memory_bytes,
            look_ms=look_ms,
            look_bytes=look_bytes,
            sizes=sizes,
            sources=sources,
            models=models,
            sticks=self._sticks(base, sizes[0], look_ms, look_bytes),
            change_ms=change_ms,
            change_kept_bytes=kept,
            change_written_bytes=written,
        )

    # On the service

    def _size(self, size: Size, base: Use) -> SourceCosts:
        self._progress(f"pictures of {size.width}x{size.height}")
        film = self._film(size)
        use = self._use(f"{film}?loop=1", _UNLOOKED)
        return self._source_costs(size, "h264", use, base, FPS, _still(film))

    def _source_costs(
        self, size: Size, codec: str, use: Use, base: Use, fps: float, still: tuple[float, float]
    ) -> SourceCosts:
        kept_per_s = max(use.frames_per_s, 0.1)
        return SourceCosts(
            width=size.width,
            height=size.height,
            codec=codec,
            decode_ms=use.children_cores * MS_PER_S / fps,
            frame_ms=max(0.0, use.service_cores - base.service_cores) * MS_PER_S / kept_per_s,
            memory_bytes=max(0.0, use.memory_bytes - base.memory_bytes),
            still_ms=still[0],
            still_bytes=still[1],
        )

    def _looks(self, base: Use, source: SourceCosts, model: ModelCosts) -> tuple[float, float]:
        """Return time and memory of looks beyond their networks, with a look at every frame."""
        self._progress(f"looks with {self._pack.name}")
        film = self._film(SIZES[0])
        use = self._use(f"{film}?loop=1", "motion.enabled = false", spans=LOOK_SPANS)
        rest_ms = (use.service_cores - base.service_cores) * MS_PER_S
        rest_ms -= use.frames_per_s * source.frame_ms + use.regions_per_s * model.cpu_ms
        grown = use.memory_bytes - base.memory_bytes - source.memory_bytes
        return max(0.0, rest_ms / max(use.looks_per_s, 0.1)), max(0.0, grown)

    def _own_sources(
        self, base: Use, sizes: Sequence[SourceCosts]
    ) -> Iterator[tuple[str, SourceCosts]]:
        cameras = {} if self._config is None else self._config.camera
        for name, camera in cameras.items():
            if not camera.enabled:
                continue
            self._progress(f"the source of camera {name}")
            trial = try_camera(errand_of(camera), SOURCE_LIMIT_S)
            if trial.obstacle is not None or not trial.fps:
                self._progress(f"camera {name} is left out: {trial.what or 'its rate is unknown'}")
                continue
            yield source_key(camera), self._own_source(camera, trial, base, sizes)

    def _own_source(
        self,
        camera: CameraSettings,
        trial: CameraTrial,
        base: Use,
        sizes: Sequence[SourceCosts],
    ) -> SourceCosts:
        keys = {
            key: getattr(camera, key)
            for key in ("width", "height", "rtsp_transport", "password_file")
            if getattr(camera, key) is not None
        }
        more = "".join(
            f"{key} = {json.dumps(str(value) if isinstance(value, Path) else value)}\n"
            for key, value in keys.items()
        )
        use = self._use(camera.source, f"{_UNLOOKED}\n{more}", fps=camera.fps)
        size, fps = Size(trial.width, trial.height), trial.fps or camera.fps
        like = of_size(sizes, size.width, size.height, trial.codec)
        still = like.still_ms, like.still_bytes
        costs = self._source_costs(size, trial.codec, use, base, fps, still)
        return SourceCosts(**{**asdict(costs), "fps": fps})

    def _use(
        self,
        source: str,
        camera: str,
        fps: float = FPS,
        packs: Sequence[ModelPack] = (),
        stick: str = "off",
        spans: int = 1,
    ) -> Use:
        """Return what a service uses that has this camera, once for each of the models."""
        keys = () if self._config is None else self._config.models.trusted_keys
        config = self._folder / "calibration.toml"
        data = self._folder / f"data-{time.monotonic_ns()}"
        config.touch(mode=0o600)  # an address may hold a password
        config.write_text(
            f"mqtt.enabled = false\ndata.folder = {json.dumps(str(data))}\n"
            f"[models]\ntrusted_keys = {json.dumps(list(keys))}\n"
            f"[inference]\ncpu_seats = 1\nedgetpu = {json.dumps(stick)}\n"
            + "".join(
                f"[camera.{MEASURED}_{number}]\nsource = {json.dumps(source)}\n"
                f"model = {json.dumps(str(pack.folder))}\nfps = {fps}\n{camera}\n"
                for number, pack in enumerate(packs or [self._pack])
            )
        )
        with MeasuredService(config, data) as service:
            if "privacy" not in camera:
                service.wait_for_frames(START_LIMIT_S)
            return service.watch(self._span_s * spans)

    def _film(self, size: Size) -> Path:
        path = self._folder / f"{size.width}x{size.height}.mp4"
        if not path.exists():
            write_film(path, size, FILM_S, self._subject, is_still=False)
        return path

    # By themselves

    def _model(self, pack: ModelPack) -> ModelCosts:
        self._progress(f"model {pack.name}")
        before = pss_bytes([os.getpid()])
        network = load_network(pack)
        picture = _noise(Size(640, 360))
        region = Region.whole(picture.size)
        network.look(picture, region, min_score=0.1)
        grown = max(0, pss_bytes([os.getpid()]) - before)
        times_ms = []
        pause = threading.Event()
        for _ in range(INVOKES):
            pause.wait(REST_S)
            began_ns = time.thread_time_ns()
            network.look(picture, region, min_score=0.1)
            times_ms.append((time.thread_time_ns() - began_ns) / 1e6)
        return ModelCosts(pack.digest, fmean(times_ms), float(grown))

    def _changes(self) -> tuple[float, float, float]:
        """Return processor time, growth of the database and bytes written of an event change."""
        self._progress("event changes")
        path = self._folder / "changes.db"
        store = EventStore(path, SystemClock(), RetentionSettings())
        store.start()
        try:
            store.commit([_change(0)]).wait(START_LIMIT_S)
            written = written_bytes(os.getpid())
            size = store.stats().size_bytes
            began_s = time.process_time()
            for number in range(1, CHANGES + 1):
                store.commit([_change(number)]).wait(START_LIMIT_S)
            took_s = time.process_time() - began_s
        finally:
            store.stop()
        written = written_bytes(os.getpid()) - written
        kept = max(0, path.stat().st_size - size) / CHANGES
        # On a disk in memory nothing is written; what a journal and its checkpoint come to is
        # twice what is kept, in whole pages.
        return took_s * MS_PER_S / CHANGES, kept, max(written / CHANGES, 2 * kept)

    def _sticks(
        self, base: Use, source: SourceCosts, look_ms: float, look_bytes: float
    ) -> dict[str, dict[str, StickCosts]]:
        """Return what models cost on sticks: on a service that looks at every frame with one."""
        found: dict[str, dict[str, StickCosts]] = {}
        for place in (place.name for place in find_places()):
            for pack in self._packs:
                if pack.edgetpu is None:
                    continue
                self._progress(f"model {pack.name} on {place}")
                use = self._use(
                    f"{self._film(SIZES[0])}?loop=1",
                    "motion.enabled = false",
                    packs=[pack],
                    stick=place,
                )
                if not use.is_of_sticks:
                    self._progress(f"{place} is left out: it has answered too little")
                    continue
                costs = _stick_costs(use, base, source, look_ms, look_bytes)
                found.setdefault(place, {})[pack.name] = costs
            if len(found.get(place, ())) > 1:
                found[place] = self._with_changes(place, found[place])
        return found

    def _with_changes(self, place: str, alone: Mapping[str, StickCosts]) -> dict[str, StickCosts]:
        """Add what it takes when models share a stick: each looks at every frame of a camera."""
        self._progress(f"{len(alone)} models on {place}")
        packs = [pack for pack in self._packs if pack.name in alone]
        film = f"{self._film(SIZES[0])}?loop=1"
        use = self._use(film, "motion.enabled = false", packs=packs, stick=place)
        if not use.stick_changes_per_s:
            return dict(alone)
        usual_ms = use.stick_invokes_per_s * fmean(one.service_ms for one in alone.values())
        change_ms = max(0.0, use.duty * MS_PER_S - usual_ms) / use.stick_changes_per_s
        return {name: replace(one, change_ms=change_ms) for name, one in alone.items()}


def _stick_costs(
    use: Use, base: Use, source: SourceCosts, look_ms: float, look_bytes: float
) -> StickCosts:
    ms = (use.service_cores + use.children_cores) * MS_PER_S - base.service_cores * MS_PER_S
    ms -= FPS * source.decode_ms + use.frames_per_s * source.frame_ms + use.looks_per_s * look_ms
    grown = use.memory_bytes - base.memory_bytes - source.memory_bytes - look_bytes
    # Known answers are among what it ran, and among what it took.
    service_ms = use.duty * MS_PER_S / use.stick_invokes_per_s
    return StickCosts(service_ms, max(0.0, ms / use.stick_invokes_per_s), max(0.0, grown))


# Gate and all, and yet no look: nothing is large enough to be motion.
_UNLOOKED = "motion.min_area_share = 1.0\nmotion.recheck_s = 3600\nsnapshots.enabled = false"


def _packs_of(config: Config | None) -> list[ModelPack]:
    """Return the models of a configuration and the usual ones, each once."""
    packs: dict[str, ModelPack] = {}
    for camera in () if config is None else config.camera.values():
        for pack in models_of(config, camera).packs if camera.enabled and config else ():
            packs[pack.name] = pack
    for name in USUAL_MODELS:
        try:
            packs.setdefault(name, find_pack(name))
        except CameraAppError:
            continue  # a catalogue may be without it
    if not packs:
        raise UsageError("there is no model to measure with")
    return list(packs.values())


def _subject(packs: Iterable[ModelPack]) -> Pixels:
    """Return a picture that a model is known to find something in; else one that is made."""
    for pack in packs:
        for answer in pack.known_answers.answers if pack.known_answers else ():
            if answer.detections:
                return known_picture(pack, answer.input).pixels
    return np.random.default_rng(1).integers(0, 255, (320, 240, 3), np.uint8)


def _still(film: Path) -> tuple[float, float]:
    """Return processor time and size of a JPEG of a film's first picture."""
    picture = _picture(film)
    times_ms, length = [], 0
    for _ in range(STILLS):
        began_ns = time.thread_time_ns()
        length = len(encode_jpeg(picture, STILL_QUALITY))
        times_ms.append((time.thread_time_ns() - began_ns) / 1e6)
    return median(times_ms), float(length)


def _picture(film: Path) -> Picture:
    with ClipReader(film) as reader:
        return next(iter(reader.frames())).picture


def _noise(size: Size) -> Picture:
    luma = np.random.default_rng(1).integers(0, 255, (size.height, size.width), np.uint8)
    return Yuv420(luma, luma[::2, ::2].copy(), luma[1::2, 1::2].copy())


def _change(number: int) -> EventChange:
    at_ns = number * NS_PER_S
    return made_change(number, camera="measured", at_ns=at_ns, wall_ns=time.time_ns())


def _read_costs(plain: dict[str, Any]) -> Costs:
    plain.pop("schema")
    return Costs(
        **{
            **plain,
            "sizes": [SourceCosts(**one) for one in plain["sizes"]],
            "sources": {key: SourceCosts(**one) for key, one in plain["sources"].items()},
            "models": {name: ModelCosts(**one) for name, one in plain["models"].items()},
            "sticks": {
                place: {name: StickCosts(**one) for name, one in models.items()}
                for place, models in plain["sticks"].items()
            },
        }
    )
