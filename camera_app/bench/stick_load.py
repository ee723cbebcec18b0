"""What a stick has to do, and what the processor takes off it. Pure: figures in, figures out.

While it is in use it is asked for a known answer now and then; and where several models share it,
each brings its weights along when its turn comes. One frame's regions go to the models one after
the other, that which is on the stick already first. A stick that is idle is asked first, if it is
hardly slower than the processor; where it is busy, whoever would answer sooner is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from camera_app.clock import NS_PER_S
from camera_app.scheduling import (
    CHECK_EVERY_S,
    CHECK_IDLE_EVERY_S,
    SPARE_CPU_NS,
    TRY_SLOW_STICK_NS,
)

MS_PER_S = 1000.0
SPARE_CPU_MS = SPARE_CPU_NS * MS_PER_S / NS_PER_S
TRIES_PER_S = NS_PER_S / TRY_SLOW_STICK_NS
# What an answer takes differs so much from hour to hour: with that, which of two is the slower one.
UNSURE_FACTOR = 1.25


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

    Within a frame once for each model after the first; before it, if the last frame, mostly of
    another camera, left a model there that this camera does not have; and for known answers, which
    go from model to model.
    """
    looks_per_s = sum(asking.looks_per_s for asking in askings)
    models = frozenset().union(*(asking.models for asking in askings))
    if len(models) < 2 or not looks_per_s:
        return 0.0
    for_looks = sum(
        asking.looks_per_s
        * (len(asking.models) - 1 + _stranger_share(asking, _others(askings, number)))
        for number, asking in enumerate(askings)
    )
    return for_looks + checks_per_s(askings) * (1.0 - 1.0 / len(models))


def _others(askings: Sequence[Asking], number: int) -> list[Asking]:
    return [one for place, one in enumerate(askings) if place != number and one.looks_per_s]


def _stranger_share(asking: Asking, others: Sequence[Asking]) -> float:
    """Return how often a stick holds a model that a camera does not have when its turn comes.

    Cameras keep time: between two frames of one there is one of each other that is as fast. So the
    last that looked is this camera itself only where none of the others looked in between.
    """
    others_per_s = sum(one.looks_per_s for one in others)
    if not others_per_s:
        return 0.0
    own = prod(1.0 - min(1.0, one.fps / asking.fps) * min(1.0, one.looked_share) for one in others)
    strange = sum(
        one.looks_per_s * len(one.models - asking.models) / len(one.models) for one in others
    )
    return (1.0 - own) * strange / others_per_s


