"""When a camera is ready: it sees and it delivers. One figure is made wrong at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from camera_app.clock import nanoseconds
from camera_app.health import Ability, CameraFigures, DeviceFigures, readiness_of
from camera_app.health.readiness import UNSEEN_LIMIT_S
from camera_app.media import Space, SpaceLevel
from camera_app.publish import PublisherStats
from camera_app.store import StoreStats
from camera_app.values import FrameCounts
from tests.health.figures import NOW_NS, PUBLISHER, SOURCE, WATCH, WELL

LOST = replace(SOURCE, is_delivering=False, state="stalled: trying again in 2.0 s")
UNSEEN_SINCE_NS = NOW_NS - nanoseconds(UNSEEN_LIMIT_S) - 1


def front(source: Any = SOURCE, **watch: Any) -> DeviceFigures:
    return replace(WELL, cameras={"front": CameraFigures(source, replace(WATCH, **watch))})


def broker(**publisher: Any) -> DeviceFigures:
    stats: PublisherStats = replace(PUBLISHER, **publisher)
    return replace(WELL, publisher=stats)


@pytest.mark.parametrize(
    "figures",
    [
        WELL,
        replace(WELL, publisher=None),  # the owner wants no broker: events are kept here
        front(LOST, paused="privacy"),
        front(unseen_since_ns=UNSEEN_SINCE_NS, paused="paused"),
        front(unseen_since_ns=UNSEEN_SINCE_NS + 1),
        replace(WELL, space=Space(SpaceLevel.NO_SNAPSHOTS)),
    ],
)
def test_what_is_as_the_owner_wants_it_is_ready(figures: DeviceFigures) -> None:
    readiness = readiness_of(figures, NOW_NS)

    assert readiness.is_ready
    assert readiness.shortfalls == ()


@pytest.mark.parametrize(
    ("figures", "ability", "text"),
    [
        (
            front(LOST),
            Ability.SEE,
            "camera front: brings no pictures: stalled: trying again in 2.0 s",
        ),
        (
            front(counts=FrameCounts(captured=3)),
            Ability.SEE,
            "camera front: none of its pictures has been looked at yet",
        ),
        (
            front(unseen_since_ns=UNSEEN_SINCE_NS),
            Ability.SEE,
            "camera front: nothing has looked at its pictures for 15 s and more",
        ),
        (replace(WELL, cameras={}), Ability.SEE, "cameras: none is switched on"),
        (
            replace(WELL, store=StoreStats(state="corrupt", trouble="a page is torn")),
            Ability.DELIVER,
            "store: is corrupt: a page is torn",
        ),
        (
            replace(WELL, space=Space(SpaceLevel.FULL)),
            Ability.DELIVER,
            "disk: is full, and events wait in memory",
        ),
        (
            broker(is_connected=False, state="refused", last_error="not authorised"),
            Ability.DELIVER,
            "broker: refused: not authorised",
        ),
        (broker(is_connected=False, state="connecting"), Ability.DELIVER, "broker: connecting"),
    ],
)
def test_each_shortfall_is_told_with_what_it_hinders(
    figures: DeviceFigures, ability: Ability, text: str
) -> None:
    (shortfall,) = readiness_of(figures, NOW_NS).shortfalls

    assert (shortfall.ability, str(shortfall)) == (ability, text)


def test_every_shortfall_is_told_not_the_first_alone() -> None:
    figures = replace(front(LOST), publisher=None, store=StoreStats(state="full"))

    assert [one.where for one in readiness_of(figures, NOW_NS).shortfalls] == [
        "camera front",
        "store",
    ]
