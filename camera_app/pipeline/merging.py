"""Detections of several models and overlapping regions become those of one frame. Pure.

A crop may cut an object in two. A box that ends at a crop's own edge, where the frame goes on, is
such a piece: it is left out, since its place and size are the crop's and not the object's.
"""

from __future__ import annotations

from collections.abc import Sequence

from camera_app.values import Box, Detection, Region, Size

SAME_OBJECT_SHARE = 0.6  # of the smaller box covered by the other
EDGE_PX = 2.0

Look = tuple[Region, Sequence[Detection]]


def without_cut(size: Size, look: Look) -> list[Detection]:
    """Return what was found in a region, less what the region's edges have cut.

    Args:
        size: Size of the frame.
        look: A region with its detections, boxes in pixels of the frame.
    """
    region, detections = look
    return [one for one in detections if not is_cut(one.box, region, size)]


def of_all_models(found: Sequence[Sequence[Detection]]) -> Sequence[Detection]:
    """Return what several models have found in one region, the best score first.

    Models that look together know different classes: nothing is in it twice.
    """
    if len(found) == 1:
        return found[0]
    return sorted((one for detections in found for one in detections), key=_by_score)


def merge_regions(found: Sequence[Sequence[Detection]]) -> tuple[Detection, ...]:
    """Return the detections of all regions of a frame, each object once, the best score first."""
    if len(found) == 1:
        return tuple(found[0])
    kept: list[Detection] = []
    for detection in sorted((one for region in found for one in region), key=_by_score):
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


def _by_score(detection: Detection) -> float:
    return -detection.score


def _is_same_object(one: Detection, other: Detection) -> bool:
    if one.label != other.label:
        return False
    smaller = min(one.box.area, other.box.area)
    return one.box.intersection(other.box) >= SAME_OBJECT_SHARE * smaller
