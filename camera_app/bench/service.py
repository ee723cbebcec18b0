"""What the service costs and how fast it tells: start, memory, a still scene, latency.

The service is started as an owner starts it: with a film that shows somebody from its first
pictures (start, memory), with a still scene of 768x432 at ten frames a second, and with several
cameras that are busy (`latency.py`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import PictureType

from camera_app.bench.bare_watch import BareWatch
from camera_app.bench.latency import LoadedLatency, bench_latency
from camera_app.bench.processes import alone_bytes, pss_mb
from camera_app.bench.running import RunningService, Wishes
from camera_app.errors import SourceUnsupported
from camera_app.kernel import tree

DEVICE = "bench"
STILL_FPS, STILL_WIDTH, STILL_HEIGHT, STILL_S = 10, 768, 432, 60
SETTLE_S = 10.0  # past the start and the first looks

CONFIG = """
device_id = "{device}"
[data]
folder = "{data}"
[inference]
model = "{model}"
[mqtt]
host = "{host}"
port = {port}
"""
CAMERA = """
[camera.{name}]
source = "{source}?loop=1"
fps = {fps}
"""


@dataclass(frozen=True, slots=True)
class ServiceBench:
    """The figures of one run.

    Attributes:
        start_s: From the call of `run` to the first object seen.
        pss_mb: Memory of all processes after `memory_after_s` with one camera.
        alone_mb: The same if nobody else on the machine had their libraries open, as we have.
        memory_after_s: From the first object seen.
        idle_cpu_s_per_minute: Processor time of all processes for a minute of a still scene.
        bare_cpu_s_per_minute: The same of one loop that decodes it and looks for motion, measured
            beside them.
        latency: To a subscriber.
        seconds: Length of each other measurement.
        cameras: For the latency.
        model: The pack that looked.
    """

    start_s: float
    pss_mb: float
    alone_mb: float
    memory_after_s: float
    idle_cpu_s_per_minute: float
    bare_cpu_s_per_minute: float
    latency: LoadedLatency
    seconds: float
    cameras: int
    model: str

    def record(self) -> dict[str, object]:
        """Return the figures as plain JSON values."""
        return asdict(self)


def bench_service(wishes: Wishes, progress: Callable[[str], None]) -> ServiceBench:
    """Measure, one after the other.

    Raises:
        UsageError: There is nobody to be seen in the film, or the service ends by itself.
        SourceUnsupported: The film cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="camera-app-bench-") as folder:
        desk = _Desk(Path(folder), wishes)
        progress("start and memory")
        start_s, memory = desk.start_and_memory()
        progress("a still scene")
        idle, bare = desk.idle()
    progress("latency")
    latency = bench_latency(wishes, progress)
    return ServiceBench(
        start_s=round(start_s, 2),
        pss_mb=round(memory.pss_mb, 1),
        alone_mb=round(memory.alone_mb, 1),
        memory_after_s=wishes.memory_after_s,
        idle_cpu_s_per_minute=round(idle, 3),
        bare_cpu_s_per_minute=round(bare, 3),
        latency=latency,
        seconds=wishes.seconds,
        cameras=wishes.cameras,
        model=wishes.model,
    )


@dataclass(frozen=True, slots=True)
class _Memory:
    """As in `ServiceBench`."""

    pss_mb: float
    alone_mb: float


class _Desk:
    """The service on this machine, with what it needs around it."""

    def __init__(self, folder: Path, wishes: Wishes) -> None:
        self._folder, self._wishes = folder, wishes
        self._runs = 0

    def start_and_memory(self) -> tuple[float, _Memory]:
        """Return seconds to the first object seen, and the memory after a while."""
        config = self._config({"porch": self._wishes.clip})
        began_s = time.monotonic()
        with RunningService(config) as service:
            service.wait_seen()
            start_s = time.monotonic() - began_s
            service.run_on(self._wishes.memory_after_s)
            return start_s, _Memory(pss_mb(service.pid), alone_bytes(tree(service.pid)) / 1e6)

    def idle(self) -> tuple[float, float]:
        """Return processor seconds a minute: of all processes, and of a bare loop beside them."""
        still, seconds = self._folder / "still.mp4", self._wishes.seconds
        write_still(self._wishes.clip, still)
        service = RunningService(self._config({"porch": still}))
        with service, BareWatch(still, SETTLE_S, seconds) as bare:
            service.run_on(SETTLE_S)
            used_s, lasted_s = service.used_s(seconds)
            return used_s * 60 / lasted_s, bare.cpu_s_per_minute()

    def _config(
        self,
        sources: Mapping[str, Path],
        *,
        fps: float = STILL_FPS,
    ) -> Path:
        self._runs += 1
        wishes, data = self._wishes, self._folder / f"data{self._runs}"
        head = CONFIG.format(
            device=DEVICE,
            data=data,
            model=wishes.model,
            host=wishes.host,
            port=wishes.port,
        )
        cameras = [
            CAMERA.format(name=name, source=source.resolve(), fps=fps)
            for name, source in sources.items()
        ]
        path = self._folder / f"camera{self._runs}.toml"
        path.write_text("".join([head, *cameras]), encoding="utf-8")
        return path


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
