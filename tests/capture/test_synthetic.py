from __future__ import annotations

import numpy as np
import pytest

from camera_app.capture.source import Shot, SourceRefused
from camera_app.capture.synthetic import OBJECT_LUMA, Scene, SyntheticReader
from camera_app.errors import SourceLost, SourceUnsupported


def shots(scene: Scene, count: int) -> list[Shot]:
    reader = SyntheticReader(scene)
    reader.open()
    return [shot for shot in (reader.read() for _ in range(count)) if shot is not None]


def test_the_same_seed_makes_the_same_pictures() -> None:
    one, other = (shots(Scene(160, 90, objects=2, seed=5), 4) for _ in range(2))
    for mine, theirs in zip(one, other, strict=True):
        assert mine.at_ns == theirs.at_ns
        assert (mine.picture().luma == theirs.picture().luma).all()


def test_another_seed_makes_others() -> None:
    (one,), (other,) = shots(Scene(160, 90, seed=1), 1), shots(Scene(160, 90, seed=2), 1)
    assert (one.picture().luma != other.picture().luma).any()


def test_the_objects_move_and_nothing_else_does() -> None:
    reader = SyntheticReader(Scene(160, 90, seed=1))
    reader.open()
    pictures = [shot.picture().luma for _ in range(5) if (shot := reader.read())]
    for picture in pictures:
        assert (picture == OBJECT_LUMA).sum() == (160 // 8) * (90 // 4)
    moved = pictures[0] != pictures[4]
    assert moved.any()
    assert np.isin(OBJECT_LUMA, pictures[0][moved])


def test_time_follows_the_rate() -> None:
    assert [shot.at_ns for shot in shots(Scene(64, 48, fps=4), 3)] == [0, 250_000_000, 500_000_000]


def test_options_come_from_the_address() -> None:
    scene = Scene.from_options({"width": "320", "height": "200", "fps": "2.5", "seed": "9"})
    assert scene == Scene(width=320, height=200, fps=2.5, seed=9)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"colour": "1"}, "knows no option 'colour'.*width, height"),
        ({"width": "wide"}, "wrong"),
        ({"width": "4"}, "16x16"),
        ({"fps": "0"}, "fps above 0"),
    ],
)
def test_options_that_make_no_scene_are_refused(options: dict[str, str], text: str) -> None:
    with pytest.raises(SourceUnsupported, match=text):
        Scene.from_options(options)


def test_the_film_ends_when_it_is_told_to() -> None:
    assert len(shots(Scene(64, 48, frames=3), 5)) == 3


def test_lever_refuse() -> None:
    with pytest.raises(SourceRefused):
        SyntheticReader(Scene(refuse=1)).open()


def test_lever_lose() -> None:
    reader = SyntheticReader(Scene(64, 48, lose_after=2))
    reader.open()
    assert reader.read()
    assert reader.read()
    with pytest.raises(SourceLost):
        reader.read()


def test_lever_corrupt_leaves_frames_out_and_counts_them() -> None:
    reader = SyntheticReader(Scene(64, 48, fps=10, corrupt_every=3))
    reader.open()
    times = [shot.at_ns // 100_000_000 for _ in range(5) if (shot := reader.read())]
    assert times == [0, 1, 3, 4, 6]
    assert reader.corrupt == 2


def test_lever_resize() -> None:
    reader = SyntheticReader(Scene(64, 48, resize_after=2))
    reader.open()
    sizes = [str(shot.picture().size) for _ in range(4) if (shot := reader.read())]
    assert sizes == ["64x48", "64x48", "32x24", "32x24"]
