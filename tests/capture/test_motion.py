from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.capture import ClipReader, MotionGate
from camera_app.capture.motion import merged
from camera_app.clock import NS_PER_S
from camera_app.config import MotionSettings
from camera_app.values import Box, Motion, Pixels

WIDTH, HEIGHT = 768, 432
STEP_NS = NS_PER_S // 10
RANDOM = np.random.default_rng(7)
GROUND = np.kron(RANDOM.integers(60, 140, (9, 16)), np.ones((48, 48))).astype(np.uint8)

# A few fields of noise in turn: making a new one for each picture is most of the time otherwise.
NOISE = itertools.cycle(RANDOM.standard_normal((7, HEIGHT, WIDTH), dtype=np.float32))


def scene(*boxes: tuple[int, int, int, int], noise: float = 2.0, gain: float = 1.0) -> Pixels:
    """A checkered room with bright boxes (left, top, width, height) in it, and sensor noise."""
    picture = GROUND.astype(np.float32)
    for left, top, width, height in boxes:
        picture[top : top + height, left : left + width] = 220
    picture = picture * np.float32(gain) + np.float32(noise) * next(NOISE)
    return np.clip(picture, 0, 255).astype(np.uint8)


class Film:
    """Shows pictures to a gate at a steady rate."""

    def __init__(self, *, step_ns: int = STEP_NS, **settings: object) -> None:
        self.gate = MotionGate(MotionSettings.model_validate(settings))
        self.step_ns = step_ns
        self.now_ns = 5 * NS_PER_S

    def show(self, picture: Pixels) -> Motion:
        self.now_ns += self.step_ns
        return self.gate.look(picture, self.now_ns)

    def show_for(self, seconds: float, *boxes: tuple[int, int, int, int]) -> list[Motion]:
        count = round(seconds * NS_PER_S / self.step_ns)
        return [self.show(scene(*boxes)) for _ in range(count)]


def test_the_first_frame_is_all_new() -> None:
    motion = Film().show(scene())
    assert motion == Motion((Box(0, 0, WIDTH, HEIGHT),), 1.0, is_scene_change=True)


@pytest.mark.parametrize("noise", [0.0, 2.0, 6.0])
def test_noise_is_no_motion(noise: float) -> None:
    film = Film()
    film.show(scene(noise=noise))
    assert all(not film.show(scene(noise=noise)).boxes for _ in range(60))


def test_what_appears_is_boxed_where_it_is() -> None:
    film = Film()
    film.show_for(1.0)
    motion = film.show(scene((300, 200, 60, 120)))
    (box,) = motion.boxes
    assert not motion.is_scene_change
    # Nothing of it is cut off, and no more than three cells of 8 pixels are added on a side.
    assert 276 <= box.left <= 300
    assert 176 <= box.top <= 200
    assert 360 <= box.right <= 384
    assert 320 <= box.bottom <= 344
    assert motion.share == pytest.approx((60 + 16) * (120 + 16) / (WIDTH * HEIGHT), rel=0.2)


def test_two_things_apart_are_two_boxes_and_close_ones_are_one() -> None:
    film = Film()
    film.show_for(1.0)
    assert len(film.show(scene((100, 100, 60, 60), (500, 300, 60, 60))).boxes) == 2
    assert len(film.show(scene((100, 100, 60, 60), (168, 100, 60, 60))).boxes) == 1


@pytest.mark.parametrize(("side", "is_seen"), [(8, False), (40, True)])
def test_what_is_smaller_than_asked_does_not_count(side: int, is_seen: bool) -> None:
    film = Film(min_area_share=0.002)  # 663 pixels: 26 x 26
    film.show_for(1.0)
    assert bool(film.show(scene((200, 200, side, side))).boxes) == is_seen


@pytest.mark.parametrize(("threshold", "is_seen"), [(12, True), (60, False)])
def test_what_differs_less_than_the_threshold_does_not_count(threshold: int, is_seen: bool) -> None:
    film = Film(threshold=threshold)
    film.show(scene())
    pale = scene()
    pale[200:300, 300:400] += 30
    assert bool(film.show(pale).boxes) == is_seen


