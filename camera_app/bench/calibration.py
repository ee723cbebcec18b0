"""Measures what the camera costs on this machine, and keeps it in a file.

Most of it is measured on the real service, in processes of its own, each time with one thing more:
nothing to see; a broker; pictures that nobody looks at, in several sizes; pictures that are looked
at. What a thing costs is the difference. Networks, commits and stills are measured by themselves.

What others do at the same time only ever adds. So all services are measured several times, in
turns, and of each the least counts; what others took meanwhile is written down.
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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, median, quantiles
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
    StreamCosts,
    TellingCosts,
    of_size,
)
from camera_app.bench.film_server import FilmServer
from camera_app.bench.films import FPS, write_film
from camera_app.bench.made import made_change
from camera_app.bench.measured import (
    MEASURED,
    UNDISTURBED_SHARE,
    MeasuredService,
    StickPiece,
    Use,
)
from camera_app.bench.processes import alone_bytes, written_bytes
from camera_app.capture import ClipReader
from camera_app.capture.live import errand_of
from camera_app.capture.synthetic import Scene, SyntheticReader
from camera_app.capture.trial import CameraTrial, try_camera
from camera_app.clock import NS_PER_S, SystemClock, iso_utc
from camera_app.config import CameraSettings, Config, RetentionSettings
from camera_app.errors import CameraAppError, StoreError, UsageError
from camera_app.inference import load_network
from camera_app.inference.edgetpu import find_places
from camera_app.inference.known_answers import known_picture
from camera_app.kernel import processor_name
from camera_app.media import encode_jpeg, write_still
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
DRAWN = 20
NOTES = 5
SETTLED = 5
POLL_S = 0.05
# Each service is measured so often, the others in between: an hour is never busy all the time.
ROUNDS = 2
# Memory grows for a while when networks look, so that is watched for longer.
LOOK_SPANS = 2
RARE_FPS = 1.0
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


Broker = tuple[str, int]  # host and port


def calibrate(
    config: Config | None, *, span_s: float, progress: Progress, broker: Broker | None = None
) -> Costs:
    """Measure.

    Args:
        config: Whose sources and models are measured besides; None: nobody's.
        span_s: How long each measurement of a service lasts.
        progress: Is told what is being measured.
        broker: To measure with what it costs to tell one; None: that is taken for nothing.

    Raises:
        CameraAppError: Something cannot be measured.
    """
    with tempfile.TemporaryDirectory(prefix="camera-app-calibration-") as folder:
        return _Calibration(Path(folder), config, span_s, progress, broker).run()


@dataclass(frozen=True, slots=True)
class _Run:
    """A service that is measured.

    Attributes:
        what: Is measured with it, in words.
        source: Of its cameras.
        camera: More lines of their sections.
        fps: That they keep.
        packs: Each is the model of a camera of its own, or all are of one.
        stick: That it may use.
        spans: How long it is watched.
        broker: That it tells.
        is_one_camera: All models look at one.
    """

    what: str
    source: str
    packs: tuple[ModelPack, ...]
    camera: str = ""
    fps: float = FPS
    stick: str = "off"
    spans: int = 1
    broker: Broker | None = None
    is_one_camera: bool = False

    @property
    def cameras(self) -> list[tuple[ModelPack, ...]]:
        """The models of each of its cameras."""
        return [self.packs] if self.is_one_camera else [(pack,) for pack in self.packs]


class _Calibration:
    """Measurements in a folder of their own."""

    def __init__(
        self,
        folder: Path,
        config: Config | None,
        span_s: float,
        progress: Progress,
        broker: Broker | None,
    ) -> None:
        self._folder = folder
        self._config = config
        self._span_s = span_s
        self._progress = progress
        self._broker = broker
        self._packs = _packs_of(config)
        self._pack = self._packs[0]
        self._second = next((pack for pack in self._packs if _may_join(pack, self._pack)), None)
        self._subject = _subject(self._packs)
        self._others_cores: list[float] = []

    def run(self) -> Costs:
        load_network(self._pack)  # what the first one brings along is not the model's
        models = {pack.name: self._model(pack) for pack in self._packs}
        trials = dict(self._trials())
        with FilmServer(self._film(SIZES[1])) as server:
            uses = self._measured(
                {
                    **self._usual_runs(server.address),
                    **{key: self._own_run(camera) for key, (camera, _) in trials.items()},
                }
            )
        base, model = uses[_BASE], models[self._pack.name]
        bare = [self._size(size, uses[_of(size)], base) for size in SIZES]
        second = None if self._second is None else models[self._second.name]
        request_ms = 0.0 if second is None else _request_ms(uses, second)
        sizes = _with_looks(bare, uses, base, model, request_ms)
        change_ms, kept, written = self._changes()
        look_bytes = _look_bytes(uses, base, sizes[0])
        alone = replace(base, memory_bytes=base.memory_bytes - model.memory_bytes)
        sticks = self._sticks(alone, sizes[0], models, look_bytes)
        return Costs(
            machine=this_machine(),
            at=iso_utc(SystemClock().wall_ns()),
            cores=len(os.sched_getaffinity(0)),
            base_cores=base.cores,
            base_bytes=base.memory_bytes - model.memory_bytes,
            rare_look_ms=_rare_look_ms(uses, base, sizes[0], model),
            request_ms=request_ms,
            look_bytes=look_bytes,
            sizes=sizes,
            sources={
                key: _own_source(uses[key], base, trial, sizes)
                for key, (_, trial) in trials.items()
            },
            models=models,
            sticks=sticks,
            change_ms=change_ms,
            change_kept_bytes=kept,
            change_written_bytes=written,
            still_more_bytes=self._still_more_bytes(),
            note_written_bytes=self._note_written_bytes(),
            telling=self._telling(base, uses.get(_TOLD)),
            stream=_stream(uses[_STREAM], uses[_of(SIZES[0])]),
            made=[self._made(one) for one in (sizes[0], sizes[-1])],
            others_cores=fmean(self._others_cores),
        )

    # On the service

    def _usual_runs(self, stream: str) -> dict[str, _Run]:
        """Return what is measured on every machine."""
        packs = (self._pack,)
        small, large = (f"{self._film(size)}?loop=1" for size in (SIZES[0], SIZES[-1]))
        looks = f"looks with {self._pack.name}"
        runs = {
            _BASE: _Run("a service that sees nothing", "synthetic:", packs, _CLOSED),
            _SMALL: _Run(looks, small, packs, spans=LOOK_SPANS),
            _LARGE: _Run(f"{looks} at large pictures", large, packs),
            _RARE: _Run(f"rare {looks}", small, packs, _GATELESS, fps=RARE_FPS, spans=LOOK_SPANS),
            _STREAM: _Run(
                "a second stream for films",
                small,
                packs,
                f"{_UNLOOKED}\nrecording.enabled = true\nrecording.source = {json.dumps(stream)}",
            ),
        }
        if self._second is not None:
            both = replace(runs[_SMALL], packs=(self._pack, self._second), is_one_camera=True)
            runs[_BOTH] = replace(both, what="looks with two models")
        for size in SIZES:
            what = f"pictures of {size.width}x{size.height}"
            runs[_of(size)] = _Run(what, f"{self._film(size)}?loop=1", packs, _UNLOOKED)
        if self._broker is not None:
            told = replace(runs[_BASE], what="one that tells a broker", broker=self._broker)
            runs[_TOLD] = told
        return runs

    def _measured(self, runs: Mapping[str, _Run]) -> dict[str, Use]:
        """Measure services in turns, and return of each the least."""
        uses: dict[str, list[Use]] = {key: [] for key in runs}
        for number in range(1, ROUNDS + 1):
            for key, run in runs.items():
                self._progress(f"{run.what} ({number} of {ROUNDS})")
                uses[key].append(self._use(run))
        return {key: least_of(several) for key, several in uses.items()}

    def _size(self, size: Size, use: Use, base: Use) -> SourceCosts:
        still_ms, still_bytes = _still(self._film(size))
        return _source_costs(size, "h264", use, base, FPS, still_ms, still_bytes)

    def _trials(self) -> Iterator[tuple[str, tuple[CameraSettings, CameraTrial]]]:
        """Try the owner's sources, each once, and leave out what brings nothing."""
        cameras = {} if self._config is None else self._config.camera
        known: set[str] = set()
        for name, camera in cameras.items():
            key = source_key(camera)
            if not camera.enabled or key in known:
                continue
            known.add(key)
            trial = try_camera(errand_of(camera), SOURCE_LIMIT_S)
            if trial.obstacle is not None or not trial.fps:
                self._progress(f"camera {name} is left out: {trial.what or 'its rate is unknown'}")
                continue
            yield key, (camera, trial)

    def _own_run(self, camera: CameraSettings) -> _Run:
        keys = {
            key: getattr(camera, key)
            for key in ("width", "height", "rtsp_transport", "password_file")
            if getattr(camera, key) is not None
        }
        more = "".join(
            f"{key} = {json.dumps(str(value) if isinstance(value, Path) else value)}\n"
            for key, value in keys.items()
        )
        what = "a source of the configuration"
        return _Run(what, camera.source, (self._pack,), f"{_UNLOOKED}\n{more}", camera.fps)

    def _telling(self, base: Use, told: Use | None) -> TellingCosts:
        if told is None:
            return TellingCosts()
        change_ms, written = self._settling()
        return TellingCosts(
            cores=max(0.0, told.cores - base.cores),
            memory_bytes=max(0.0, told.memory_bytes - base.memory_bytes),
            change_ms=change_ms,
            change_written_bytes=written,
        )

    def _use(self, run: _Run) -> Use:
        """Return what a service uses."""
        config = self._folder / "calibration.toml"
        data = self._folder / f"data-{time.monotonic_ns()}"
        config.touch(mode=0o600)  # an address may hold a password
        config.write_text(self._text_of(run, data))
        with MeasuredService(config, data) as service:
            if run.camera != _CLOSED:
                service.wait_for_frames(START_LIMIT_S)
            use = service.watch(self._span_s * run.spans, in_pieces=run.stick != "off")
        self._others_cores.append(use.others_cores)
        return use

    def _text_of(self, run: _Run, data: Path) -> str:
        keys = () if self._config is None else self._config.models.trusted_keys
        mqtt = "enabled = false"
        if run.broker is not None:
            mqtt = f"host = {json.dumps(run.broker[0])}\nport = {run.broker[1]}"
        return (
            f"[data]\nfolder = {json.dumps(str(data))}\n"
            f"[mqtt]\n{mqtt}\n"
            f"[models]\ntrusted_keys = {json.dumps(list(keys))}\n"
            f"[inference]\ncpu_seats = 1\nedgetpu = {json.dumps(run.stick)}\n"
            + "".join(
                f"[camera.{MEASURED}_{number}]\nsource = {json.dumps(run.source)}\n"
                f"model = {json.dumps([str(pack.folder) for pack in packs])}\n"
                f"fps = {run.fps}\n{run.camera}\n"
                for number, packs in enumerate(run.cameras)
            )
        )

    def _film(self, size: Size) -> Path:
        path = self._folder / f"{size.width}x{size.height}.mp4"
        if not path.exists():
            write_film(path, size, FILM_S, self._subject, is_still=False)
        return path

    # By themselves

    def _model(self, pack: ModelPack) -> ModelCosts:
        self._progress(f"model {pack.name}")
        before = alone_bytes([os.getpid()])
        network = load_network(pack)
        picture = _noise(Size(640, 360))
        region = Region.whole(picture.size)
        network.look(picture, region, min_score=0.1)
        grown = max(0, alone_bytes([os.getpid()]) - before)
        pause = threading.Event()

        def look() -> None:
            network.look(picture, region, min_score=0.1)

        times_ms = _times_ms(look, INVOKES, lambda: pause.wait(REST_S))
        return ModelCosts(pack.digest, undisturbed(times_ms), float(grown))

    def _changes(self) -> tuple[float, float, float]:
        """Return processor time, growth of the database and bytes written of an event change."""
        self._progress("event changes")
        path = self._folder / "changes.db"
        self._commit_each(path, range(1))
        size, written = path.stat().st_size, written_bytes(os.getpid())
        took_s = self._commit_each(path, range(1, CHANGES + 1))
        written = written_bytes(os.getpid()) - written
        kept = max(0, path.stat().st_size - size) / CHANGES
        # On a disk in memory nothing is written; what a journal and its checkpoint come to is
        # twice what is kept, in whole pages.
        return took_s * MS_PER_S / CHANGES, kept, max(written / CHANGES, 2 * kept)

    def _commit_each(self, path: Path, numbers: range) -> float:
        """Write changes, each by itself, and return the processor time of that.

        At the end the database is closed: nothing is left in its log.
        """
        store = EventStore(path, SystemClock(), RetentionSettings())
        store.start()
        try:
            began_s = time.process_time()
            for number in numbers:
                store.commit([_change(number)]).wait(START_LIMIT_S)
            return time.process_time() - began_s
        finally:
            store.stop()

    def _settling(self) -> tuple[float, float]:
        """Return processor time and bytes written of taking a told change out of the outbox."""
        self._progress("changes that a broker has taken")
        store = EventStore(self._folder / "settled.db", SystemClock(), RetentionSettings())
        rows: list[int] = []
        store.add_listener(lambda changes: rows.extend(change.row for change in changes))
        store.start()
        try:
            store.commit([_change(number) for number in range(SETTLED)]).wait(START_LIMIT_S)
            written, began_s = written_bytes(os.getpid()), time.process_time()
            for row in rows:
                store.settle([row])
                _wait_until(lambda: not store.settling(), START_LIMIT_S)
            took_s = time.process_time() - began_s
            written = written_bytes(os.getpid()) - written
        finally:
            store.stop()
        return took_s * MS_PER_S / SETTLED, written / SETTLED

    def _still_more_bytes(self) -> float:
        """Return what is written for a still beyond its length: whole pages, and the folder."""
        data, more = encode_jpeg(_picture(self._film(SIZES[0])), STILL_QUALITY), 0
        for number in range(STILLS):
            # Of any length: how much of the last page is left is chance.
            length = len(data) * (number + 1) // STILLS
            before = written_bytes(os.getpid())
            write_still(self._folder / "stills" / f"{number}.jpg", data[:length])
            more += written_bytes(os.getpid()) - before - length
        return max(0.0, more / STILLS)

    def _note_written_bytes(self) -> float:
        """Return what is written for a small file that is put in another's place."""
        before = written_bytes(os.getpid())
        for number in range(NOTES):
            write_small(self._folder / "note.json", json.dumps({"number": number}))
        return max(0.0, (written_bytes(os.getpid()) - before) / NOTES)

    def _made(self, like: SourceCosts) -> SourceCosts:
        """Return what pictures cost that are drawn here: instead of being decoded."""
        film = self._film(Size(like.width, like.height))
        scene = Scene(width=like.width, height=like.height, fps=MS_PER_S)
        reader = SyntheticReader(scene)
        reader.open()
        drawn_ms = undisturbed(_times_ms(reader.read, DRAWN))
        reader.close()
        return replace(
            like,
            codec="none",
            decode_ms=max(0.0, like.decode_ms - _decoding_ms(film)) + drawn_ms,
        )

    def _sticks(
        self,
        base: Use,
        source: SourceCosts,
        models: Mapping[str, ModelCosts],
        look_bytes: float,
    ) -> dict[str, dict[str, StickCosts]]:
        """Return what models cost on sticks: on a service that looks at every frame with one.

        Args:
            base: A service that sees nothing and has no models.
            source: Of the pictures.
            models: What they cost without sticks.
            look_bytes: Memory of a camera that is looked at.
        """
        found: dict[str, dict[str, StickCosts]] = {}
        camera_bytes = source.memory_bytes + look_bytes
        for place in (place.name for place in find_places()):
            for pack in self._packs:
                if pack.edgetpu is None:
                    continue
                use = self._use_on_stick(f"model {pack.name} on {place}", place, pack)
                if not use.is_of_sticks:
                    self._progress(f"{place} is left out: it has answered too little")
                    continue
                costs = _stick_costs(use, base, source)
                grown = use.memory_bytes - base.memory_bytes - camera_bytes
                grown -= models[pack.name].memory_bytes
                found.setdefault(place, {})[pack.name] = replace(
                    costs, memory_bytes=max(0.0, grown)
                )
            if len(found.get(place, ())) > 1:
                bare_bytes = base.memory_bytes + len(found[place]) * camera_bytes
                bare_bytes += sum(models[name].memory_bytes for name in found[place])
                found[place] = self._with_changes(place, found[place], bare_bytes)
        return found

    def _use_on_stick(self, what: str, place: str, *packs: ModelPack) -> Use:
        self._progress(what)
        film = f"{self._film(SIZES[0])}?loop=1"
        return self._use(_Run(what, film, packs, _GATELESS, stick=place))

    def _with_changes(
        self, place: str, alone: Mapping[str, StickCosts], bare_bytes: float
    ) -> dict[str, StickCosts]:
        """Add what it takes when models share a stick: each looks at every frame of a camera.

        Args:
            place: Of the stick.
            alone: What each model costs there by itself.
            bare_bytes: Memory of the service with these cameras and models, without the stick.
        """
        packs = [pack for pack in self._packs if pack.name in alone]
        use = self._use_on_stick(f"{len(alone)} models on {place}", place, *packs)
        usual_ms = fmean(one.service_ms for one in alone.values())
        change_ms = change_ms_of(use.pieces, usual_ms)
        shared_bytes = shared_bytes_of(
            [one.memory_bytes for one in alone.values()], use.memory_bytes - bare_bytes
        )
        return {
            name: replace(one, change_ms=change_ms, shared_bytes=shared_bytes)
            for name, one in alone.items()
        }


