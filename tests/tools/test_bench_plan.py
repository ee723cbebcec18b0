"""What was foreseen beside what was measured: the figures that are compared, and which count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from camera_app.bench.costs import Estimate
from camera_app.bench.measured import Use
from camera_app.config import load_config
from tools.bench.plan import Measured, Row, Subject, Trial

FORESEEN = Estimate(0.11, 0.5, {}, 100e6, 5e6, 50e6, 0.2)
USE = Use(0.08, 0.02, 90e6, 10.0, 5.0, 5.0, 0.1, duty=0.3, written_bytes_per_s=500.0)


def trial(foreseen: Estimate, *cores: float) -> Trial:
    rounds = [Measured(replace(USE, service_cores=one), 200.0) for one in cores]
    return Trial("porch", foreseen, tuple(rounds))


def test_the_middle_round_is_compared_and_each_figure_with_its_own() -> None:
    rows = {row.what: row for row in trial(FORESEEN, 0.5, 0.08, 0.07).rows}
    assert rows["processor, cores"].measured == pytest.approx(0.10)
    assert rows["processor, cores"].off_by == "+10%"
    assert rows["memory, MB"].measured == pytest.approx(90.0)
    assert rows["disk a day, MB"].measured == pytest.approx(86_400 * 200 / 1e6)
    assert rows["written a day, MB"].measured == pytest.approx(86_400 * 500 / 1e6)
    assert rows["written a day, MB"].off_by == "+16%"
    assert not rows["disk a day, MB"].is_near
    assert rows["written a day, MB"].is_near


def test_with_an_edge_tpu_its_time_is_compared_and_no_disk_on_which_nothing_is_written() -> None:
    rows = trial(replace(FORESEEN, duty={"usb:1-1": 0.36}), 0.08).rows
    assert [row.what for row in rows] == ["processor, cores", "memory, MB", "Edge TPU, busy"]
    assert rows[-1].off_by == "+20%"


def test_of_a_range_the_end_counts_that_is_nearest() -> None:
    wide = replace(FORESEEN, duty={"usb:1-1": 0.4}, duty_between={"usb:1-1": (0.33, 0.5)})
    row = trial(wide, 0.08).rows[-1]
    assert (row.told, row.off_by, row.is_near) == ("0.33 to 0.5", "+10%", True)
    assert Row("Edge TPU, busy", 0.2, 0.3, most=0.5).off_by == "+0%"
    assert Row("Edge TPU, busy", 0.1, 0.3, most=0.2).off_by == "-33%"
    narrow = replace(wide, duty_between={"usb:1-1": (0.39, 0.41)})
    assert trial(narrow, 0.08).rows[-1].off_by == "+33%"


def test_less_than_one_event_in_a_measurement_is_chance() -> None:
    assert Row("written a day, MB", 0.4, 9.0, least=10.0).is_near
    assert Row("written a day, MB", 0.4, 9.0, least=10.0).off_by == "-"
    assert not Row("written a day, MB", 0.4, 11.0, least=10.0).is_near
    assert Row("processor, cores", 0.5, 0.0).off_by != "-"


def test_a_configuration_that_is_tried_tells_the_broker_that_runs(tmp_path: Path) -> None:
    camera = '[camera.a]\nsource = "synthetic:"\nmodel = "person_small"\n'
    subject = Subject("porch", camera, tmp_path / "porch", ("127.0.0.1", 1))
    subject.write()
    config = load_config(subject.file)
    assert (config.mqtt.enabled, config.mqtt.port) == (True, 1)
    assert config.data.folder == subject.data
    assert config.inference.edgetpu == ("off",)
