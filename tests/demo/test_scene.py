"""The demo's scene: what its truth says is what its frames show."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from camera_app.demo import Film, make_film
from camera_app.demo.film import mot_lines
from camera_app.demo.scene import (
    FACE,
    FPS,
    FRAMES,
    PERSON,
    SIZE,
    WALKS,
    Presence,
    Scene,
    SceneFrame,
    pasted,
)
from camera_app.values import Box

pytest.importorskip("skimage", reason="the scene is made from what scikit-image carries")
pytest.importorskip("matplotlib", reason="the scene is made from what matplotlib carries")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return make_film(tmp_path_factory.mktemp("film"))


def of(frame: SceneFrame, label: str) -> list[Presence]:
    return [presence for presence in frame.present if presence.label == label]


def test_a_frame_is_drawn_alike_every_time(scene: Scene) -> None:
    first, again = scene.frame(188), Scene().frame(188)

    assert first.pixels.shape == (SIZE.height, SIZE.width, 3)
    assert np.array_equal(first.pixels, again.pixels)
    assert first.present == again.present


@pytest.mark.parametrize("at_s", [0.0, 0.9, 8.0, 9.0, 16.0, 23.0, 24.9])
def test_the_scene_is_empty_before_between_and_after_the_visits(scene: Scene, at_s: float) -> None:
    assert scene.frame(round(at_s * FPS)).present == ()


def test_nobody_stands_outside_the_boxes(scene: Scene) -> None:
    """Outside them only a shadow falls, which makes nothing brighter."""
    for index in range(12, FRAMES, 17):
        frame = scene.frame(index)
        brighter = difference(frame, scene.frame(0)).max(axis=2) > 25
        for presence in frame.present:
            rows, columns = pixels_of(presence.box)
            brighter[rows, columns] = False
        assert not brighter.any()


def test_a_box_touches_the_person_on_every_side_but_the_hedge(scene: Scene) -> None:
    frame = scene.frame(40)  # one person stands in the middle
    [presence] = of(frame, PERSON)
    changed = np.abs(difference(frame, scene.frame(0))).max(axis=2) > 40
    inside = changed[pixels_of(presence.box)]

    assert inside[:4].any()
    assert inside[:, :4].any()
    assert inside[:, -4:].any()


def test_somebody_who_comes_in_becomes_visible_bit_by_bit(scene: Scene) -> None:
    seen = [frame.present[0].visibility for frame in map(scene.frame, range(12, 35, 3))]

    assert seen == sorted(seen)
    assert seen[0] < 0.1
    assert seen[-1] > 0.98  # the hedge's edge is wavy


@pytest.mark.parametrize(
    ("x", "columns", "shown"),
    [(-2, [0, 1], [3, 4]), (0, [0, 3], [1, 4]), (766, [766, 767], [1, 2]), (-4, [0], [0])],
)
def test_what_is_pasted_over_an_edge_is_cut_off_there(
    x: int, columns: list[int], shown: list[int]
) -> None:
    image = np.array([[1, 2, 3, 4]], np.uint8)

    frame = pasted(image, x, 5)

    assert frame.shape == (SIZE.height, SIZE.width)
    assert frame[5, columns].tolist() == shown


def test_whoever_stands_behind_is_partly_hidden_while_they_meet(scene: Scene) -> None:
    behind, front = of(scene.frame(198), PERSON)

    assert behind.box.intersection(front.box) > 0
    assert 0.6 < behind.visibility < 0.95
    assert front.visibility > 0.98


@pytest.mark.parametrize("index", [40, 125])  # each of the two people in the middle
def test_the_box_of_a_face_holds_skin_from_edge_to_edge(scene: Scene, index: int) -> None:
    frame = scene.frame(index)
    [person], [face] = of(frame, PERSON), of(frame, FACE)
    pixels = frame.pixels[pixels_of(face.box)].astype(np.int16)
    is_skin = (pixels[..., 0] - pixels[..., 2] > 25) & (pixels[..., 0] > 120)
    middle = is_skin[is_skin.shape[0] // 2]

    assert person.box.intersection(face.box) == face.box.area
    assert face.box.centre.y < person.box.centre.y
    assert is_skin.mean() > 0.6
    assert np.flatnonzero(middle)[0] <= 0.15 * len(middle)
    assert np.flatnonzero(middle)[-1] >= 0.85 * len(middle)
    assert face.visibility > 0.98


def test_a_face_is_there_as_far_as_it_is_inside(scene: Scene) -> None:
    """The first person comes in from the left at 1.0 s: shoulders first, then the face."""
    seen = [of(scene.frame(index), FACE) for index in range(10, 35)]
    shares = [faces[0].visibility if faces else 0.0 for faces in seen]

    assert not seen[5]
    assert of(scene.frame(15), PERSON)
    assert shares == sorted(shares)
    assert shares[-1] > 0.98
    entering = next(faces[0] for faces in seen if faces)
    assert entering.box.left == 0.0
    assert entering.visibility < 0.5


def difference(frame: SceneFrame, other: SceneFrame) -> npt.NDArray[np.int16]:
    return frame.pixels.astype(np.int16) - other.pixels.astype(np.int16)


def pixels_of(box: Box) -> tuple[slice, slice]:
    return slice(int(box.top), int(box.bottom)), slice(int(box.left), int(box.right))


def test_a_visit_lasts_as_long_as_any_of_the_person_is_inside(film: Film) -> None:
    for visit, walk in zip(film.visits, WALKS * 2, strict=True):
        assert walk.starts_s <= visit.first_s < visit.last_s <= walk.ends_s
        assert sorted(visit.boxes) == list(range(min(visit.boxes), max(visit.boxes) + 1))
        assert visit.visibility.keys() == visit.boxes.keys()


def test_the_clip_plays_as_many_frames_as_the_truth_counts(film: Film) -> None:
    with av.open(str(film.clip)) as container:
        [stream] = container.streams.video
        times = [frame.time for frame in container.decode(stream)]

        assert (stream.width, stream.height) == (SIZE.width, SIZE.height)
    assert times == pytest.approx([index / FPS for index in range(FRAMES)])


def test_the_truth_is_written_beside_the_clip(film: Film) -> None:
    folder: Path = film.clip.parent
    truth = json.loads((folder / "scene.json").read_text())
    visits = [(visit["label"], visit["person"]) for visit in truth["visits"]]
    people = ["Eileen Collins", "Grace Hopper", "Eileen Collins", "Grace Hopper"]

    assert truth["frames"] == FRAMES
    assert visits == [(label, person) for label in (PERSON, FACE) for person in people]
    for name, label in (("scene.txt", PERSON), ("scene-faces.txt", FACE)):
        lines = (folder / name).read_text().splitlines()
        assert len(lines) == sum(len(visit.boxes) for visit in film.visits_of(label)) > 100


def test_truth_lines_count_frames_from_one(film: Film) -> None:
    first = film.visits[0]
    index = min(first.boxes)
    box: Box = first.boxes[index]

    frame, visit, left, top, width, height, *_, visibility = (
        mot_lines(film.visits_of(PERSON)).split("\n")[0].split(",")
    )

    assert (int(frame), int(visit)) == (index + 1, 1)
    assert [float(n) for n in (left, top, width, height)] == [
        box.left,
        box.top,
        box.width,
        box.height,
    ]
    assert float(visibility) == first.visibility[index]
