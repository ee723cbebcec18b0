"""Writes the demo scene as a clip, with the truth about it beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

import av

from camera_app.demo.scene import FACE, FPS, FRAMES, PERSON, SIZE, WALKS, Presence, Scene
from camera_app.values import Box, Pixels


@dataclass(frozen=True, slots=True)
class Visit:
    """One person coming and going, or their face.

    Attributes:
        number: Number of the visit, from 1; a person and their face have the same one.
        label: Class of what comes and goes.
        person: Who it is.
        boxes: Where they are, by frame index from 0; every frame that shows any of them.
        visibility: How much of them is to be seen, by the same index, 0.0 to 1.0.
    """

    number: int
    label: str
    person: str
    boxes: dict[int, Box]
    visibility: dict[int, float]

    @property
    def first_s(self) -> float:
        return min(self.boxes) / FPS

    @property
    def last_s(self) -> float:
        return max(self.boxes) / FPS


@dataclass(frozen=True, slots=True)
class Film:
    """The clip of the scene and what is true in it.

    Attributes:
        clip: The film file.
        visits: Each person's, then each face's.
    """

    clip: Path
    visits: tuple[Visit, ...]

    def visits_of(self, label: str) -> tuple[Visit, ...]:
        """Return those of one class."""
        return tuple(visit for visit in self.visits if visit.label == label)


def make_film(folder: Path, *, on_frame: Callable[[int, int], None] | None = None) -> Film:
    """Draw the scene into `scene.mp4`, its truth into `scene.json`.

    And the boxes of the truth into `scene.txt`, those of the faces into `scene-faces.txt`.

    Args:
        folder: Made if it is absent.
        on_frame: Called with frames done and frames in all, for a progress bar.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clip = folder / "scene.mp4"
    scene = Scene()
    present: list[tuple[Presence, ...]] = []
    with _Encoder(clip) as encoder:
        for done, frame in enumerate(scene.frames(), start=1):
            encoder.write(frame.pixels)
            present.append(frame.present)
            if on_frame is not None:
                on_frame(done, FRAMES)
    film = Film(clip, _visits(scene, present))
    for name, label in (("scene.txt", PERSON), ("scene-faces.txt", FACE)):
        (folder / name).write_text(mot_lines(film.visits_of(label)), encoding="ascii")
    (folder / "scene.json").write_text(_truth_json(film.visits), encoding="utf-8")
    return film


def _visits(scene: Scene, present: list[tuple[Presence, ...]]) -> tuple[Visit, ...]:
    visits = {
        (label, number): Visit(number, label, scene.people[walk.person].name, {}, {})
        for label in (PERSON, FACE)
        for number, walk in enumerate(WALKS, start=1)
    }
    for index, presences in enumerate(present):
        for presence in presences:
            visit = visits[presence.label, presence.visit]
            visit.boxes[index] = presence.box
            visit.visibility[index] = presence.visibility
    return tuple(visits.values())


def mot_lines(visits: tuple[Visit, ...]) -> str:
    """Return the truth in MOTChallenge form: frames from 1, class 1, last the visibility."""
    rows = sorted((index, visit.number, visit) for visit in visits for index in visit.boxes)
    return "".join(
        f"{index + 1},{number},{box.left:g},{box.top:g},{box.width:g},{box.height:g},1,1,"
        f"{visit.visibility[index]:g}\n"
        for index, number, visit in rows
        for box in (visit.boxes[index],)
    )


def _truth_json(visits: tuple[Visit, ...]) -> str:
    truth = {
        "fps": FPS,
        "frames": FRAMES,
        "size": [SIZE.width, SIZE.height],
        "visits": [
            {
                "visit": visit.number,
                "label": visit.label,
                "person": visit.person,
                "first_frame": min(visit.boxes),
                "last_frame": max(visit.boxes),
                "first_s": visit.first_s,
                "last_s": visit.last_s,
            }
            for visit in visits
        ],
    }
    return json.dumps(truth, indent=2) + "\n"


class _Encoder:
    """An H.264 file being written; closing it writes what the encoder still holds."""

    def __init__(self, path: Path) -> None:
        self._container = av.open(str(path), "w")
        stream = self._container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = SIZE.width, SIZE.height, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        # One thread: the bytes do not depend on how many cores made them.
        stream.options = {"preset": "veryfast", "crf": "21", "threads": "1", "g": "50"}
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def write(self, pixels: Pixels) -> None:
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def __exit__(self, *_: object) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
