"""The shipped fake camera: bright rectangles over a textured ground, and levers to fail.

The same options make the same pictures, on every machine. As an address:

    synthetic:?width=640&height=360&fps=10&objects=2&seed=1

A lever pulls itself when its number of frames has been delivered, once in each run:

    stall_after   delivers nothing more, and does not return
    lose_after    reports that the source is lost
    crash_after   ends the process as a bug in native code would
    resize_after  goes on with half the width and height
    corrupt_every leaves out every n-th frame as damaged
    refuse=1      cannot be opened
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from camera_app.capture.source import Shot, SourceRefused
from camera_app.clock import NS_PER_S
from camera_app.errors import SourceLost, SourceUnsupported
from camera_app.values import Pixels, Size, Yuv420

GROUND_LUMA = 96
GROUND_SPREAD = 24
OBJECT_LUMA = 224


@dataclass(frozen=True, slots=True)
class Scene:
    """What a synthetic source shows and when it fails; 0 leaves a lever alone.

    Attributes:
        width: Of the pictures, in pixels.
        height: Of the pictures, in pixels.
        fps: Pictures a second.
        objects: How many rectangles move.
        seed: Decides texture, places and speeds.
        frames: After how many frames the film ends; 0: never.
    """

    width: int = 640
    height: int = 360
    fps: float = 10.0
    objects: int = 1
    seed: int = 0
    frames: int = 0
    stall_after: int = 0
    lose_after: int = 0
    crash_after: int = 0
    resize_after: int = 0
    corrupt_every: int = 0
    refuse: int = 0

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Scene:
        """Read the options of an address.

        Raises:
            SourceUnsupported: One of them is not known, or no number.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise SourceUnsupported(
                f"knows no option {unknown[0]!r}",
                where="synthetic:",
                remedy=f"Known are {', '.join(known)}.",
            )
        try:
            whole = {name: int(value) for name, value in options.items() if name != "fps"}
            scene = replace(cls(fps=float(options.get("fps", 10.0))), **whole)
        except ValueError as error:
            what = f"has an option that is wrong: {error}"
            raise SourceUnsupported(what, where="synthetic:") from error
        if min(scene.width, scene.height) < 16 or scene.fps <= 0:
            raise SourceUnsupported("needs 16x16 pixels and an fps above 0", where="synthetic:")
        return scene


class SyntheticReader:
    """Delivers the pictures of a scene as fast as they are read."""

    is_recorded = True
    codec = "yuv420"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._painter = _ScenePainter(scene)
        self._index = 0
        self._is_open = False
        self.corrupt = 0

    def open(self) -> None:
        if self._scene.refuse:
            raise SourceRefused("was told to refuse", where="synthetic:")
        self._is_open = True

    def read(self) -> Shot | None:
        scene = self._scene
        if not self._is_open or (scene.frames and self._index >= scene.frames):
            return None
        if scene.corrupt_every and (self._index + 1) % scene.corrupt_every == 0:
            self.corrupt += 1
            self._index += 1
        self._pull_levers()
        index, painter = self._index, self._painter
        self._index += 1
        at_ns = round(index * NS_PER_S / scene.fps)
        return Shot(at_ns, at_ns, lambda: painter.picture(index))

    def close(self) -> None:
        self._is_open = False

    def _pull_levers(self) -> None:
        scene = self._scene
        if self._index == scene.stall_after > 0:
            threading.Event().wait()
        if self._index == scene.lose_after > 0:
            raise SourceLost("was told to be lost", where="synthetic:")
        if self._index == scene.crash_after > 0:
            os.abort()
        if self._index == scene.resize_after > 0:
            half = replace(scene, width=scene.width // 2, height=scene.height // 2)
            self._painter = _ScenePainter(half)


class _ScenePainter:
    """Paints the picture of any moment of a scene."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._size = Size(scene.width, scene.height)
        random = np.random.default_rng(scene.seed)
        noise = random.integers(-GROUND_SPREAD, GROUND_SPREAD, (scene.height, scene.width))
        self._ground = (GROUND_LUMA + noise).astype(np.uint8)
        # Places as shares of the way there is; speeds in ways a second.
        self._places = random.uniform(0, 2, (scene.objects, 2))  # nosec B311 # a made scene
        self._speeds = random.uniform(0.1, 0.4, (scene.objects, 2))  # nosec B311 # a made scene
        half = ((scene.height + 1) // 2, (scene.width + 1) // 2)
        self._u = np.full(half, 118, np.uint8)
        self._v = np.full(half, 138, np.uint8)

    def picture(self, index: int) -> Yuv420:
        luma = self._ground.copy()
        height, width = self._size.height // 4, self._size.width // 8
        for left, top in self._corners(index, width, height):
            luma[top : top + height, left : left + width] = OBJECT_LUMA
        return Yuv420(luma, self._u.copy(), self._v.copy())

    def _corners(self, index: int, width: int, height: int) -> Pixels:
        """Return left and top of each rectangle: to and fro between the edges."""
        travelled = (self._places + self._speeds * index / self._scene.fps) % 2.0
        share = 1.0 - np.abs(1.0 - travelled)
        room = (self._size.width - width, self._size.height - height)
        return (share * room).astype(np.int64)
