"""What goes wrong when, decided by a seed before anything begins. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from random import Random

# Not before everything has come up; and at the end everything may come back.
QUIET_FIRST_S = 5.0
QUIET_LAST_S = 12.0


class What(Enum):
    """What is done."""

    KILL_SOURCE = "a camera's process is killed"
    KILL_STICK = "a stick's process is killed"
    BROKER_AWAY = "the broker is killed"
    BROKER_BACK = "the broker is back"
    UNPLUG = "the stick is pulled out"
    PLUG = "the stick is plugged in"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that goes wrong, or is well again.

    Attributes:
        at_s: Seconds since the run began.
        what: Which.
    """

    at_s: float
    what: What


@dataclass(frozen=True, slots=True)
class Wishes:
    """How much is to happen.

    Attributes:
        seconds: Length of the run.
        kills: Processes to be killed.
        outages: Of the broker.
        flaps: Of the stick.
        stick_share: How many of the kills hit the stick's process.
    """

    seconds: float
    kills: int
    outages: int
    flaps: int
    stick_share: float = 0.25


def plan(wishes: Wishes, seed: int) -> list[Happening]:
    """Return what happens, in order; the same for the same seed."""
    chance = Random(seed)  # nosec B311 # the same run every time
    begin_s, end_s = QUIET_FIRST_S, wishes.seconds - QUIET_LAST_S
    found = [
        Happening(
            chance.uniform(begin_s, end_s),
            What.KILL_STICK if number < wishes.kills * wishes.stick_share else What.KILL_SOURCE,
        )
        for number in range(wishes.kills)
    ]
    found += _pairs(chance, wishes.outages, begin_s, end_s, (What.BROKER_AWAY, What.BROKER_BACK))
    found += _pairs(chance, wishes.flaps, begin_s, end_s, (What.UNPLUG, What.PLUG))
    return sorted(found, key=lambda happening: happening.at_s)


def _pairs(
    chance: Random, count: int, begin_s: float, end_s: float, pair: tuple[What, What]
) -> list[Happening]:
    """Return so many absences that do not overlap, each in a part of the time of its own."""
    part_s = (end_s - begin_s) / count if count else 0.0
    found = []
    for number in range(count):
        away_s = begin_s + part_s * (number + chance.uniform(0.05, 0.45))
        back_s = away_s + part_s * chance.uniform(0.1, 0.5)
        found += [Happening(away_s, pair[0]), Happening(back_s, pair[1])]
    return found
