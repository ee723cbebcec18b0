"""Detections of several overlapping regions become those of one frame. Pure.

A crop may cut an object in two. A box that ends at a crop's own edge, where the frame goes on, is
suspect: a box of another region that covers most of it knows better.
"""

from __future__ import annotations

from collections.abc import Sequence

from camera_app.values import Box, Detection, Region, Size

SAME_OBJECT_SHARE = 0.6  # of the smaller box covered by the other
EDGE_PX = 2.0


def merge_regions(
    size: Size, looks: Sequence[tuple[Region, Sequence[Detection]]]
) -> tuple[Detection, ...]:
    """Return the detections of all looks, each object once, whole boxes before cut ones.

    Args:
        size: Size of the frame.
        looks: Each region with what was found in it, boxes in pixels of the frame.
    """
    if len(looks) == 1:
        return tuple(looks[0][1])
    kept: list[Detection] = []
    for detection in _ranked(size, looks):
        if not any(_is_same_object(detection, other) for other in kept):
            kept.append(detection)
    return tuple(kept)


def is_cut(box: Box, region: Region, size: Size) -> bool:
    """Tell whether a box ends at an edge of its region that is not an edge of the frame."""
    inner = region.box
    return (
        (inner.left > 0 and box.left <= inner.left + EDGE_PX)
        or (inner.top > 0 and box.top <= inner.top + EDGE_PX)
        or (inner.right < size.width - 1 and box.right >= inner.right - EDGE_PX)
        or (inner.bottom < size.height - 1 and box.bottom >= inner.bottom - EDGE_PX)
    )


def _ranked(size: Size, looks: Sequence[tuple[Region, Sequence[Detection]]]) -> list[Detection]:
    pairs = [(region, detection) for region, found in looks for detection in found]
    pairs.sort(key=lambda pair: (is_cut(pair[1].box, pair[0], size), -pair[1].score))
    return [detection for _, detection in pairs]


def _is_same_object(one: Detection, other: Detection) -> bool:
    if one.label != other.label:
        return False
    smaller = min(one.box.area, other.box.area)
    return one.box.intersection(other.box) >= SAME_OBJECT_SHARE * smaller
