"""The packs that may stand in for one under load."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from camera_app.errors import ModelError, PackRejected
from camera_app.models import catalogue_folder, find_ladder, find_pack, read_pack


@pytest.fixture
def write(tmp_path: Path, sign_manifest: Callable[[Path], None]) -> Callable[..., Path]:
    """Write a pack without weights: one of the catalogue, with another name and `smaller`."""

    def make(name: str, smaller: str = "", like: str = "yolox_nano_person_256") -> Path:
        folder = tmp_path / "packs" / name
        shutil.copytree(catalogue_folder() / like, folder)
        manifest = folder / "manifest.toml"
        text = manifest.read_text().replace(f'name = "{like}"', f'name = "{name}"')
        if smaller:
            text = text.replace("[weights]", f'smaller = "{smaller}"\n[weights]', 1)
        manifest.write_text(text)
        sign_manifest(folder)
        return folder

    return make


def test_a_ladder_goes_from_rung_to_rung_beside_the_pack(write: Callable[..., Path]) -> None:
    write("middle", "small")
    write("small")
    rungs = find_ladder(read_pack(write("large", "middle")))

    assert [rung.name for rung in rungs] == ["large", "middle", "small"]


def test_a_pack_without_a_smaller_one_is_its_own_ladder(write: Callable[..., Path]) -> None:
    pack = read_pack(write("alone"))

    assert find_ladder(pack) == (pack,)


def test_a_rung_that_is_not_beside_the_pack_comes_from_the_catalogue(
    write: Callable[..., Path],
) -> None:
    rungs = find_ladder(read_pack(write("mine", "person_small")))

    assert [rung.name for rung in rungs] == ["mine", "person_small"]


def test_a_ladder_in_a_circle_is_refused_with_its_way(write: Callable[..., Path]) -> None:
    write("two", "one")

    with pytest.raises(ModelError, match="never ends: one > two > one"):
        find_ladder(read_pack(write("one", "two")))


def test_a_pack_cannot_name_itself(write: Callable[..., Path]) -> None:
    with pytest.raises(PackRejected, match="smaller names the pack itself"):
        read_pack(write("one", "one"))


def test_a_rung_for_other_classes_is_refused_with_both_named(write: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="model pack mine: its smaller pack face is for") as told:
        find_ladder(read_pack(write("mine", "face")))
    assert "same task and classes" in str(told.value)


def test_a_rung_that_is_missing_is_told_with_who_wants_it(write: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="model pack mine: the smaller pack .* nowhere_to_be"):
        find_ladder(read_pack(write("mine", "nowhere_to_be")))


def test_the_shipped_ladder_of_people_has_two_rungs() -> None:
    assert [rung.name for rung in find_ladder(find_pack("person_large"))] == [
        "person_large",
        "person_small",
    ]