def shared_bytes_of(alone: Sequence[float], together: float) -> float:
    """Return what models on a stick share of its child's memory.

    Args:
        alone: What the child takes with each of them.
        together: What it takes with all.
    """
    shared = (sum(alone) - together) / (len(alone) - 1)
    return min(max(0.0, shared), *alone)


def least_of(uses: Sequence[Use]) -> Use:
    """Return what a service used when others disturbed it least; the memory is the middle one."""
    least = min(uses, key=lambda use: use.cores)
    return replace(least, memory_bytes=median(use.memory_bytes for use in uses))


def undisturbed(times_ms: Sequence[float]) -> float:
    """Return a time that a quarter of the times are below: what others do only ever adds."""
    if len(times_ms) < 2:
        return sum(times_ms)
    return quantiles(times_ms, n=round(1 / UNDISTURBED_SHARE), method="inclusive")[0]


def service_ms_of(pieces: Iterable[StickPiece]) -> float:
    """Return what one network takes on a stick, from pieces in which it was the same one."""
    return undisturbed([piece.busy_ms / piece.invokes for piece in pieces if piece.invokes])


def change_ms_of(pieces: Iterable[StickPiece], usual_ms: float) -> float:
    """Return what it takes that it was another network than the one before."""
    times_ms = [
        (piece.busy_ms - piece.invokes * usual_ms) / piece.changes
        for piece in pieces
        if piece.changes
    ]
    return max(0.0, undisturbed(times_ms))


