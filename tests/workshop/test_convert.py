"""What needs neither PyTorch nor a foreign environment; the rest is in `test_converters.py`."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from camera_app.inference import TensorSpec
from tools.workshop import environments
from tools.workshop.__main__ import main
from tools.workshop.convert import (
    Feeding,
    advice,
    answers,
    converted_graph,
    differences,
    input_specs,
    operator_counts,
    picture_samples,
    random_samples,
)
from tools.workshop.convert_foreign import require_keras, require_onnx
from tools.workshop.environments import Environment, find_python
from tools.workshop.errors import WorkshopError
from tools.workshop.foreign import job as jobs
from tools.workshop.foreign.job import Job, Refused, read_samples, write_job, write_samples
from tools.workshop.tflite_graph import Graph

DATA = Path(__file__).parent.parent / "inference/data"
FLOAT, INT8 = DATA / "bright_things.tflite", DATA / "bright_things_int8.tflite"
PICTURE = TensorSpec("in", (1, 32, 48, 3), "float32")
UNIT = Feeding(divisor=255.0)


# --- inputs ----------------------------------------------------------------------------------


def test_random_inputs_are_the_same_for_the_same_seed_and_differ_among_each_other() -> None:
    first, second = (random_samples([PICTURE], UNIT, 4, seed=7) for _ in range(2))
    assert [s[0].shape for s in first] == [(1, 32, 48, 3)] * 4
    assert all((a[0] == b[0]).all() for a, b in zip(first, second, strict=True))
    assert (first[0][0] != first[2][0]).any()
    assert (first[0][0] != random_samples([PICTURE], UNIT, 1, seed=8)[0][0]).any()


def test_random_pictures_use_the_range_that_a_byte_has() -> None:
    values = random_samples([PICTURE], Feeding(mean=127.5, divisor=127.5), 2, seed=1)
    assert values[0][0].min() == pytest.approx(-1.0, abs=0.02)
    assert values[0][0].max() == pytest.approx(1.0, abs=0.02)
    assert values[0][0].dtype == np.float32


def test_what_is_no_picture_gets_normal_numbers() -> None:
    (sample,) = random_samples([TensorSpec("in", (1, 40), "float32")], UNIT, 1, seed=1)
    assert sample[0].shape == (1, 40)
    assert sample[0].min() < 0 < sample[0].max()


def test_pictures_are_stretched_and_their_channels_ordered(tmp_path: Path) -> None:
    red = np.zeros((10, 10, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes blue first
    cv2.imwrite(str(tmp_path / "red.png"), red)
    (rgb,) = picture_samples([PICTURE], UNIT, tmp_path, 5)
    (bgr,) = picture_samples([PICTURE], Feeding(divisor=255.0, is_bgr=True), tmp_path, 5)
    assert rgb[0].shape == (1, 32, 48, 3)
    assert rgb[0][0, 5, 5].tolist() == [1.0, 0.0, 0.0]
    assert bgr[0][0, 5, 5].tolist() == [0.0, 0.0, 1.0]


def test_pictures_are_chosen_from_all_of_the_folder(tmp_path: Path) -> None:
    for level in range(10):
        cv2.imwrite(str(tmp_path / f"{level}.png"), np.full((4, 4, 3), level * 20, np.uint8))
    samples = picture_samples([PICTURE], Feeding(), tmp_path, 3)
    assert [float(sample[0].max()) for sample in samples] == [0.0, 80.0, 180.0]


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(WorkshopError, match=f"{tmp_path}: no pictures that can be read"):
        picture_samples([PICTURE], UNIT, tmp_path, 5)


def test_pictures_for_a_network_that_takes_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkshopError, match=r"takes in \[1, 40\] float32.*Leave out --images"):
        picture_samples([TensorSpec("in", (1, 40), "float32")], UNIT, tmp_path, 5)


# --- comparing -------------------------------------------------------------------------------


@pytest.fixture
def samples() -> list[list[np.ndarray]]:
    return random_samples(input_specs(FLOAT), UNIT, 3, seed=1)


def test_a_file_does_not_differ_from_itself(samples: list[list[np.ndarray]]) -> None:
    found = differences(FLOAT, samples, answers(FLOAT, samples), "random")
    assert [(item.largest, item.count, item.inputs) for item in found] == [(0.0, 3, "random")] * 2


def test_a_difference_is_found_in_whichever_run_it_is(samples: list[list[np.ndarray]]) -> None:
    said = answers(FLOAT, samples)
    said[2][1] = said[2][1] + 0.25
    boxes, scores = differences(FLOAT, samples, said, "random")
    assert boxes.largest == 0.0
    assert scores.largest == pytest.approx(0.25)
    assert scores.share == pytest.approx(0.25 / scores.peak)


def test_outputs_in_another_order_are_paired_by_what_they_say(
    samples: list[list[np.ndarray]],
) -> None:
    said = [list(reversed(run)) for run in answers(FLOAT, samples)]
    assert [item.largest for item in differences(FLOAT, samples, said, "random")] == [0.0, 0.0]


def test_channels_that_the_source_has_first_are_found_last(
    samples: list[list[np.ndarray]],
) -> None:
    said = [[np.moveaxis(output, -1, 1) for output in run] for run in answers(FLOAT, samples)]
    assert [item.largest for item in differences(FLOAT, samples, said, "random")] == [0.0, 0.0]


def test_outputs_that_cannot_be_paired_are_refused_with_both_shapes(
    samples: list[list[np.ndarray]],
) -> None:
    said = [[run[0]] for run in answers(FLOAT, samples)]
    with pytest.raises(WorkshopError, match=r"source gives \[1, 80, 4\], .*\[1, 80, 2\]"):
        differences(FLOAT, samples, said, "random")


def test_an_int8_file_is_compared_in_real_numbers(samples: list[list[np.ndarray]]) -> None:
    found = differences(INT8, samples, answers(FLOAT, samples), "random")
    assert all(0.0 < item.largest < 0.03 for item in found)


def test_operators_are_counted_and_what_only_moves_numbers_is_pointed_out() -> None:
    graph = converted_graph(FLOAT)
    assert operator_counts(graph)["CONV_2D"] == 4
    assert list(advice(graph)) == []
    tensor = SimpleNamespace(shape=(1, 8, 8, 3))
    moving = SimpleNamespace(index=3, kind="TRANSPOSE", computed=(tensor,), outputs=(tensor,))
    padding = SimpleNamespace(index=4, kind="PAD", computed=(tensor,), outputs=(tensor,))
    stub = SimpleNamespace(operators=(moving, padding, padding))
    lines = list(advice(stub))  # type: ignore[arg-type]
    assert lines[0].startswith("1 TRANSPOSE left, first at operator 3, [1, 8, 8, 3]")
    assert lines[1].startswith("2 PAD left, first at operator 4")


def test_a_graph_is_refused_where_the_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "float.tflite"
    path.write_bytes(b"<html>" * 20)
    with pytest.raises(Exception, match="web page"):
        converted_graph(path)
    assert isinstance(converted_graph(FLOAT), Graph)


# --- sources ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("none.onnx", None, "no such file"),
        ("empty.onnx", b"", "the file is empty"),
        ("lite.onnx", FLOAT.read_bytes(), "TensorFlow Lite file"),
        ("half.onnx", (DATA / "bright_things.onnx").read_bytes()[:3000], "cut short"),
    ],
)
def test_what_is_no_onnx_is_refused_before_anything_is_installed(
    tmp_path: Path, name: str, content: bytes | None, fault: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WorkshopError, match=fault):
        require_onnx(tmp_path / name)
    require_onnx(DATA / "bright_things.onnx")


def test_keras_sources_are_told_by_their_content(tmp_path: Path) -> None:
    hdf5 = b"\x89HDF\r\n\x1a\n rest"
    good = tmp_path / "good.keras"
    with zipfile.ZipFile(good, "w") as archive:
        archive.writestr("config.json", "{}")
    (tmp_path / "good.h5").write_bytes(hdf5)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/saved_model.pb").write_bytes(b"")
    for name in ("good.keras", "good.h5", "saved"):
        require_keras(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("nothing.keras", "no such file or folder"),
        ("hdf5.keras", "says .keras, its content does not: it is HDF5, let it end in .h5"),
        ("text.h5", "says HDF5, its content does not"),
        ("weights.pt", "ending .pt is that of no Keras file"),
        ("folder", "the folder has no saved_model.pb"),
    ],
)
def test_a_keras_source_that_is_none_is_refused_in_words(
    tmp_path: Path, name: str, fault: str
) -> None:
    (tmp_path / "hdf5.keras").write_bytes(b"\x89HDF\r\n\x1a\n rest")
    (tmp_path / "text.h5").write_bytes(b"some text")
    (tmp_path / "weights.pt").write_bytes(b"PK")
    (tmp_path / "folder").mkdir()
    with pytest.raises(WorkshopError) as refused:
        require_keras(tmp_path / name)
    assert fault in str(refused.value)


# --- jobs ------------------------------------------------------------------------------------


def test_arrays_of_several_runs_come_back_in_order(tmp_path: Path) -> None:
    runs = [[np.full(2, run * 20 + index) for index in range(12)] for run in range(11)]
    write_samples(tmp_path / "s.npz", runs)
    back = read_samples(tmp_path / "s.npz")
    assert [[int(a[0]) for a in run] for run in back] == [[int(a[0]) for a in r] for r in runs]


def test_a_child_that_refuses_says_why_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_job(tmp_path, Job("convert", "in.onnx", "out.tflite", shape=(1, 3)))
    seen: list[Job] = []

    def refuse(job: Job) -> None:
        seen.append(job)
        raise Refused("operator Foo (layer body.3)", "leave it out")

    assert jobs.main({"convert": refuse}) == jobs.REFUSED
    assert list(seen[0].shape) == [1, 3]
    assert jobs.read_refusal(tmp_path) == ("operator Foo (layer body.3)", "leave it out")


def failure(tmp_path: Path, code: int, text: str) -> WorkshopError:
    log = tmp_path / "convert.log"
    log.write_text("of an earlier run: No space left on device\n" + text)
    begins = len("of an earlier run: No space left on device\n")
    job = Job("convert", "net.onnx", "out.tflite")
    return environments._failure(code, job, tmp_path, log, begins)


def test_what_ended_a_converter_is_told(tmp_path: Path) -> None:
    assert "signal 9" in str(failure(tmp_path, -9, "working"))
    assert "the disk is full" in str(failure(tmp_path, 1, "OSError: No space left on device"))
    plain = failure(tmp_path, 1, "ValueError: odd\n")
    assert "net.onnx: the converter failed: ValueError: odd" in str(plain)
    assert str(tmp_path / "convert.log") in plain.remedy
    (tmp_path / jobs.REFUSAL_FILE).write_text(json.dumps({"what": "no", "remedy": "See the log"}))
    assert str(failure(tmp_path, jobs.REFUSED, "")) == (
        f"net.onnx: no. See {tmp_path / 'convert.log'}"
    )


# --- environments ----------------------------------------------------------------------------


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment whose list is empty, so that nothing has to be downloaded for it."""
    monkeypatch.setattr(environments, "REPOSITORY", tmp_path)
    monkeypatch.setattr(environments, "FOREIGN", tmp_path)
    (tmp_path / "toy.txt").write_text("# nothing\n")
    return Environment("toy", (3, 99), 1)


