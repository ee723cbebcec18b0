"""How far down the ladders everybody goes: because of load, heat or a weak supply. Pure.

Rung 0 is what the owner asked for; each further rung is the next smaller pack of every ladder. Down
is quick, up is slow, and slower after each relapse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import exp

from camera_app.clock import NS_PER_S, nanoseconds
from camera_app.scheduling.load import Pressure, Reason, Request
from camera_app.scheduling.patience import Patience

# Shares of what the devices can answer. A camera has one frame under way, so those that cannot keep
# up ask for no more than is answered: from the inside, overload looks like a load of 1.
LOAD_DOWN = 0.9
LOAD_UP = 0.7  # at the rung above; the distance to LOAD_DOWN keeps a steady load on its rung
DOWN_AFTER_S = 2.0  # a burst of a second is answered late rather than badly
UP_AFTER_S = 10.0
UP_AFTER_AT_MOST_S = 600.0

# How far back the rate of requests looks: a load that begins at once is known by 90 % after 4.6 s.
RATE_MEMORY_S = 2.0

# A Raspberry Pi slows its clock from 80 degrees on, and hard at 85.
HOT_C = 80.0
VERY_HOT_C = 85.0
COOL_C = 72.0  # below it, heat is over: a few degrees less than HOT_C would come and go

LoadAt = Callable[[int], float]


def is_pressing(pressure: Pressure) -> bool:
    """Tell whether what the machine suffers from asks for less by itself."""
    return pressure.under_voltage or _is_hot(pressure)


def _is_hot(pressure: Pressure) -> bool:
    celsius = pressure.temperature_c
    return pressure.throttled or (celsius is not None and celsius >= HOT_C)


class RequestRates:
    """How many requests a second come for each model, as an average that forgets."""

    def __init__(self) -> None:
        self._per_s: dict[str, float] = {}
        self._at_ns: int | None = None
        self._newest = -1  # highest number seen: one that comes again is no new one

    def note(self, now_ns: int, requests: Iterable[Request]) -> None:
        """Take note of what waits; what was there before is not counted again."""
        self._fade(now_ns)
        newest = self._newest
        for request in requests:
            if request.number > newest:
                per_s = self._per_s.get(request.model, 0.0)
                self._per_s[request.model] = per_s + 1 / RATE_MEMORY_S
                self._newest = max(self._newest, request.number)

    def per_s(self) -> dict[str, float]:
        """Return the requests a second by model, as last noted."""
        return self._per_s

    def _fade(self, now_ns: int) -> None:
        if self._at_ns is not None and now_ns > self._at_ns:
            kept = exp((self._at_ns - now_ns) / (RATE_MEMORY_S * NS_PER_S))
            for model in self._per_s:
                self._per_s[model] *= kept
        self._at_ns = now_ns


class Rungs:
    """Chooses the rung.

    Args:
        lowest: The last rung that any ladder has.
    """

    def __init__(self, lowest: int) -> None:
        self._lowest = lowest
        self._patience = Patience(first_s=UP_AFTER_S, cap_s=UP_AFTER_AT_MOST_S)
        self._is_hot = False
        self._heavy_since_ns: int | None = None
        self._light_since_ns: int | None = None
        self._floor = 0
        self._pressing: tuple[Reason, ...] = ()
        self.rung = 0

    @property
    def is_pressed(self) -> bool:
        """Tell whether heat or a weak supply asks for less work on the CPU."""
        return bool(self._pressing)

    @property
    def is_at_rest(self) -> bool:
        """Tell whether nothing but a new load, or what `is_pressing`, can change anything."""
        return self.rung == 0 and not self._pressing and self._heavy_since_ns is None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why the rung is not 0, or why fewer CPU seats are used."""
        by_load = (Reason.OVERLOAD,) if self.rung > self._floor else ()
        return by_load + self._pressing

    def update(self, now_ns: int, load_at: LoadAt, pressure: Pressure) -> int:
        """Return the rung for now.

        Args:
            now_ns: Now, monotonic.
            load_at: Gives the share of all devices' time that the requests of late would take at
                a rung; above 1 is more than can be answered.
            pressure: What the machine suffers from.
        """
        self._note_pressure(pressure)
        if self.rung < self._floor:
            self._go_down(now_ns, self._floor)
        elif self._lasts_heavy(now_ns, load_at) and self.rung < self._lowest:
            self._go_down(now_ns, self.rung + 1)
        elif self._lasts_light(now_ns, load_at):
            self._go_up()
        return self.rung

    def _note_pressure(self, pressure: Pressure) -> None:
        celsius = pressure.temperature_c
        if _is_hot(pressure):
            self._is_hot = True
        elif celsius is None or celsius < COOL_C:
            self._is_hot = False
        is_very_hot = celsius is not None and celsius >= VERY_HOT_C
        needed = self._lowest if is_very_hot else int(self._is_hot or pressure.under_voltage)
        self._floor = min(needed, self._lowest)
        hot = (Reason.HEAT,) if self._is_hot else ()
        self._pressing = hot + ((Reason.UNDER_VOLTAGE,) if pressure.under_voltage else ())

    def _lasts_heavy(self, now_ns: int, load_at: LoadAt) -> bool:
        if load_at(self.rung) <= LOAD_DOWN:
            self._heavy_since_ns = None
            return False
        if self._heavy_since_ns is None:
            self._heavy_since_ns = now_ns
        return now_ns - self._heavy_since_ns >= nanoseconds(DOWN_AFTER_S)

    def _lasts_light(self, now_ns: int, load_at: LoadAt) -> bool:
        if self.rung <= self._floor or load_at(self.rung - 1) >= LOAD_UP:
            self._light_since_ns = None
            return False
        if self._light_since_ns is None:
            self._light_since_ns = now_ns
        return now_ns - self._light_since_ns >= self._patience.wait_ns

    def _go_down(self, now_ns: int, rung: int) -> None:
        self._patience.relapse(now_ns)
        self.rung = rung
        self._heavy_since_ns = self._light_since_ns = None

    def _go_up(self) -> None:
        self.rung -= 1
        self._heavy_since_ns = self._light_since_ns = None
