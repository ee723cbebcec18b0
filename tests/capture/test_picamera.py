from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from camera_app.capture.picamera import BUFFERS, PicameraReader
from camera_app.capture.source import SourceRefused
from camera_app.errors import SourceLost, SourceUnsupported
from camera_app.values import ColourMatrix, Size

FAKE = Path(__file__).parent / "fake_picamera2.py"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("picamera2", FAKE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return module


@pytest.fixture
def reader(fake: ModuleType) -> Iterator[PicameraReader]:
    reader = PicameraReader(0, size=Size(100, 60), fps=200)
    yield reader
    reader.close()


def test_padding_of_rows_is_left_out_of_all_planes(reader: PicameraReader) -> None:
    reader.open()
    picture = reader.read().picture()
    assert (picture.luma.shape, picture.u.shape, picture.v.shape) == ((60, 100), (30, 50), (30, 50))
    assert (picture.luma == np.linspace(20, 60, 100).astype(np.uint8) + 1).all()
    assert (picture.u == 110).all()
    assert (picture.v == 140).all()


def test_capture_time_is_the_sensors_on_the_monotonic_clock(reader: PicameraReader) -> None:
    reader.open()
    reader.read()
    before_ns = time.monotonic_ns()
    shot = reader.read()
    after_ns = time.monotonic_ns()
    early_ns = 5_000_000  # the fake stamps pictures 5 ms before it hands them over
    assert before_ns - early_ns <= shot.captured_ns <= after_ns - early_ns
    assert 0 < shot.at_ns < 1_000_000_000


def test_a_stamp_of_another_clock_is_not_believed(
    fake: ModuleType, reader: PicameraReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake.CompletedRequest, "get_metadata", lambda _: {"SensorTimestamp": 17})
    reader.open()
    before_ns = time.monotonic_ns()
    assert reader.read().captured_ns >= before_ns


def test_more_pictures_than_there_are_buffers_can_be_read(reader: PicameraReader) -> None:
    reader.open()
    shots = [reader.read() for _ in range(BUFFERS + 3)]  # thinned: no picture is made of them
    assert len(shots) == BUFFERS + 3
    pictures = [reader.read().picture() for _ in range(BUFFERS + 3)]
    brightness = [int(picture.luma[0, 0]) for picture in pictures]
    assert brightness == sorted(set(brightness))


def test_it_is_configured_once_and_closed_in_order(
    fake: ModuleType, reader: PicameraReader
) -> None:
    reader.open()
    for _ in range(3):
        reader.read()
    reader.close()
    reader.close()
    assert fake.Picamera2.instances[0].calls == ["configure", "start", "stop", "close"]
    assert fake.Picamera2.instances[0].requests_out == 0


@pytest.mark.parametrize(
    ("size", "matrix"),
    [(Size(640, 480), ColourMatrix.BT601), (Size(1280, 720), ColourMatrix.BT709)],
)
def test_the_matrix_is_that_of_the_colour_space(
    fake: ModuleType, size: Size, matrix: ColourMatrix
) -> None:
    reader = PicameraReader(0, size=size, fps=200)
    reader.open()
    assert reader.read().picture().matrix is matrix
    reader.close()


@pytest.mark.parametrize(
    ("space", "is_full_range"),
    [
        ("sYCC", True),
        ("SMPTE170M/Rec709/Rec601/Full", True),
        ("SMPTE170M/Rec709/Rec601/Limited", False),
    ],
)
def test_full_range_is_read_from_the_colour_space(
    fake: ModuleType,
    reader: PicameraReader,
    monkeypatch: pytest.MonkeyPatch,
    space: str,
    is_full_range: bool,
) -> None:
    given = fake.Picamera2.camera_configuration
    monkeypatch.setattr(
        fake.Picamera2, "camera_configuration", lambda self: {**given(self), "colour_space": space}
    )
    reader.open()
    picture = reader.read().picture()
    assert (picture.matrix, picture.is_full_range) == (ColourMatrix.BT601, is_full_range)


def test_without_picamera2_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(SourceUnsupported, match="python3-picamera2"):
        PicameraReader(0, size=None, fps=10).open()


def test_a_camera_that_is_not_there_is_refused_with_the_remedy(fake: ModuleType) -> None:
    with pytest.raises(SourceRefused, match="picamera:3: there is no such camera.*ribbon"):
        PicameraReader(3, size=None, fps=10).open()


def test_a_camera_in_other_hands_is_lost_for_now(
    fake: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_BUSY", "1")
    with pytest.raises(SourceLost, match="cannot be started: Camera __init__"):
        PicameraReader(0, size=None, fps=10).open()
