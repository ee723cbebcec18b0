"""One camera tried: what it brings, and each way in which it brings nothing."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from camera_app.capture.child import MEMORY_LIMIT_BYTES
from camera_app.capture.live import errand_of
from camera_app.capture.trial import ENTRY, CameraTrial, Obstacle, try_camera
from camera_app.children import ChildProcess
from camera_app.config import CameraSettings

if TYPE_CHECKING:
    from .conftest import RtspServer

LIMIT_S = 60.0  # nothing here takes as long alone


def tried(source: str, limit_s: float = LIMIT_S, **settings: object) -> CameraTrial:
    checked = CameraSettings.model_validate({"source": source, **settings})
    return try_camera(errand_of(checked), limit_s)


def test_a_clip_is_told_as_what_it_is(make_clip: Callable[..., Path]) -> None:
    trial = tried(str(make_clip("clip.mp4", size=(320, 240))))
    assert trial.obstacle is None
    assert (trial.width, trial.height, trial.codec) == (320, 240, "h264")
    assert trial.fps == pytest.approx(10.0)
    assert trial.is_recorded
    assert trial.age_s is None
    assert trial.contrast < 1.0  # the made pictures are flat


def test_an_rtsp_camera_tells_its_rate_and_how_old_its_pictures_are(
    rtsp_server: RtspServer,
) -> None:
    trial = tried(f"rtsp://127.0.0.1:{rtsp_server.port}/live")
    assert (trial.width, trial.height, trial.codec) == (320, 240, "h264")
    assert trial.fps == pytest.approx(15.0, rel=0.2)
    assert trial.age_s is not None
    assert not trial.is_recorded


def test_a_wrong_password_is_told_from_a_camera_that_is_off(
    locked_rtsp_server: RtspServer,
) -> None:
    port = locked_rtsp_server.port
    locked = tried(f"rtsp://owner:wr0ng@127.0.0.1:{port}/live")
    assert locked.obstacle is Obstacle.LOCKED
    assert "wr0ng" not in repr(locked)
    off = tried("rtsp://owner:wr0ng@127.0.0.1:9/live")
    assert off.obstacle is Obstacle.REFUSED
    assert "wr0ng" not in repr(off)


@pytest.mark.parametrize(
    ("source", "obstacle"),
    [
        ("synthetic:?frames=1&lose_after=0", None),
        ("synthetic:?refuse=1", Obstacle.REFUSED),
        ("synthetic:?crash_after=2", Obstacle.CRASHED),
        ("synthetic:?lose_after=2", Obstacle.LOST),
        ("synthetic:?no_such_lever=1", Obstacle.UNSUPPORTED),
        ("/absent/clip.mp4", Obstacle.REFUSED),
    ],
)
def test_each_way_to_bring_nothing_has_a_name(source: str, obstacle: Obstacle | None) -> None:
    assert tried(source).obstacle is obstacle


def test_a_camera_that_stops_after_its_first_picture_was_seen_all_the_same() -> None:
    trial = tried("synthetic:?width=320&height=240&stall_after=1", limit_s=5.0)
    assert (trial.obstacle, trial.width, trial.fps) == (None, 320, None)


def test_a_camera_that_never_answers_is_given_up(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        trial = tried(f"http://127.0.0.1:{deaf.getsockname()[1]}/", limit_s=3.0)
    assert trial.obstacle is Obstacle.SILENT
    assert trial.what == "brought no picture within 3 s"


def test_a_camera_that_is_tried_may_take_no_more_memory_than_one_that_is_watched() -> None:
    errand = errand_of(CameraSettings(source="synthetic:?width=64&height=48&fps=30"))
    child = ChildProcess(ENTRY, errand.as_json(), name="cam-trial")
    child.start()
    assert child.channel.receive(LIMIT_S) is not None
    assert child.pid is not None
    limit_bytes = resource.prlimit(child.pid, resource.RLIMIT_DATA)[0]
    child.end()
    assert limit_bytes == MEMORY_LIMIT_BYTES