def _source_costs(
    size: Size,
    codec: str,
    use: Use,
    base: Use,
    fps: float,
    still_ms: float,
    still_bytes: float,
) -> SourceCosts:
    kept_per_s = max(use.frames_per_s, 0.1)
    return SourceCosts(
        width=size.width,
        height=size.height,
        codec=codec,
        decode_ms=use.children_cores * MS_PER_S / fps,
        frame_ms=max(0.0, use.service_cores - base.service_cores) * MS_PER_S / kept_per_s,
        memory_bytes=max(0.0, use.memory_bytes - base.memory_bytes),
        still_ms=still_ms,
        still_bytes=still_bytes,
    )


def _own_source(
    use: Use, base: Use, trial: CameraTrial, sizes: Sequence[SourceCosts]
) -> SourceCosts:
    size, fps = Size(trial.width, trial.height), trial.fps or FPS
    like = of_size(sizes, size.width, size.height, trial.codec)
    costs = _source_costs(size, trial.codec, use, base, fps, like.still_ms, like.still_bytes)
    return replace(costs, fps=fps, look_ms=like.look_ms)


def _with_looks(
    bare: Sequence[SourceCosts],
    uses: Mapping[str, Use],
    base: Use,
    model: ModelCosts,
    request_ms: float,
) -> list[SourceCosts]:
    """Add what looks at pictures cost: it grows with them, for they are carried over."""
    ends = [
        replace(one, look_ms=_look_ms(uses[key], base, one, model, request_ms))
        for key, one in ((_SMALL, bare[0]), (_LARGE, bare[-1]))
    ]
    return [
        replace(one, look_ms=of_size(ends, one.width, one.height, one.codec).look_ms)
        for one in bare
    ]


