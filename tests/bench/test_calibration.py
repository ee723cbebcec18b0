"""Costs are measured on the real service, kept, and found again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from camera_app.bench.calibration import (
    calibrate,
    change_ms_of,
    least_of,
    read_costs,
    service_ms_of,
    shared_bytes_of,
    source_key,
    write_costs,
)
from camera_app.bench.costs import ModelCosts
from camera_app.bench.film_server import FilmServer
from camera_app.bench.films import FPS, write_film
from camera_app.bench.measured import MeasuredService, StickPiece, Use
from camera_app.bench.planning import forecast
from camera_app.bench.processes import cpu_s_of, pss_bytes
from camera_app.capture import ClipReader
from camera_app.capture.address import parse_address
from camera_app.capture.network import NetworkReader
from camera_app.cli import main
from camera_app.config import parse_config
from camera_app.demo import demo_broker
from camera_app.errors import StoreError, UsageError
from camera_app.health import read_activities
from camera_app.inference.known_answers import known_picture
from camera_app.kernel import tree
from camera_app.models import TRUSTED_VARIABLE, PrivateKey, find_pack
from camera_app.values import Size
from tests.bench.test_costs import COSTS
from tests.waiting import wait_until
from tools.edgetpu_sim.build import compiler
from tools.edgetpu_sim.packs import make_blank_pack
from tools.edgetpu_sim.sticks import SimulatedSticks


@pytest.fixture(scope="module")
def subject_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "walk.mp4"
    picture = known_picture(find_pack("person_small"), "known_input_1.png")
    write_film(path, Size(320, 240), 2, picture.pixels, is_still=False)
    return path


def test_a_film_to_measure_with_moves(subject_film: Path) -> None:
    with ClipReader(subject_film) as reader:
        pictures = [frame.picture.luma.copy() for frame in reader.frames()]
    assert len(pictures) == 2 * FPS
    assert (pictures[0] != pictures[FPS // 2]).mean() > 0.05


def test_the_kernel_is_asked_for_what_processes_use() -> None:
    before = cpu_s_of([os.getpid()])
    sum(number * number for number in range(200_000))
    assert cpu_s_of([os.getpid()]) > before
    assert pss_bytes([os.getpid()]) > 10e6
    assert tree(os.getpid())[0] == os.getpid()
    assert cpu_s_of([2**22 + 1]) == pss_bytes([2**22 + 1]) == 0.0  # there is none


def test_a_film_server_is_a_camera_that_goes_on_and_on(subject_film: Path) -> None:
    with FilmServer(subject_film) as server:
        reader = NetworkReader(parse_address(server.address))
        reader.open()
        # past the end of the film
        stamps_ns = [reader.read().at_ns for _ in range(2 * FPS + 3)]
        codec = reader.codec
        reader.close()
    assert codec == "h264"
    steps_s = [(after - before) / 1e9 for before, after in pairwise(stamps_ns)]
    assert steps_s == pytest.approx([1 / FPS] * len(steps_s), abs=0.002)


BUSY = Use(0.2, 0.1, 1e8, 10.0, 10.0, 10.0, 0.0)


def test_of_several_rounds_the_one_counts_that_others_disturbed_least() -> None:
    rounds = [replace(BUSY, service_cores=cores) for cores in (0.4, 0.15, 0.9)]
    rounds[1] = replace(rounds[1], memory_bytes=2e8)
    least = least_of(rounds)
    assert least.service_cores == 0.15
    assert least.memory_bytes == 1e8  # which nobody adds to


def test_what_a_stick_takes_is_told_by_the_pieces_in_which_nobody_was_in_the_way() -> None:
    """A mean of all came out a third too high where costs were measured in a busy hour."""
    quiet, busy = StickPiece(30.0, 3, 1), StickPiece(60.0, 3, 1)
    pieces = [busy, quiet, StickPiece(0.0, 0, 0), quiet, busy, busy]
    assert service_ms_of(pieces) == pytest.approx(10.0)
    assert change_ms_of(pieces, usual_ms=8.0) == pytest.approx(6.0)
    assert change_ms_of([StickPiece(30.0, 3, 0)], usual_ms=8.0) == 0.0


@pytest.mark.parametrize(
    ("together", "shared"),
    [(45.0, 20.0), (90.0, 0.0), (20.0, 25.0)],  # no more than the smallest has
)
def test_what_models_on_a_stick_share_is_what_they_take_less_together(
    together: float, shared: float
) -> None:
    assert shared_bytes_of([40.0, 25.0], together) == shared


@pytest.mark.parametrize(
    ("answers", "regions", "is_of_sticks"),
    [(8.0, 10.0, True), (3.0, 10.0, False), (0.0, 0.0, False)],  # of the last no mean can be taken
)
def test_what_a_stick_costs_is_told_by_a_service_whose_stick_answers(
    answers: float, regions: float, is_of_sticks: bool
) -> None:
    use = Use(0.2, 0.1, 1e8, 10.0, 10.0, regions, 0.0, stick_answers_per_s=answers)
    assert use.is_of_sticks is is_of_sticks


def test_a_measured_service_that_does_not_start_is_told_and_ended(tmp_path: Path) -> None:
    config = tmp_path / "camera.toml"
    config.write_text("wrong = 1\n")
    service = MeasuredService(config, tmp_path / "data")
    with pytest.raises(UsageError, match="has ended"):
        service.__enter__()
    with pytest.raises(ProcessLookupError):
        os.kill(service.pid, 0)


def test_a_measured_service_that_ends_by_itself_is_told(tmp_path: Path) -> None:
    config, data = tmp_path / "camera.toml", tmp_path / "data"
    config.write_text(
        f'mqtt.enabled = false\ndata.folder = "{data}"\ninference.model = "person_small"\n'
        '[camera.front]\nsource = "synthetic:"\nprivacy = true\n'
    )
    with MeasuredService(config, data) as service:
        os.kill(service.pid, signal.SIGKILL)
        os.waitid(os.P_PID, service.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(UsageError, match="has ended"):
            service.figures()


def test_a_measured_service_says_what_it_does_and_what_its_scene_is_like(
    subject_film: Path, tmp_path: Path
) -> None:
    config, data = tmp_path / "camera.toml", tmp_path / "data"
    config.write_text(
        f'mqtt.enabled = false\n[data]\nfolder = "{data}"\n'
        '[inference]\nmodel = "person_small"\ncpu_seats = 1\nedgetpu = "off"\n'
        f'[camera.front]\nsource = "{subject_film}?loop=1"\nmotion.enabled = false\n'
    )
    with MeasuredService(config, data) as service:
        service.wait_for_frames(60.0)
        use = service.watch(10.0)
    assert use.frames_per_s > 2
    assert use.looks_per_s > 1
    assert use.service_cores > 0
    assert use.children_cores > 0
    assert use.memory_bytes > 50e6
    activity = read_activities(data)["front"]
    assert 0.5 < activity.looked_share <= 1.0
    assert activity.regions >= 1.0


STICK_MS, CHANGE_MS = 3.0, 5.0


@pytest.fixture
def stick_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Two packs for a simulated stick that takes its time by the clock, not by the processor."""
    if compiler() is None:
        pytest.skip("the simulated Edge TPU needs a C compiler")
    key = PrivateKey(os.urandom(32))
    packs = [
        make_blank_pack(find_pack(name), tmp_path / name, key, name=f"{name}_on_stick")
        for name in ("person_small", "face")
    ]
    with SimulatedSticks(tmp_path / "sticks", latency_ms=STICK_MS) as sticks:
        sticks["usb0"].first_us = round(CHANGE_MS * 1000)
        for name, value in {**sticks.environment(), TRUSTED_VARIABLE: key.public}.items():
            monkeypatch.setenv(name, value)
        yield [pack.folder for pack in packs]


