"""Cut-outs of two people from public-domain photographs that well-known packages carry.

Eileen Collins, photographed by NASA, comes with scikit-image; Grace Hopper, photographed by the
United States Navy, comes with matplotlib. Nothing is fetched.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from camera_app.errors import UsageError
from camera_app.values import Box, Pixels

# Outlines drawn by hand, in pixels of the photograph, slightly outside the person.
_COLLINS = (
    (22, 511), (20, 420), (22, 350), (35, 290), (75, 235), (115, 205), (118, 185), (130, 165),
    (160, 152), (186, 150), (178, 120), (160, 100), (153, 70), (165, 45), (195, 22), (230, 15),
    (265, 22), (290, 45), (301, 75), (292, 105), (275, 128), (262, 155), (258, 172), (285, 190),
    (302, 225), (330, 250), (352, 290), (362, 347), (400, 343), (440, 350), (470, 370), (490, 410),
    (498, 450), (511, 470), (511, 511),
)  # fmt: skip
_HOPPER = (
    (12, 599), (15, 520), (30, 440), (50, 385), (110, 362), (165, 345), (190, 328), (205, 312),
    (192, 297), (165, 270), (155, 215), (152, 190), (162, 160), (150, 145), (152, 100), (176, 85),
    (178, 60), (210, 35), (260, 22), (310, 30), (345, 55), (355, 85), (370, 95), (371, 150),
    (362, 180), (375, 190), (370, 230), (360, 265), (355, 295), (335, 310), (330, 325), (380, 350),
    (440, 370), (490, 390), (505, 430), (511, 460), (511, 599),
)  # fmt: skip
# Forehead to chin and cheek to cheek, read off by eye, in pixels of the photograph.
_COLLINS_FACE = Box(180, 62, 268, 176)
_HOPPER_FACE = Box(164, 128, 362, 334)
# The true edge is looked for from this far inside the outline to this far outside of it.
_INSIDE_PX = 13
_OUTSIDE_PX = 3
_ROUNDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """A person without the background.

    Attributes:
        name: Who it is.
        pixels: uint8 (height, width, 3), red first.
        alpha: uint8 (height, width): 255 where the person is, 0 where not.
        face: Where the face is, in pixels of these.
    """

    name: str
    pixels: Pixels
    alpha: Pixels
    face: Box


def collins(height: int) -> CutOut:
    """Return Eileen Collins in an orange suit, her helmet under her arm, so many pixels high."""
    return _resized(
        _cut("Eileen Collins", _astronaut_photograph(), _COLLINS, _COLLINS_FACE), height
    )


def hopper(height: int) -> CutOut:
    """Return Grace Hopper in uniform, so many pixels high."""
    return _resized(_cut("Grace Hopper", _hopper_photograph(), _HOPPER, _HOPPER_FACE), height)


def _astronaut_photograph() -> Pixels:
    try:
        from skimage import data
    except ImportError as error:
        raise needs_package("scikit-image") from error
    return np.asarray(data.astronaut(), dtype=np.uint8)  # type: ignore[no-untyped-call]


def _hopper_photograph() -> Pixels:
    try:
        from matplotlib import cbook
    except ImportError as error:
        raise needs_package("matplotlib") from error
    path = cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    photograph = cv2.imread(str(path))
    if photograph is None:
        raise needs_package("matplotlib")
    return np.asarray(photograph[..., ::-1], dtype=np.uint8).copy()


def _cut(name: str, photograph: Pixels, outline: tuple[tuple[int, int], ...], face: Box) -> CutOut:
    """Find the person's edge near an outline by colour (grabCut), with a soft rim."""
    inside = np.zeros(photograph.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.array(outline, np.int32)], (255,))
    guess = np.full(inside.shape, cv2.GC_BGD, np.uint8)
    guess[_grown(inside, _OUTSIDE_PX) > 0] = cv2.GC_PR_BGD
    guess[inside > 0] = cv2.GC_PR_FGD
    guess[_grown(inside, -_INSIDE_PX) > 0] = cv2.GC_FGD
    cv2.setRNGSeed(1)  # the same cut every time
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(photograph, guess, (0, 0, 0, 0), *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    person = np.isin(guess, (cv2.GC_FGD, cv2.GC_PR_FGD))
    alpha = cv2.GaussianBlur(np.where(person, 255, 0).astype(np.uint8), (5, 5), 0)
    return CutOut(name, photograph, np.asarray(alpha, dtype=np.uint8), face)


def _grown(mask: Pixels, by_px: int) -> Pixels:
    """Return a mask grown by so many pixels, shrunk if negative; the picture's edge is no edge."""
    size = 2 * abs(by_px) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    framed = cv2.copyMakeBorder(mask, size, size, size, size, cv2.BORDER_REPLICATE)
    change = cv2.dilate if by_px > 0 else cv2.erode
    return np.asarray(change(framed, disc)[size:-size, size:-size], dtype=np.uint8)


def _resized(cut_out: CutOut, height: int) -> CutOut:
    """Trim a cut-out to the person and scale it."""
    x, y, width, tall = cv2.boundingRect(np.where(cut_out.alpha > 127, 255, 0).astype(np.uint8))
    size = round(width * height / tall), height
    scale, face = height / tall, cut_out.face
    trimmed = (slice(y, y + tall), slice(x, x + width))
    pixels = cv2.resize(cut_out.pixels[trimmed], size, interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(cut_out.alpha[trimmed], size, interpolation=cv2.INTER_AREA)
    return CutOut(
        cut_out.name,
        np.asarray(pixels, dtype=np.uint8),
        np.asarray(alpha, dtype=np.uint8),
        Box(
            (face.left - x) * scale,
            (face.top - y) * scale,
            (face.right - x) * scale,
            (face.bottom - y) * scale,
        ),
    )


def needs_package(package: str) -> UsageError:
    return UsageError(
        f"the demo scene needs {package}, which is not installed",
        remedy="Run `make demo`, or install camera-app[demo].",
    )
