"""The measurement of `camera-app subscribe` runs, and takes no figure from a file with a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.publish.mosquitto import find_mosquitto
from tools.bench.subscribe import check, measure


def test_both_ways_are_measured_and_every_change_is_written_once(tmp_path: Path) -> None:
    find_mosquitto()  # or skip
    figures = measure(tmp_path, 300)
    assert figures["changes"] == 300
    assert min(figures.values()) > 0


@pytest.mark.parametrize("numbers", [[1, 3], [1, 1, 2], [2, 1], [1, 2]])
def test_a_file_with_a_fault_gives_no_figure(numbers: list[int]) -> None:
    lines = [f'{{"seq":{number}}}' for number in numbers]
    with pytest.raises(SystemExit, match="are not the 3 changes"):
        check(lines, 3)


def test_a_file_with_each_change_once_is_good() -> None:
    check(['{"seq":1}', '{"seq":2}'], 2)
