"""The service and its surroundings: three cameras, a broker, a stick, each of which can go away."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from camera_app.models import TRUSTED_VARIABLE
from tools.edgetpu_sim.sticks import SimulatedStick, SimulatedSticks
from tools.faults.rig import make_pack
from tools.processes import REPOSITORY, Broker, Program, wait_for
from tools.service import Service

DEVICE = "soak"
RTSP_SERVER = REPOSITORY / "tests" / "servers" / "rtsp_server.py"
SYSTEM_PYTHON = Path("/usr/bin/python3")
LATENCY_MS = 7.0
SOURCE_NAME, STICK_NAME = "cam-", "tpu-"

# Limits so low that each is reached within minutes: what is kept must not grow after that.
CONFIG = """
device_id = "{device}"
[data]
folder = "{data}"
[mqtt]
host = "127.0.0.1"
port = {port}
status_interval_s = 2
[retention]
max_events = {max_events}
[inference]
model = "{pack}"
cpu_seats = 1
"""
CAMERA = """
[camera.{name}]
source = "{source}"
fps = {fps}
deadline_s = 3.0
[camera.{name}.events]
update_interval_s = 0.5
[camera.{name}.snapshots]
max_megabytes = 1
"""
MAX_EVENTS = 400


class RtspCamera(Program):
    """A camera that speaks RTSP, if this machine has what that needs."""

    def __init__(self, folder: Path) -> None:
        super().__init__([str(SYSTEM_PYTHON), str(RTSP_SERVER)], folder / "rtsp.log")

    @staticmethod
    def is_possible() -> bool:
        probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
        command = [str(SYSTEM_PYTHON), "-c", probe]
        return SYSTEM_PYTHON.exists() and not subprocess.call(command, stderr=subprocess.DEVNULL)

    def start(self) -> None:
        super().start()
        wait_for("the RTSP camera", lambda: "port " in self.text())

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.text().split('port ')[1].split()[0]}/live"


class WatchedService(Service):
    """The service and those of its children that may be killed."""

    def __init__(self, folder: Path, config: str, environment: dict[str, str]) -> None:
        settings = folder / "camera.toml"
        settings.write_text(config)
        super().__init__(settings, folder / "service.log", environment)

    def children(self, beginning: str) -> list[psutil.Process]:
        """Return the processes below it whose names begin so."""
        found = []
        for child in psutil.Process(self.pid).children(recursive=True):
            try:
                if child.name().startswith(beginning) and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
            except psutil.Error:  # it has ended since
                continue
        return found

    def stop_in_order(self) -> int:
        """Ask it to end; return its exit code."""
        process = self._process
        assert process is not None
        self.stop()
        return process.returncode


class Rig:
    """All of it. Used as a context manager.

    Args:
        folder: For everything that is written.
        clips: Films in which somebody comes and goes; the cameras play them in turn.
    """

    def __init__(self, folder: Path, clips: Sequence[Path]) -> None:
        self.folder, self._clips = folder, list(clips)
        self.data = folder / "data"
        self.heard = folder / "heard.jsonl"
        self._stack = ExitStack()
        self._sticks = SimulatedSticks(folder / "sticks", latency_ms=LATENCY_MS)
        self.cameras: dict[str, str] = {}
        self.broker = Broker(folder / "broker")
        self.service: WatchedService

    @property
    def stick(self) -> SimulatedStick:
        return self._sticks["usb0"]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._sticks)
            stack.callback(self.broker.kill)
            self.broker.start()
            self.cameras = self._sources(stack)
            pack, key = make_pack(self.folder)
            environment = {**self._sticks.environment(), TRUSTED_VARIABLE: key}
            self.service = WatchedService(self.folder, self._config(pack), environment)
            stack.callback(self.service.kill)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _sources(self, stack: ExitStack) -> dict[str, str]:
        films = [f"{self._clips[number % len(self._clips)]}?loop=1" for number in range(3)]
        sources = dict(zip(("door", "yard", "lane"), films, strict=True))
        if RtspCamera.is_possible():
            camera = RtspCamera(self.folder)
            stack.callback(camera.kill)
            camera.start()
            sources["lane"] = camera.url
        return sources

    def _config(self, pack: Path) -> str:
        head = CONFIG.format(
            device=DEVICE, data=self.data, port=self.broker.port, max_events=MAX_EVENTS, pack=pack
        )
        cameras = [
            CAMERA.format(name=name, source=source, fps=fps)
            for (name, source), fps in zip(self.cameras.items(), (5, 4, 5), strict=True)
        ]
        return "".join([head, *cameras])
