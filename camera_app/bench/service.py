"""What the service costs and how fast it tells: start, memory, a still scene, latency.

The service is started as an owner starts it, three times: with a film that shows somebody from its
first pictures (start, memory), with a still scene of 768x432 at ten frames a second, and with
several cameras whose events are told many times a second (latency, from the capture of a frame to
a subscriber).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import paho.mqtt.client as paho
from av.video.frame import PictureType
from paho.mqtt.enums import CallbackAPIVersion

from camera_app.bench.processes import cpu_s, pss_mb
from camera_app.errors import SourceUnsupported, UsageError

DEVICE = "bench"
STILL_FPS, STILL_WIDTH, STILL_HEIGHT, STILL_S = 10, 768, 432, 60
FIRST_OBJECT = "sees its first object"
LIMIT_S = 60.0
SETTLE_S = 10.0  # past the start and the first looks
MS_PER_S = 1000.0

CONFIG = """
device_id = "{device}"
[data]
folder = "{data}"
[inference]
model = "{model}"
[mqtt]
host = "{host}"
port = {port}
{more}
"""
CAMERA = """
[camera.{name}]
source = "{source}?loop=1"
fps = {fps}
[camera.{name}.events]
update_interval_s = {update_s}
"""


@dataclass(frozen=True, slots=True)
class Latency:
    """How old a change of an event is at a subscriber.

    Attributes:
        messages: How many were heard.
        p50_ms: From the capture of its frame; half are younger.
        p99_ms: The same; all but one of a hundred are younger.
        look_p50_ms: The part of it until a look was concluded.
        busy_cores: Cores that the service kept busy meanwhile.
    """

    messages: int
    p50_ms: float
    p99_ms: float
    look_p50_ms: float
    busy_cores: float


@dataclass(frozen=True, slots=True)
class ServiceBench:
    """The figures of one run.

    Attributes:
        start_s: From the call of `run` to the first object seen.
        pss_mb: Memory of all processes after `seconds` with one camera.
        idle_cpu_s_per_minute: Processor time of all processes for a minute of a still scene.
        latency: To a subscriber.
        seconds: Length of each measurement.
        cameras: For the latency.
        model: The pack that looked.
    """

    start_s: float
    pss_mb: float
    idle_cpu_s_per_minute: float
    latency: Latency
    seconds: float
    cameras: int
    model: str

    def record(self) -> dict[str, object]:
        """Return the figures as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to measure with.

    Attributes:
        clip: A film that shows somebody from its first pictures.
        host: Of a broker.
        port: Of it.
        model: Name of a pack, or its folder.
        seconds: Length of each measurement.
        cameras: For the latency.
    """

    clip: Path
    host: str
    port: int
    model: str
    seconds: float = 60.0
    cameras: int = 4


def bench_service(wishes: Wishes, progress: Callable[[str], None]) -> ServiceBench:
    """Measure, one after the other.

    Raises:
        UsageError: There is nobody to be seen in the film, or the service ends by itself.
        SourceUnsupported: The film cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="camera-app-bench-") as folder:
        desk = _Desk(Path(folder), wishes)
        progress("start and memory")
        start_s, memory_mb = desk.start_and_memory()
        progress("a still scene")
        idle = desk.idle()
        progress("latency")
        latency = desk.latency()
    return ServiceBench(
        start_s=round(start_s, 2),
        pss_mb=round(memory_mb, 1),
        idle_cpu_s_per_minute=round(idle, 3),
        latency=latency,
        seconds=wishes.seconds,
        cameras=wishes.cameras,
        model=wishes.model,
    )


class _Desk:
    """The service on this machine, with what it needs around it."""

    def __init__(self, folder: Path, wishes: Wishes) -> None:
        self._folder, self._wishes = folder, wishes
        self._runs = 0

    def start_and_memory(self) -> tuple[float, float]:
        """Return seconds to the first object seen, and memory in MB after a while."""
        config = self._config({"porch": self._wishes.clip})
        began_s = time.monotonic()
        with _Service(config) as service:
            service.wait_seen()
            start_s = time.monotonic() - began_s
            service.run_on(self._wishes.seconds)
            return start_s, pss_mb(service.pid)

    def idle(self) -> float:
        """Return processor seconds a minute, of all processes."""
        still = self._folder / "still.mp4"
        write_still(self._wishes.clip, still)
        with _Service(self._config({"porch": still})) as service:
            service.run_on(SETTLE_S)
            used_s, lasted_s = service.used_s(self._wishes.seconds)
        return used_s * 60 / lasted_s

    def latency(self) -> Latency:
        """Return how old changes are at a subscriber while several cameras are busy."""
        sources = {f"c{number}": self._wishes.clip for number in range(self._wishes.cameras)}
        more = "status_interval_s = 2"
        config = self._config(sources, fps=30, update_s=0.05, more=more)
        with _Listener(self._wishes) as listener, _Service(config) as service:
            service.wait_seen()
            service.run_on(SETTLE_S)
            listener.begin()
            used_s, lasted_s = service.used_s(self._wishes.seconds)
            delays_ms, look_ms = listener.heard()
        return Latency(
            messages=len(delays_ms),
            p50_ms=round(_share_of(delays_ms, 0.50), 1),
            p99_ms=round(_share_of(delays_ms, 0.99), 1),
            look_p50_ms=round(look_ms, 1),
            busy_cores=round(used_s / lasted_s, 2),
        )

    def _config(
        self,
        sources: Mapping[str, Path],
        *,
        fps: float = STILL_FPS,
        update_s: float = 10.0,
        more: str = "",
    ) -> Path:
        self._runs += 1
        wishes, data = self._wishes, self._folder / f"data{self._runs}"
        head = CONFIG.format(
            device=DEVICE,
            data=data,
            model=wishes.model,
            host=wishes.host,
            port=wishes.port,
            more=more,
        )
        cameras = [
            CAMERA.format(name=name, source=source.resolve(), fps=fps, update_s=update_s)
            for name, source in sources.items()
        ]
        path = self._folder / f"camera{self._runs}.toml"
        path.write_text("".join([head, *cameras]), encoding="utf-8")
        return path


