"""What the service costs and how fast it tells: start, memory, an idle scene, latency.

    python tools/bench/service.py [--seconds 60] [--cameras 6] [--json]

Needs mosquitto and the shared clips. Starts `camera-app run` as a process of its own, three times:
once with a clip that shows a person from its first frame (start, memory), once with a still scene
of 768x432 at 10 frames a second (idle), once with several cameras whose events are told many times
a second (latency, from the capture of a frame to a subscriber).
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import paho.mqtt.client as paho
import psutil
from av.video.frame import PictureType
from paho.mqtt.enums import CallbackAPIVersion

CAMERA_APP = Path(sys.executable).parent / "camera-app"
SHARED = Path(__file__).resolve().parents[3] / "shared"
STILL_FPS = 10
FIRST_OBJECT = "sees its first object"
LIMIT_S = 60.0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each measurement")
    parser.add_argument("--cameras", type=int, default=6, help="for the latency; default: 6")
    parser.add_argument("--model", default="person_large")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, broker() as port:
        desk = Desk(Path(folder), port, arguments.model, arguments.seconds)
        figures = {**desk.start_and_memory(), **desk.idle(), **desk.latency(arguments.cameras)}
    if arguments.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:32} {value}")
    return 0


class Desk:
    """The service on this machine, with what it needs around it."""

    def __init__(self, folder: Path, port: int, model: str, span_s: float) -> None:
        self._folder = folder
        self._port = port
        self._model = model
        self._span_s = span_s

    def start_and_memory(self) -> dict[str, float]:
        """From `run` to the first object seen, and PSS of all processes after a while."""
        clip = SHARED / "clips" / "signers" / "book.mkv"
        config = self._config({"porch": f"{clip}?loop=1"})
        began_s = time.monotonic()
        with service(config) as (process, seen):
            assert seen.wait(LIMIT_S), "no object was seen"
            start_s = time.monotonic() - began_s
            time.sleep(self._span_s)
            pss = sum(one.memory_full_info().pss for one in tree(process))
        return {"start_s": round(start_s, 2), "pss_mb": round(pss / 1e6, 1)}

    def idle(self) -> dict[str, float]:
        """Processor seconds a minute, all processes, of a scene in which nothing moves."""
        clip = self._folder / "still.mp4"
        write_still(clip, seconds=60)
        config = self._config({"porch": f"{clip}?loop=1"})
        with service(config) as (process, _):
            time.sleep(10)  # past the start and the first looks
            before, began_s = cpu_s(process), time.monotonic()
            time.sleep(self._span_s)
            used, lasted_s = cpu_s(process) - before, time.monotonic() - began_s
        return {"idle_cpu_s_per_minute": round(used * 60 / lasted_s, 3)}

    def latency(self, cameras: int) -> dict[str, float]:
        """Milliseconds from capture to a subscriber, and how busy the machine was meanwhile."""
        clips = sorted((SHARED / "clips" / "signers").glob("*.mkv"))
        sources = {f"c{n}": f"{clips[n % len(clips)]}?loop=1" for n in range(cameras)}
        config = self._config(sources, fps=30, extra="update_interval_s = 0.05")
        with Listener(self._port) as listener, service(config) as (process, seen):
            assert seen.wait(LIMIT_S), "no object was seen"
            time.sleep(5)
            listener.delays_ms.clear()
            before, began_s = cpu_s(process), time.monotonic()
            time.sleep(self._span_s)
            load = (cpu_s(process) - before) / (time.monotonic() - began_s)
            delays_ms, status = sorted(listener.delays_ms), listener.status
        looks_ms = [camera["latency_p50_ms"] for camera in status["cameras"].values()]
        return {
            "latency_messages": len(delays_ms),
            "latency_p50_ms": round(delays_ms[len(delays_ms) // 2], 1),
            "latency_p99_ms": round(delays_ms[int(len(delays_ms) * 0.99)], 1),
            "of_which_look_p50_ms": round(sorted(looks_ms)[len(looks_ms) // 2], 1),
            "busy_cores": round(load, 2),
        }

    def _config(self, sources: dict[str, str], fps: float = 10, extra: str = "") -> Path:
        path = self._folder / "camera.toml"
        data = self._folder / f"data-{time.monotonic_ns()}"
        cameras = "\n".join(
            f'[camera.{name}]\nsource = "{source}"\nfps = {fps}\n[camera.{name}.events]\n{extra}'
            for name, source in sources.items()
        )
        path.write_text(
            f'device_id = "bench"\n[data]\nfolder = "{data}"\n'
            f'[inference]\nmodel = "{self._model}"\n[mqtt]\nhost = "127.0.0.1"\n'
            f"port = {self._port}\nstatus_interval_s = 5\n{cameras}\n"
        )
        return path


class Listener:
    """A subscriber that notes how old each fresh change is when it comes."""

    def __init__(self, port: int) -> None:
        self.delays_ms: list[float] = []
        self.status: dict[str, dict[str, dict[str, float]]] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "bench-listener")
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([("camera_app/bench/+/now", 1), ("camera_app/bench/status", 1)])

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        now_s = time.time()
        content = json.loads(message.payload)
        if message.topic.endswith("/status"):
            self.status = content
            return
        captured_s = datetime.fromisoformat(content["at"]).timestamp()
        self.delays_ms.append((now_s - captured_s) * 1000)


@contextmanager
def service(config: Path) -> Iterator[tuple[subprocess.Popen[str], threading.Event]]:
    """Run the service; the event is set when it has seen its first object."""
    seen = threading.Event()
    words = [str(CAMERA_APP), "run", "--config", str(config)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def read() -> None:
        for line in process.stderr or ():
            if FIRST_OBJECT in line:
                seen.set()

    threading.Thread(target=read, daemon=True).start()
    try:
        yield process, seen
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_S)


@contextmanager
def broker() -> Iterator[int]:
    """Run mosquitto on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    process = subprocess.Popen([program, "-p", str(port)], stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield port
    finally:
        process.terminate()
        process.wait(LIMIT_S)


def tree(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the process and all its children."""
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def cpu_s(process: subprocess.Popen[str]) -> float:
    """Return the processor time that the process and its children have used."""
    return float(sum(one.cpu_times().user + one.cpu_times().system for one in tree(process)))


def write_still(path: Path, *, seconds: int) -> None:
    """Write a film of one picture of the shared clip, over and over, as a camera encodes it."""
    with av.open(str(SHARED / "clips" / "one_by_one_person.mp4")) as source:
        picture = next(source.decode(video=0))
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=STILL_FPS)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
        stream.options = {"crf": "23"}  # without it a still scene is filled up to a bit rate
        picture.pict_type = PictureType.NONE  # the source's says: a key frame, each of them
        for number in range(seconds * STILL_FPS):
            picture.pts, picture.time_base = number, Fraction(1, STILL_FPS)
            film.mux(stream.encode(picture))
        film.mux(stream.encode())


if __name__ == "__main__":
    sys.exit(main())
