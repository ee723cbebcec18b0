"""The faults: how each is inflicted on a simulated stick, and how it is taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tools.edgetpu_sim.control import FOR_EVER
from tools.edgetpu_sim.sticks import OnUnplug
from tools.faults.rig import Rig

PLUGGED_S = 0.7
FLAPS = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        name: For commands and tests.
        text: What happens, in a few words.
        inflict: Entered, it begins; left, it is over.
        breaks: The stick is of no use meanwhile, so the camera must put it away.
        gives_nonsense: What the stick answers meanwhile is no look, quick as it comes.
        is_at_boot: It holds from before the camera starts.
    """

    name: str
    text: str
    inflict: Callable[[Rig], Iterator[None]]
    breaks: bool = True
    gives_nonsense: bool = False
    is_at_boot: bool = False

    def on(self, rig: Rig) -> AbstractContextManager[None]:
        """Return a context in which the fault holds."""
        return contextmanager(self.inflict)(rig)


def _hang_in_load(rig: Rig) -> Iterator[None]:
    rig.stick.create_us = FOR_EVER
    rig.stick.unplug()
    rig.stick.plug()
    yield
    rig.stick.release()


def _hang_in_invoke(rig: Rig) -> Iterator[None]:
    rig.stick.hang(times=-1)
    yield
    rig.stick.release()


def _hang_once(rig: Rig) -> Iterator[None]:
    rig.stick.hang(times=1)
    yield


def _error(rig: Rig) -> Iterator[None]:
    rig.stick.fail(times=-1)
    yield
    rig.stick.fail(times=0)


def _unplug_active(rig: Rig) -> Iterator[None]:
    rig.stick.on_unplug = OnUnplug.ABORT
    rig.stick.unplug()
    yield
    rig.stick.plug()


def _unplug_idle(rig: Rig) -> Iterator[None]:
    rig.stick.on_unplug = OnUnplug.ABORT_AT_ONCE
    rig.stick.unplug()
    yield
    rig.stick.plug()
    rig.stick.on_unplug = OnUnplug.ABORT


def _slow(rig: Rig) -> Iterator[None]:
    rig.stick.slow(10)
    yield
    rig.stick.slow(1)


def _garbage(rig: Rig) -> Iterator[None]:
    rig.stick.garbage(True)
    yield
    rig.stick.garbage(False)


def _stolen(rig: Rig) -> Iterator[None]:
    with rig.stick.stolen():
        yield


def _plugged_later(rig: Rig) -> Iterator[None]:
    yield
    rig.stick.plug()


def _flapping(rig: Rig) -> Iterator[None]:
    for _ in range(FLAPS):
        rig.stick.unplug()
        rig.wait(PLUGGED_S)
        rig.stick.plug()
        rig.wait(PLUGGED_S)
    rig.stick.unplug()
    yield
    rig.stick.plug()


FAULTS = (
    Fault("hang-in-load", "hangs while it is opened", _hang_in_load),
    Fault("hang-in-invoke", "every answer hangs", _hang_in_invoke),
    Fault("hang-once", "one answer hangs", _hang_once),
    Fault("error", "every answer is an error", _error),
    Fault("unplug-active", "unplugged at work, the library aborts", _unplug_active),
    Fault("unplug-idle", "unplugged, the library aborts at once, idle or not", _unplug_idle),
    Fault("slow", "ten times slower", _slow, breaks=False),
    Fault("garbage", "answers are noise", _garbage, gives_nonsense=True),
    Fault("stolen", "taken by a second process", _stolen),
    Fault("gone-at-boot", "absent at the start, plugged in later", _plugged_later, is_at_boot=True),
    Fault("flapping", f"unplugged and plugged in {FLAPS + 1} times", _flapping),
)


def fault_named(name: str) -> Fault:
    """Return a fault.

    Raises:
        KeyError: There is none of this name.
    """
    return {fault.name: fault for fault in FAULTS}[name]
