"""What came out, and what follows from it for sizes that were not tried. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Of fewer, one in a hundred means nothing.
FEWEST_FOR_P99 = 100
UNKNOWN = "-"

Key = tuple[int, int]  # camera, seq


@dataclass(frozen=True, slots=True)
class Latency:
    """How long changes took from being due to being read by the listener.

    Attributes:
        count: How many.
        p50_ms: Half were faster; None: there were none.
        p99_ms: All but one in a hundred; None: too few to say.
    """

    count: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """One size of fleet.

    Attributes:
        cameras: How many.
        connections: They share so many.
        greeting_s: From the first connection to the last retained message acknowledged.
        changes_per_s: Event changes acknowledged, at the rate that was asked for.
        messages_per_s: All messages to the broker meanwhile.
        latency: Of those changes.
        broker_cpu_share: Of one core, meanwhile.
        broker_mb: Memory of the broker then.
        clients_mb: Memory of the process that plays all cameras.
        backlog_per_s: Changes acknowledged while all cameras empty a backlog at once.
        backlog_delivered_per_s: Changes that the one listener read of it, from its beginning to
            the last.
        broker_peak_mb: Most memory of the broker, backlog included.
    """

    cameras: int
    connections: int
    greeting_s: float
    changes_per_s: float
    messages_per_s: float
    latency: Latency
    broker_cpu_share: float
    broker_mb: float
    clients_mb: float
    backlog_per_s: float
    backlog_delivered_per_s: float
    broker_peak_mb: float

    @property
    def is_whole(self) -> bool:
        """Each camera has a connection of its own."""
        return self.connections == self.cameras


@dataclass(frozen=True, slots=True)
class Extrapolated:
    """What a fleet would take with a connection for each camera; worked out, not measured."""

    cameras: int
    broker_mb: float
    clients_mb: float
    greeting_s: float


def latency(due_ns: Mapping[Key, int], heard_ns: Mapping[Key, int]) -> Latency:
    """Return how long it took.

    Raises:
        ValueError: Something was not heard, or was never told.
    """
    if due_ns.keys() != heard_ns.keys():
        missing, strange = due_ns.keys() - heard_ns.keys(), heard_ns.keys() - due_ns.keys()
        raise ValueError(f"{len(missing)} changes were not heard, {len(strange)} never told")
    took_ms = sorted((heard_ns[key] - due_ns[key]) / 1e6 for key in due_ns)
    return Latency(
        len(took_ms),
        _rank(took_ms, 0.5) if took_ms else None,
        _rank(took_ms, 0.99) if len(took_ms) >= FEWEST_FOR_P99 else None,
    )


def _rank(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def extrapolated(measured: Sequence[Figures]) -> list[Extrapolated]:
    """Return what the fleets that had to share connections would take without.

    A straight line through the two largest that did not share: less than that is no line.
    """
    whole = sorted((one for one in measured if one.is_whole), key=lambda one: one.cameras)[-2:]
    if len(whole) < 2 or whole[0].cameras == whole[1].cameras:
        return []
    low, high = whole

    def at(cameras: int, below: float, above: float) -> float:
        slope = (above - below) / (high.cameras - low.cameras)
        return above + slope * (cameras - high.cameras)

    return [
        Extrapolated(
            one.cameras,
            broker_mb=at(one.cameras, low.broker_mb, high.broker_mb),
            clients_mb=at(one.cameras, low.clients_mb, high.clients_mb),
            greeting_s=at(one.cameras, low.greeting_s, high.greeting_s),
        )
        for one in measured
        if not one.is_whole
    ]


_HEAD = (
    "cameras",
    "connections",
    "connected, state told in",
    "changes (messages) a second",
    "latency p50, p99 (changes)",
    "broker, of one core",
    "broker's memory (peak)",
    "memory of the cameras' process",
    "backlog a second: acknowledged, read",
)


def table(measured: Sequence[Figures]) -> list[str]:
    """Return the lines of a table in Markdown; what is extrapolated says so in its row."""
    rows = {(one.cameras, 0): _row(one) for one in measured}
    rows |= {(one.cameras, 1): _extrapolated_row(one) for one in extrapolated(measured)}
    lines = [" | ".join(_HEAD), " | ".join(["---"] * len(_HEAD))]
    lines += [" | ".join(rows[key]) for key in sorted(rows)]
    return [f"| {line} |" for line in lines]


def _row(one: Figures) -> list[str]:
    return [
        f"{one.cameras:,}",
        f"{one.connections:,}" + ("" if one.is_whole else ", shared"),
        f"{one.greeting_s:.2g} s" if one.greeting_s < 10 else f"{one.greeting_s:.0f} s",
        f"{_short(one.changes_per_s)} ({_short(one.messages_per_s)})",
        f"{_ms(one.latency.p50_ms)}, {_ms(one.latency.p99_ms)} ({one.latency.count:,})",
        f"{one.broker_cpu_share * 100:.1f} %",
        f"{one.broker_mb:.0f} MB ({one.broker_peak_mb:.0f})",
        f"{one.clients_mb:.0f} MB",
        f"{_rate(one.backlog_per_s)}, {_rate(one.backlog_delivered_per_s)}",
    ]


def _extrapolated_row(one: Extrapolated) -> list[str]:
    return [
        f"{one.cameras:,} — extrapolated",
        f"~{one.cameras:,}",
        f"~{one.greeting_s:.0f} s",
        *[UNKNOWN] * 3,
        f"~{one.broker_mb:.0f} MB",
        f"~{one.clients_mb:.0f} MB",
        UNKNOWN,
    ]


def _ms(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1f} ms"


def _short(rate: float) -> str:
    return f"{rate:.1f}" if rate < 10 else f"{rate:,.0f}"


def _rate(rate: float) -> str:
    """Return a rate to two digits: no more than that repeats."""
    digits = max(0, int(math.log10(rate)) - 1) if rate > 0 else 0
    return f"{round(rate, -digits):,.0f}"
