from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from camera_app.errors import PackRejected
from camera_app.inference import Tensor, check_known_answers, load_classifier, load_network
from camera_app.models import Colour, Fit, ModelPack, PrivateKey, find_pack, read_pack, sign_pack
from tools.workshop.answers import known_output
from tools.workshop.errors import WorkshopError
from tools.workshop.pack import PackText, write_pack

PERSON = "yolox_nano_person_256"
VWW = "vww_96"


@pytest.fixture
def text(tmp_path: Path, shared: Path) -> PackText:
    """What a person says about a network; the picture shows people."""
    card, licence = tmp_path / "card.md", tmp_path / "terms"
    card.write_text("# Mine\n\nIt looks.\n")
    licence.write_text("Do as you like.\n")
    return PackText(
        name="mine",
        summary='Finds "things" at 100 % — most days.',
        source="our own training",
        licence="Apache-2.0",
        licence_file=licence,
        card_file=card,
        measured={"coco val": "AP50 0.5"},
        data=("pictures (CC-BY-4.0)",),
        repeat="make it",
        files=(card,),
        pictures=(shared / "images/coco_val128/000000004134.jpg",),
        smaller="person_small",
    )


@pytest.mark.shared
def test_a_written_pack_is_signed_read_and_loaded(
    tmp_path: Path, text: PackText, signing_key: PrivateKey
) -> None:
    folder = tmp_path / "packs" / "mine"
    write_pack(folder, find_pack(PERSON), text)
    with pytest.raises(PackRejected, match="the pack is not signed"):
        read_pack(folder)
    pack = sign_pack(folder, signing_key)
    original = find_pack(PERSON)
    assert (pack.name, pack.sha256, pack.labels) == ("mine", original.sha256, ("person",))
    assert (pack.input, pack.decode) == (original.input, original.decode)
    assert sorted(tensor.name for tensor in pack.tensors.outputs) == sorted(
        tensor.name for tensor in original.tensors.outputs
    )
    assert pack.card.summary == text.summary
    assert pack.card.measured == {"coco val": "AP50 0.5"}
    assert pack.training is not None
    assert (pack.training.data, pack.training.repeat) == (text.data, "make it")
    assert pack.smaller == "person_small"
    assert pack.licence.file in pack.files
    assert {"CARD.md", "card.md", "known_answers.json", "known_input_1.png"} < set(pack.files)
    load_network(pack)


@pytest.mark.shared
def test_the_same_network_gives_its_own_answers_and_sees_what_is_in_the_picture(
    tmp_path: Path, text: PackText, signing_key: PrivateKey
) -> None:
    answers = write_pack(tmp_path / "mine", find_pack(PERSON), text)
    assert [answer.input for answer in answers.answers][-1] == "known_input_1.png"
    people = answers.answers[-1].detections or ()
    assert max(found.score for found in people) >= 0.5
    found = check_known_answers(sign_pack(tmp_path / "mine", signing_key))
    assert found
    assert all(difference.steps == 0.0 for difference in found)


@pytest.mark.shared
@pytest.mark.parametrize("change", [{"colour": Colour.RGB}, {"fit": Fit.STRETCH}])
def test_another_way_from_picture_to_tensor_is_found_out(
    tmp_path: Path, text: PackText, signing_key: PrivateKey, change: dict[str, object]
) -> None:
    write_pack(tmp_path / "mine", find_pack(PERSON), text)
    pack = sign_pack(tmp_path / "mine", signing_key)
    other = dataclasses.replace(pack, input=pack.input.model_copy(update=change))
    with pytest.raises(PackRejected, match="does not give its known answers: input"):
        load_network(other)


@pytest.mark.shared
def test_another_recipe_is_found_out(
    tmp_path: Path, text: PackText, signing_key: PrivateKey
) -> None:
    write_pack(tmp_path / "mine", find_pack(PERSON), text)
    pack = sign_pack(tmp_path / "mine", signing_key)
    decode = pack.decode.model_copy(update={"nms_iou": 1.0})  # nothing is suppressed
    with pytest.raises(PackRejected, match=r"'known_input_1\.png', output detections"):
        load_network(dataclasses.replace(pack, decode=decode))


