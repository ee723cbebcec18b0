"""From a picture, or a region of it, to the tensor that a network is fed.

Planes are shrunk first and turned into colour after, at the size of the input: the costly step is
done on few pixels. The two kinds of picture, YUV planes and RGB stills, give the same tensor but
for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from camera_app.errors import ModelOutputError
from camera_app.inference.runtime import TensorSpec
from camera_app.models import Colour, Fit, InputGeometry
from camera_app.values import ColourMatrix, Picture, Pixels, Point, Region, Rgb, Size, Yuv420

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]

# Shares of red and blue in the luma of each matrix, from the ITU recommendations.
LUMA_SHARES = {ColourMatrix.BT601: (0.299, 0.114), ColourMatrix.BT709: (0.2126, 0.0722)}


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Whole pixels, of a picture or of an input."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an input's pixels lie in the frame: frame = origin + input * step, each axis.

    Attributes:
        x_origin: Frame x of the input's left edge.
        y_origin: Frame y of the input's upper edge.
        x_step: Frame pixels an input pixel, horizontally.
        y_step: The same, vertically.
    """

    x_origin: float
    y_origin: float
    x_step: float
    y_step: float

    def boxes_to_frame(self, boxes: Reals) -> Reals:
        """Return boxes (n, 4) as left, top, right, bottom of the input in frame pixels."""
        step = np.array([self.x_step, self.y_step, self.x_step, self.y_step])
        origin = np.array([self.x_origin, self.y_origin, self.x_origin, self.y_origin])
        return np.asarray(boxes * step + origin)

    def points_to_frame(self, points: Reals) -> Reals:
        """Return points (..., 2) of the input in frame pixels."""
        return np.asarray(points * [self.x_step, self.y_step] + [self.x_origin, self.y_origin])

    def bounds_in_input(self, size: Size) -> Reals:
        """Return (2, 4): the least and greatest box coordinates a frame allows, input pixels."""
        low = self.to_input(Point(0.0, 0.0))
        high = self.to_input(Point(size.width, size.height))
        return np.array([[low.x, low.y, low.x, low.y], [high.x, high.y, high.x, high.y]])

    def to_input(self, point: Point) -> Point:
        """Return a point of the frame in pixels of the input."""
        return Point(
            (point.x - self.x_origin) / self.x_step, (point.y - self.y_origin) / self.y_step
        )


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An input tensor, and the way back from it.

    Attributes:
        tensor: (1, height, width, channels), or channels before height where the pack says so;
            contiguous, of the network's type.
        placement: From input pixels to frame pixels.
        picture_size: Of the whole picture, not of the region.
    """

    tensor: Array
    placement: Placement
    picture_size: Size


def fitted(fit: Fit, part: Rectangle, size: Size) -> Rectangle:
    """Return where in an input of this size a part of a picture comes to lie."""
    if fit is Fit.STRETCH:
        return Rectangle(0, 0, size.width, size.height)
    scale = min(size.width / part.width, size.height / part.height)
    width = min(size.width, max(1, round(part.width * scale)))
    height = min(size.height, max(1, round(part.height * scale)))
    if fit is Fit.LETTERBOX_TOP_LEFT:
        return Rectangle(0, 0, width, height)
    return Rectangle((size.width - width) // 2, (size.height - height) // 2, width, height)


def placement(part: Rectangle, lies: Rectangle) -> Placement:
    """Return the way from an input, in which `part` of a frame lies at `lies`, to the frame."""
    x_step, y_step = part.width / lies.width, part.height / lies.height
    return Placement(part.x - lies.x * x_step, part.y - lies.y * y_step, x_step, y_step)


class Preprocessor:
    """Makes the input of one network.

    Raises:
        ModelOutputError: The file's input tensor is not the one that the pack describes.
    """

    def __init__(self, geometry: InputGeometry, spec: TensorSpec) -> None:
        self._geometry = geometry
        self._size = geometry.size
        if spec.shape != geometry.shape:
            raise ModelOutputError(
                f"the pack describes an input of shape {list(geometry.shape)}, the file has {spec}",
                remedy=_other_layout(geometry, spec),
            )
        self._feed = Feed(feed_table(geometry, spec))

    def prepare(self, picture: Picture, region: Region | None = None) -> Prepared:
        """Return the input for a region of a picture; None: the whole of it.

        Raises:
            ValueError: The region leaves the picture or is empty.
        """
        part = _part(picture.size, region)
        lies = fitted(self._geometry.fit, part, self._size)
        canvas = self._canvas(lies)
        view = canvas[lies.y : lies.y + lies.height, lies.x : lies.x + lies.width]
        paint(view, picture, part, self._geometry.colour)
        return Prepared(self._fed(canvas), placement(part, lies), picture.size)

    def prepare_aligned(self, picture: Picture, matrix: Reals) -> Prepared:
        """Return the input for a picture warped by a similarity; for faces.

        Args:
            picture: That shows the face.
            matrix: (2, 3), from picture pixels to input pixels.
        """
        pixels = warped(picture, matrix, self._size, self._geometry.colour)
        whole = Rectangle(0, 0, picture.size.width, picture.size.height)
        lies = Rectangle(0, 0, self._size.width, self._size.height)
        return Prepared(self._fed(pixels), placement(whole, lies), picture.size)

    def _canvas(self, lies: Rectangle) -> Pixels:
        geometry = self._geometry
        shape: tuple[int, ...] = (geometry.height, geometry.width)
        if geometry.colour is not Colour.GREY:
            shape = (*shape, 3)
        if lies == Rectangle(0, 0, geometry.width, geometry.height):
            return np.empty(shape, np.uint8)
        return np.full(shape, geometry.pad, np.uint8)

    def _fed(self, pixels: Pixels) -> Array:
        geometry = self._geometry
        if geometry.layout == "nchw" and pixels.ndim == 3:
            # As bytes, before they become numbers of four bytes each.
            pixels = np.stack(cv2.split(pixels))
        return self._feed.apply(pixels).reshape(geometry.shape)


def _other_layout(geometry: InputGeometry, spec: TensorSpec) -> str:
    """Return what to write into the manifest if only the place of the channels is wrong."""
    other: Literal["nhwc", "nchw"] = "nhwc" if geometry.layout == "nchw" else "nchw"
    is_it = spec.shape == geometry.model_copy(update={"layout": other}).shape
    return f'Write layout = "{other}" below [input]' if is_it else ""


def _part(size: Size, region: Region | None) -> Rectangle:
    if region is None:
        return Rectangle(0, 0, size.width, size.height)
    inside = (
        region.x >= 0
        and region.y >= 0
        and region.x + region.width <= size.width
        and region.y + region.height <= size.height
    )
    if not inside or region.width <= 0 or region.height <= 0:
        raise ValueError(f"{region} is no part of a picture of {size}")
    return Rectangle(region.x, region.y, region.width, region.height)


# --- colour ---------------------------------------------------------------------------------


def paint(view: Pixels, picture: Picture, part: Rectangle, colour: Colour) -> None:
    """Shrink or enlarge a part of a picture into `view`, in the given channels."""
    if isinstance(picture, Rgb):
        _paint_rgb(view, picture, part, colour)
    elif colour is Colour.GREY:
        luma = _cut(picture.luma, part)
        view[...] = _expanded(_resized(luma, view), picture.is_full_range)
    else:
        planes = (
            _resized(_cut(picture.luma, part), view),
            _resized(_cut_chroma(picture.u, part), view),
            _resized(_cut_chroma(picture.v, part), view),
        )
        _into_colour(view, planes, picture, colour)


def _paint_rgb(view: Pixels, picture: Rgb, part: Rectangle, colour: Colour) -> None:
    pixels = _resized(_cut(picture.pixels, part), view)
    view[...] = _reordered(pixels, colour)


def _reordered(pixels: Pixels, colour: Colour) -> Array:
    if colour is Colour.GREY:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)) if colour is Colour.BGR else pixels


def _cut(plane: Pixels, part: Rectangle) -> Pixels:
    return plane[part.y : part.y + part.height, part.x : part.x + part.width]


def _cut_chroma(plane: Pixels, part: Rectangle) -> Pixels:
    right, bottom = (part.x + part.width + 1) // 2, (part.y + part.height + 1) // 2
    return plane[part.y // 2 : bottom, part.x // 2 : right]


def _resized(plane: Pixels, view: Pixels) -> Pixels:
    height, width = view.shape[:2]
    if plane.shape[:2] == (height, width):
        return plane
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR))


def _into_colour(
    view: Pixels, planes: tuple[Pixels, Pixels, Pixels], picture: Yuv420, colour: Colour
) -> None:
    # One affine map with saturation does range, matrix and channel order at once.
    matrix = colour_map(picture.matrix, picture.is_full_range, colour)
    cv2.transform(cv2.merge(planes), matrix, dst=view)


@lru_cache(maxsize=16)
def colour_map(matrix: ColourMatrix, is_full_range: bool, colour: Colour) -> Reals:
    """Return (3, 4): what makes the wanted channels of Y, U, V and one."""
    red, blue = LUMA_SHARES[matrix]
    green = 1.0 - red - blue
    luma_gain, luma_zero = (1.0, 0.0) if is_full_range else (255.0 / 219.0, 16.0)
    chroma_gain = 1.0 if is_full_range else 255.0 / 224.0
    u_blue, v_red = 2.0 * (1.0 - blue), 2.0 * (1.0 - red)
    gains = np.array(
        [
            [1.0, 0.0, v_red],
            [1.0, -u_blue * blue / green, -v_red * red / green],
            [1.0, u_blue, 0.0],
        ]
    ) * [luma_gain, chroma_gain, chroma_gain]
    offsets = -gains @ [luma_zero, 128.0, 128.0]
    rows = np.column_stack((gains, offsets))
    return np.ascontiguousarray(rows[::-1] if colour is Colour.BGR else rows)


def _expanded(luma: Pixels, is_full_range: bool) -> Array:
    return luma if is_full_range else np.asarray(cv2.LUT(luma, _full_range_table()))


@lru_cache(maxsize=1)
def _full_range_table() -> Pixels:
    """Return what a luma of 16..235 is as 0..255."""
    return np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)


# --- faces ----------------------------------------------------------------------------------


def similarity(source: Reals, target: Reals) -> Reals:
    """Return (2, 3): turn, scale and shift that bring source points closest to the target.

    Of the ways that suit two of the points exactly, the one is taken whose median error over
    all points is least: a single landmark in the wrong place does not turn the face. Same
    points, same result.

    Args:
        source: (n, 2), at least two different points.
        target: (n, 2).

    Raises:
        ValueError: The points are no face: all in one place.
    """
    matrix, _ = cv2.estimateAffinePartial2D(source, target, method=cv2.LMEDS)
    if matrix is None or not np.isfinite(matrix).all():
        raise ValueError("the points of the face lie all in one place")
    return np.asarray(matrix, np.float64)


def warped(picture: Picture, matrix: Reals, size: Size, colour: Colour) -> Pixels:
    """Return a picture under an affine map from its pixels to those of the result."""
    if isinstance(picture, Rgb):
        return np.ascontiguousarray(_reordered(_warp(picture.pixels, matrix, size, 0), colour))
    luma = _warp(picture.luma, matrix, size, 0 if picture.is_full_range else 16)
    if colour is Colour.GREY:
        return np.ascontiguousarray(_expanded(luma, picture.is_full_range))
    half = _for_chroma(matrix)
    planes = (luma, _warp(picture.u, half, size, 128), _warp(picture.v, half, size, 128))
    result = np.empty((size.height, size.width, 3), np.uint8)
    _into_colour(result, planes, picture, colour)
    return result


def _warp(plane: Pixels, matrix: Reals, size: Size, border: int) -> Pixels:
    value = (border, border, border)
    extent = (size.width, size.height)
    return np.asarray(
        cv2.warpAffine(plane, matrix, extent, flags=cv2.INTER_LINEAR, borderValue=value)
    )


def _for_chroma(matrix: Reals) -> Reals:
    """Return the map for planes of half size, whose pixel c has its middle at 2 c + 0.5."""
    turn, shift = matrix[:, :2], matrix[:, 2]
    return np.column_stack((2.0 * turn, shift + turn @ [0.5, 0.5]))


# --- bytes to the network's numbers ---------------------------------------------------------


def feed_table(geometry: InputGeometry, spec: TensorSpec) -> Array:
    """Return what each of the 256 bytes is to the network, of its type.

    Raises:
        ModelOutputError: The pack does not say what a byte means to this type.
    """
    normalise = geometry.normalise
    if spec.dtype not in ("uint8", "int8", "float32"):
        raise ModelOutputError(f"an input must be uint8, int8 or float32, the file has {spec}")
    if normalise is None:
        return _plain_table(spec)
    real = (np.arange(256, dtype=np.float64) - normalise.mean) / normalise.divisor
    if spec.dtype == "float32":
        return real.astype(np.float32)
    if not spec.scale:
        raise ModelOutputError(f"input.normalise needs a quantised input, the file has {spec}")
    limits = np.iinfo(spec.dtype)
    raw = np.rint(real / spec.scale) + spec.zero_point
    return np.asarray(np.clip(raw, limits.min, limits.max), spec.dtype)


def _plain_table(spec: TensorSpec) -> Array:
    """Return bytes unchanged, or minus 128: what full-integer files expect."""
    numbers = np.arange(256, dtype=np.int64)
    if spec.dtype == "uint8":
        return numbers.astype(np.uint8)
    if spec.dtype == "int8":
        return (numbers - 128).astype(np.int8)
    raise ModelOutputError(f"a float input needs input.normalise in the pack, the file has {spec}")


class Feed:
    """Applies a table to many bytes, by the quickest way that gives the same."""

    def __init__(self, table: Array) -> None:
        self._table = table
        numbers = np.arange(256, dtype=np.int64)
        self._is_unchanged = table.dtype == np.uint8 and bool((table == numbers).all())
        self._is_minus_128 = table.dtype == np.int8 and bool((table == numbers - 128).all())

    def apply(self, pixels: Pixels) -> Array:
        """Return the numbers for bytes that the caller gives away."""
        if self._is_unchanged:
            return pixels
        if self._is_minus_128:
            # Subtracting 128 is turning the upper bit over and reading the byte as signed.
            return np.bitwise_xor(pixels, np.uint8(0x80), out=pixels).view(np.int8)
        return np.asarray(cv2.LUT(pixels, self._table))
