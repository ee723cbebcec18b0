"""The levers by name, for a second terminal: what may be typed after a stick's name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import IntEnum

from tools.edgetpu_sim.control import FOR_EVER, BusyMode, OnUnplug, PrepMode
from tools.edgetpu_sim.errors import SimulationError
from tools.edgetpu_sim.sticks import USB3_MBIT, SimulatedStick

Pull = Callable[[SimulatedStick, str], None]
SHOWN_COUNTERS = ("invokes", "opens", "hung", "last_us", "busy_us", "nodes")


@dataclass(frozen=True, slots=True)
class NamedLever:
    """A lever as it is typed.

    Attributes:
        value: What follows its name, for the help; empty: nothing; in brackets: may be left out.
        explanation: What it does.
        pull: Does it, with the word that was typed, or an empty one.
    """

    value: str
    explanation: str
    pull: Pull


def pull(stick: SimulatedStick, name: str, word: str) -> None:
    """Pull one lever.

    Raises:
        SimulationError: There is none of that name, or it does not take that word.
    """
    lever = LEVERS.get(name)
    if lever is None:
        raise SimulationError(f"no lever {name!r}", remedy=f"There are: {', '.join(LEVERS)}")
    is_wanted = bool(lever.value) and not lever.value.startswith("[")
    if bool(word) < is_wanted or bool(word) > bool(lever.value):
        raise SimulationError(f"the lever is: {name} {lever.value}".rstrip(), where=stick.name)
    lever.pull(stick, word)


def describe(stick: SimulatedStick) -> str:
    """Return a line on how a stick is."""
    owner = f"open in process {stick.owner_pid}" if stick.is_open else "not open"
    counters = ", ".join(f"{name} {stick.control[name]}" for name in SHOWN_COUNTERS)
    plugged = "plugged" if stick.is_plugged else "unplugged"
    return f"{stick.name} at {stick.path}: {plugged}, {owner}, {counters}"


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise SimulationError(f"{word!r} is no number") from error


def _seconds(word: str) -> float | None:
    return _number(word) if word else None


def _is_on(word: str) -> bool:
    if word not in ("on", "off"):
        raise SimulationError(f"{word!r} is neither `on` nor `off`")
    return word == "on"


def _one_of(kind: type[IntEnum], word: str) -> int:
    names = {member.name.lower().replace("_", "-"): int(member) for member in kind}
    if word not in names:
        raise SimulationError(f"{word!r} is none of: {', '.join(names)}")
    return names[word]


def _names(kind: type[IntEnum]) -> str:
    return "|".join(member.name.lower().replace("_", "-") for member in kind)


def _plug(stick: SimulatedStick, word: str) -> None:
    stick.plug(speed_mbit=int(_number(word)) if word else USB3_MBIT)


def _hang_at_load(stick: SimulatedStick, word: str) -> None:
    stick.create_us = FOR_EVER if not word else round(_number(word) * 1e6)


def _fail(stick: SimulatedStick, word: str) -> None:
    stick.fail(int(_number(word)) if word else 1)


def _refuse(stick: SimulatedStick, word: str) -> None:
    stick.create_fail = int(_is_on(word))


def _latency(stick: SimulatedStick, word: str) -> None:
    stick.latency_us = round(_number(word) * 1000)


def _first(stick: SimulatedStick, word: str) -> None:
    stick.first_us = round(_number(word) * 1000)


def _temperature(stick: SimulatedStick, word: str) -> None:
    stick.temperature_c = _number(word)


def _on_unplug(stick: SimulatedStick, word: str) -> None:
    stick.on_unplug = _one_of(OnUnplug, word)


def _busy(stick: SimulatedStick, word: str) -> None:
    stick.busy_mode = _one_of(BusyMode, word)


def _load(stick: SimulatedStick, word: str) -> None:
    stick.prep_mode = _one_of(PrepMode, word)


def _steal(stick: SimulatedStick, word: str) -> None:
    _hold(stick.stolen(), word)


def _occupy(stick: SimulatedStick, word: str) -> None:
    _hold(stick.occupied(), word)


def _hold(holding: AbstractContextManager[None], word: str) -> None:
    with _until_interrupted(), holding:
        threading.Event().wait(_seconds(word))


@contextmanager
def _until_interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        print()


LEVERS: Mapping[str, NamedLever] = {
    "plug": NamedLever("[MBIT]", "plug it in; 12 is what a bad cable gives", _plug),
    "unplug": NamedLever("", "pull it out", lambda stick, _: stick.unplug()),
    "reset": NamedLever("", "reset its port: who has it open loses it", lambda s, _: s.reset()),
    "hang": NamedLever(
        "[SECONDS]", "let the next answer hang", lambda s, word: s.hang(_seconds(word))
    ),
    "wedge": NamedLever("", "let every answer hang", lambda s, _: s.hang(times=FOR_EVER)),
    "hang-at-load": NamedLever("[SECONDS]", "let the making of delegates hang", _hang_at_load),
    "release": NamedLever("", "let go of what hangs", lambda stick, _: stick.release()),
    "fail": NamedLever("[TIMES]", "let the next answers be errors; -1: every one", _fail),
    "slow": NamedLever("FACTOR", "answer slower; 1: as before", lambda s, w: s.slow(_number(w))),
    "garbage": NamedLever("on|off", "answer noise", lambda s, word: s.garbage(_is_on(word))),
    "refuse": NamedLever("on|off", "let no delegate be had", _refuse),
    "steal": NamedLever("[SECONDS]", "open it in this process; the owner loses it", _steal),
    "occupy": NamedLever("[SECONDS]", "open it in this process, if it is free", _occupy),
    "latency": NamedLever("MS", "what one answer takes", _latency),
    "first": NamedLever("MS", "what a change of network takes longer", _first),
    "temperature": NamedLever("CELSIUS", "of a PCIe card", _temperature),
    "on-unplug": NamedLever(_names(OnUnplug), "what the library does once it is gone", _on_unplug),
    "busy": NamedLever(_names(BusyMode), "what a second process meets", _busy),
    "load": NamedLever(_names(PrepMode), "what happens when a network is loaded", _load),
}
