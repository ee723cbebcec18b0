"""A made scene with known truth: two people before a brick wall, behind a hedge.

Pure pictures: what stands where in every frame, and how a frame looks. Writing the clip is
`film.py`. The hedge hides where the portraits are cut off; boxes of the truth end at it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from camera_app.demo.backdrop import brick_wall, hedge_row
from camera_app.demo.portraits import CutOut, collins, hopper
from camera_app.values import Box, Pixels, Size

PERSON, FACE = "person", "face"  # the classes that the scene knows the truth of

Grey = npt.NDArray[np.float32]  # one plane of the frame, or of a mask in 0.0 to 1.0
Colours = npt.NDArray[np.float32]  # (height, width, 3), red first, 0.0 to 255.0

SIZE = Size(768, 432)
FPS = 10
DURATION_S = 25.0
FRAMES = round(DURATION_S * FPS)

_HEDGE_TOP = 366
_STEP_HZ = 1.8  # of the up and down of a walker
_STEP_PX = 3.0
_NOISE = 1.2  # grey levels of sensor noise: without any, a still picture would be too easy
_SHIFTS_PX = 64
_SHADOW_PX = (14, 10)  # right and down of who casts it
_SHADOW_SOFT_PX = 9.0
_SHADOW_DARK = 0.35


@dataclass(frozen=True, slots=True)
class Walk:
    """One visit of one person.

    Attributes:
        person: Index into the cut-outs of the scene.
        stops: Moment in seconds and x of the person's centre in pixels, straight between them.
    """

    person: int
    stops: tuple[tuple[float, float], ...]

    @property
    def starts_s(self) -> float:
        return self.stops[0][0]

    @property
    def ends_s(self) -> float:
        return self.stops[-1][0]

    def centre_px(self, at_s: float) -> float:
        """Return x of the centre at a moment of the walk."""
        return float(np.interp(at_s, [s for s, _ in self.stops], [x for _, x in self.stops]))

    def is_walking(self, at_s: float) -> bool:
        return self.centre_px(at_s + 1 / FPS) != self.centre_px(at_s)


_COLLINS, _HOPPER = 0, 1
_LEFT, _RIGHT = -150.0, SIZE.width + 150.0

# Painted in this order, the later ones in front. The third and the fourth meet in the middle, one
# partly hidden by the other, and part again.
WALKS = (
    Walk(_COLLINS, ((1.0, _LEFT), (3.4, 280.0), (4.8, 280.0), (7.4, _RIGHT))),
    Walk(_HOPPER, ((9.2, _LEFT), (11.6, 420.0), (13.0, 420.0), (15.0, _RIGHT))),
    Walk(_COLLINS, ((16.8, _LEFT), (18.9, 290.0), (20.4, 290.0), (22.6, _LEFT))),
    Walk(_HOPPER, ((17.2, _RIGHT), (19.3, 470.0), (20.7, 470.0), (22.9, _RIGHT))),
)


@dataclass(frozen=True, slots=True)
class Presence:
    """One person, or their face, in one frame, as it really is.

    Attributes:
        visit: Number of the visit, from 1.
        label: `PERSON` or `FACE`.
        box: Around what the frame could show of them, in pixels.
        visibility: Share that can be seen of what stands above the hedge: neither outside the
            frame nor behind somebody else; 0.0 to 1.0.
    """

    visit: int
    label: str
    box: Box
    visibility: float


@dataclass(frozen=True, slots=True, eq=False)
class SceneFrame:
    """One picture of the scene and what is in it.

    Attributes:
        pixels: uint8 (432, 768, 3), red first.
        present: Who is inside the picture, in order of visits, each person before their face.
    """

    pixels: Pixels
    present: tuple[Presence, ...]


class Scene:
    """Draws the frames of the scene."""

    def frames(self) -> Iterator[SceneFrame]:
        """Draw all frames in order."""
        return map(self.frame, range(FRAMES))

    def frame(self, index: int) -> SceneFrame:
        """Draw one frame, 0 to `FRAMES` - 1; the same one every time."""
        at_s = index / FPS
        picture = self._wall.copy()
        layers = [
            _paint(picture, visit, self.people[walk.person], _place(walk, at_s))
            for visit, walk in enumerate(WALKS, start=1)
            if walk.starts_s <= at_s <= walk.ends_s
        ]
        hedge, hedge_alpha = self._hedge
        picture += (hedge - picture) * hedge_alpha[..., None]
        picture += self._noise(index)[..., None]
        np.clip(picture + 0.5, 0, 255, out=picture)
        return SceneFrame(picture.astype(np.uint8), tuple(_presences(layers, hedge_alpha)))

    @cached_property
    def people(self) -> tuple[CutOut, ...]:
        return collins(300), hopper(240)

    @cached_property
    def _wall(self) -> Colours:
        return brick_wall(SIZE)

    @cached_property
    def _hedge(self) -> tuple[Colours, Grey]:
        return hedge_row(SIZE, _HEDGE_TOP)

    @cached_property
    def _grain(self) -> Grey:
        shape = SIZE.height + _SHIFTS_PX, SIZE.width + _SHIFTS_PX
        return (np.random.default_rng(2).normal(0.0, _NOISE, shape)).astype(np.float32)

    def _noise(self, index: int) -> Grey:
        """Return a cut-out of the grain, elsewhere in every frame: far cheaper than new noise."""
        y, x = (37 * index) % _SHIFTS_PX, (53 * index) % _SHIFTS_PX
        return self._grain[y : y + SIZE.height, x : x + SIZE.width]


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A painted person: how much of each pixel they are, and how much of them there is to see.

    Attributes:
        visit: Number of the visit.
        alpha: Share of each pixel of the frame that is theirs.
        above_hedge: Pixels of them above the hedge, those outside the frame too.
        face: Where their face is; may lie outside the frame.
    """

    visit: int
    alpha: Grey
    above_hedge: float
    face: Box


