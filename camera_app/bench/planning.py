"""From a configuration and the costs of this machine to what it will cost here."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from camera_app.assembly import STILLS_FOLDER, models_of
from camera_app.bench.calibration import source_key, this_machine
from camera_app.bench.costs import (
    ASSUMED,
    CameraLoad,
    Costs,
    Estimate,
    Room,
    SourceCosts,
    activity_of_share,
    estimate,
    of_size,
    refusals,
    warnings,
)
from camera_app.bench.processes import available_memory_bytes
from camera_app.capture.address import Kind, parse_address
from camera_app.capture.file import FileReader
from camera_app.capture.synthetic import Scene
from camera_app.config import CameraSettings, Config
from camera_app.errors import CameraAppError, ModelError
from camera_app.health.activity import Activity, read_activities
from camera_app.inference.edgetpu import find_places
from camera_app.media import nearest, used_bytes
from camera_app.scheduling import CpuSeats
from camera_app.values import Size

# What a stream is taken for that was never measured.
ASSUMED_SIZE = Size(1280, 720)
ASSUMED_FPS = 15.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one configuration costs.

    Attributes:
        estimate: The figures.
        cameras: What they rest on.
        refusals: Why it cannot be met; empty: it can.
        warnings: What should be known besides.
    """

    estimate: Estimate
    cameras: tuple[CameraLoad, ...]
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]


def forecast(config: Config, costs: Costs, stated: Mapping[str, float]) -> Forecast:
    """Return what a configuration costs on this machine.

    Args:
        config: It must be one that can run here.
        costs: Of this machine.
        stated: How busy scenes are, as a share of the time, by camera; empty name: all others.

    Raises:
        ModelError: A model was never measured.
    """
    recorded = read_activities(config.data.folder)
    loads = tuple(
        _load_of(name, camera, config, costs, stated, recorded)
        for name, camera in config.camera.items()
        if camera.enabled
    )
    seats = CpuSeats({}, config.inference.cpu_seats).seats
    found = estimate(costs, config, loads, seats)
    room = Room(float(available_memory_bytes()), _disk_bytes(config.data.folder))
    told = [
        *warnings(costs, found),
        *_of_the_machine(costs),
        *_of_sticks(costs, config),
        *_of_films(config),
    ]
    return Forecast(found, loads, tuple(refusals(costs, config, found, room)), tuple(told))


def _load_of(
    name: str,
    camera: CameraSettings,
    config: Config,
    costs: Costs,
    stated: Mapping[str, float],
    recorded: Mapping[str, Activity],
) -> CameraLoad:
    models = models_of(config, camera)
    for pack in models.packs:
        if pack.name not in costs.models or costs.models[pack.name].digest != pack.digest:
            raise ModelError(
                "its costs were never measured here",
                where=f"model pack {pack.name}",
                remedy="camera-app bench --calibrate --config FILE measures those that FILE names",
            )
    source, fps, of_source = _source_of(camera, costs)
    stills = config.data.folder / STILLS_FOLDER / name
    source = replace(source, still_bytes=_mean_size(stills) or source.still_bytes)
    activity, of_activity = _activity_of(name, camera, stated, recorded)
    return CameraLoad(
        name, camera, models.names, source, fps, activity, f"{of_source}; {of_activity}"
    )


def _source_of(camera: CameraSettings, costs: Costs) -> tuple[SourceCosts, float, str]:
    """Return what a camera's pictures cost, how many come a second, and how that is known."""
    own = costs.sources.get(source_key(camera))
    if own is not None and own.fps is not None:
        return own, own.fps, f"its own source, measured: {_told(own, own.fps)}"
    size, fps, codec, how = _seen(camera)
    measured = costs.made if codec == "none" else costs.sizes
    source = of_size(measured, size.width, size.height, codec)
    return source, fps, f"{how}: {_told(source, fps)}"


def _mean_size(stills: Path) -> float:
    """Return how large the stills are that a camera has written; 0.0: it has not."""
    sizes = [path.stat().st_size for path in stills.glob("*.jpg")]
    return sum(sizes) / len(sizes) if sizes else 0.0


def _told(source: SourceCosts, fps: float) -> str:
    return f"{source.width}x{source.height} {source.codec} at {fps:g} fps"


def _seen(camera: CameraSettings) -> tuple[Size, float, str, str]:
    """Return size, rate and codec of a source that was not measured, and how they are known."""
    address = parse_address(camera.source)
    if address.kind is Kind.FILE:
        reader = FileReader(Path(address.target))
        try:
            info = reader.open_clip()
            return info.size, info.fps or camera.fps, reader.codec, "a clip like those measured"
        except CameraAppError:
            pass
        finally:
            reader.close()
    if address.kind is Kind.SYNTHETIC:
        scene = Scene.from_options(address.options)
        return Size(scene.width, scene.height), scene.fps, "none", "made-up pictures"
    if camera.width and camera.height:
        return Size(camera.width, camera.height), camera.fps, "mjpeg", "as asked of the camera"
    return ASSUMED_SIZE, max(ASSUMED_FPS, camera.fps), "h264", "assumed, never measured"


def _activity_of(
    name: str,
    camera: CameraSettings,
    stated: Mapping[str, float],
    recorded: Mapping[str, Activity],
) -> tuple[Activity, str]:
    share = stated.get(name, stated.get(""))
    if share is not None:
        return activity_of_share(share, camera), f"busy {share:.0%} of the time, as stated"
    if name in recorded and camera.motion.enabled:
        activity = recorded[name]
        return activity, f"{activity.looked_share:.0%} of frames looked at, as this camera has it"
    share = ASSUMED.looked_share
    return activity_of_share(share, camera), f"busy {share:.0%} of the time, assumed"


def _disk_bytes(folder: Path) -> float:
    """Return what is free for the data, with what it takes already."""
    return float(shutil.disk_usage(nearest(folder)).free + used_bytes(folder))


def _of_the_machine(costs: Costs) -> list[str]:
    here = this_machine()
    other = [key for key, value in here.items() if costs.machine.get(key) != value]
    if not other:
        return []
    return [
        f"the costs were measured with another {' and '.join(other)}: "
        "`camera-app bench --calibrate` measures anew"
    ]


def _of_sticks(costs: Costs, config: Config) -> list[str]:
    """Return what is to be known of sticks that models could run on, and whose costs are not."""
    cameras = [camera for camera in config.camera.values() if camera.enabled]
    packs = [pack for camera in cameras for pack in models_of(config, camera).packs]
    if not any(pack.edgetpu for pack in packs):
        return []
    wanted = config.inference.edgetpu
    return [
        f"Edge TPU {place.name} is there, and no costs of it are known: the plan does without it. "
        "Where it was left out of the costs because it answered too little, the processor is "
        "quicker than it"
        for place in find_places()
        if place.name not in costs.sticks and (wanted == ("auto",) or place.name in wanted)
    ]


def _of_films(config: Config) -> list[str]:
    names = [name for name, one in config.camera.items() if one.enabled and one.recording.enabled]
    if not names:
        return []
    return [
        f"films of {', '.join(names)} are not foreseen on the disk: their limit is "
        "`recording.max_megabytes`, and they are written as the camera sends them. Nor is "
        "compressing them anew, where that has to be (`recording.method`)"
    ]
