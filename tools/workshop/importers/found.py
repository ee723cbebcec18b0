"""What an importer hands over: pictures and labels as they were found, not yet checked.

An importer reads one form of labels and decides nothing. What is wrong with a label stays in it,
for `prepare` to see, name and settle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# However sure a detector is: 1.0 says that a person drew the box.
SURE_DETECTOR = 0.999


class Picture(Protocol):
    """A picture file, wherever it lies."""

    @property
    def stamp(self) -> str:
        """Return what changes when the file does: its size and time, or its check sum."""

    @property
    def size_bytes(self) -> int:
        """Return how much there is to copy."""

    def read(self) -> bytes:
        """Return the content; raises OSError or ValueError where it cannot be read."""


@dataclass(frozen=True, slots=True)
class FoundBox:
    """A box as the labels have it.

    Attributes:
        label: Class name; one that `Found.classes` lacks is unknown.
        left: Pixels, or shares of the picture's sides where the image is `relative`.
        ignore: A crowd, or something nobody was sure of.
        score: How sure a detector was; 1.0 where a person drew it.
    """

    label: str
    left: float
    top: float
    right: float
    bottom: float
    ignore: bool = False
    score: float = 1.0

    @property
    def is_finite(self) -> bool:
        """Whether the box is anywhere at all."""
        return all(map(math.isfinite, (self.left, self.top, self.right, self.bottom)))


@dataclass(frozen=True, slots=True)
class FoundImage:
    """A picture as the labels have it.

    Attributes:
        name: Relative, with slashes, one of its kind in the source.
        picture: None where labels name a file that is not there.
        source: Name of where it came from.
        boxes: What is labelled.
        size: Width and height as the labels say; None: they do not.
        split: As the data set says: `train`, `val`, `test`; None: it does not.
        relative: Boxes are shares of the picture's sides.
        has_labels: False: nobody said anything about this picture, not even that it is empty.
        not_looked_for: Classes that were not labelled here, so that their absence means nothing.
        flaws: What of its labels could not be read.
    """

    name: str
    picture: Picture | None
    source: str
    boxes: tuple[FoundBox, ...] = ()
    size: tuple[int, int] | None = None
    split: str | None = None
    relative: bool = False
    has_labels: bool = True
    not_looked_for: frozenset[str] = frozenset()
    flaws: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """All of one source.

    Attributes:
        path: What was read.
        form: `coco`, `voc`, `yolo` or `plain`.
        classes: Names that the labels declare, in their order.
        images: In a fixed order.
    """

    path: Path
    form: str
    classes: tuple[str, ...]
    images: Sequence[FoundImage]
