"""Files of a root folder, seen from outside: no link of it leads out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools.arm64.errors import ProofFailed
from tools.arm64.files import copy_into, copy_root, placed, weigh

ME = (os.geteuid(), os.getegid())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "outside").symlink_to("/etc")
    (root / "usr/out").symlink_to("/etc")
    (root / "up").symlink_to("../../etc")
    (root / "round").symlink_to("round")
    return root


@pytest.mark.parametrize(
    ("place", "where"),
    [
        ("/usr/lib/a.so", "usr/lib/a.so"),
        ("/lib/a.so", "usr/lib/a.so"),
        ("/outside/passwd", "etc/passwd"),  # of the root, not of this machine
        ("/usr/out/passwd", "etc/passwd"),
        ("/up/passwd", "etc/passwd"),
        ("/usr/../lib", "usr/lib"),
        ("/../../x", "x"),
        ("/", "."),
    ],
)
def test_a_place_stays_inside_the_root(root: Path, place: str, where: str) -> None:
    assert placed(root, place) == root / where


def test_links_that_never_end_are_an_error(root: Path) -> None:
    with pytest.raises(ProofFailed, match="never end"):
        placed(root, "/round/x")


def test_of_a_folder_the_contents_are_copied_and_of_a_file_itself(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "inner").mkdir(parents=True)
    (source / "inner/a").write_text("a")
    (source / "b").symlink_to("inner/a")

    assert copy_into(source, target, ME, into_folder=True) == 2
    assert (target / "inner/a").read_text() == "a"
    assert (target / "b").readlink() == Path("inner/a")
    copy_into(source / "inner/a", target / "c", ME, into_folder=False)
    copy_into(source / "inner/a", target / "folder", ME, into_folder=True)
    assert (target / "c").read_text() == (target / "folder/a").read_text() == "a"


def test_a_folder_keeps_its_mode_and_one_that_is_there_already_too(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "new").mkdir(parents=True, mode=0o755)
    (source / "new").chmod(0o700)
    (source / "old").mkdir(mode=0o700)
    (target / "old").mkdir(parents=True, mode=0o755)
    copy_into(source, target, ME, into_folder=True)

    assert (target / "new").stat().st_mode & 0o777 == 0o700
    assert (target / "old").stat().st_mode & 0o777 == 0o755


def test_what_is_not_wanted_stays_and_so_do_folders_of_nothing_else(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "cache").mkdir(parents=True)
    (source / "cache/a.pyc").touch()
    (source / "a.py").touch()
    copied = copy_into(
        source, target, ME, into_folder=True, is_wanted=lambda path: path.suffix == ".py"
    )

    assert copied == 1
    assert [path.name for path in target.rglob("*")] == ["a.py"]


def test_what_is_not_there_cannot_be_copied(tmp_path: Path) -> None:
    with pytest.raises(ProofFailed, match="is not there"):
        copy_into(tmp_path / "none", tmp_path / "target", ME, into_folder=False)


def test_a_whole_root_is_copied_anew(root: Path, tmp_path: Path) -> None:
    (root / "usr/lib/a").write_text("a")
    target = tmp_path / "copy"
    (target / "old").mkdir(parents=True)
    copy_root(root, target)

    assert sorted(path.name for path in target.iterdir()) == [
        "lib",
        "outside",
        "round",
        "up",
        "usr",
    ]
    assert (target / "lib/a").read_text() == "a"
    assert (target / "outside").readlink() == Path("/etc")


def test_a_file_of_two_names_weighs_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 5000)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to("a")
    weight = weigh(tmp_path)

    assert (weight.content_bytes, weight.files) == (5000 + 1, 2)  # a link weighs its text
    assert weight.disk_bytes >= 5000