@pytest.mark.shared
def test_a_classifier_is_packed_as_well(
    tmp_path: Path, text: PackText, signing_key: PrivateKey
) -> None:
    write_pack(tmp_path / "mine", find_pack(VWW), text)
    pack = sign_pack(tmp_path / "mine", signing_key)
    assert pack.known_answers is not None
    assert all(answer.detections is None for answer in pack.known_answers.answers)
    load_classifier(pack)


@pytest.mark.shared
def test_many_labels_go_into_a_file(
    tmp_path: Path, text: PackText, signing_key: PrivateKey
) -> None:
    write_pack(tmp_path / "mine", find_pack("yolox_nano_coco_320"), text)
    pack = sign_pack(tmp_path / "mine", signing_key)
    assert pack.labels == find_pack("yolox_nano_coco_320").labels
    assert "labels.txt" in pack.files


@pytest.mark.shared
def test_a_pack_is_written_anew_but_nothing_else_is_overwritten(
    tmp_path: Path, text: PackText, signing_key: PrivateKey
) -> None:
    folder = tmp_path / "mine"
    write_pack(folder, find_pack(VWW), text)
    (folder / "old.txt").write_text("of the last time")
    write_pack(folder, find_pack(VWW), text)
    assert not (folder / "old.txt").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("to grandmother")
    with pytest.raises(WorkshopError, match="something else in it"):
        write_pack(other, find_pack(VWW), text)
    assert (other / "letter.txt").exists()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"card_file": Path("/nowhere/card.md")}, "cannot be read"),
        ({"licence_file": Path("/nowhere/terms")}, "cannot be read"),
        ({"files": (Path("my plot.png"),)}, "file of this name"),
        ({"files": (Path("manifest.toml"),)}, "file of this name"),
        ({"pictures": (Path("/nowhere/picture.png"),)}, "no picture"),
    ],
)
def test_what_cannot_be_packed_is_told_before_anything_is_written(
    tmp_path: Path, text: PackText, change: dict[str, object], said: str
) -> None:
    with pytest.raises(WorkshopError, match=said):
        write_pack(tmp_path / "mine", find_pack(VWW), dataclasses.replace(text, **change))
    assert not (tmp_path / "mine").exists()


def tensor(values: list[float], dtype: str = "uint8") -> Tensor:
    return Tensor("out", np.array([values], dtype))


def test_the_limit_is_measured_against_the_reference_kernels() -> None:
    values = [float(10 * number) for number in range(20)]
    off = [value + 2 for value in values]
    known = known_output(tensor(values), tensor(off))
    assert known is not None
    assert known.limit_steps == 3 * 2 + 1
    assert known.indexes == tuple(range(20))


def test_values_that_stand_out_are_among_those_written_down() -> None:
    values = [0.0] * 1000
    values[501] = 200.0
    known = known_output(tensor(values), tensor(values))
    assert known is None or 501 in known.indexes
    values[500:540] = [200.0] * 40
    known = known_output(tensor(values), tensor(values))
    assert known is not None
    assert len(set(range(500, 540)) & set(known.indexes)) >= 32
    assert len(known.indexes) <= 64


@pytest.mark.parametrize(
    ("values", "others"),
    [
        ([7.0] * 30, [7.0] * 30),  # all alike
        ([1.0, 2.0] * 15, [1.0, 2.0] * 15),  # less than the step that is always allowed
        ([0.0, 100.0] * 15, [100.0, 0.0] * 15),  # the reference says something else
    ],
)
def test_an_output_that_proves_nothing_is_left_out(
    values: list[float], others: list[float]
) -> None:
    assert known_output(tensor(values), tensor(others)) is None


def test_steps_of_real_numbers_are_parts_of_their_range() -> None:
    values = [float(number) / 10 for number in range(256)]
    known = known_output(tensor(values, "float32"), tensor(values, "float32"))
    assert known is not None
    assert known.step == pytest.approx(0.1)
    broken = [*values[:-1], float("nan")]
    assert known_output(tensor(broken, "float32"), tensor(values, "float32")) is None


@pytest.mark.shared
def test_a_network_that_always_says_the_same_has_no_answers(text: PackText) -> None:
    from tools.workshop.answers import write_down

    pack: ModelPack = find_pack("mobilenet_v2_1.0_224")  # sure of nothing in made pictures
    with pytest.raises(WorkshopError, match="Add a picture"):
        write_down(pack)
