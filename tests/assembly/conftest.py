"""What the tests of the assembly share: a whole camera that is led elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from camera_app.app import App
from camera_app.capture import SourceStats
from camera_app.config import Config, parse_config
from camera_app.pipeline import CameraStats
from tests.control.conftest import broker, owner
from tests.waiting import wait_until


class Rig:
    """One service in this process, with what a test asks of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.app: App | None = None

    def config(self, cameras: str, more: str = "") -> Config:
        text = f"""
        device_id = "cam1"
        {"" if "[mqtt]" in more else "mqtt.enabled = false"}
        [data]
        folder = "{self.folder / "data"}"
        [inference]
        model = "person_small"
        cpu_seats = 1
        edgetpu = "off"
        {more}
        {cameras}
        """
        return parse_config(text)

    def start(self, cameras: str, more: str = "") -> App:
        self.app = App(self.config(cameras, more))
        self.app.start()
        return self.app

    @property
    def running(self) -> App:
        assert self.app is not None
        return self.app

    def source(self, camera: str) -> SourceStats:
        return self.running.figures().cameras[camera].source

    def watch(self, camera: str) -> CameraStats:
        return self.running.figures().cameras[camera].watch

    def wait_looking(self, camera: str) -> None:
        """Wait until one more frame of a camera is looked at."""
        before = self.watch(camera).counts.looked_at
        assert wait_until(lambda: self.watch(camera).counts.looked_at > before), self.source(camera)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    if made.app is not None:
        made.app.stop()


def child_of(camera: str) -> int:
    """Return the process id of a camera's source child."""
    (pid,) = _children_of(camera)
    return pid


def has_child(camera: str) -> bool:
    return bool(_children_of(camera))


def _children_of(camera: str) -> list[int]:
    tasks = Path("/proc/self/task")
    children = {int(pid) for task in tasks.iterdir() for pid in _read(task / "children").split()}
    name = f"cam-{camera}".encode()
    return [pid for pid in children if name in _read(Path(f"/proc/{pid}/cmdline")).split(b"\0")]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def camera(name: str, more: str = "", source: str = "synthetic:") -> str:
    return f'\n[camera.{name}]\nsource = "{source}"\nmotion.enabled = false\nfps = 15\n{more}\n'


__all__ = ["Rig", "broker", "camera", "owner", "wait_until"]  # fixtures of the control too
