"""The steps train, distill, prune and quantize as a person meets them: words in, a line out."""

# ruff: noqa: E402 -- PyTorch is asked for first: without it the whole module is skipped

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.workshop.tiny_networks import tiny
from tests.workshop.training_pictures import painted_set
from tools.workshop.__main__ import main
from tools.workshop.dataset import DataSet, LabelledBox, save
from tools.workshop.network import load_run
from tools.workshop.network import save as save_network

pytestmark = pytest.mark.workshop
TINY = ["--size", "64", "--base", "8", "--head", "16", "--batch", "4", "--epochs", "1"]
TINY += ["--workers", "0"]
SHORT = ["--size", "64", "--batch", "4", "--epochs", "1", "--workers", "0"]
NANO = "yolox_nano_coco_416"

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    painted_set(tmp_path / "data", 4)
    return tmp_path / "data"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a tiny network in it."""
    save_network(tmp_path / "earlier", tiny())
    return tmp_path / "earlier"


def refused(capsys: Capture, *words: object) -> str:
    """Give a command that must be refused, and return the one line that it says."""
    assert main([str(word) for word in words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("workshop: ")
    assert "Traceback" not in lines[0]
    return lines[0]


def relabelled(folder: Path, data: DataSet, *boxes: LabelledBox) -> None:
    first = dataclasses.replace(data.images[0], boxes=boxes)
    save(folder, dataclasses.replace(data, images=(first, *data.images[1:])))


# --- done --------------------------------------------------------------------------------------


def test_train_leaves_a_network_and_how_it_was_made(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["train", str(data), "--run", str(run), *TINY]) == 0
    assert load_run(run).plan.widths["stem"] == 8
    record = json.loads((run / "train.json").read_text())
    assert record["arguments"]["base"] == 8
    assert set(record["inputs"]) == {"data"}


def test_quantization_aware_training_leaves_an_ordinary_network(
    data: Path, run: Path, tmp_path: Path
) -> None:
    words = ["train", str(data), "--run", str(tmp_path / "run"), "--start", str(run), *SHORT]
    assert main([*words, "--quantization-aware", "--rate", "0.0001"]) == 0
    assert load_run(tmp_path / "run").state_dict().keys() == tiny().state_dict().keys()


def test_a_run_is_continued_with_its_widths_and_with_its_last_layers_where_they_fit(
    data: Path, run: Path, tmp_path: Path
) -> None:
    """One class in place of another keeps what the last layers know; two have to begin anew."""
    painted_set(tmp_path / "faces", 4, classes=("face",))
    painted_set(tmp_path / "both", 4, classes=("face", "person"))
    earlier = load_run(run)
    for folder, is_kept in ((data, True), (tmp_path / "faces", True), (tmp_path / "both", False)):
        after = tmp_path / f"after-{folder.name}"
        words = ["train", str(folder), "--run", str(after), "--start", str(run), *SHORT]
        assert main([*words, "--rate", "1e-9"]) == 0
        network = load_run(after)
        torch.testing.assert_close(network.stem.conv.weight, earlier.stem.conv.weight)
        torch.testing.assert_close(network.head3.to_box.weight, earlier.head3.to_box.weight)
        before, now = earlier.head3.to_class.weight, network.head3.to_class.weight
        assert (now.shape == before.shape and torch.allclose(now, before)) == is_kept


def test_no_epochs_leave_the_same_weights_for_another_size(
    data: Path, run: Path, tmp_path: Path
) -> None:
    words = ["train", str(data), "--run", str(tmp_path / "run"), "--start", str(run)]
    assert main([*words, "--size", "96", "--epochs", "0"]) == 0
    larger = load_run(tmp_path / "run")
    assert (larger.plan.height, larger.plan.width) == (96, 96)
    state = load_run(run).state_dict()
    assert all(torch.equal(value, state[name]) for name, value in larger.state_dict().items())


def test_prune_leaves_a_smaller_network_and_its_figures(
    run: Path, tmp_path: Path, capsys: Capture
) -> None:
    pytest.importorskip("torch_pruning")
    cut = tmp_path / "cut"
    assert main(["prune", str(run), "--run", str(cut), "--share", "0.4", "--spare", "8"]) == 0
    before, after = json.loads((cut / "prune.json").read_text())["figures"]["parameters"]
    assert after == sum(p.numel() for p in load_run(cut).parameters()) < before
    assert f"parameters: {before:,} -> {after:,}" in capsys.readouterr().out


# --- train, refused ----------------------------------------------------------------------------


def test_train_refuses_an_empty_folder(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "empty").mkdir()
    line = refused(capsys, "train", tmp_path / "empty", "--run", tmp_path / "run", *TINY)
    assert "no prepared data set" in line
    assert "`prepare`" in line
    assert not (tmp_path / "run").exists()


def test_train_refuses_a_data_set_without_pictures_to_train_on(
    tmp_path: Path, capsys: Capture
) -> None:
    painted_set(tmp_path / "data", 2, split="val")
    line = refused(capsys, "train", tmp_path / "data", "--run", tmp_path / "run", *TINY)
    assert "no pictures to train on" in line


@pytest.mark.parametrize("workers", ["0", "2"])
def test_train_names_a_picture_that_cannot_be_read(
    data: Path, tmp_path: Path, capsys: Capture, workers: str
) -> None:
    (data / "images/2.png").write_bytes(b"no picture")
    words = ["--run", tmp_path / "run", *TINY, "--workers", workers]
    assert "images/2.png: the picture cannot be read" in refused(capsys, "train", data, *words)


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        (LabelledBox(1, 2, 2, 30, 30), "0.png has class 1 of 1 (person)"),
        (LabelledBox(-1, 2, 2, 30, 30), "class -1 of 1"),
        (LabelledBox("person", 2, 2, 30, 30), "class 'person' of 1"),  # type: ignore[arg-type]
        (LabelledBox(0, float("nan"), 2, 30, 30), "a box that is not made of numbers"),
        (LabelledBox(0, 2, 2, 30, 30, score=90), "a score of 90, expected 0 to 1"),
    ],
)
def test_train_refuses_labels_that_make_no_sense(
    tmp_path: Path, capsys: Capture, box: LabelledBox, problem: str
) -> None:
    folder = tmp_path / "data"
    relabelled(folder, painted_set(folder, 4), box)
    line = refused(capsys, "train", folder, "--run", tmp_path / "run", *TINY)
    assert problem in line
    assert "wrong labels, 1 in all" in line


def test_train_names_the_first_of_many_wrong_labels(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "data"
    relabelled(folder, painted_set(folder, 4), *[LabelledBox(n, 2, 2, 30, 30) for n in range(12)])
    line = refused(capsys, "train", folder, "--run", tmp_path / "run", *TINY)
    assert "11 in all: 0.png has class 1" in line
    assert "class 3 of 1 (person) …" in line
    assert "class 4" not in line


@pytest.mark.shared
@pytest.mark.parametrize(
    ("start", "more", "problem"),
    [
        ("models/detect/ssd_mobilenet_v1_coco_300.tflite", [], "not a YOLOX-nano"),
        (f"models/detect/{NANO}.tflite", ["--base", "8"], "--base 16 and --head 64"),
        ("images/MANIFEST.toml", [], "is no TFLite file"),
        ("models/absent.tflite", [], "cannot be read: No such file"),
    ],
)
def test_train_refuses_a_start_that_does_not_fit(
    shared: Path,
    data: Path,
    tmp_path: Path,
    capsys: Capture,
    start: str,
    more: list[str],
    problem: str,
) -> None:
    words = ["--run", tmp_path / "run", "--start", shared / start, *SHORT, *more]
    assert problem in refused(capsys, "train", data, *words)


@pytest.mark.shared
def test_train_refuses_a_class_that_the_start_does_not_know(
    shared: Path, tmp_path: Path, capsys: Capture
) -> None:
    painted_set(tmp_path / "data", 4, classes=("persn",))
    start = shared / f"models/detect/{NANO}.tflite"
    words = ["--run", tmp_path / "run", "--start", start, *SHORT]
    assert "knows no class 'persn'" in refused(capsys, "train", tmp_path / "data", *words)


def test_train_refuses_other_widths_than_the_run_that_it_starts_from(
    data: Path, run: Path, tmp_path: Path, capsys: Capture
) -> None:
    """They were once passed over without a word."""
    words = ["train", data, "--run", tmp_path / "run", "--start", run, *SHORT]
    line = refused(capsys, *words, "--base", "16")
    assert "--base 16 does not fit: stem of the run to start from has 8 channels" in line
    assert "--head 64 does not fit" in refused(capsys, *words, "--head", "64")
    assert main([str(word) for word in (*words, "--base", "8", "--head", "16")]) == 0


def test_train_refuses_a_start_folder_without_a_network(
    data: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = ["--run", tmp_path / "run", "--start", data, *SHORT]
    assert "network.json: is not there yet" in refused(capsys, "train", data, *words)


def test_train_refuses_a_run_folder_that_is_a_file(
    data: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "run").write_text("")
    line = refused(capsys, "train", data, "--run", tmp_path / "run", *TINY)
    assert "the run folder cannot be made: File exists" in line


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--size", "50"),
        ("--size", "0"),
        ("--epochs", "-1"),
        ("--zoom", "2,1"),
        ("--zoom", "1"),
        ("--batch", "-1"),
        ("--base", "7"),
        ("--rate", "0"),
        ("--rate", "nan"),
        ("--workers", "-1"),
        ("--seed", "-1"),
        ("--threads", "two"),
    ],
)
def test_train_refuses_numbers_that_make_no_sense(
    data: Path, tmp_path: Path, capsys: Capture, option: str, value: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", str(data), "--run", str(tmp_path / "run"), f"{option}={value}"])
    assert caught.value.code == 2
    assert f"argument {option}: " in capsys.readouterr().err


# --- the other steps, refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("teacher", "more", "problem"),
    [
        ("rfb_face_320x240", [], "the data set has person: nothing in common"),
        ("rfb_face_320x240", ["--way", "cells"], "not a YOLOX-nano"),
        ("rfb_face_320x240", ["--features", "10"], "has no features to copy"),
        ("mobilenet_v2_imagenet", [], "no model pack of this name"),
        ("absent.tflite", [], "no model pack of this name"),
    ],
)
@pytest.mark.shared
def test_distill_refuses_a_teacher_that_does_not_fit(
    data: Path, tmp_path: Path, capsys: Capture, teacher: str, more: list[str], problem: str
) -> None:
    words = ["--run", tmp_path / "run", "--teacher", teacher, *SHORT, *more]
    assert problem in refused(capsys, "distill", data, *words)


@pytest.mark.shared
def test_distill_refuses_a_class_that_its_teacher_does_not_know(
    tmp_path: Path, capsys: Capture
) -> None:
    painted_set(tmp_path / "data", 4, classes=("face",))
    words = ["--run", tmp_path / "run", "--teacher", NANO, *SHORT]
    assert "knows no class 'face'" in refused(capsys, "distill", tmp_path / "data", *words)


def test_prune_refuses_a_run_that_is_not_there(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("torch_pruning")
    line = refused(capsys, "prune", tmp_path / "absent", "--run", tmp_path / "cut")
    assert "absent/network.json: is not there yet. Run the step `train` first" in line


def test_prune_refuses_to_overwrite_what_it_prunes(run: Path, capsys: Capture) -> None:
    pytest.importorskip("torch_pruning")
    assert "take the place" in refused(capsys, "prune", run, "--run", run / ".." / run.name)


@pytest.mark.parametrize("share", ["0", "1", "nan"])
def test_prune_refuses_a_share_that_is_none(
    run: Path, tmp_path: Path, capsys: Capture, share: str
) -> None:
    pytest.importorskip("torch_pruning")
    assert "--share: cannot" in refused(
        capsys, "prune", run, "--run", tmp_path / "cut", "--share", share
    )


def test_quantize_refuses_before_convert(data: Path, run: Path, capsys: Capture) -> None:
    pytest.importorskip("ai_edge_quantizer")
    line = refused(capsys, "quantize", "--run", run, "--calibration", data)
    assert "float.tflite: is not there yet. Run the step `convert` first" in line


@pytest.mark.parametrize(
    ("pictures", "more", "problem"),
    [
        (4, [], "4 of 4 pictures are too few"),
        (70, ["--pictures", "10"], "10 of 70 pictures are too few"),
        (0, [], "0 of 0 pictures are too few"),
    ],
)
def test_quantize_refuses_too_few_pictures(
    run: Path, tmp_path: Path, capsys: Capture, pictures: int, more: list[str], problem: str
) -> None:
    pytest.importorskip("ai_edge_quantizer")
    painted_set(tmp_path / "some", pictures)
    (run / "float.tflite").write_bytes(b"read later")
    words = ["--run", run, "--calibration", tmp_path / "some", *more]
    line = refused(capsys, "quantize", *words)
    assert problem in line
    assert "at least 64" in line


def test_quantize_refuses_a_file_that_is_no_network(
    run: Path, tmp_path: Path, capsys: Capture
) -> None:
    pytest.importorskip("ai_edge_quantizer")
    painted_set(tmp_path / "some", 64)
    (run / "float.tflite").write_bytes(b"no network")
    line = refused(capsys, "quantize", "--run", run, "--calibration", tmp_path / "some")
    assert "float.tflite" in line


def test_steps_say_what_to_do_where_pytorch_is_absent(
    data: Path, run: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    for words in (
        ["train", data],
        ["distill", data, "--teacher", NANO],
        ["prune", run],
        ["quantize", "--calibration", data],
    ):
        line = refused(capsys, *words, "--run", tmp_path / "run")
        assert "Run `make workshop`" in line
