"""How late a change of an event is at a subscriber, beyond its network, and where the time goes.

Several cameras show a film without a motion gate, at a rate at which the service takes a set share
of all the processor time that the machine has: what it could do at most is a rate with 1.0. The
service writes when each step of a frame and of a change ended into its log, at `debug`, once the
step is over; a subscriber notes when it hears the change. All clocks are one: the monotonic one of
this machine. A capture is stamped when its picture is decoded.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from camera_app.bench.films import write_paced
from camera_app.bench.processes import cpu_s, machine_busy_s
from camera_app.bench.running import RunningService, Wishes
from camera_app.clock import seconds
from camera_app.errors import UsageError
from camera_app.histogram import percentile
from camera_app.scheduling.cpu import MOST_SEATS_BY_DEFAULT

DEVICE = "bench"
CORES = os.cpu_count() or 1
SETTLE_S = 5.0  # past the start and the first looks
TRIAL_S = 10.0  # for which the load is looked at before it is measured with
GUESS_FPS = 5.0  # of one camera, to find out what a frame takes
MOST_FPS = 100.0
ATTEMPTS = 5
NEAR = 0.04  # of the load that was asked for
# Each camera is a little faster than the last, so that their frames meet in every way.
SPREAD = 0.06
NS_PER_MS = 1e6

CONFIG = """
device_id = "{device}"
[data]
folder = "{data}"
[log]
level = "debug"
format = "human"
[inference]
model = "{model}"
cpu_seats = {seats}
edgetpu = "off"
smaller_models = false
[mqtt]
host = "{host}"
port = {port}
"""
CAMERA = """
[camera.{name}]
source = "{source}?loop=1"
fps = 120
[camera.{name}.motion]
enabled = false
[camera.{name}.events]
update_interval_s = 0.2
"""

# What happens between the moments of a change, in this order.
STAGES = (
    "hand_over",  # from capture until the camera's thread has it
    "plan",  # where to look
    "seat",  # until a seat of the CPU takes it up
    "tensor",
    "network",
    "boxes",
    "answer",  # until the camera's thread goes on with it
    "follow",  # tracks and events
    "writer",  # until the thread that writes takes it up
    "commit",  # until it is on the disk
    "publish",  # until the subscriber has it
)
NETWORK = STAGES.index("network")

_NUMBERS = r"([\d, ]+)$"
_SEEN = re.compile(rf"camera (\S+): frame of (\d+) seen at \d+; its steps ended at {_NUMBERS}")
_LOOKED = re.compile(
    rf"camera (\S+): frame of (\d+) on the CPU; its steps began and ended at {_NUMBERS}"
)
_WRITTEN = re.compile(
    r"camera (\S+): change (\d+) is on the disk; that began at (\d+) and ended at (\d+)"
)


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something takes: half of it is quicker than `p50_ms`, all but 1 % than `p99_ms`."""

    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class LoadedLatency:
    """How late changes are at a subscriber.

    Attributes:
        changes: How many were heard, and their frames and commits found in the log.
        unmatched: How many were heard of which that is not so.
        above_network: From capture, stamped once decoded, to the subscriber, less the network.
        whole: The same with the network.
        stages: Where the time goes, by the names of `STAGES`.
        load: Share of the machine's processor time that the service took.
        seats: Of the CPU.
        seats_load: Share of their time that they were busy.
        fps: Of each camera, on average.
        looked_at_share: Of the frames that came.
        other_load: Share of the machine's processor time that everything else took.
    """

    changes: int
    unmatched: int
    above_network: Spread
    whole: Spread
    stages: Mapping[str, Spread]
    load: float
    seats: int
    seats_load: float
    fps: float
    looked_at_share: float
    other_load: float


