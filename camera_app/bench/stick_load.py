"""What a stick has to do besides the answers that cameras wait for. Pure: figures in, figures out.

While it is in use it is asked for a known answer now and then; and where several models share it,
each brings its weights along when its turn comes. One frame's regions go to the models one after
the other, that which is on the stick already first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from camera_app.scheduling import CHECK_EVERY_S, CHECK_IDLE_EVERY_S


@dataclass(frozen=True, slots=True)
class Asking:
    """What one camera asks of a stick.

    Attributes:
        fps: Frames a second that it takes.
        looked_share: Of those, that are looked at.
        least_share: Of those, that are looked at though nothing moves.
        models: That look, of those that the stick runs.
    """

    fps: float
    looked_share: float
    least_share: float
    models: frozenset[str]

    @property
    def looks_per_s(self) -> float:
        return self.fps * self.looked_share

    @property
    def used_share(self) -> float:
        """Share of the spans between two known answers in which it asks at all."""
        still = 1.0 - self.least_share
        moving = max(0.0, self.looked_share - self.least_share) / still if still else 1.0
        rechecked = min(1.0, self.least_share * self.fps * CHECK_EVERY_S)
        return moving + (1.0 - moving) * rechecked


def checks_per_s(askings: Iterable[Asking]) -> float:
    """Return how often a stick is asked for a known answer."""
    unused = prod(1.0 - asking.used_share for asking in askings)
    return (1.0 - unused) / CHECK_EVERY_S + unused / CHECK_IDLE_EVERY_S


def changes_per_s(askings: Sequence[Asking]) -> float:
    """Return how often a stick gets other weights.

    Within a frame once for each model after the first; before it, if the last frame, of whichever
    camera, left a model there that this camera does not have; and for known answers, which go from
    model to model.
    """
    looks_per_s = sum(asking.looks_per_s for asking in askings)
    models = frozenset().union(*(asking.models for asking in askings))
    if len(models) < 2 or not looks_per_s:
        return 0.0
    left = {
        model: sum(
            asking.looks_per_s / len(asking.models) for asking in askings if model in asking.models
        )
        / looks_per_s
        for model in models
    }
    for_looks = sum(
        asking.looks_per_s
        * (len(asking.models) - 1 + sum(left[other] for other in models - asking.models))
        for asking in askings
    )
    return for_looks + checks_per_s(askings) * (1.0 - 1.0 / len(models))