class _Service:
    """`camera-app run`, as long as the context lasts."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._heard = threading.Condition()  # guards the three below
        self._has_seen = False
        self._has_ended = False
        self._last_line = ""
        self._pause = threading.Event()

    def __enter__(self) -> Self:
        words = [sys.executable, "-m", "camera_app", "run", "--config", str(self._config)]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(LIMIT_S)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_seen(self) -> None:
        """Wait until it has seen its first object."""
        with self._heard:
            self._heard.wait_for(lambda: self._has_seen or self._has_ended, LIMIT_S)
            if not self._has_seen:
                raise UsageError(
                    f"nobody was seen within {LIMIT_S:.0f} s: {self._last_line}",
                    remedy="Give a film that shows somebody from its first pictures.",
                )

    def run_on(self, seconds: float) -> None:
        """Let it run for so long."""
        with self._heard:
            if self._heard.wait_for(lambda: self._has_ended, seconds):
                raise UsageError(f"the service ended: {self._last_line}")

    def used_s(self, seconds: float) -> tuple[float, float]:
        """Let it run; return the processor time that it took, and how long that was."""
        before_s, began_s = cpu_s(self.pid), time.monotonic()
        self.run_on(seconds)
        return cpu_s(self.pid) - before_s, time.monotonic() - began_s

    def _read(self) -> None:
        stream = self._process.stderr
        assert stream is not None, "it was asked for"
        with stream:
            for line in stream:
                with self._heard:
                    self._last_line = line.rstrip()
                    self._has_seen |= FIRST_OBJECT in line
                    self._heard.notify_all()
        with self._heard:
            self._has_ended = True
            self._heard.notify_all()


class _Listener:
    """A subscriber that notes how old each fresh change is when it comes."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._changed = threading.Lock()  # guards the two below
        self._delays_ms: list[float] = []
        self._status: dict[str, Any] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "camera-app-bench")
        self._client.on_connect = self._subscribe
        self._client.on_message = self._take

    def __enter__(self) -> Self:
        self._client.connect(self._wishes.host, self._wishes.port)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def begin(self) -> None:
        """Forget what came so far."""
        with self._changed:
            self._delays_ms.clear()

    def heard(self) -> tuple[list[float], float]:
        """Return the delays, shortest first, and the median of a look's, as the service says."""
        with self._changed:
            if not self._delays_ms or not self._status:
                raise UsageError("no change of an event was heard")
            looks_ms = [one["latency_p50_ms"] or 0.0 for one in self._status["cameras"].values()]
            return sorted(self._delays_ms), _share_of(sorted(looks_ms), 0.5)

    def _subscribe(self, client: paho.Client, *_: object) -> None:
        root = f"camera_app/{DEVICE}"
        client.subscribe([(f"{root}/+/now", 0), (f"{root}/status", 0)])

    def _take(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        now_s = time.time()
        content = json.loads(message.payload)
        with self._changed:
            if message.topic.endswith("/status"):
                self._status = content
            else:
                captured_s = datetime.fromisoformat(content["at"]).timestamp()
                self._delays_ms.append((now_s - captured_s) * MS_PER_S)


def _share_of(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def write_still(clip: Path, target: Path) -> None:
    """Write a film of a clip's first picture, over and over, as a camera would send it.

    Raises:
        SourceUnsupported: The clip cannot be read.
    """
    try:
        with av.open(str(clip)) as source:
            first = next(source.decode(video=0))
    except (av.FFmpegError, OSError, StopIteration, IndexError) as error:
        raise SourceUnsupported("is no film that can be read", where=str(clip)) from error
    picture = first.reformat(STILL_WIDTH, STILL_HEIGHT, "yuv420p")
    with _film(target) as (film, stream):
        picture.pict_type = PictureType.NONE  # the source's says: a key frame, each of them
        for number in range(STILL_S * STILL_FPS):
            picture.pts, picture.time_base = number, Fraction(1, STILL_FPS)
            film.mux(stream.encode(picture))
        film.mux(stream.encode())


@contextmanager
def _film(path: Path) -> Iterator[tuple[av.container.OutputContainer, av.VideoStream]]:
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=STILL_FPS)
        assert isinstance(stream, av.VideoStream), "x264 makes video"
        stream.width, stream.height, stream.pix_fmt = STILL_WIDTH, STILL_HEIGHT, "yuv420p"
        stream.options = {"crf": "23"}  # without it a still scene is filled up to a bit rate
        yield film, stream
