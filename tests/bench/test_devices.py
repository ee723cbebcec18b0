"""The measurement of devices runs, counts what was answered, and says what took part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from camera_app.cli import main
from camera_app.models import TRUSTED_VARIABLE
from tools.bench.devices import make_pack
from tools.edgetpu_sim.build import compiler
from tools.edgetpu_sim.sticks import SimulatedSticks

WORDS = ["--seats", "1", "--rounds", "1", "--seconds", "0.3"]


@pytest.mark.skipif(compiler() is None, reason="the simulated Edge TPU needs a C compiler")
def test_the_cpu_and_a_stick_are_measured_alone_and_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pack, key = make_pack("person_small", tmp_path)
    monkeypatch.setenv(TRUSTED_VARIABLE, key)
    with SimulatedSticks(tmp_path / "sticks", latency_ms=1.0) as sticks:
        for name, value in sticks.environment().items():
            monkeypatch.setenv(name, value)
        sticks["usb0"].compute = 1
        assert main(["bench", "devices", "--model", str(pack), "--json", *WORDS]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert set(figures["alone_per_s"]) == {"cpu", "usb:9-1"}
    assert min(figures["alone_per_s"].values()) > 0
    (one,) = figures["rounds"]
    # On a busy machine the policy may well leave all of a third of a second to the quick stick.
    assert set(one["share_by_device"]) == {"cpu", "usb:9-1"}
    assert one["share_by_device"]["usb:9-1"] > 0
    assert figures["parent_ms"] > 0
    assert figures["ratio"] > 0


def test_without_a_stick_the_cpu_is_measured_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAMERA_APP_SYSTEM_ROOT", str(tmp_path))
    assert main(["bench", "devices", "--model", "person_small", *WORDS]) == 0
    told = capsys.readouterr().out
    assert "cpu alone" in told
    assert "no Edge TPU took part" in told