def test_what_a_stick_does_is_counted_with_known_answers_and_changes(
    subject_film: Path, tmp_path: Path, stick_packs: list[Path]
) -> None:
    config, data = tmp_path / "camera.toml", tmp_path / "data"
    config.write_text(
        f'mqtt.enabled = false\n[data]\nfolder = "{data}"\n[inference]\ncpu_seats = 1\n'
        f'[camera.front]\nsource = "{subject_film}?loop=1"\nmotion.enabled = false\n'
        f"model = {json.dumps(list(map(str, stick_packs)))}\n"
    )
    with MeasuredService(config, data) as service:
        service.wait_for_frames(60.0)
        assert wait_until(lambda: service.figures()["stick_answers"] > 0, 60.0)
        use = service.watch(4.0, in_pieces=True)
    assert use.stick_answers_per_s > 0
    assert use.stick_invokes_per_s > use.stick_answers_per_s
    assert 0 < use.stick_changes_per_s <= use.stick_invokes_per_s
    least_ms = use.stick_invokes_per_s * STICK_MS + use.stick_changes_per_s * CHANGE_MS / 2
    assert use.duty * 1000 > least_ms
    assert sum(piece.invokes for piece in use.pieces) > 0
    assert STICK_MS < service_ms_of(use.pieces) < STICK_MS + 2 * CHANGE_MS