def bench_latency(wishes: Wishes, progress: Callable[[str], None]) -> LoadedLatency:
    """Measure, at a rate of frames that is found first.

    Raises:
        UsageError: There is nobody to be seen in the film, or the service ends by itself.
        SourceUnsupported: The film cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="camera-app-bench-") as folder:
        return _Desk(Path(folder), wishes, progress).measure()


@dataclass(frozen=True, slots=True)
class Heard:
    """One change at the subscriber: its camera and number, its frame, and when it came."""

    camera: str
    seq: int
    captured_s: float  # monotonic, to the millisecond
    at_ns: int


class ServiceLog:
    """The moments that the service tells of, nanoseconds of the monotonic clock."""

    def __init__(self) -> None:
        # Appended to by the thread that reads the log; read once that has nothing more to read,
        # or as far as it is.
        self._lines: list[str] = []

    def take(self, line: str) -> None:
        """Note a line, if it tells of moments; it is taken apart later, to cost nothing now."""
        if "its steps" in line or "is on the disk" in line:
            self._lines.append(line)

    def looks(self, from_ns: int, until_ns: int) -> list[tuple[int, int]]:
        """Return when each look that was begun in that time began and ended."""
        found = _matches(_LOOKED, self._lines[:])
        moments = [_numbers(one[3]) for one in found]
        return [(one[0], one[-1]) for one in moments if from_ns <= one[0] < until_ns]

    def frames(self) -> dict[tuple[str, float], list[int]]:
        """Return the moments of each frame until its events were made, by camera and capture."""
        looks = {(one[1], one[2]): _numbers(one[3]) for one in _matches(_LOOKED, self._lines[:])}
        frames = {}
        for seen in _matches(_SEEN, self._lines[:]):
            look = looks.get((seen[1], seen[2]))
            if look is not None:
                taken, planned, answered, followed, _ = _numbers(seen[3])
                captured_ns = int(seen[2])
                moments = [captured_ns, taken, planned, *look, answered, followed]
                frames[seen[1], round(seconds(captured_ns), 3)] = moments
        return frames

    def commits(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Return when the commit of each change began and ended, by camera and number."""
        found = _matches(_WRITTEN, self._lines[:])
        return {(one[1], int(one[2])): (int(one[3]), int(one[4])) for one in found}


def moments_of(heard: Iterable[Heard], log: ServiceLog) -> list[list[int]]:
    """Return the moments between the stages of each change whose moments are all known."""
    frames, commits = log.frames(), log.commits()
    found = []
    for one in heard:
        frame = frames.get((one.camera, one.captured_s))
        commit = commits.get((one.camera, one.seq))
        if frame is not None and commit is not None:
            found.append([*frame, *commit, one.at_ns])
    return found


def spread_of(spans_ns: Iterable[int]) -> Spread:
    """Return how spans spread."""
    ordered = sorted(spans_ns)
    return Spread(_share_ms(ordered, 0.50), _share_ms(ordered, 0.99))


class _Desk:
    """The service on this machine, with what it needs around it."""

    def __init__(self, folder: Path, wishes: Wishes, progress: Callable[[str], None]) -> None:
        self._folder, self._wishes, self._progress = folder, wishes, progress
        self._seats = min(CORES, MOST_SEATS_BY_DEFAULT)
        self._runs = 0

    def measure(self) -> LoadedLatency:
        wanted, cameras = self._wishes.load, self._wishes.cameras
        fps = min(MOST_FPS, wanted * CORES / (self._frame_cpu_s() * cameras))
        for attempts_left in reversed(range(ATTEMPTS)):
            self._progress(f"{cameras} cameras at {fps:.1f} frames a second")
            with _Scene(self._wishes, self._config(cameras, fps), self._seats) as scene:
                load = scene.load()
                is_near = abs(load - wanted) <= NEAR or fps >= MOST_FPS
                if is_near or not attempts_left:
                    return scene.latency(fps)
            fps = min(MOST_FPS, fps * wanted / max(load, 0.01))
        raise AssertionError("the last attempt is measured in any case")

    def _frame_cpu_s(self) -> float:
        """Return the processor time of one frame while little else goes on."""
        with _Scene(self._wishes, self._config(1, GUESS_FPS), self._seats) as scene:
            return scene.load() * CORES / GUESS_FPS

    def _config(self, cameras: int, fps: float) -> Path:
        self._runs += 1
        wishes, folder = self._wishes, self._folder / str(self._runs)
        folder.mkdir()
        text = CONFIG.format(
            device=DEVICE,
            data=folder / "data",
            model=wishes.model,
            seats=self._seats,
            host=wishes.host,
            port=wishes.port,
        )
        for number in range(cameras):
            film = folder / f"c{number}.mp4"
            share = (number - (cameras - 1) / 2) / cameras
            write_paced(wishes.clip, film, fps * (1 + SPREAD * share))
            text += CAMERA.format(name=f"c{number}", source=film)
        path = folder / "camera.toml"
        path.write_text(text, encoding="utf-8")
        return path


