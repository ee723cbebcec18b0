"""The devices that networks run on, as cameras ask them: what is behind can be replaced meanwhile.

Which packs and sticks there are is fixed in an `Executor` for its life. When the owner wants
others, a second one is made ready beside it, and takes over in one step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from camera_app.clock import Clock
from camera_app.config import ALL_STICKS, NO_STICK, CameraSettings, InferenceSettings
from camera_app.inference.edgetpu import Performance, Stick
from camera_app.models import ModelPack, ModelSet, find_ladder
from camera_app.pipeline import ModelChoice
from camera_app.scheduling import (
    Answer,
    CameraShare,
    CpuSeats,
    Demand,
    Executor,
    ExecutorStats,
    Pressure,
    StickPlan,
)
from camera_app.threads import Closed


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """Which networks run on which devices.

    Attributes:
        inference: The owner's wishes.
        ladders: By model, the packs that can stand in for it, itself first; also of those that an
            owner may choose in its place.
        models: The names of those that are looked with unless an owner chooses.
    """

    inference: InferenceSettings
    ladders: Mapping[str, tuple[ModelPack, ...]]
    models: frozenset[str]

    def is_like(self, other: DevicePlan) -> bool:
        """Say whether devices and networks are the same, to the digests of the packs."""
        return self._essence() == other._essence()

    def _essence(self) -> object:
        inference = self.inference
        devices = inference.cpu_seats, inference.edgetpu, inference.edgetpu_performance
        return devices, {
            name: [(pack.name, pack.digest) for pack in ladder]
            for name, ladder in self.ladders.items()
        }


def device_plan(
    inference: InferenceSettings, models: Iterable[ModelSet], trusted_keys: Iterable[str] = ()
) -> DevicePlan:
    """Return the plan for the models of all cameras.

    Raises:
        ModelError: A pack that may stand in for another is wrong or missing.
    """
    packs = {pack.name: pack for one in models for pack in one.packs}
    whole = {name: _ladder(pack, inference, trusted_keys) for name, pack in packs.items()}
    below = {
        ladder[place].name: ladder[place:]
        for ladder in whole.values()
        for place in range(1, len(ladder))
    }
    return DevicePlan(inference, {**below, **whole}, frozenset(whole))


def model_choices(
    inference: InferenceSettings, models: ModelSet, trusted_keys: Iterable[str] = ()
) -> tuple[ModelChoice, ...]:
    """Return what a camera's models find, and the smaller packs that an owner may choose.

    Raises:
        ModelError: A pack that may stand in for another is wrong or missing.
    """
    return tuple(
        ModelChoice(
            pack.name,
            tuple(pack.labels),
            tuple(rung.name for rung in _ladder(pack, inference, trusted_keys)[1:]),
        )
        for pack in models.packs
    )


def _ladder(
    pack: ModelPack, inference: InferenceSettings, trusted_keys: Iterable[str]
) -> tuple[ModelPack, ...]:
    return find_ladder(pack, trusted_keys) if inference.smaller_models else (pack,)


def shares_of(cameras: Mapping[str, CameraSettings]) -> dict[str, CameraShare]:
    """Return what each camera may take of the devices."""
    return {
        name: CameraShare(camera.priority, min(camera.min_fps, camera.fps))
        for name, camera in cameras.items()
    }


def stick_plan(settings: InferenceSettings) -> StickPlan | None:
    """Return which sticks are to be used; None: none."""
    if settings.edgetpu == (NO_STICK,):
        return None
    performance = None
    if settings.edgetpu_performance != "default":
        performance = Performance(settings.edgetpu_performance.capitalize())

    def make(place: str, packs: Sequence[ModelPack]) -> Stick:
        return Stick(place, packs, performance)

    return StickPlan(make, () if settings.edgetpu == (ALL_STICKS,) else settings.edgetpu)


@dataclass(frozen=True, slots=True)
class _Use:
    """An executor and what it was made for."""

    executor: Executor
    plan: DevicePlan
    shares: Mapping[str, CameraShare]


class Succession:
    """Devices and networks that are ready to take over from those in use.

    Either `take_over` and then `conclude`, or at any moment `go_back` if they had taken over, and
    `abandon`. All on the thread that starts and stops the devices.
    """

    def __init__(self, use: Callable[[_Use], None], before: _Use, after: _Use) -> None:
        self._use = use
        self._before = before
        self._after = after

    def take_over(self) -> None:
        """Answer from now on; sticks are with the others until `conclude`."""
        self._use(self._after)

    def go_back(self) -> None:
        """Let those of before answer again."""
        self._use(self._before)

    def conclude(self) -> None:
        """End those of before, and take up the sticks that they give back."""
        if self._after.executor is not self._before.executor:
            self._before.executor.stop()
            self._after.executor.use_sticks()

    def abandon(self) -> None:
        """End what was made ready, and nothing else."""
        if self._after.executor is not self._before.executor:
            self._after.executor.stop()


class Devices:
    """Whoever looks just now. Asked from any thread; changed by the caller of start and stop.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # guards the exchange of the two fields below
        self._executor: Executor | None = None
        self._gone_cpu_ns = 0  # what executors that are gone have taken of the processor
        # Owned by the caller of start and stop.
        self._plan: DevicePlan | None = None
        self._shares: Mapping[str, CameraShare] = {}

    def start(self, plan: DevicePlan, shares: Mapping[str, CameraShare]) -> None:
        """Begin to look.

        Raises:
            ModelError: A pack cannot be loaded.
        """
        executor = self._ready(plan, shares)
        self._use(_Use(executor, plan, shares))
        executor.use_sticks()

    def stop(self) -> None:
        """Cancel what waits, and look no more."""
        if self._executor is not None:
            self._executor.stop()

    def prepare(self, plan: DevicePlan, shares: Mapping[str, CameraShare]) -> Succession:
        """Make ready to look with other networks and devices, or by other shares.

        Networks and devices that are the same go on as they are. If others are wanted, those are
        loaded beside them here, and idle until they take over.

        Raises:
            ModelError: A pack cannot be loaded; then nothing has changed.
        """
        assert self._plan is not None, "prepared before start"
        is_same = plan.is_like(self._plan)
        executor = self._in_use if is_same else self._ready(plan, shares)
        before = _Use(self._in_use, self._plan, self._shares)
        return Succession(self._use, before, _Use(executor, plan, shares))

    def ask(self, demands: Sequence[Demand]) -> list[Answer]:
        """Ask for the demands of one frame; as `Executor.ask`."""
        executor = self._in_use
        try:
            return executor.ask(demands)
        except Closed:
            if executor is self._in_use:
                raise
            return self._in_use.ask(demands)  # it was replaced between the two lines above

    def note_pressure(self, pressure: Pressure) -> None:
        """Take note of what the machine suffers from."""
        self._in_use.note_pressure(pressure)

    def wake_stick(self, place: str) -> None:
        """Have a stick that was put away tried again; as `Executor.wake_stick`."""
        self._in_use.wake_stick(place)

    @property
    def niced_cpu_ns(self) -> int:
        """Processor time spent on the CPU's looks at low priority so far."""
        with self._lock:
            executor, gone_ns = self._executor, self._gone_cpu_ns
        return gone_ns + (0 if executor is None else executor.niced_cpu_ns)

    @property
    def stats(self) -> ExecutorStats:
        """How things stand."""
        return self._in_use.stats

    @property
    def _in_use(self) -> Executor:
        executor = self._executor
        assert executor is not None, "asked before start"
        return executor

    def _ready(self, plan: DevicePlan, shares: Mapping[str, CameraShare]) -> Executor:
        """Return an executor with every network loaded, and no stick in use yet."""
        rungs = {pack.name: pack for ladder in plan.ladders.values() for pack in ladder}
        stand_ins = rungs.keys() - plan.models
        seats = CpuSeats(rungs, plan.inference.cpu_seats, stand_ins=stand_ins, is_sparing=True)
        sticks = stick_plan(plan.inference)
        executor = Executor(plan.ladders, seats, shares, self._clock, sticks)
        try:
            executor.load()
        except BaseException:
            executor.stop()
            raise
        return executor

    def _use(self, use: _Use) -> None:
        before = self._executor
        if use.executor is before:
            use.executor.reshare(use.shares)
        with self._lock:
            if before is not None:  # so that the sum goes on as it was, forth and back
                self._gone_cpu_ns += before.niced_cpu_ns - use.executor.niced_cpu_ns
            self._executor = use.executor
        self._plan, self._shares = use.plan, dict(use.shares)