def test_a_plan_says_that_it_does_without_a_stick_of_which_no_costs_are_known(
    tmp_path: Path, stick_packs: list[Path]
) -> None:
    pack = find_pack(str(stick_packs[0]))
    costs = replace(COSTS, models={pack.name: ModelCosts(pack.digest, 3.0, 1e6)}, made=COSTS.sizes)
    head = f'[data]\nfolder = "{tmp_path}"\n[inference]\nedgetpu = '
    camera = f'\n[camera.front]\nsource = "synthetic:"\nmodel = "{pack.folder}"\n'
    with_stick, without = (
        [note for note in forecast(parse_config(text), costs, {}).warnings if "Edge TPU" in note]
        for text in (f'{head}"auto"{camera}', f'{head}"off"{camera}')
    )
    assert ["no costs of it are known" in note for note in with_stick] == [True]
    assert without == []


def test_costs_are_measured_kept_and_planned_with(
    subject_film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All of it in small: the sizes are few, the spans short, and the figures worth little."""
    monkeypatch.setattr("camera_app.bench.calibration.SIZES", (Size(320, 240), Size(480, 360)))
    monkeypatch.setattr("camera_app.bench.calibration.INVOKES", 3)
    monkeypatch.setattr("camera_app.bench.calibration.LOOK_SPANS", 1)
    monkeypatch.setattr("camera_app.bench.calibration.ROUNDS", 1)
    monkeypatch.setattr("camera_app.bench.measured.SETTLE_S", 0.2)
    monkeypatch.setattr("camera_app.bench.calibration.USUAL_MODELS", ("person_large", "face"))
    file = tmp_path / "camera.toml"
    file.write_text(
        f'mqtt.enabled = false\n[data]\nfolder = "{tmp_path / "data"}"\n'
        '[inference]\nmodel = "person_small"\nedgetpu = "off"\n'
        f'[camera.front]\nsource = "{subject_film}?loop=1"\nfps = 5\n'
    )
    config = parse_config(file.read_text())
    told: list[str] = []
    with demo_broker() as broker:
        to = broker.host, broker.port
        costs = calibrate(config, span_s=0.5, progress=told.append, broker=to)
    assert [(one.width, one.height) for one in costs.sizes] == [(320, 240), (480, 360)]
    assert set(costs.models) == {"person_small", "person_large", "face"}
    assert "looks with two models (1 of 1)" in told  # of which two find people
    own = costs.sources[source_key(config.camera["front"])]
    assert (own.width, own.height, own.codec) == (320, 240, "h264")
    assert own.fps == pytest.approx(10.0, rel=0.2)
    assert costs.change_written_bytes >= costs.change_kept_bytes > 500
    assert costs.stream.memory_bytes > 0
    assert [one.codec for one in costs.made] == ["none", "none"]
    assert all(one.decode_ms > 0.0 for one in costs.made)
    assert costs.telling.change_written_bytes > 0
    assert "one that tells a broker (1 of 1)" in told
    assert costs.others_cores >= 0.0
    kept = tmp_path / "costs.json"
    write_costs(kept, costs)
    assert read_costs(kept) == costs
    assert str(subject_film) not in kept.read_text()  # addresses may hold passwords

    words = ["config", "plan", str(file), "--config", str(file), "--costs", str(kept)]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "Nothing changes." in out
    assert "its own source, measured: 320x240 h264" in out
    assert "busy 10% of the time, assumed" in out
    assert main([*words, "--json", "--activity", "front=1"]) == 0
    then = json.loads(capsys.readouterr().out)["then"]
    assert main([*words, "--json", "--activity", "0"]) == 0
    assert json.loads(capsys.readouterr().out)["then"]["cores"] < then["cores"]


@pytest.mark.parametrize("text", ["{", '{"schema": 3}', '{"schema": 3, "sizes": [3]}'])
def test_a_damaged_file_says_what_to_type(tmp_path: Path, text: str) -> None:
    path = tmp_path / "costs.json"
    path.write_text(text)
    with pytest.raises(StoreError, match="bench --calibrate"):
        read_costs(path)


def test_no_costs_and_those_of_another_version_are_none(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    assert read_costs(path) is None
    path.write_text('{"schema": 99}')
    assert read_costs(path) is None
