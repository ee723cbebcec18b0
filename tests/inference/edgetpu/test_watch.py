from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from camera_app.inference.edgetpu.places import Place
from camera_app.inference.edgetpu.watch import PlaceWatch
from tools.edgetpu_sim.system_root import Showing, UsbFiles, make_root

LIMIT_S = 20.0


class Told:
    """What the watch said, in order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.names: list[list[str]] = []

    def __call__(self, places: tuple[Place, ...]) -> None:
        with self._changed:
            self.names.append([place.name for place in places])
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[list[str]]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.names) >= count, LIMIT_S)
            return self.names


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_root(tmp_path)
    return tmp_path


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def watch(root: Path, told: Told) -> Iterator[PlaceWatch]:
    watch = PlaceWatch(told, every_s=0.002, root=root)
    watch.start()
    yield watch
    watch.stop()


def show(root: Path, device_number: int) -> UsbFiles:
    files = UsbFiles(root, "1-1")
    files.show(Showing(device_number, is_loaded=True, speed_mbit=5000))
    return files


@pytest.mark.usefixtures("watch")
def test_a_stick_is_noticed_when_it_comes_and_when_it_goes(root: Path, told: Told) -> None:
    assert told.wait_for(1) == [[]]
    files = show(root, 4)
    told.wait_for(2)
    files.hide()
    assert told.wait_for(3) == [[], ["usb:1-1"], []]


def test_one_that_was_pulled_and_put_back_between_two_looks_is_noticed(
    root: Path, told: Told
) -> None:
    show(root, 4)
    watch = PlaceWatch(told, every_s=0.0, root=root)
    watch.run_once()
    watch.run_once()
    show(root, 5)
    watch.run_once()
    assert told.names == [["usb:1-1"], ["usb:1-1"]]
