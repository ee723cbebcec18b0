"""Networks with faults made to order, on painted pictures; and the step as it is typed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from camera_app.inference import load_network
from camera_app.models import find_pack
from camera_app.values import Box, Detection, Size
from tests.workshop.labelled_pictures import write
from tests.workshop.painted_pictures import ColourNetwork, Painted, paint, shifted, write_coco
from tools.workshop.__main__ import main
from tools.workshop.candidates import _meaning_of_bytes, float_twin
from tools.workshop.errors import WorkshopError
from tools.workshop.evaluate import compare, face_figures, figures, with_boxes
from tools.workshop.evaluation_set import EvaluationSet, load
from tools.workshop.looking import marked_by

PERSON = Painted("person", (10, 20, 30, 60))
DOG = Painted("dog", (60, 40, 110, 90))


@pytest.fixture
def pictures(tmp_path: Path) -> EvaluationSet:
    content = {"a.png": [PERSON], "b.png": [PERSON, DOG], "c.png": []}
    return load(write_coco(tmp_path / "val", content))


def never_dogs(one: Detection) -> Sequence[Detection]:
    return [] if one.label == "dog" else [one]


def twice(one: Detection) -> Sequence[Detection]:
    return [one, replace(one, score=0.7)]


def aside(one: Detection) -> Sequence[Detection]:
    return [shifted(one, 4.0)]  # IoU 16 / 24 for the person, who is 20 wide


def test_networks_are_compared_on_the_same_pictures(pictures: EvaluationSet) -> None:
    networks = [ColourNetwork("good"), ColourNetwork("blind", fault=never_dogs)]
    good, blind = compare(networks, pictures, score=0.5).evaluations  # type: ignore[arg-type]
    assert (good.model, blind.model) == ("good", "blind")
    assert good.precision.overall.ap50_95 == 1.0
    assert blind.precision.overall.ap50_95 == 0.5
    assert (good.at_score.found, good.at_score.wrong, good.at_score.objects) == (3, 0, 3)
    assert (blind.at_score.found, blind.at_score.wrong) == (2, 0)
    assert good.mean_iou == 1.0
    assert good.faces is None


def test_a_box_drawn_twice_is_wrong_once_and_the_best_threshold_shuts_it_out(
    pictures: EvaluationSet,
) -> None:
    networks = [ColourNetwork(fault=twice)]
    (only,) = compare(networks, pictures, score=0.6).evaluations  # type: ignore[arg-type]
    assert (only.at_score.found, only.at_score.wrong) == (3, 3)
    assert only.at_best is not None
    assert (only.at_best.score, only.at_best.wrong) == (0.9, 0)


def test_boxes_aside_cost_precision_where_it_is_strict(pictures: EvaluationSet) -> None:
    networks = [ColourNetwork(labels=["person"], fault=aside)]
    comparison = compare(networks, pictures)  # type: ignore[arg-type]
    assert comparison.classes == ("person",)
    (only,) = comparison.evaluations
    assert (only.precision.overall.ap50, only.precision.overall.ap75) == (1.0, 0.0)
    assert only.mean_iou == pytest.approx(2 / 3)


def test_only_classes_that_all_networks_know_count(pictures: EvaluationSet) -> None:
    networks = [ColourNetwork("both"), ColourNetwork("dogs", labels=["dog", "face"])]
    comparison = compare(networks, pictures)  # type: ignore[arg-type]
    assert comparison.classes == ("dog",)
    assert figures(comparison)["objects"] == 1


def test_a_network_without_a_class_in_common_is_refused(pictures: EvaluationSet) -> None:
    with pytest.raises(WorkshopError, match="finds face.* is person, dog") as caught:
        compare([ColourNetwork("faces", labels=["face"])], pictures)  # type: ignore[list-item]
    assert caught.value.where == "faces"
    with pytest.raises(WorkshopError, match="nothing"):
        compare([ColourNetwork()], pictures, only=["cat"])  # type: ignore[list-item]


def test_a_twin_that_sees_the_same_agrees_wholly_and_one_that_does_not_less(
    pictures: EvaluationSet,
) -> None:
    int8, same = ColourNetwork("int8"), ColourNetwork("same")
    comparison = compare([int8], pictures, twins={"int8": same}, score=0.5)  # type: ignore[list-item, dict-item]
    (agreement,) = comparison.agreements
    assert (agreement.model, agreement.other) == ("int8", "same")
    assert (agreement.f1, agreement.mean_iou, agreement.ap50_change) == (1.0, 1.0, 0.0)

    blind = ColourNetwork("int8", fault=never_dogs)
    comparison = compare([blind], pictures, twins={"int8": same}, score=0.5)  # type: ignore[list-item, dict-item]
    (agreement,) = comparison.agreements
    assert agreement.f1 == pytest.approx(2 * 2 / (2 + 3))  # two pairs of two and three boxes
    assert agreement.ap50_change == -0.5
    assert [one.model for one in comparison.evaluations] == ["int8", "same"]


def test_the_same_evaluation_gives_the_same_figures(pictures: EvaluationSet) -> None:
    def once() -> str:
        document = figures(compare([ColourNetwork(fault=twice)], pictures))  # type: ignore[list-item]
        for model in document["models"]:
            del model["latency"]
        return json.dumps(document)

    assert once() == once()


def test_an_unreadable_picture_is_refused_with_its_name(pictures: EvaluationSet) -> None:
    write(pictures.pictures[1].path, "no picture")
    with pytest.raises(WorkshopError, match="damaged") as caught:
        compare([ColourNetwork()], pictures)  # type: ignore[list-item]
    assert "b.png" in caught.value.where


def test_a_picture_of_another_size_than_annotated_is_refused(pictures: EvaluationSet) -> None:
    """Its boxes would be in other pixels, and every figure too low."""
    smaller = replace(pictures.pictures[0], size=Size(60, 50))
    with pytest.raises(WorkshopError, match="120x100, its annotations are for one of 60x50"):
        compare([ColourNetwork()], replace(pictures, pictures=(smaller,)))  # type: ignore[list-item]


def test_the_topmost_face_is_the_one_that_a_reference_marks(pictures: EvaluationSet) -> None:
    def with_a_skull_below(one: Detection) -> Sequence[Detection]:
        box = one.box
        lower = Box(box.left, box.top + 30, box.right, box.bottom + 30)
        return [replace(one, box=lower, score=0.95), one]

    write(pictures.pictures[0].path, paint([Painted("face", (10, 10, 30, 30))]))
    unmarked = replace(pictures, pictures=pictures.pictures[:1], has_boxes=False)
    reference = ColourNetwork("reference", labels=["face"], fault=with_a_skull_below)
    marked = marked_by(reference, unmarked)  # type: ignore[arg-type]
    assert [one.box for one in marked.pictures[0].boxes] == [Box(10, 10, 30, 30)]
    assert (marked.has_boxes, marked.marked_by) == (True, "reference")


def test_a_reference_that_sees_no_face_is_not_believed(pictures: EvaluationSet) -> None:
    reference = ColourNetwork("reference", labels=["face"])
    with pytest.raises(WorkshopError, match="no face") as caught:
        marked_by(reference, replace(pictures, has_boxes=False))  # type: ignore[arg-type]
    assert caught.value.where == "a.png"


def test_marked_pictures_are_left_as_they_are(pictures: EvaluationSet) -> None:
    assert with_boxes(pictures, "no such pack") is pictures


# --- real networks --------------------------------------------------------------------------


@pytest.mark.shared
def test_the_yardstick_of_faces_comes_out_on_pictures(shared: Path) -> None:
    """Its card says: 100 of 100, 115 boxes in all, mean IoU 0.927; the same tool for ours."""
    network = load_network(find_pack("rfb_face_320x240"))
    found = face_figures(network, shared / "images" / "faces_lfw10")
    assert (found.found, found.faces) == (100, 100)
    assert found.others == pytest.approx(15, abs=2)
    assert found.mean_iou == pytest.approx(0.927, abs=0.005)


@pytest.mark.shared
def test_the_yardstick_of_faces_comes_out_on_film(shared: Path) -> None:
    """Its card says: 132 of 132 frames, 2 other boxes; one more or less is rounding."""
    network = load_network(find_pack("rfb_face_320x240"))
    found = face_figures(network, shared / "clips" / "signers")
    assert (found.found, found.faces) == (132, 132)
    assert found.others == pytest.approx(2, abs=1)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "mean", "divisor"),
    [("rfb_face_320x240", 127.0, 128.0), ("yolox_nano_person_256", 0.0, 1.0)],
)
def test_a_float_twin_is_fed_what_the_bytes_mean_to_its_network(
    shared: Path, name: str, mean: float, divisor: float
) -> None:
    """A uint8 input of scale 1/128 and zero point 127; an int8 one of scale 1 and -128."""
    meaning = _meaning_of_bytes(load_network(find_pack(name)))
    assert (meaning.mean, meaning.divisor) == (mean, divisor)


@pytest.mark.shared
def test_a_network_is_its_own_twin(shared: Path) -> None:
    network = load_network(find_pack("rfb_face_320x240"))
    twin = float_twin(network, shared / "models" / "face" / "rfb_face_320x240.tflite")
    assert twin.pack.name == "rfb_face_320x240 (float)"
    assert twin.pack.input == network.pack.input


# --- the step -------------------------------------------------------------------------------


@pytest.fixture
def few(shared: Path, tmp_path: Path) -> Path:
    """Three of the face pictures, with their annotations."""
    folder = shared / "images" / "faces_lfw10"
    faces = json.loads((folder / "annotations.json").read_text())["faces"][:3]
    for face in faces:
        write(tmp_path / "few" / face["file"], (folder / face["file"]).read_bytes())
    write(tmp_path / "few" / "annotations.json", json.dumps({"faces": faces}))
    return tmp_path / "few"


@pytest.mark.shared
def test_the_step_prints_and_writes_what_it_measured(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["evaluate", "rfb_face_320x240", "ssd_slim_face_160x120_gray", "--images", str(few)]
    assert main([*words, "--out", str(out), "--json", str(tmp_path / "f.json")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("3 of 3 faces") == 2  # two networks
    document = json.loads((out / "figures.json").read_text())
    assert document == json.loads((tmp_path / "f.json").read_text())
    assert [one["model"] for one in document["models"]] == words[1:3]
    assert document["models"][0]["faces"]["found"] == 3
    assert document["models"][0]["latency"]["invoke_ms"] > 0
    assert (out / "report.html").is_file()
    assert not (out / "pictures").exists()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "nothing to measure"),
        (["no_such_pack"], "no model pack"),
        (["rfb_face_320x240", "rfb_face_320x240"], "the same name"),
        (["yolox_nano_person_256"], "no class in common"),
        (["rfb_face_320x240", "--float", "nowhere.tflite"], "no such file"),
        (
            ["rfb_face_320x240", "ssd_slim_face_160x120_gray", "--float", "x.tflite"],
            "belongs to one model",
        ),
    ],
)
def test_the_step_refuses_what_cannot_be_measured(
    few: Path, capsys: pytest.CaptureFixture[str], words: list[str], problem: str
) -> None:
    assert main(["evaluate", *words, "--images", str(few)]) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.workshop
@pytest.mark.shared
def test_a_run_folder_is_measured_and_keeps_its_figures(
    shared: Path, few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan says how to feed and decode; here it is that of a network that is known."""
    pytest.importorskip("torch")
    from tools.workshop.network import NetworkPlan

    run = tmp_path / "run"
    plan = NetworkPlan(classes=("person",), height=256, width=256, widths={})
    write(run / "network.json", json.dumps(asdict(plan)))
    weights = (shared / "models" / "detect" / "yolox_nano_person_256.tflite").read_bytes()
    write(run / "int8.tflite", weights)
    write(run / "float.tflite", weights)
    folder = write_coco(tmp_path / "val", {"a.png": [PERSON]})
    write(folder / "a.png", (few / "Ariel_Sharon" / "Ariel_Sharon_0001.jpg").read_bytes())
    annotations = folder / "instances.json"
    write(
        annotations,
        annotations.read_text().replace(
            '"width": 120, "height": 100', '"width": 250, "height": 250'
        ),
    )

    assert main(["evaluate", "--run", str(run), "--images", str(folder), "--score", "0.3"]) == 0
    assert "F1 of the boxes 1.000" in capsys.readouterr().out
    record = json.loads((run / "evaluate-val.json").read_text())
    assert [one["model"] for one in record["figures"]["models"]] == ["run/int8"]
    assert record["figures"]["agreements"][0]["mean_iou"] == 1.0  # there were boxes to compare
