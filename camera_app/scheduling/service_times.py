"""How long each pack takes on each device, learned from what it took. Pure.

A mean and a variance that forget, an entry a device and pack; and for each device what it costs to
bring another pack's weights onto it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from camera_app.scheduling.load import DeviceKind

NS_PER_MS = 1_000_000

# What is believed of a device before it has answered once. Published latencies of small detectors
# on a stick lie between 5 and 15 ms, on one core of a Raspberry Pi between 50 and 200.
FIRST_GUESS_NS = {DeviceKind.EDGETPU: 15 * NS_PER_MS, DeviceKind.CPU: 100 * NS_PER_MS}
# A stick holds 8 MB of weights; over USB 3 that takes about so long.
FIRST_GUESS_SWITCH_NS = 20 * NS_PER_MS

NEW_SHARE = 0.1  # weight of the newest time: what lies twenty answers back is nearly forgotten
STEP_FACTOR = 2.0  # a time this many times longer or shorter than the mean is no ordinary one
FIRST_SIGMA_SHARE = 0.25  # of the mean, as long as there is one time only


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """What a device is expected to take.

    Attributes:
        mean_ns: On average.
        sigma_ns: Standard deviation.
        is_known: It was measured, not guessed.
    """

    mean_ns: float
    sigma_ns: float
    is_known: bool


class _Learned:
    """A mean and variance that forget. One odd time is passed over; two alike are a step."""

    __slots__ = ("_odd", "mean_ns", "variance")

    def __init__(self, first_ns: float) -> None:
        self.mean_ns = first_ns
        self.variance = (FIRST_SIGMA_SHARE * first_ns) ** 2
        self._odd = 0  # 1: the last time was much longer than the mean; -1: much shorter

    def add(self, took_ns: float) -> None:
        odd = self._oddness(took_ns)
        if odd == 0:
            off_ns = took_ns - self.mean_ns
            self.mean_ns += NEW_SHARE * off_ns
            self.variance = (1 - NEW_SHARE) * (self.variance + NEW_SHARE * off_ns * off_ns)
        elif odd == self._odd:  # a stick slowed down, or recovered: do not creep there
            self.mean_ns = took_ns
            self.variance = (FIRST_SIGMA_SHARE * took_ns) ** 2
            odd = 0
        self._odd = odd

    def _oddness(self, took_ns: float) -> int:
        if took_ns > STEP_FACTOR * self.mean_ns:
            return 1
        return -1 if took_ns * STEP_FACTOR < self.mean_ns else 0


class ServiceTimes:
    """What is known of every device and pack."""

    def __init__(self) -> None:
        self._learned: dict[tuple[str, str], _Learned] = {}
        self._switch: dict[str, _Learned] = {}

    def learn(self, device: str, pack: str, took_ns: float, *, is_switch: bool) -> None:
        """Take note of what a pack took.

        Args:
            device: Name of the device.
            pack: Name of the pack.
            took_ns: On the device alone, without waiting for what was before it.
            is_switch: Its weights had to be brought there first.
        """
        known = self._learned.get((device, pack))
        if known is None:
            self._learned[device, pack] = _Learned(took_ns)
        elif is_switch:
            self._learn_switch(device, max(1.0, took_ns - known.mean_ns))
        else:
            known.add(took_ns)

    def expect(self, device: str, kind: DeviceKind, pack: str) -> ServiceTime:
        """Return what a pack will take where its weights are already."""
        known = self._learned.get((device, pack))
        if known is None:
            guess_ns = FIRST_GUESS_NS[kind]
            return ServiceTime(guess_ns, guess_ns * FIRST_SIGMA_SHARE, is_known=False)
        return ServiceTime(known.mean_ns, sqrt(known.variance), is_known=True)

    def mean_ns(self, device: str, kind: DeviceKind, pack: str) -> float:
        """Return the mean of `expect` alone: it is asked for often."""
        known = self._learned.get((device, pack))
        return FIRST_GUESS_NS[kind] if known is None else known.mean_ns

    def switch_ns(self, device: str) -> float:
        """Return what another pack's weights will take to bring to a stick."""
        known = self._switch.get(device)
        return FIRST_GUESS_SWITCH_NS if known is None else known.mean_ns

    def known(self) -> dict[tuple[str, str], float]:
        """Return the mean in nanoseconds of every device and pack that has answered."""
        return {place: learned.mean_ns for place, learned in self._learned.items()}

    def _learn_switch(self, device: str, took_ns: float) -> None:
        known = self._switch.get(device)
        if known is None:
            self._switch[device] = _Learned(took_ns)
        else:
            known.add(took_ns)
