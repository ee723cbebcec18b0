"""Each command prints its table, and the figures keep to what the docs say of them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tools.scheduling_sim import frigate_load, months, scale
from tools.scheduling_sim.__main__ import main


def test_the_priority_camera_keeps_its_rate_and_the_rest_share_fairly() -> None:
    setup = next(one for one in frigate_load.SETUPS if one.name.startswith("this policy, one"))
    outcome = frigate_load.run(setup, 20.0)
    assert outcome.priority.mean_fps == pytest.approx(5.0, abs=0.1)
    assert outcome.priority.p99_ms < 100
    assert outcome.rest.fps[0] > 0.85 * outcome.rest.mean_fps
    assert outcome.rest.mean_fps > 3.7  # 143 answers a second, less the priority camera's 11
    assert outcome.rest.p99_ms < 1000


def test_first_come_first_served_gives_the_priority_camera_no_more_than_the_rest() -> None:
    setup = frigate_load.SETUPS[1]
    outcome = frigate_load.run(setup, 20.0)
    assert outcome.priority.mean_fps < 4.3


def test_months_lose_nothing_and_flap_little() -> None:
    outcome = months.run(days=2.0, seed=3)
    shed = sum(outcome.figures.shed.values())
    assert outcome.captured == outcome.looked_at + shed + outcome.under_way
    assert outcome.longest_blind_s < 1.0
    assert outcome.back_s[-1] < 5.0
    assert outcome.rung_changes_an_hour <= 24
    assert outcome.recoveries_an_hour <= 14
    assert sum(outcome.faults.values()) >= 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["frigate-load", "--seconds", "2"], "this policy, one frame under way"),
        (["months", "--days", "0.5"], "back on the stick"),
    ],
)
def test_a_command_prints_its_table(
    words: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frigate_load, "WARM_UP_S", 1.0)
    assert main(words) == 0
    assert told in capsys.readouterr().out


def test_scaling_is_a_table_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "WARM_UP_S", 1.0)
    monkeypatch.setattr(scale, "CAMERAS", (1, 4))
    monkeypatch.setattr(scale, "STICKS", (0, 1))
    assert main(["scale", "--seconds", "2", "--svg", str(tmp_path / "scale.svg")]) == 0
    assert "| 4 " in capsys.readouterr().out
    picture = ET.parse(tmp_path / "scale.svg").getroot()
    circles = [element for element in picture.iter() if element.tag.endswith("circle")]
    assert len(circles) == 4