class _Scene:
    """The service with a subscriber, from its first objects on."""

    def __init__(self, wishes: Wishes, config: Path, seats: int) -> None:
        self._wishes, self._seats = wishes, seats
        self._log = ServiceLog()
        self._service = RunningService(config, self._log.take)
        self._listener = _Listener(wishes)

    def __enter__(self) -> Self:
        self._listener.open()
        self._service.__enter__()
        try:
            self._service.wait_seen()
            self._service.run_on(SETTLE_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._service.__exit__()
        self._listener.close()

    def load(self) -> float:
        """Return the share of the machine's processor time that the service takes."""
        used_s, lasted_s = self._service.used_s(TRIAL_S)
        return used_s / (lasted_s * CORES)

    def latency(self, fps: float) -> LoadedLatency:
        """Measure."""
        machine_s, began_ns = machine_busy_s(), time.monotonic_ns()
        service_s = cpu_s(self._service.pid)
        looks = self._looks(self._wishes.seconds)
        span_s = seconds(time.monotonic_ns() - began_ns)
        used_s = cpu_s(self._service.pid) - service_s
        others_s = machine_busy_s() - machine_s - used_s
        heard = [one for one in self._listener.heard() if one.captured_s >= seconds(began_ns)]
        moments = moments_of(heard, self._log)
        if not moments:
            raise UsageError("no change of an event was heard")
        spans = [[b - a for a, b in pairwise(one)] for one in moments]
        return LoadedLatency(
            changes=len(spans),
            unmatched=len(heard) - len(spans),
            above_network=spread_of(sum(one) - one[NETWORK] for one in spans),
            whole=spread_of(map(sum, spans)),
            stages=dict(zip(STAGES, map(spread_of, zip(*spans, strict=True)), strict=True)),
            load=round(used_s / (span_s * CORES), 2),
            seats=self._seats,
            seats_load=round(self._seats_load(looks, span_s), 2),
            fps=round(fps, 1),
            looked_at_share=round(len(looks) / (span_s * fps * self._wishes.cameras), 3),
            other_load=round(others_s / (span_s * CORES), 2),
        )

    def _looks(self, span_s: float) -> list[tuple[int, int]]:
        """Let it run for so long; return when each look then began and ended."""
        began_ns = time.monotonic_ns()
        self._service.run_on(span_s)
        looks = self._log.looks(began_ns, time.monotonic_ns())
        if not looks:
            raise UsageError("the service looked at no frame")
        return looks

    def _seats_load(self, looks: Sequence[tuple[int, int]], span_s: float) -> float:
        return seconds(sum(ended - began for began, ended in looks)) / (span_s * self._seats)


class _Listener:
    """A subscriber that notes when each fresh change comes."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._came: list[tuple[int, bytes]] = []  # appended to by the client's thread
        self._is_subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "camera-app-bench")
        self._client.on_connect = lambda client, *_: client.subscribe(f"camera_app/{DEVICE}/+/now")
        self._client.on_subscribe = lambda *_: self._is_subscribed.set()
        self._client.on_message = self._take

    def open(self) -> None:
        self._client.connect(self._wishes.host, self._wishes.port)
        self._client.loop_start()
        self._is_subscribed.wait(10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def heard(self) -> list[Heard]:
        """Return what has come."""
        found = []
        for at_ns, payload in self._came[:]:
            told = json.loads(payload)
            found.append(Heard(told["camera"], told["seq"], told["monotonic_s"], at_ns))
        return found

    def _take(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self._came.append((time.monotonic_ns(), bytes(message.payload)))


def _matches(pattern: re.Pattern[str], lines: Iterable[str]) -> list[re.Match[str]]:
    return [found for line in lines if (found := pattern.search(line.rstrip()))]


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(", ")]


def _share_ms(ordered: Sequence[int], share: float) -> float:
    return round((percentile(ordered, share) or 0.0) / NS_PER_MS, 2)