@dataclass(frozen=True, slots=True)
class StickWork:
    """What is asked of a stick with one model.

    Attributes:
        per_s: Regions a second.
        stick_ms: What the stick takes for one.
        change_ms: What other weights add to it, on average.
        cpu_ms: What the processor takes for one.
        other_stick_ms: What another stick takes that is asked next; None: there is none.
    """

    per_s: float
    stick_ms: float
    change_ms: float
    cpu_ms: float
    other_stick_ms: float | None = None

    @property
    def busy(self) -> float:
        """Share of its time that the stick would be busy with all of it."""
        return self.per_s * self.takes_ms / MS_PER_S

    @property
    def unchanged(self) -> float:
        """The same if it never had to change weights."""
        return self.per_s * self.stick_ms / MS_PER_S

    @property
    def takes_ms(self) -> float:
        return self.stick_ms + self.change_ms

    def is_slow(self, factor: float = 1.0) -> bool:
        """Whether the processor is asked even where the stick is idle.

        Args:
            factor: That the stick is slower than known.
        """
        return self.stick_ms * factor > self.cpu_ms + SPARE_CPU_MS

    @property
    def _rival_ms(self) -> float:
        return min(one for one in (self.cpu_ms, self.other_stick_ms) if one is not None)

    @property
    def lost_if_busy(self) -> float:
        """Share of what finds the stick busy that another answers sooner.

        What is under way ends at any time within an answer; then the own answer is still to come.
        """
        return min(1.0, max(0.0, 2.0 - self._rival_ms / self.takes_ms))

    @property
    def is_lost_as_second(self) -> bool:
        """Whether another answers sooner what comes together with something else."""
        return self._rival_ms < 2.0 * self.takes_ms


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who asks a stick at the same time.

    Attributes:
        regions_per_s: Of each camera, over all models of the stick.
        together: Regions, over all models, that one frame brings at once.
    """

    regions_per_s: Sequence[float]
    together: float = 1.0

    @property
    def strange_share(self) -> float:
        """How likely it is that two regions, taken at random, are of different cameras.

        A camera waits for its own frame before it asks with the next.
        """
        every = sum(self.regions_per_s)
        return 1.0 - sum((one / every) ** 2 for one in self.regions_per_s) if every else 0.0

    @property
    def first_share(self) -> float:
        """Share of the regions that come if one camera alone is asked for, the busiest."""
        every = sum(self.regions_per_s)
        return max(self.regions_per_s) / every if every else 1.0


@dataclass(frozen=True, slots=True)
class StickShare:
    """What a stick has of the work.

    Attributes:
        duty: Share of its time in which it is busy.
        least: The same where all cameras' pictures come at the same moments: the stick has those
            of one camera, and keeps its weights.
        most: The same where none of them do.
        taken_per_s: Regions a second that it answers, by model.
    """

    duty: float = 0.0
    least: float = 0.0
    most: float = 0.0
    taken_per_s: Mapping[str, float] = field(default_factory=dict)


def share_of_stick(
    work: Mapping[str, StickWork], crowd: Crowd, besides: float, limit: float
) -> StickShare:
    """Return what a stick has of the work of cameras whose pictures come at any moments.

    Args:
        work: By model.
        crowd: Who asks.
        besides: Share of its time that goes into known answers.
        limit: More than this share of its time it cannot be busy.
    """
    firsts = {
        model: replace(one, per_s=one.per_s * _first_share(one, crowd))
        for model, one in work.items()
        if not one.is_slow()
    }
    fixed = besides + _tries(one for one in work.values() if one.is_slow())
    asked = sum(one.busy for one in firsts.values())
    # Of what one camera asks this share is lost while another's answer is under way.
    lost = crowd.strange_share * sum(one.busy * one.lost_if_busy for one in firsts.values())
    # What is lost grows with the time that the stick is busy, and that shrinks with what is lost.
    duty = min(limit, fixed + max(0.0, asked - lost * fixed) / (1.0 + lost))
    wanted = asked - lost * duty
    room = min(1.0, (duty - fixed) / wanted) if wanted > 0.0 else 0.0
    taken = {
        model: room * one.per_s * (1.0 - duty * crowd.strange_share * one.lost_if_busy)
        for model, one in firsts.items()
    }
    least, most = _bounds(work.values(), crowd, besides)
    return StickShare(duty, min(least, duty), max(duty, min(limit, most)), taken)


def _first_share(work: StickWork, crowd: Crowd) -> float:
    """Return the share of regions that do not come second to another of the same frame."""
    return 1.0 / crowd.together if work.is_lost_as_second else 1.0


def _tries(slow: Iterable[StickWork]) -> float:
    """Return the time that goes into seeing whether a slow stick is still slow."""
    return TRIES_PER_S * max((one.stick_ms for one in slow), default=0.0) / MS_PER_S


def _bounds(work: Iterable[StickWork], crowd: Crowd, besides: float) -> tuple[float, float]:
    least = most = besides
    for one in work:
        first_share = _first_share(one, crowd)
        tries, busy = _tries([one]), one.busy * first_share
        most += tries if one.is_slow(1 / UNSURE_FACTOR) else busy
        if one.is_slow(UNSURE_FACTOR):
            least += tries
        else:
            least += one.unchanged * first_share * crowd.first_share if one.lost_if_busy else busy
    return least, most