def _request_ms(uses: Mapping[str, Use], second: ModelCosts) -> float:
    """Return what a second model that looks at the regions takes besides its network."""
    one_ms, both_ms = (
        use.cores * MS_PER_S / max(use.regions_per_s, 0.1) for use in (uses[_SMALL], uses[_BOTH])
    )
    return max(0.0, both_ms - one_ms - second.cpu_ms)


def _look_ms(
    use: Use, base: Use, source: SourceCosts, model: ModelCosts, request_ms: float
) -> float:
    """Return processor time of a look at one region beyond its network."""
    rest_ms = (use.cores - base.cores) * MS_PER_S
    rest_ms -= FPS * source.decode_ms + use.frames_per_s * source.frame_ms
    rest_ms -= use.regions_per_s * model.cpu_ms
    rest_ms -= max(0.0, use.regions_per_s - use.looks_per_s) * request_ms
    return max(0.0, rest_ms / max(use.looks_per_s, 0.1))


def _rare_look_ms(
    uses: Mapping[str, Use], base: Use, source: SourceCosts, model: ModelCosts
) -> float:
    """Return what a look takes more of the service where one comes a second, and not ten."""

    def beyond_ms(use: Use) -> float:
        ms = (use.service_cores - base.service_cores) * MS_PER_S
        ms -= use.frames_per_s * source.frame_ms + use.regions_per_s * model.cpu_ms
        return ms / max(use.looks_per_s, 0.1)

    return max(0.0, beyond_ms(uses[_RARE]) - beyond_ms(uses[_SMALL]))