def _place(walk: Walk, at_s: float) -> tuple[int, int]:
    """Return x of a person's centre and y of the lower end of the cut-out, behind the hedge."""
    step_px = 0.0
    if walk.is_walking(at_s):
        step_px = _STEP_PX * math.sin(2 * math.pi * _STEP_HZ * (at_s - walk.starts_s))
    return round(walk.centre_px(at_s)), SIZE.height - 40 + round(step_px)


def _paint(picture: Colours, visit: int, person: CutOut, place: tuple[int, int]) -> _Layer:
    """Blend a person and their shadow on the wall into a picture."""
    height, width = person.alpha.shape
    x, y = place[0] - width // 2, place[1] - height
    cast = pasted(person.alpha, x + _SHADOW_PX[0], y + _SHADOW_PX[1])
    shadow = cv2.GaussianBlur(cast, (0, 0), _SHADOW_SOFT_PX)
    picture *= (1 - shadow * np.float32(_SHADOW_DARK / 255))[..., None]
    alpha = pasted(person.alpha, x, y) / np.float32(255)
    picture += (pasted(person.pixels, x, y) - picture) * alpha[..., None]
    above = person.alpha[: _HEDGE_TOP - y]
    return _Layer(visit, alpha, float(above.sum()) / 255, _moved(person.face, x, y))


def _moved(box: Box, x: int, y: int) -> Box:
    """Return a box of a cut-out, in tenths of a pixel of the frame that it is pasted into."""
    left, top = round(box.left + x, 1), round(box.top + y, 1)
    return Box(left, top, round(box.right + x, 1), round(box.bottom + y, 1))


def pasted(pixels: Pixels, x: int, y: int) -> npt.NDArray[np.float32]:
    """Return a black frame with an image pasted at a corner, what is outside cut off."""
    frame = np.zeros((SIZE.height, SIZE.width, *pixels.shape[2:]), np.float32)
    height, width = pixels.shape[:2]
    left, right = max(0, x), min(SIZE.width, x + width)
    top, bottom = max(0, y), min(SIZE.height, y + height)
    if left < right and top < bottom:
        frame[top:bottom, left:right] = pixels[top - y : bottom - y, left - x : right - x]
    return frame


def _presences(layers: list[_Layer], hedge_alpha: Grey) -> Iterator[Presence]:
    """Work out what can be seen of whom; later layers stand in front of earlier ones."""
    for index, layer in enumerate(layers):
        shown = layer.alpha * (1 - hedge_alpha)
        x, y, width, height = cv2.boundingRect((shown > 0.5).astype(np.uint8))
        if width == 0:
            continue
        uncovered = 1 - hedge_alpha
        for front in layers[index + 1 :]:
            uncovered = uncovered * (1 - front.alpha)
        visibility = min(1.0, float((layer.alpha * uncovered).sum()) / layer.above_hedge)
        yield Presence(layer.visit, PERSON, Box(x, y, x + width, y + height), round(visibility, 3))
        face = layer.face.clipped(SIZE)
        if face.area > 0:
            visibility = float(_inside(uncovered, face).mean()) * face.area / layer.face.area
            yield Presence(layer.visit, FACE, face, round(visibility, 3))


def _inside(plane: Grey, box: Box) -> Grey:
    """Return the part of a plane that a box touches, in whole pixels."""
    rows = slice(int(box.top), math.ceil(box.bottom))
    return plane[rows, int(box.left) : math.ceil(box.right)]
