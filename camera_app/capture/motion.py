"""The motion gate: which parts of a picture differ from what usually stands there. Pure.

Works on a coarse grid of the luma plane, so its cost hardly grows with the picture. A cell of the
grid that differs from its background is *changed*; one that differs from the frame before is
*moving*. The background follows cells that are not changed. What is changed is left out of it, so
that nobody who walks past, or stands a while, leaves a ghost behind. What is changed and has not
moved for the configured time is *settled*: it no longer counts as motion, and after several times
as long the background takes it over.

Before anything is compared the picture is brought to the brightness of the background, for
cameras adapt their exposure to whoever walks in.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from camera_app.clock import seconds
from camera_app.values import Box, Motion, Pixels, Size

if TYPE_CHECKING:
    from camera_app.capture.wire import GateMeans
    from camera_app.config import MotionSettings

Grid = npt.NDArray[np.float32]
Cells = npt.NDArray[np.uint8]
CellMask = npt.NDArray[np.uint8]

# Cells across a picture: enough for a person at 1/30 of the width, few enough to cost nothing.
GRID_COLUMNS = 96
# Averaging over this many cells each way brings the noise of a single one down to a third.
SMOOTHING = (3, 3)
# More of the picture than this changed is a lamp or the camera's night mode, no object.
SCENE_SHARE = 0.7
# So is a jump in brightness of the whole by this factor between two frames: exposure creeps.
SCENE_GAIN = 1.25
# What is settled becomes background after this many times the time that it took to settle: one
# who stood there for a minute and leaves has not been painted into the background meanwhile.
TAKE_OVER_TIMES = 6.0
# A camera that sways in the wind shifts edges by this share of a cell, and changes cells there by
# this share of their contrast, which is no motion.
TREMOR_SHARE = 0.4
# The background's edges are looked for this often; it changes more slowly.
OUTLINE_EVERY_S = 1.0
# From one frame to the next a moving cell differs by at least this share of the threshold.
MOVING_SHARE = 0.25
# Changed cells that this reaches from one to the other are one moving thing.
JOINING = np.ones((3, 3), np.uint8)


class MotionGate:
    """Watches one camera. Owned by one thread."""

    def __init__(self, settings: MotionSettings | GateMeans) -> None:
        self._settings = settings
        self._size: Size | None = None
        self._last_ns = 0

    def look(self, luma: Pixels, at_ns: int) -> Motion:
        """Compare a frame with the background, and let the background follow.

        Args:
            luma: Y plane, uint8 (height, width).
            at_ns: Capture time; frames come in order.

        Returns:
            What moves. The first frame, and the first of another size, is all new: a scene change.
        """
        height, width = luma.shape
        step_s, self._last_ns = seconds(at_ns - self._last_ns), at_ns
        if self._size is None or self._size.width != width or self._size.height != height:
            self._size = Size(width, height)
            self._stride: int = max(1, round(width / GRID_COLUMNS / 2))
            self._min_cells = self._settings.min_area_share * width * height / self._cell_px**2
            return self._begun_anew(self._sampled(luma))
        return self._compared(self._sampled(luma), step_s)

    @property
    def _cell_px(self) -> int:
        """Pixels that one cell spans each way."""
        return 2 * self._stride

    def _sampled(self, luma: Pixels) -> Cells:
        """Return the grid: each cell the mean of four pixels spread over it.

        Four, because a single pixel on an edge flickers with every tremor of the camera; not all,
        because fetching them from memory would cost more than everything else in here.
        """
        some = np.ascontiguousarray(luma[:: self._stride, :: self._stride])
        height, width = some.shape
        size = (max(1, width // 2), max(1, height // 2))
        return cv2.resize(some, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]

    def _begun_anew(self, cells: Cells) -> Motion:
        self._background = cells.astype(np.float32)
        self._background_mean = float(self._background.mean())
        self._previous = self._background.copy()
        self._gain = 1.0
        self._steady = np.ones(cells.shape, np.float32)  # 1 where nothing was changed last time
        self._still_s = np.zeros(cells.shape, np.float32)  # how long changed cells have not moved
        self._is_quiet = True  # nothing is changed, and nothing is remembered of what was
        self._outlined_s = OUTLINE_EVERY_S  # since the edges were looked for
        return Motion((self._whole(),), 1.0, is_scene_change=True)

    def _whole(self) -> Box:
        size = self._size or Size(0, 0)
        return Box(0.0, 0.0, float(size.width), float(size.height))

    def _compared(self, cells: Cells, step_s: float) -> Motion:
        now = cells.astype(np.float32)
        gain = self._gain_of(now)
        jump, self._gain = gain / self._gain, gain
        now *= np.float32(1.0 / gain)
        self._outline(step_s)
        changed = _differs(now, self._background, self._tolerance)
        count = cv2.countNonZero(changed)
        if count > SCENE_SHARE * changed.size or not 1 / SCENE_GAIN < jump < SCENE_GAIN:
            return self._begun_anew(cells)
        previous, self._previous = self._previous, now
        weight = 1.0 - math.exp(-max(0.0, step_s) / self._settings.background_s)
        if count == 0:
            self._forget_changes()
            cv2.accumulateWeighted(now, self._background, weight)
            return Motion((), 0.0)
        cv2.accumulateWeighted(now, self._background, weight, mask=changed ^ 1)
        moving = _differs(now, previous, self._settings.threshold * MOVING_SHARE)
        self._age(changed, moving, step_s)
        return self._motion(self._unsettled(now, changed, moving))

    def _outline(self, step_s: float) -> None:
        """Raise the threshold along the edges of the background, once in a while."""
        self._outlined_s += step_s
        if self._outlined_s < OUTLINE_EVERY_S:
            return
        self._outlined_s = 0.0
        edges = cv2.morphologyEx(self._background, cv2.MORPH_GRADIENT, JOINING)
        self._tolerance = np.maximum(edges * np.float32(TREMOR_SHARE), self._settings.threshold)

    def _gain_of(self, now: Grid) -> float:
        """Return by which factor the picture is brighter than the background, where both agree."""
        if self._is_quiet:
            # Scaled pictures have the background's mean, so blending them in does not move it.
            return max(1.0, cv2.mean(now)[0]) / max(1.0, self._background_mean)
        steady = self._steady.ravel()
        background = float(steady @ self._background.ravel())
        if background < steady.size * 0.25:  # nearly all of it changed, or all of it is black
            return max(1.0, float(now.mean())) / max(1.0, float(self._background.mean()))
        return float(steady @ now.ravel()) / background

    def _forget_changes(self) -> None:
        if not self._is_quiet:
            self._steady.fill(1.0)
            self._still_s.fill(0.0)
            self._background_mean = float(self._background.mean())
            self._is_quiet = True

    def _age(self, changed: CellMask, moving: CellMask, step_s: float) -> None:
        """Count on the time that changed cells have not moved; others begin at nought."""
        self._is_quiet = False
        np.subtract(1, changed, out=self._steady, casting="unsafe")
        self._still_s += np.float32(max(0.0, step_s))
        self._still_s *= changed & (moving ^ 1)

    def _unsettled(self, now: Grid, changed: CellMask, moving: CellMask) -> CellMask:
        """Return the changed cells that count as motion, and let the background have old ones."""
        oldest_s = float(self._still_s.max())
        if oldest_s < self._settings.background_s:
            return changed
        limit_s = TAKE_OVER_TIMES * self._settings.background_s
        if oldest_s >= limit_s:
            np.copyto(self._background, now, where=self._still_s >= limit_s)
        # The rim of a settled thing is settled too, though noise lifts it over the threshold now
        # and then; but what moves there counts.
        unsettled = (self._still_s < self._settings.background_s).view(np.uint8)
        beyond_rim: CellMask = np.asarray(cv2.erode(unsettled, JOINING), np.uint8)
        return changed & (beyond_rim | moving)

    def _motion(self, cells: CellMask) -> Motion:
        count = cv2.countNonZero(cells)
        boxes = self._boxes(cells) if count >= self._min_cells else ()
        return Motion(boxes, count / cells.size)

    def _boxes(self, cells: CellMask) -> tuple[Box, ...]:
        """Return boxes around all that hangs together and is large enough; none overlap."""
        outlines, _ = cv2.findContours(
            cv2.dilate(cells, JOINING), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        found = []
        for outline in outlines:
            x, y, width, height = cv2.boundingRect(outline)
            if cv2.countNonZero(cells[y : y + height, x : x + width]) >= self._min_cells:
                found.append(self._in_pixels(x, y, width, height))
        return tuple(merged(found))

    def _in_pixels(self, x: int, y: int, width: int, height: int) -> Box:
        size = self._size or Size(0, 0)
        step = self._cell_px
        box = Box(x * step, y * step, (x + width) * step, (y + height) * step)
        return box.clipped(size)


def _differs(now: Grid, before: Grid, threshold: Grid | float) -> CellMask:
    """Return 1 where the two differ by more than the threshold, noise smoothed away."""
    difference = cv2.blur(now - before, SMOOTHING)
    result: CellMask = (np.abs(difference, out=difference) > threshold).view(np.uint8)
    return result


def merged(boxes: list[Box]) -> list[Box]:
    """Return the boxes with those that overlap replaced by one around them, till none does."""
    rest, result = list(boxes), list[Box]()
    while rest:
        box = rest.pop()
        touching = [other for other in rest if box.intersection(other) > 0]
        if not touching:
            # What it was already found apart from may have grown since.
            touching = [other for other in result if box.intersection(other) > 0]
            result = [other for other in result if other not in touching]
        if not touching:
            result.append(box)
            continue
        rest = [other for other in rest if other not in touching]
        for other in touching:
            box = box.union(other)
        rest.append(box)
    return result
