"""Annotated films can be played and show what they should."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from camera_app.config import LineSettings, ZoneSettings
from camera_app.errors import StoreError
from camera_app.replay.annotate import FilmWriter, draw
from camera_app.values import Box, Frame, Track, TrackState, Yuv420


def grey_frame(at_ns: int, width: int = 320, height: int = 240) -> Frame:
    luma = np.full((height, width), 100, np.uint8)
    chroma = np.full((height // 2, width // 2), 128, np.uint8)
    return Frame("front", 0, at_ns, Yuv420(luma, chroma, chroma))


TRACK = Track(7, "person", Box(100, 60, 180, 200), 0.9, TrackState.CONFIRMED, 0, 0, 5)
ZONE = ZoneSettings(name="mat", polygon=((0.8, 0.5), (0.99, 0.5), (0.99, 0.9)))


def test_boxes_and_zones_are_drawn_where_they_are() -> None:
    canvas = draw(grey_frame(0), [TRACK], [], [ZONE]).astype(int)
    colourful = np.ptp(canvas, axis=2) > 40
    assert colourful[60:200, 100].mean() > 0.9  # the left edge of the box
    assert colourful[120, 260:315].mean() > 0.9  # the upper edge of the zone
    assert not colourful[90:190, 110:170].any()  # nothing inside the box


def test_a_line_is_drawn_with_an_arrow_to_the_side_that_is_in() -> None:
    sill = LineSettings(name="sill", points=((0.2, 0.5), (0.8, 0.5)))
    canvas = draw(grey_frame(0), [], [], [], [sill]).astype(int)
    colourful = np.ptp(canvas, axis=2) > 40
    assert colourful[120, 70:250].mean() > 0.9
    assert colourful[122:142, 160].mean() > 0.9  # in is below a line from left to right
    assert not colourful[60:110, 160].any()


def test_a_film_keeps_frames_and_times(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    times_ns = [0, 100_000_000, 350_000_000, 400_000_000]  # a variable rate
    with FilmWriter(path, 10.0) as film:
        for at_ns in times_ns:
            film.write(draw(grey_frame(at_ns), [TRACK], [], []), at_ns)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert [round((frame.time or 0) * 1000) for frame in frames] == [0, 100, 350, 400]
    assert (frames[0].width, frames[0].height) == (320, 240)


def test_a_frame_of_another_size_is_fitted_in(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with FilmWriter(path, 10.0) as film:
        film.write(draw(grey_frame(0), [], [], []), 0)
        film.write(draw(grey_frame(1, 160, 120), [], [], []), 100_000_000)
    with av.open(str(path)) as container:
        assert {(frame.width, frame.height) for frame in container.decode(video=0)} == {(320, 240)}


def test_a_film_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    canvas = draw(grey_frame(0), [], [], [])
    path = tmp_path / "no" / "film.mp4"
    with pytest.raises(StoreError, match=r"film\.mp4"), FilmWriter(path, 10) as film:
        film.write(canvas, 0)
