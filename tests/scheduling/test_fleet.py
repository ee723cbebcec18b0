"""What each device is worth for what waits."""

from __future__ import annotations

import pytest

from camera_app.scheduling.fleet import cpu_seats
from camera_app.scheduling.load import DeviceKind, Ladder, Pressure, Variant

CPU_ONLY = frozenset({DeviceKind.CPU})
EVERYWHERE = frozenset(DeviceKind)


@pytest.mark.parametrize(
    ("places", "busy", "is_pressed", "seats"),
    [
        (4, 0.0, False, 4),
        (4, 0.5, False, 2),
        (4, 0.6, False, 2),
        (2, 0.35, False, 2),  # 1.3 cores are left
        (2, 0.4, False, 1),  # 1.2 are
        (4, 1.0, False, 1),  # one at least: somebody must look
        (4, 0.0, True, 2),
        (4, 0.5, True, 1),
        (1, 0.9, True, 1),
    ],
)
def test_cpu_seats_are_left_to_others_and_halved_under_pressure(
    places: int, busy: float, is_pressed: bool, seats: int
) -> None:
    assert cpu_seats(places, Pressure(cpu_busy_share=busy), is_pressed=is_pressed) == seats


def test_a_ladder_gives_each_kind_the_smallest_pack_down_to_the_rung() -> None:
    ladder = Ladder(
        (Variant("large", CPU_ONLY), Variant("middle", EVERYWHERE), Variant("small", CPU_ONLY))
    )
    cpu = [ladder.pack_for(DeviceKind.CPU, rung) for rung in range(4)]
    stick = [ladder.pack_for(DeviceKind.EDGETPU, rung) for rung in range(4)]
    assert cpu == ["large", "middle", "small", "small"]
    assert stick == [None, "middle", "middle", "middle"]
