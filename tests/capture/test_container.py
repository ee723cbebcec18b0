from __future__ import annotations

import inspect
import traceback

import av
import av.error
import numpy as np
import pytest

from camera_app.capture.container import TimeLine, picture_of, translated, translation
from camera_app.capture.source import SourceEnded, SourceForbidden, SourceLocked, SourceRefused
from camera_app.errors import SourceError, SourceLost, SourceUnsupported
from camera_app.values import ColourMatrix, Pixels, Yuv420

SECOND = 1_000_000_000


def times(*stamps_ns: int | None, period_ns: int = 100) -> list[int]:
    line = TimeLine(period_ns)
    return [line.next(stamp) for stamp in stamps_ns]


def test_time_counts_from_the_first_stamp() -> None:
    assert times(5000, 5040, 5200) == [0, 40, 200]


def test_a_missing_stamp_is_one_period_after_the_last() -> None:
    assert times(0, 40, None, None, 400) == [0, 40, 140, 240, 400]


def test_without_any_stamps_time_goes_by_periods() -> None:
    assert times(None, None, None) == [0, 100, 200]


def test_the_first_stamp_that_comes_late_goes_on_from_there() -> None:
    assert times(None, None, 7000, 7050) == [0, 100, 200, 250]


def test_a_stamp_that_stands_or_goes_back_a_little_is_replaced() -> None:
    assert times(0, 500, 500, 450, 900) == [0, 500, 600, 700, 900]


def test_a_new_time_line_goes_on_where_the_old_one_ended() -> None:
    """A camera that sets its clock, or a stream that is looped by its server."""
    stamps = (0, 10 * SECOND, 3, 50, 90)
    assert times(*stamps) == [
        0,
        10 * SECOND,
        10 * SECOND + 100,
        10 * SECOND + 147,
        10 * SECOND + 187,
    ]


def is_error(kind: type) -> bool:
    return issubclass(kind, Exception)


def test_each_of_ffmpegs_errors_becomes_one_of_ours() -> None:
    """Fails when the library grows one that is no FFmpegError, and so would escape."""
    kinds = [kind for _, kind in inspect.getmembers(av.error, inspect.isclass)]
    errors = [kind for kind in kinds if kind.__module__.startswith("av") and is_error(kind)]
    assert len(errors) > 30
    for kind in errors:
        assert issubclass(kind, av.FFmpegError), kind
        with pytest.raises(SourceError), translated("here"):
            raise kind(1, "broken", "rtsp://me:secret@cam/")


def test_not_even_the_cause_of_an_error_holds_the_address() -> None:
    """Logs show causes with their stack."""
    with pytest.raises(SourceError) as caught, translated("here"):
        raise av.HTTPNotFoundError(1, "not found", "rtsp://me:secret@cam/")
    shown = "".join(traceback.format_exception(caught.value))
    assert "HTTPNotFoundError" in shown
    assert "secret@" not in shown.replace('"rtsp://me:secret@cam/")', "")  # the line above itself


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        (av.HTTPUnauthorizedError, SourceLocked),
        (av.HTTPNotFoundError, SourceRefused),
        (av.HTTPServerError, SourceRefused),
        (av.ConnectionRefusedError, SourceRefused),
        (av.FileNotFoundError, SourceRefused),
        (av.PermissionError, SourceForbidden),
        (av.InvalidDataError, SourceUnsupported),
        (av.DecoderNotFoundError, SourceUnsupported),
        (av.EOFError, SourceEnded),
        (av.TimeoutError, SourceLost),
        (av.OSError, SourceLost),
    ],
)
def test_the_branch_follows_what_can_be_done_next(
    kind: type[av.FFmpegError], ours: type[SourceError]
) -> None:
    error = translation(kind(5, "input/output error", "rtsp://me:secret@cam/"), "camera front")
    assert type(error) is ours
    assert str(error).startswith("camera front: ")
    assert "secret" not in str(error)


def ramp(width: int, height: int) -> Pixels:
    """Grey values that rise to the right."""
    return np.tile(np.linspace(60, 180, width).astype(np.uint8), (height, 1))


def frame_of(pixel_format: str, *, size: tuple[int, int] = (38, 26)) -> av.VideoFrame:
    grey = ramp(*size)
    rgb = np.dstack([grey, grey, grey])
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)


FORMATS = ("yuv420p", "yuvj420p", "yuvj422p", "yuv444p", "nv12", "yuyv422", "yuv420p10le", "rgb24")
# FFmpeg itself defines no last column of an odd picture in these, and so no true value.
EVEN_ONLY = ("yuyv422", "yuv420p10le")
# And it writes past the rows when it makes ten bits of a width that is no multiple of 16: now and
# then the picture to be read is itself wrong.
CASES = [(one, (48 if one == "yuv420p10le" else 38, 26)) for one in FORMATS] + [
    (one, (37, 25)) for one in FORMATS if one not in EVEN_ONLY
]


@pytest.mark.parametrize(("pixel_format", "size"), CASES)
def test_whatever_the_pixel_format_luma_is_luma(pixel_format: str, size: tuple[int, int]) -> None:
    picture = picture_of(frame_of(pixel_format, size=size))
    is_full = pixel_format.startswith("yuvj")
    grey = ramp(*size).astype(float)
    expected = grey if is_full else 16 + grey * 219 / 255
    assert picture.is_full_range == is_full
    assert_shapes(picture, *size)
    assert np.abs(picture.luma - expected).max() <= 2
    assert np.abs(picture.u.astype(int) - 128).max() <= 2


def assert_shapes(picture: Yuv420, width: int, height: int) -> None:
    half = ((height + 1) // 2, (width + 1) // 2)
    assert picture.luma.shape == (height, width)
    assert picture.u.shape == picture.v.shape == half
    assert picture.luma.dtype == picture.u.dtype == np.uint8


def test_planes_are_views_of_the_decoders_memory_and_keep_it_alive() -> None:
    frame = frame_of("yuv420p")
    picture = picture_of(frame)
    before = picture.luma.copy()
    assert picture.luma.base is not None
    assert picture.luma.strides[0] == frame.planes[0].line_size
    del frame
    others = [picture_of(frame_of("yuv420p", size=(38, 26))) for _ in range(20)]
    for other in others:
        assert not np.shares_memory(other.luma, picture.luma)
    assert (picture.luma == before).all()


@pytest.mark.parametrize(
    ("colour_space", "height", "matrix"),
    [
        (1, 26, ColourMatrix.BT709),
        (6, 1080, ColourMatrix.BT601),
        (5, 26, ColourMatrix.BT601),
        (2, 480, ColourMatrix.BT601),
        (2, 720, ColourMatrix.BT709),
    ],
)
def test_the_matrix_is_the_one_said_or_else_the_usual_for_the_height(
    colour_space: int, height: int, matrix: ColourMatrix
) -> None:
    frame = av.VideoFrame(64, height, "yuv420p")
    frame.colorspace = colour_space
    assert picture_of(frame).matrix is matrix


def test_full_range_is_told_by_the_frame() -> None:
    frame = av.VideoFrame(64, 48, "yuv420p")
    frame.color_range = 2
    assert picture_of(frame).is_full_range
    frame.color_range = 1
    assert not picture_of(frame).is_full_range
