"""One line on how the camera does, for its owner: what `systemctl status` shows. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from camera_app.health.status import CameraFigures, DeviceFigures
from camera_app.health.watchdog import Hang
from camera_app.media import SpaceLevel
from camera_app.scheduling import Condition, DeviceKind

# A source's own words may be long; what is too long for a line is in the log.
WORDS_LIMIT = 100


def summary_of(figures: DeviceFigures, hangs: Sequence[Hang] = ()) -> str:
    """Return what the camera does, then what keeps it from doing more.

    Args:
        figures: Of every part.
        hangs: What stands still and should not.
    """
    troubles = [*_hangs(hangs), *_cameras_away(figures), *_storing(figures), *_sending(figures)]
    return "; ".join([_watching(figures), *troubles, *_measuring(figures)])


def _watching(figures: DeviceFigures) -> str:
    cameras = figures.cameras
    seeing = sum(1 for camera in cameras.values() if _sees(camera))
    if not cameras:
        return "No camera is switched on"
    count = _counted(seeing, "camera") if seeing == len(cameras) else f"{seeing} of {len(cameras)}"
    noun = "" if seeing == len(cameras) else " cameras"
    return f"Watching {count}{noun} with {_devices(figures)}"


def _sees(camera: CameraFigures) -> bool:
    return camera.source.is_delivering and not camera.watch.paused


def _devices(figures: DeviceFigures) -> str:
    sticks = sum(
        1
        for device in figures.executor.devices
        if device.kind is DeviceKind.EDGETPU and device.condition is not Condition.BROKEN
    )
    if not sticks:
        return "the processor"
    return "the Edge TPU" if sticks == 1 else f"{sticks} Edge TPUs"


def _hangs(hangs: Sequence[Hang]) -> Iterator[str]:
    if hangs:
        yield f"HANGS: {', '.join(map(str, hangs))}"


def _cameras_away(figures: DeviceFigures) -> Iterator[str]:
    for name, camera in figures.cameras.items():
        if camera.watch.paused:
            yield f"{name}: switched off ({camera.watch.paused})"
        elif not camera.source.is_delivering:
            yield f"{name}: {_shortened(camera.source.state)}"


def _storing(figures: DeviceFigures) -> Iterator[str]:
    store = figures.store
    if store.state == "corrupt":
        yield "the event database is damaged"
    elif store.state != "open":
        yield f"the disk takes nothing, {_counted(store.waiting, 'event')} kept in memory"
    elif figures.space.level is SpaceLevel.FULL:
        yield "the disk is full"


def _sending(figures: DeviceFigures) -> Iterator[str]:
    publisher, waiting = figures.publisher, figures.store.backlog
    if publisher is None:
        return
    told = f"{_counted(waiting, 'event')} waiting for the broker" if waiting else ""
    if publisher.is_connected:
        yield from [told] * bool(told)
    else:
        yield f"the broker is not connected{', ' if told else ''}{told}"


def _measuring(figures: DeviceFigures) -> Iterator[str]:
    if figures.metrics_trouble:
        yield f"no metrics: {_shortened(figures.metrics_trouble)}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _shortened(words: str) -> str:
    return words if len(words) <= WORDS_LIMIT else f"{words[: WORDS_LIMIT - 1]}…"