def test_who_walks_past_leaves_no_ghost() -> None:
    film = Film()
    film.show_for(1.0)
    for left in range(0, 600, 12):
        assert film.show(scene((left, 150, 80, 200))).boxes
    assert all(not motion.boxes for motion in film.show_for(3.0))


def test_who_stands_a_while_and_leaves_leaves_no_ghost_either() -> None:
    film = Film(background_s=3.0)
    film.show_for(1.0)
    assert film.show_for(1.0, (300, 150, 80, 200))[-1].boxes
    film.show_for(6.0, (300, 150, 80, 200))
    assert all(not motion.boxes for motion in film.show_for(2.0))


@pytest.mark.parametrize("step_ns", [NS_PER_S // 25, NS_PER_S // 10, NS_PER_S // 2])
def test_what_has_stopped_counts_for_the_configured_time_at_any_frame_rate(step_ns: int) -> None:
    """Durations are seconds: frames may be shed."""
    film = Film(background_s=4.0, step_ns=step_ns)
    film.show_for(1.0)
    count_s = NS_PER_S / step_ns
    motions = film.show_for(8.0, (300, 150, 80, 200))
    before, after = motions[: int(3.8 * count_s)], motions[int(4.2 * count_s) + 1 :]
    assert all(motion.boxes for motion in before)
    # Noise at its rim may lift it over the threshold now and then.
    assert sum(bool(motion.boxes) for motion in after) <= len(after) / 4
    assert all(motion.share < 0.005 for motion in after)


def test_what_has_settled_is_seen_again_when_it_moves() -> None:
    film = Film(background_s=2.0)
    film.show_for(1.0)
    film.show_for(4.0, (300, 150, 80, 200))
    assert film.show(scene((330, 150, 80, 200))).boxes


def test_what_stays_becomes_background_in_the_end() -> None:
    film = Film(background_s=1.0)
    film.show_for(1.0)
    film.show_for(10.0, (300, 150, 80, 200))
    # Now the empty place is what is new.
    assert film.show(scene()).boxes


def test_slow_change_of_light_is_no_motion() -> None:
    film = Film()
    film.show(scene())
    for index in range(100):
        assert not film.show(scene(gain=1.0 + index * 0.004)).boxes


@pytest.mark.parametrize("step_ns", [NS_PER_S // 25, NS_PER_S // 2])
def test_a_patch_of_sun_that_grows_slowly_is_no_motion_at_any_frame_rate(step_ns: int) -> None:
    film = Film(step_ns=step_ns, background_s=10.0)
    film.show(scene())
    for index in range(20 * NS_PER_S // step_ns):
        picture = scene(noise=0.0)
        picture[100:300, 200:500] += np.uint8(index * step_ns / NS_PER_S)
        assert not film.show(picture).boxes


def test_exposure_that_follows_a_person_hides_neither_person_nor_room() -> None:
    film = Film()
    film.show_for(1.0)
    for index in range(20):
        motion = film.show(scene((300, 100, 100, 250), gain=1.0 - index * 0.01))
    assert not motion.is_scene_change
    assert len(motion.boxes) == 1
    assert motion.share < 0.15
    assert not any(film.show(scene(gain=0.8 + index * 0.01)).boxes for index in range(20))


def test_a_lamp_is_a_scene_change_once() -> None:
    film = Film()
    film.show_for(1.0)
    motion = film.show(scene(gain=0.4))
    assert motion.is_scene_change
    assert motion.boxes == (Box(0, 0, WIDTH, HEIGHT),)
    assert not any(film.show(scene(gain=0.4)).boxes for _ in range(10))


def test_another_picture_altogether_is_a_scene_change_once() -> None:
    film = Film()
    film.show_for(1.0)
    turned = 200 - GROUND  # every block another, the mean the same
    assert film.show(turned).is_scene_change
    assert not film.show(turned).boxes


def test_another_size_begins_anew() -> None:
    film = Film()
    film.show_for(1.0)
    half = scene()[::2, ::2]
    motion = film.show(half)
    assert motion.is_scene_change
    assert motion.boxes == (Box(0, 0, WIDTH // 2, HEIGHT // 2),)
    assert not film.show(half).boxes


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 9), (64, 48), (1921, 1081)])
def test_any_size_will_do(size: tuple[int, int]) -> None:
    width, height = size
    gate = MotionGate(MotionSettings())
    dark, bright = np.full((height, width), 40, np.uint8), np.full((height, width), 200, np.uint8)
    assert gate.look(dark, 1).is_scene_change
    assert not gate.look(dark, 2).boxes
    assert gate.look(bright, 3).boxes == (Box(0, 0, width, height),)


def test_black_is_no_special_case() -> None:
    gate = MotionGate(MotionSettings())
    black = np.zeros((HEIGHT, WIDTH), np.uint8)
    gate.look(black, 1)
    assert not gate.look(black, STEP_NS).boxes
    lit = black.copy()
    lit[100:200, 100:200] = 90
    assert gate.look(lit, 2 * STEP_NS).boxes


def test_time_that_stands_still_or_is_long_does_no_harm() -> None:
    gate = MotionGate(MotionSettings())
    for at_ns in (0, 0, STEP_NS, STEP_NS, 10**18):
        motion = gate.look(scene((300, 100, 100, 200)), at_ns)
    assert not motion.boxes


def test_the_same_frames_make_the_same_motion() -> None:
    pictures = [scene((left, 100, 60, 120)) for left in range(0, 300, 10)]
    runs = []
    for _ in range(2):
        gate = MotionGate(MotionSettings())
        runs.append([gate.look(picture, n * STEP_NS) for n, picture in enumerate(pictures)])
    assert runs[0] == runs[1]


side = st.integers(0, 60)
boxes = st.builds(
    lambda x, y, width, height: Box(x, y, x + width + 1, y + height + 1), side, side, side, side
)


@given(st.lists(boxes, max_size=12))
def test_merged_boxes_overlap_nowhere_and_cover_all_that_was(given_boxes: list[Box]) -> None:
    result = merged(given_boxes)
    for index, one in enumerate(result):
        assert all(one.intersection(other) == 0 for other in result[index + 1 :])
    for box in given_boxes:
        assert any(box.intersection(one) == box.area for one in result)


def gated(path: Path) -> list[bool]:
    gate = MotionGate(MotionSettings())
    with ClipReader(path) as clip:
        return [bool(gate.look(f.picture.luma, f.captured_ns).boxes) for f in clip.frames()]


def presence(shared: Path, name: str, count: int) -> list[bool]:
    """Which frames show somebody, as read by eye."""
    manifest = tomllib.loads((shared / "clips" / "MANIFEST.toml").read_text())
    (clip,) = (clip for clip in manifest["clip"] if clip["file"] == name)
    return [any(first <= n <= last for first, last in clip["present"]) for n in range(count)]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "passed", "empty_passed"),
    # In the gaps between visitors, of three to seven seconds, something they moved or a shadow
    # still counts for up to the ten seconds of the default.
    [("one_by_one_person.mp4", 0.995, 0.30), ("cars_from_above.mp4", 0.995, 0.20)],
)
def test_whoever_is_there_passes_and_most_of_the_rest_does_not(
    shared: Path, name: str, passed: float, empty_passed: float
) -> None:
    seen = gated(shared / "clips" / name)
    is_there = presence(shared, name, len(seen))
    present = [hit for hit, there in zip(seen, is_there, strict=True) if there]
    empty = [hit for hit, there in zip(seen, is_there, strict=True) if not there]
    assert sum(present) / len(present) >= passed
    assert sum(empty) / len(empty) <= empty_passed


@pytest.mark.shared
def test_a_still_life_is_still_until_the_hand_comes(shared: Path) -> None:
    seen = gated(shared / "clips" / "bottles.mp4")[:134]
    assert sum(seen) / len(seen) <= 0.30  # shadows of whoever stands beside pass over it
    assert not any(seen[96:134])
