"""From the labels of one picture, as found, to boxes to train on.

What is wrong with a label is not decided here: it is told to `Settle`, which says whether the
picture stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from tools.workshop.dataset import LabelledBox
from tools.workshop.importers import FoundBox, FoundImage
from tools.workshop.pictures import PictureFacts

# Labels are rounded to whole pixels by many tools, which puts edges this far out.
ROUNDING_PX = 1.0
# In a box with a side shorter than this there is nothing to learn.
TINY_PX = 2.0
# Sides that differ by no more than this tell of scaling; by more, of another picture.
SAME_SHAPE = 0.01


class Settle(Protocol):
    """Notes a problem and tells whether the picture stays, put right in the way that is named."""

    def __call__(self, kind: str, what: str, fixed: str = "") -> bool:
        """Settle one problem; without a way to put it right the picture never stays."""


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """Checks pictures of one source.

    Attributes:
        classes: Wanted, in the order of the data set.
        declared: What the source calls its classes, and what of those is wanted under which name.
        without_labels: What a picture without labels is: `background`, `unknown`, or empty.
    """

    classes: tuple[str, ...]
    declared: dict[str, str]
    without_labels: str = ""

    def looked_for(self, image: FoundImage) -> frozenset[str]:
        """Return which of the classes wanted were labelled in a picture."""
        missing = {self.declared.get(name, name) for name in image.not_looked_for}
        return frozenset(self.classes).intersection(self.declared.values()) - missing

    def boxes(
        self, image: FoundImage, facts: PictureFacts, settle: Settle
    ) -> tuple[LabelledBox, ...] | None:
        """Return the boxes wanted, in pixels of the picture; None: the picture stays out."""
        if not image.has_labels:
            return self._of_unlabelled(facts, settle)
        scale = _scale(image, facts, settle)
        for flaw in image.flaws:
            settle("label-unreadable", flaw)
        if scale is None or image.flaws:
            return None
        settled = [self._settled(box, scale, facts, settle) for box in image.boxes]
        if None in settled:
            return None
        seen = [box for some in settled for box in some or ()]
        unseen = [name for name in self.classes if name not in self.looked_for(image)]
        return (*seen, *self._unknown(unseen, facts))

    def _of_unlabelled(self, facts: PictureFacts, settle: Settle) -> tuple[LabelledBox, ...] | None:
        if self.without_labels == "background":
            return ()
        if self.without_labels == "unknown":
            return tuple(self._unknown(self.classes, facts))
        settle("no-labels", "say --without-labels background, or unknown for a teacher to label it")
        return None

    def _settled(
        self, box: FoundBox, scale: tuple[float, float], facts: PictureFacts, settle: Settle
    ) -> tuple[LabelledBox, ...] | None:
        """Return what becomes of one box: none, one or several; None: the picture stays out."""
        name = self.declared.get(box.label)
        if name is not None and name not in self.classes:
            return ()
        if not box.is_finite:
            settle("label-unreadable", f"{box.label}: a corner is no finite number")
            return None
        scaled = _scaled(box, scale)
        if name is None:
            regions = tuple(_labelled(scaled, index, facts) for index in range(len(self.classes)))
            what = f"{box.label}; declared are {', '.join(self.declared) or 'none'}"
            stays = settle("class-unknown", what, "left out of the loss")
            return tuple(replace(region, ignore=True) for region in regions) if stays else None
        return self._clipped(scaled, self.classes.index(name), facts, settle)

    def _clipped(
        self, box: FoundBox, index: int, facts: PictureFacts, settle: Settle
    ) -> tuple[LabelledBox, ...] | None:
        inside = _labelled(box, index, facts)
        what = f"{box.label} {_corners(box)} in {facts.width} x {facts.height}"
        width, height = inside.right - inside.left, inside.bottom - inside.top
        if box.right <= box.left or box.bottom <= box.top:
            return () if settle("box-empty", what, "box dropped") else None
        if _overhang(box, facts) > ROUNDING_PX:
            fixed = "box clipped" if min(width, height) > 0 else "box dropped"
            if not settle("box-outside", what, fixed):
                return None
        if min(width, height) <= 0:
            return ()
        if min(width, height) < TINY_PX and not box.ignore:
            if not settle("box-tiny", what, "left out of the loss"):
                return None
            inside = replace(inside, ignore=True)
        return (inside,)

    def _unknown(
        self, names: tuple[str, ...] | list[str], facts: PictureFacts
    ) -> Iterator[LabelledBox]:
        """Yield regions as large as the picture, where nobody looked for these classes."""
        for name in names:
            index = self.classes.index(name)
            yield LabelledBox(index, 0, 0, facts.width, facts.height, ignore=True)


def _scale(image: FoundImage, facts: PictureFacts, settle: Settle) -> tuple[float, float] | None:
    """Return what takes the labels' units to pixels; None: the labels are of another picture."""
    if image.relative:
        return facts.width, facts.height
    if image.size is None or image.size == (facts.width, facts.height):
        return 1.0, 1.0
    scale = facts.width / image.size[0], facts.height / image.size[1]
    what = "{} x {} by its labels, {} x {} in truth".format(*image.size, facts.width, facts.height)
    same_shape = abs(scale[0] / scale[1] - 1.0) <= SAME_SHAPE
    stays = settle("size-differs", what, "boxes scaled" if same_shape else "")
    return scale if stays else None


def _scaled(box: FoundBox, scale: tuple[float, float]) -> FoundBox:
    return replace(
        box,
        left=box.left * scale[0],
        top=box.top * scale[1],
        right=box.right * scale[0],
        bottom=box.bottom * scale[1],
    )


def _labelled(box: FoundBox, index: int, facts: PictureFacts) -> LabelledBox:
    """Return the part of a box inside the picture, to a hundredth of a pixel."""
    return LabelledBox(
        class_index=index,
        left=round(min(max(box.left, 0.0), facts.width), 2),
        top=round(min(max(box.top, 0.0), facts.height), 2),
        right=round(min(max(box.right, 0.0), facts.width), 2),
        bottom=round(min(max(box.bottom, 0.0), facts.height), 2),
        ignore=box.ignore,
        score=round(box.score, 4),
    )


def _overhang(box: FoundBox, facts: PictureFacts) -> float:
    return max(-box.left, -box.top, box.right - facts.width, box.bottom - facts.height)


def _corners(box: FoundBox) -> str:
    return f"{box.left:.1f},{box.top:.1f} to {box.right:.1f},{box.bottom:.1f}"