def commands(monkeypatch: pytest.MonkeyPatch, environment: Environment, *codes: int) -> list[str]:
    """Have commands end with these codes, one after the other, and return what was asked."""
    asked: list[str] = []
    left = list(codes)

    def do(command: list[str], **_: object) -> SimpleNamespace:
        asked.append(" ".join(command))
        if "venv" in command:
            environment.python.parent.mkdir(parents=True)
            environment.python.write_text("")
        return SimpleNamespace(returncode=left.pop(0), stderr="could not connect")

    monkeypatch.setattr(environments.subprocess, "run", do)
    return asked


def test_an_environment_is_made_once(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = commands(monkeypatch, environment, 0, 0)
    environment.make()
    assert environment.is_ready
    assert f"{sys.executable} -m venv" in asked[0]
    assert f"--no-deps -r {environment.packages}" in asked[1]
    environment.make()
    assert len(asked) == 2


def test_an_interrupted_installation_goes_on(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = commands(monkeypatch, environment, 0, 1, 0)
    with pytest.raises(WorkshopError, match=r"could not connect.*it goes on from here"):
        environment.make()
    assert not environment.is_ready
    environment.make()
    assert environment.is_ready
    assert sum("venv" in line.split() for line in asked) == 1


def test_a_changed_list_is_installed(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands(monkeypatch, environment, 0, 0)
    environment.make()
    environment.packages.write_text("something==1\n")
    assert not environment.is_ready


def test_an_environment_is_not_begun_without_space(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(free=0)
    monkeypatch.setattr(environments.shutil, "disk_usage", lambda _: full)
    with pytest.raises(WorkshopError, match=r"0\.0 GB are free"):
        environment.make()
    assert not environment.folder.exists()


def test_a_python_that_packages_exist_for_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_python((3, 99)) == sys.executable
    monkeypatch.setattr(environments.sys, "version_info", (3, 99, 0))
    monkeypatch.setattr(environments.shutil, "which", lambda name: f"/bin/{name}")
    assert find_python((3, 12)) == "/bin/python3.12"
    monkeypatch.setattr(environments.shutil, "which", lambda _: None)
    with pytest.raises(WorkshopError, match=r"exist for Python 3\.11 to 3\.12"):
        find_python((3, 12))


@pytest.mark.parametrize("name", ["onnx", "keras"])
def test_every_package_of_an_environment_has_one_version(name: str) -> None:
    lines = (environments.FOREIGN / f"{name}.txt").read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    assert len(packages) > 20
    assert all(line.count("==") == 1 for line in packages)


# --- the step --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--torch", "net:build"], "--torch needs the shape"),
        (["--onnx", "x.onnx", "--int8"], "--int8 is for --keras"),
        (["--keras", "x.keras", "--int8"], "needs --calibration"),
        (["--onnx", "x.onnx", "--fold-padding"], "networks from PyTorch"),
        (["--onnx", "x.onnx", "--samples", "0"], "more than 0"),
        (["--onnx", "/nowhere/x.onnx"], "no such file"),
        (["--keras", "/nowhere/x.keras"], "no such file"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], fault: str
) -> None:
    assert main(["convert", "--run", str(tmp_path / "run"), *words]) == 2
    assert fault in capsys.readouterr().err


def test_a_full_disk_is_told_before_anything_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    words = ["convert", "--run", str(tmp_path), "--onnx", str(DATA / "bright_things.onnx")]
    assert main(words) == 2
    assert "only 1 MB are free" in capsys.readouterr().err
