"""The networks that come with the program: here, whole, small, and in the wheel as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from camera_app.config import InferenceSettings
from camera_app.inference import check_known_answers
from camera_app.models import catalogue_folder, find_pack, locate_weights
from camera_app.values import Size

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SHIPPED = {
    "person_large": ("person", Size(352, 352)),
    "person_small": ("person", Size(224, 224)),
    "face": ("face", Size(224, 224)),
}
MOST_BYTES = 1_500_000
MOST_BYTES_IN_ALL = 4_000_000
MOST_OTHER_BYTES = 2_500_000  # of a wheel: the program, and what comes with the weights


@pytest.fixture(autouse=True)
def _nothing_beside_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMERA_APP_MODEL_PATH")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_pack_has_its_weights_and_gives_its_known_answers(name: str) -> None:
    pack = find_pack(name)
    label, size = SHIPPED[name]

    assert locate_weights(pack) == catalogue_folder() / name / f"{name}.tflite"
    assert (pack.labels, pack.input.size) == ((label,), size)
    assert pack.licence.allows_shipping
    answers = check_known_answers(pack)
    assert answers
    assert all(answer.is_within for answer in answers)


def test_shipped_weights_are_small() -> None:
    sizes = [find_pack(name).weights.size_bytes for name in SHIPPED]

    assert max(sizes) <= MOST_BYTES
    assert sum(sizes) <= MOST_BYTES_IN_ALL


def test_only_weights_that_are_ours_lie_in_the_repository() -> None:
    inside = {path.parent.name for path in catalogue_folder().glob("*/*.tflite")}

    assert inside == set(SHIPPED)


def test_the_default_is_one_of_them() -> None:
    assert set(InferenceSettings().model) <= set(SHIPPED)


def test_a_wheel_carries_them_and_stays_small(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="it builds the wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(words, cwd=REPOSITORY, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    inside = {info.filename: info.file_size for info in ZipFile(wheel).infolist()}

    for name in SHIPPED:
        size = find_pack(name).weights.size_bytes
        assert inside[f"camera_app/packs/{name}/{name}.tflite"] == size
        assert f"camera_app/packs/{name}/manifest.toml" in inside
        assert f"camera_app/packs/{name}/manifest.sig" in inside
    assert not any(name.startswith(("tests/", "tools/")) for name in inside)
    assert wheel.stat().st_size <= MOST_BYTES_IN_ALL + MOST_OTHER_BYTES
