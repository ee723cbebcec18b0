"""Cameras: clips, real RTSP servers, files for devices, and a picamera2 that is not quite there."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from camera_app.capture.trial import CameraTrial, Obstacle
from camera_app.doctor import Examined
from camera_app.doctor.checks import cameras
from camera_app.doctor.checks.cameras import (
    PicameraFacts,
    case_of,
    cases_of,
    judge_obstacle,
    judge_picamera,
    judge_pictures,
)
from camera_app.doctor.service import Service
from camera_app.health import Ability, Readiness, ReadinessReport, Shortfall

from .conftest import MadeMachine, kinds

if TYPE_CHECKING:
    from tests.capture.conftest import RtspServer


def examined(made: MadeMachine, source: str, *lines: str, **more: object) -> Examined:
    config = "\n".join(("[camera.front]", f'source = "{source}"', *lines))
    return cameras.examine(made.subject(config, **more))  # type: ignore[arg-type]


# --- what is well --------------------------------------------------------------------------------


def test_a_clip_and_a_made_up_camera_are_well(
    made: MadeMachine, make_clip: Callable[..., Path]
) -> None:
    found = examined(made, str(make_clip("clip.mp4", size=(320, 240))))
    assert kinds(found) == []
    assert found.facts[0].startswith("front: 320x240 h264, 10.0 fps, first picture after 0.")
    assert kinds(examined(made, "synthetic:?width=320&height=240")) == []


def test_an_rtsp_camera_is_really_opened(made: MadeMachine, rtsp_server: RtspServer) -> None:
    found = examined(made, f"rtsp://127.0.0.1:{rtsp_server.port}/live", "fps = 5")
    assert kinds(found) == []
    assert found.facts[0].startswith("front: 320x240 h264, 1")


def test_the_stream_for_films_is_opened_too(made: MadeMachine, rtsp_server: RtspServer) -> None:
    small, films = "synthetic:?width=64&height=48", f"rtsp://127.0.0.1:{rtsp_server.port}"
    found = examined(made, small, f'recording.source = "{films}/live"')
    assert kinds(found) == []
    assert found.facts[1].startswith("front, films: 320x240 h264")
    assert kinds(examined(made, small, f'recording.source = "{films}/none"')) == ["cameras.refused"]


@pytest.mark.parametrize(
    ("codec", "found"),
    [("h264", []), ("hevc", []), ("mjpeg", ["cameras.film_stream_format"])],
)
def test_a_stream_for_films_is_judged_by_whether_it_can_be_kept(
    made: MadeMachine, codec: str, found: list[str]
) -> None:
    """Its size, its rate and what is to be seen in it are all one: nobody looks at it."""
    subject = made.subject('[camera.front]\nsource = "rtsp://c/1"\nrecording.source = "rtsp://c/2"')
    assert subject.config is not None
    _, films = cases_of(subject, "front", subject.config.camera["front"])
    trial = CameraTrial(width=3840, height=2160, codec=codec, fps=2.0, contrast=0.1, age_s=2.0)
    assert kinds(judge_pictures(films, trial)) == found


def test_a_camera_that_is_switched_off_is_left_alone(made: MadeMachine) -> None:
    assert examined(made, "v4l2:/dev/none", "enabled = false").skipped


def test_without_a_configuration_the_machines_cameras_are_shown(made: MadeMachine) -> None:
    made.write("sys/class/video4linux/video0/name", "HD Webcam\n")
    made.write("sys/class/video4linux/video0/index", "0\n")
    made.write("sys/class/video4linux/video1/index", "1\n")
    found = cameras.examine(made.subject())
    assert found.skipped
    assert found.facts == ("/dev/video0: HD Webcam",)


# --- what is wrong -------------------------------------------------------------------------------


def test_a_wrong_password_is_told_and_not_shown(
    made: MadeMachine, locked_rtsp_server: RtspServer, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("wr0ng\n")
    source = f"rtsp://owner:{{password}}@127.0.0.1:{locked_rtsp_server.port}/live"
    found = examined(made, source, f'password_file = "{secret}"')
    [finding] = found.findings
    assert finding.kind == "cameras.locked"
    assert finding.line.endswith(f"/dev/stdin {secret}")
    assert "wr0ng" not in repr(found)


def test_a_password_file_that_is_not_there_is_named(made: MadeMachine, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    found = examined(made, "rtsp://me:{password}@127.0.0.1:9/", f'password_file = "{absent}"')
    assert kinds(found) == ["cameras.locked"]
    assert str(absent) in found.findings[0].what


def test_a_password_that_only_the_service_gets_is_no_fault(made: MadeMachine) -> None:
    password = 'password_file = "$CREDENTIALS_DIRECTORY/front-password"'
    [finding] = examined(made, "rtsp://me:{password}@127.0.0.1:9/", password).findings
    assert finding.kind == "cameras.withheld"
    assert "LoadCredential=front-password:/etc/camera-app/front-password " in finding.line


def test_a_wrong_path_a_closed_port_and_no_host_are_told_apart(
    made: MadeMachine, rtsp_server: RtspServer
) -> None:
    port = rtsp_server.port
    assert kinds(examined(made, f"rtsp://127.0.0.1:{port}/other")) == ["cameras.refused"]
    assert kinds(examined(made, "rtsp://127.0.0.1:9/live")) == ["cameras.refused"]
    found = examined(made, "rtsp://no-such-host.invalid/live", limit_s=8.0)
    assert kinds(found) == ["cameras.unreachable"]
    assert found.findings[0].line == "ping -c 3 no-such-host.invalid"


def test_a_camera_that_answers_and_brings_nothing_is_told(made: MadeMachine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        found = examined(made, f"http://127.0.0.1:{deaf.getsockname()[1]}/", limit_s=3.0)
    assert kinds(found) == ["cameras.silent"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("/absent/clip.mp4", "cameras.no_file"),
        ("v4l2:/dev/video77", "cameras.no_device"),
        ("synthetic:?crash_after=2", "cameras.crashed"),
        ("synthetic:?lose_after=2", "cameras.lost"),
        ("synthetic:?no_such_lever=1", "cameras.unsupported"),
        ("picamera:front", "cameras.unsupported"),
    ],
)
def test_each_obstacle_has_its_name(made: MadeMachine, source: str, found: str) -> None:
    assert kinds(examined(made, source)) == [found]


def test_a_device_that_is_no_camera_is_told(made: MadeMachine, tmp_path: Path) -> None:
    device = tmp_path / "video1"
    device.write_bytes(b"not a camera")
    assert kinds(examined(made, f"v4l2:{device}")) == ["cameras.not_a_camera"]


@pytest.mark.parametrize(
    ("obstacle", "what", "found"),
    [
        (Obstacle.BUSY, "is used by another program", "cameras.busy"),
        (Obstacle.FORBIDDEN, "may not be opened", "cameras.forbidden"),
        (Obstacle.SILENT, "brought no picture within 11 s", "cameras.silent"),
    ],
)
def test_what_the_kernel_says_of_a_device_is_told(
    made: MadeMachine, tmp_path: Path, obstacle: Obstacle, what: str, found: str
) -> None:
    device = tmp_path / "video0"
    device.touch()
    subject = made.subject(f'[camera.front]\nsource = "v4l2:{device}"\n')
    assert subject.config is not None
    case = case_of(subject, "front", subject.config.camera["front"])
    finding = judge_obstacle(case, CameraTrial(obstacle, what), made.machine)
    assert finding.kind == found
    if obstacle is Obstacle.BUSY:
        assert finding.line == f"fuser -v {device}"


def test_a_clip_that_may_not_be_read_is_told(made: MadeMachine) -> None:
    subject = made.subject('[camera.front]\nsource = "/clip.mp4"\n')
    assert subject.config is not None
    case = case_of(subject, "front", subject.config.camera["front"])
    trial = CameraTrial(Obstacle.FORBIDDEN, "may not be read")
    assert judge_obstacle(case, trial, made.machine).kind == "cameras.no_file"


@pytest.mark.parametrize(
    ("trial", "found"),
    [
        (CameraTrial(None, width=640, height=360, fps=10.0, contrast=40), []),
        (CameraTrial(None, width=640, height=360, fps=7.9, contrast=40), ["cameras.slow"]),
        (CameraTrial(None, width=640, height=360, fps=None, contrast=40), ["cameras.stuck"]),
        (CameraTrial(None, width=2560, height=1440, fps=10.0, contrast=40), ["cameras.large"]),
        (CameraTrial(None, width=640, height=360, fps=10, contrast=0.2), ["cameras.flat"]),
        (
            CameraTrial(None, width=640, height=360, fps=10, age_s=1.5, contrast=40),
            ["cameras.old"],
        ),
    ],
)
def test_pictures_are_judged(made: MadeMachine, trial: CameraTrial, found: list[str]) -> None:
    subject = made.subject('[camera.front]\nsource = "rtsp://cam/low"\nfps = 10\n')
    assert subject.config is not None
    case = case_of(subject, "front", subject.config.camera["front"])
    assert kinds(judge_pictures(case, trial)) == found


# --- cameras at the ribbon -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (PicameraFacts(False, "3.11", "3.11", False, "/venv"), "cameras.picamera_absent"),
        (PicameraFacts(True, "3.13", "3.11", True, "/venv"), "cameras.picamera_other_python"),
        (PicameraFacts(True, "3.11", "3.11", False, "/venv"), "cameras.picamera_hidden"),
        (PicameraFacts(True, "3.11", "3.11", True, "/venv"), "cameras.picamera_broken"),
    ],
)
def test_why_picamera2_cannot_be_imported_is_found_out(
    made: MadeMachine, facts: PicameraFacts, found: str
) -> None:
    subject = made.subject('[camera.front]\nsource = "picamera:0"\n')
    assert subject.config is not None
    case = case_of(subject, "front", subject.config.camera["front"])
    trial = CameraTrial(Obstacle.UNSUPPORTED, "picamera2 cannot be imported: dtype")
    finding = judge_picamera(case, trial, facts)
    assert finding.kind == found
    if found == "cameras.picamera_hidden":
        assert finding.line.endswith(" /venv/pyvenv.cfg")


def test_a_machine_without_picamera2_is_told_how_to_get_it(made: MadeMachine) -> None:
    assert kinds(examined(made, "picamera:0")) == ["cameras.picamera_absent"]


def test_a_picamera2_that_is_there_for_another_python_is_told(made: MadeMachine) -> None:
    made.write("usr/lib/python3/dist-packages/picamera2/__init__.py", "")
    made.link("usr/bin/python3", "python3.99")
    assert kinds(examined(made, "picamera:0")) == ["cameras.picamera_other_python"]


def test_no_camera_at_the_ribbon_is_told(
    made: MadeMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for picamera2 that shows no camera, and one that another program has."""
    source = Path(__file__).parents[1] / "capture" / "fake_picamera2.py"
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "picamera2.py").write_text(source.read_text())
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.setenv("FAKE_RATE", "20")  # so that it is fast enough on any machine
    assert kinds(examined(made, "picamera:0", "fps = 1")) == []
    monkeypatch.setenv("FAKE_BUSY", "1")
    assert kinds(examined(made, "picamera:0")) == ["cameras.ribbon_busy"]
    monkeypatch.setenv("FAKE_CAMERAS", "0")
    assert kinds(examined(made, "picamera:0")) == ["cameras.not_found"]


# --- while the service runs ----------------------------------------------------------------------


def saying(*shortfalls: Shortfall) -> Service:
    return Service(77, None, None, ReadinessReport(Readiness(shortfalls), 0.5))


@pytest.mark.parametrize("source", ["v4l2:/dev/video77", "picamera:0"])
def test_a_camera_that_the_service_has_is_asked_for_not_opened(
    made: MadeMachine, source: str
) -> None:
    found = examined(made, source, service=saying())
    assert kinds(found) == []
    assert found.facts == ("front: not opened, the service has it and sees",)
    blind = Shortfall(Ability.SEE, "camera front", "brings no pictures: stalled")
    found = examined(made, source, service=saying(blind))
    assert kinds(found) == ["cameras.service_sees_nothing"]
    assert found.findings[0].what == "brings no pictures: stalled"
    assert "--grep front" in found.findings[0].line


def test_a_stream_serves_two_and_is_opened_beside_the_service(made: MadeMachine) -> None:
    assert kinds(examined(made, "rtsp://127.0.0.1:9/", service=saying())) == ["cameras.refused"]