def _look_bytes(uses: Mapping[str, Use], base: Use, source: SourceCosts) -> float:
    return max(0.0, uses[_SMALL].memory_bytes - base.memory_bytes - source.memory_bytes)


def _stream(use: Use, without: Use) -> StreamCosts:
    """Return what a second stream costs, beside a camera that costs so much without it."""
    return StreamCosts(
        picture_ms=max(0.0, use.cores - without.cores) * MS_PER_S / FPS,
        memory_bytes=max(0.0, use.memory_bytes - without.memory_bytes),
    )


def _stick_costs(use: Use, base: Use, source: SourceCosts) -> StickCosts:
    ms = (use.cores - base.cores) * MS_PER_S
    ms -= FPS * source.decode_ms + use.frames_per_s * source.frame_ms
    ms -= use.looks_per_s * source.look_ms
    # Known answers are among what it ran, and among what it took.
    cpu_ms = max(0.0, ms / use.stick_invokes_per_s)
    return StickCosts(service_ms_of(use.pieces), cpu_ms)


# What the runs on the service are called.
_BASE, _TOLD, _STREAM = "base", "told", "stream"
_SMALL, _LARGE, _RARE = "looks", "looks at large pictures", "rare looks"
_BOTH = "looks with two models"


def _of(size: Size) -> str:
    return f"{size.width}x{size.height}"


