"""Which images end `python -m tools.arm64` with an error: one thing is made wrong at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.arm64.conftest import program
from tools.arm64.__main__ import concluded
from tools.arm64.build import Image
from tools.arm64.dockerfile import User
from tools.arm64.report import report_of
from tools.arm64.rules import MOST_BYTES

PACKAGES = "opt/camera-app/lib/python3.11/site-packages"


def conclusion_of(image: Image, folder: Path) -> int:
    (image.root / PACKAGES).mkdir(parents=True)
    return concluded(report_of(image, image.root, []), folder)


def compiler_left(image: Image) -> Image:
    program(image.root, "gcc-12")
    return image


def too_large(image: Image) -> Image:
    with (image.root / "usr/lib/large").open("wb") as file:
        os.truncate(file.fileno(), MOST_BYTES)  # a hole: it is as long, and takes no disk
    return image


def test_a_good_image_ends_it_well(
    image: Image, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert conclusion_of(image, tmp_path_factory.mktemp("cache")) == 0
    assert "wrong" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda image: replace(image, user=User(0, 0)), "it runs as root"),
        (compiler_left, "/usr/bin/gcc-12: a program that it should not have"),
        (too_large, "the image is too large"),
        (lambda image: replace(image, labels={}), "it has no label"),
    ],
)
def test_a_broken_rule_ends_it_with_an_error_and_is_named(
    image: Image,
    spoil: Callable[[Image], Image],
    said: str,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert conclusion_of(spoil(image), tmp_path_factory.mktemp("cache")) == 1
    assert f"arm64: wrong: {said}" in capsys.readouterr().err
