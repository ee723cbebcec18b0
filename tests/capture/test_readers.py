"""One contract for every source: whoever reads one may read any."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from camera_app.capture import v4l2
from camera_app.capture.child import Errand, make_reader
from camera_app.capture.source import Reader, Shot
from camera_app.capture.v4l2 import V4l2Reader
from camera_app.errors import SourceError, SourceLost

if TYPE_CHECKING:
    from .conftest import RtspServer, StreamServer

FAKE_PICAMERA2 = Path(__file__).parent / "fake_picamera2.py"
SIZE = (64, 48)
BOUNDARY = "picture"


def multipart(jpegs: list[bytes]) -> bytes:
    """The body that a camera sends as "MJPEG over HTTP"."""
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    return b"".join((head % len(jpeg)).encode() + jpeg + b"\r\n" for jpeg in jpegs)


@pytest.fixture
def file(make_clip: Callable[..., Path]) -> Reader:
    return make_reader(Errand(str(make_clip("clip.mp4", options={"bf": "2"})), fps=10))


@pytest.fixture
def looped_file(make_clip: Callable[..., Path]) -> Reader:
    path = make_clip("clip.mp4", stamps_ms=[0, 100, 200])
    return make_reader(Errand(f"{path}?loop=1", fps=10))


@pytest.fixture
def synthetic() -> Reader:
    return make_reader(Errand("synthetic:?width=64&height=48", fps=10))


@pytest.fixture
def picamera(monkeypatch: pytest.MonkeyPatch) -> Reader:
    spec = importlib.util.spec_from_file_location("picamera2", FAKE_PICAMERA2)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return make_reader(Errand("picamera:0", fps=120, width=SIZE[0], height=SIZE[1]))


@pytest.fixture
def mpegts_over_http(make_clip: Callable[..., Path], serve: Callable[..., StreamServer]) -> Reader:
    server = serve(make_clip("clip.ts", options={"g": "5"}).read_bytes())
    return make_reader(Errand(server.url(), fps=10))


@pytest.fixture
def mjpeg_over_http(jpegs: list[bytes], serve: Callable[..., StreamServer]) -> Reader:
    server = serve(multipart(jpegs), f"multipart/x-mixed-replace; boundary={BOUNDARY}")
    return make_reader(Errand(server.url(), fps=10))


@pytest.fixture
def v4l2_device(make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Reader:
    """No device here: FFmpeg reads a stream in its place, through the same reader."""
    monkeypatch.setattr(v4l2, "INPUT_FORMAT", "mpegts")
    return V4l2Reader(str(make_clip("video0.ts")), size=None, fps=10)


@pytest.fixture
def rtsp(rtsp_server: RtspServer) -> Reader:
    return make_reader(Errand(f"rtsp://127.0.0.1:{rtsp_server.port}/live", fps=10))


@pytest.fixture(
    params=[
        "file",
        "looped_file",
        "synthetic",
        "picamera",
        "mpegts_over_http",
        "mjpeg_over_http",
        "v4l2_device",
        "rtsp",
    ]
)
def reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    reader: Reader = request.getfixturevalue(request.param)
    yield reader
    reader.close()


def read(reader: Reader) -> Shot:
    shot = reader.read()
    assert shot is not None
    return shot


def drain(reader: Reader) -> None:
    while reader.read() is not None:
        pass


def test_pictures_come_with_time_that_grows(reader: Reader) -> None:
    reader.open()
    shots = [read(reader) for _ in range(6)]
    times = [shot.at_ns for shot in shots]
    captured = [shot.captured_ns for shot in shots]
    assert times == sorted(set(times))
    assert captured == sorted(captured)
    assert 0 <= times[0] < 5_000_000_000


def test_pictures_are_whole_and_stay_what_they_were(reader: Reader) -> None:
    reader.open()
    pictures, copies = [], []
    for _ in range(6):
        pictures.append(read(reader).picture())
        copies.append(pictures[-1].luma.copy())
    for picture, copy in zip(pictures, copies, strict=True):
        height, width = picture.luma.shape
        assert picture.u.shape == picture.v.shape == ((height + 1) // 2, (width + 1) // 2)
        assert picture.luma.dtype == picture.u.dtype == picture.v.dtype == np.uint8
        assert (picture.luma == copy).all()
    assert any((copies[0] != copy).any() for copy in copies[1:])


def test_pictures_need_not_be_made_of_what_is_read(reader: Reader) -> None:
    reader.open()
    for _ in range(6):
        read(reader)
    assert read(reader).picture().luma.size > 0


def test_nothing_is_damaged_in_a_source_that_is_well(reader: Reader) -> None:
    reader.open()
    for _ in range(6):
        read(reader)
    assert reader.corrupt == 0


def test_it_can_be_closed_at_any_time_and_twice(reader: Reader) -> None:
    reader.close()
    reader.open()
    read(reader)
    reader.close()
    reader.close()


def test_what_is_recorded_ends_and_what_is_live_is_lost(
    file: Reader, mpegts_over_http: Reader
) -> None:
    file.open()
    drain(file)
    assert file.read() is None
    mpegts_over_http.open()
    with pytest.raises(SourceLost):
        drain(mpegts_over_http)
    file.close()
    mpegts_over_http.close()


def test_a_loop_goes_on_with_its_time(looped_file: Reader) -> None:
    looped_file.open()
    times = [read(looped_file).at_ns // 1_000_000 for _ in range(8)]
    assert times == [0, 100, 200, 300, 400, 500, 600, 700]
    looped_file.close()


@pytest.mark.parametrize(
    "source",
    ["/nowhere/clip.mp4", "http://127.0.0.1:9/", "rtsp://127.0.0.1:9/", "v4l2:/dev/video77"],
)
def test_what_is_not_there_is_an_error_of_ours_with_a_remedy(source: str) -> None:
    reader = make_reader(Errand(source, fps=10))
    with pytest.raises(SourceError) as caught:
        reader.open()
    assert caught.value.where
    assert caught.value.remedy
    reader.close()


@pytest.mark.parametrize("is_recorded", [True, False])
def test_only_what_waits_to_be_read_is_recorded(
    file: Reader, synthetic: Reader, picamera: Reader, v4l2_device: Reader, is_recorded: bool
) -> None:
    readers = (file, synthetic) if is_recorded else (picamera, v4l2_device)
    assert [reader.is_recorded for reader in readers] == [is_recorded] * 2
