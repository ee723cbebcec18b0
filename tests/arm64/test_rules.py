"""What an image must not have or lack: one thing is made wrong at a time."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from tests.arm64.conftest import program
from tools.arm64.build import Image
from tools.arm64.dockerfile import User
from tools.arm64.rules import LABELS, broken_rules


def test_a_good_image_breaks_no_rule(image: Image) -> None:
    assert broken_rules(image) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"user": User(0, 0)}, "it runs as root"),
        ({"user": User(10001, 0)}, "it runs as root"),
        ({"health_check": None}, "it has no health check"),
        ({"entry_point": ()}, "it has no program"),
    ],
)
def test_how_it_is_run_is_checked(image: Image, change: dict[str, object], problem: str) -> None:
    assert broken_rules(replace(image, **change)) == [problem]  # type: ignore[arg-type]


def test_each_label_is_asked_for(image: Image) -> None:
    broken = broken_rules(replace(image, labels={}))

    assert [line.removeprefix("it has no label org.opencontainers.image.") for line in broken] == [
        *LABELS
    ]


@pytest.mark.parametrize(
    "name",
    ["gcc", "gcc-12", "aarch64-linux-gnu-gcc-12", "cc", "c++", "ld", "as", "strip", "make"],
)
def test_a_program_that_builds_is_found(image: Image, name: str) -> None:
    program(image.root, name)

    assert broken_rules(image) == [f"/usr/bin/{name}: a program that it should not have"]


@pytest.mark.parametrize(
    "name",
    ["apt-get", "dpkg", "pip", "pip3", "pip3.11", "sh", "dash", "perl", "perl5.36.0", "su"],
)
def test_a_program_that_installs_or_leads_further_is_found(image: Image, name: str) -> None:
    program(image.root, name)

    assert broken_rules(image) == [f"/usr/bin/{name}: a program that it should not have"]


@pytest.mark.parametrize("name", ["python3", "camera-app", "ash.py", "assemble", "ldconfig"])
def test_other_programs_are_not(image: Image, name: str) -> None:
    program(image.root, name)

    assert broken_rules(image) == []


def test_a_file_of_such_a_name_that_is_no_program_is_not(image: Image) -> None:
    program(image.root, "make", mode=0o644)

    assert broken_rules(image) == []


@pytest.mark.parametrize(
    ("mode", "problem"),
    [(0o4755, "runs with its owner's rights"), (0o666, "everybody may write it")],
)
def test_a_mode_that_gives_too_much_is_found(image: Image, mode: int, problem: str) -> None:
    program(image.root, "thing", mode)

    assert broken_rules(image) == [f"/usr/bin/thing: {problem}"]


def test_a_library_that_a_raspberry_pi_5_cannot_load_is_found(image: Image) -> None:
    header = struct.pack("<4s28xQ14xHH4x", b"\x7fELF", 64, 56, 1)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 9, 9, 4096)
    (image.root / "usr/lib/a.so").write_bytes(header.ljust(64, b"\0") + segment)

    assert broken_rules(image) == ["/usr/lib/a.so: cannot be loaded on a Raspberry Pi 5"]