_CLOSED = "privacy = true"
_GATELESS = "motion.enabled = false"
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


def _may_join(pack: ModelPack, other: ModelPack) -> bool:
    """Whether a camera may have both: they find different things."""
    return not set(pack.labels) & set(other.labels)


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
    times_ms = _times_ms(lambda: encode_jpeg(picture, STILL_QUALITY), STILLS)
    return undisturbed(times_ms), float(len(encode_jpeg(picture, STILL_QUALITY)))


def _decoding_ms(film: Path) -> float:
    """Return processor time of decoding a picture of a film, and of nothing else."""
    began_s, pictures = time.process_time(), 0
    with ClipReader(film) as reader:
        for _ in reader.frames():
            pictures += 1
    return (time.process_time() - began_s) * MS_PER_S / max(1, pictures)


def _times_ms(
    work: Callable[[], object], times: int, rest: Callable[[], object] = lambda: None
) -> list[float]:
    """Return processor time of this thread for each time that something is done."""
    found = []
    for _ in range(times):
        rest()
        began_ns = time.thread_time_ns()
        work()
        found.append((time.thread_time_ns() - began_ns) / 1e6)
    return found


def _wait_until(is_so: Callable[[], bool], limit_s: float) -> None:
    pause, ends_s = threading.Event(), time.monotonic() + limit_s
    while not is_so():
        if time.monotonic() > ends_s:
            raise UsageError("the disk does not take what is to be measured")
        pause.wait(POLL_S)


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
            "made": [SourceCosts(**one) for one in plain["made"]],
            "telling": TellingCosts(**plain["telling"]),
            "stream": StreamCosts(**plain["stream"]),
            "sources": {key: SourceCosts(**one) for key, one in plain["sources"].items()},
            "models": {name: ModelCosts(**one) for name, one in plain["models"].items()},
            "sticks": {
                place: {name: StickCosts(**one) for name, one in models.items()}
                for place, models in plain["sticks"].items()
            },
        }
    )
