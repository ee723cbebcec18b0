"""How near the replay comes to what the machine could do at best, measured in one run.

Each round measures the bare network, bare decoding and the whole replay one after the other, so
that a busy neighbour slows all three; the figures are medians over the rounds. The ceiling is
what the cores could do if a frame cost its decoding and its inference and nothing else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np

from camera_app.capture import ClipReader
from camera_app.config import CameraSettings, MotionSettings, RegionSettings
from camera_app.inference import load_network
from camera_app.models import ModelPack, ModelSet
from camera_app.replay import ReplayRequest, run_replay
from camera_app.values import Region, Yuv420

INVOKES_A_ROUND = 150
MS_PER_S = 1000.0


@dataclass(frozen=True, slots=True)
class Round:
    """One round's figures.

    Attributes:
        invoke_ms: Processor time of one bare invocation of each network, one thread.
        decode_ms: Processor time of decoding one frame, one thread.
        replay_fps: Frames a second of the whole replay.
        replay_cpu_ms: Processor time of the replay a frame, all threads.
        replay_invoke_ms: The part of it spent inside the networks.
    """

    invoke_ms: float
    decode_ms: float
    replay_fps: float
    replay_cpu_ms: float
    replay_invoke_ms: float

    def ceiling_fps(self, cores: int) -> float:
        """Return what so many cores could do if a frame cost decoding and inference alone."""
        return cores * MS_PER_S / (self.invoke_ms + self.decode_ms)

    @property
    def other_ms(self) -> float:
        """Processor time a frame for everything but the networks, decoding included."""
        return self.replay_cpu_ms - self.replay_invoke_ms


@dataclass(frozen=True, slots=True)
class ReplayBench:
    """The figures of a bench run; medians over its rounds.

    Attributes:
        clip: Name of the clip.
        model: Name of the model pack, or of several with ` + ` between them.
        cores: Cores that this process may use.
        rounds: Every round.
    """

    clip: str
    model: str
    cores: int
    rounds: tuple[Round, ...]

    def record(self) -> dict[str, object]:
        """Return the figures as plain JSON values."""
        ceiling = self._median(lambda one: one.ceiling_fps(self.cores))
        ratio = self._median(lambda one: one.replay_fps / one.ceiling_fps(self.cores))
        other = self._median(lambda one: one.other_ms)
        return {
            "clip": self.clip,
            "model": self.model,
            "cores": self.cores,
            "rounds": [asdict(one) for one in self.rounds],
            "invoke_ms": round(self._median(lambda one: one.invoke_ms), 3),
            "decode_ms": round(self._median(lambda one: one.decode_ms), 3),
            "replay_fps": round(self._median(lambda one: one.replay_fps), 1),
            "ceiling_fps": round(ceiling, 1),
            "ratio": round(ratio, 3),
            "other_cpu_ms": round(other, 3),
        }

    def _median(self, figure: Callable[[Round], float]) -> float:
        return median(figure(one) for one in self.rounds)


def bench_replay(
    clip: Path, models: ModelSet, *, rounds: int, progress: Callable[[str], None]
) -> ReplayBench:
    """Measure a clip with a model.

    Args:
        clip: The clip.
        models: Which networks look.
        rounds: How many rounds; the first one is measured once more and thrown away.
        progress: Is told what is being measured.
    """
    cores = len(os.sched_getaffinity(0))
    measured = []
    for number in range(rounds + 1):
        progress("warm-up" if number == 0 else f"round {number} of {rounds}")
        measured.append(_measure_round(clip, models))
    return ReplayBench(clip.name, " + ".join(models.names), cores, tuple(measured[1:]))


def _measure_round(clip: Path, models: ModelSet) -> Round:
    invoke_ms = sum(map(_bare_invoke_ms, models.packs))
    decode_ms = _bare_decode_ms(clip)
    request = ReplayRequest((clip,), every_frame_whole(), models)
    before_s = time.process_time()
    summary = run_replay(request)
    cpu_s = time.process_time() - before_s
    return Round(
        invoke_ms=invoke_ms,
        decode_ms=decode_ms,
        replay_fps=summary.fps,
        replay_cpu_ms=cpu_s * MS_PER_S / summary.frames,
        replay_invoke_ms=summary.invoke_cpu_s * MS_PER_S / summary.frames,
    )


def every_frame_whole() -> CameraSettings:
    """Return settings under which every frame is looked at, whole."""
    return CameraSettings(
        source="bench", motion=MotionSettings(enabled=False), regions=RegionSettings(mode="whole")
    )


def _bare_invoke_ms(pack: ModelPack) -> float:
    network = load_network(pack)
    noise = np.random.default_rng(1).integers(0, 255, (480, 640), np.uint8)
    picture = Yuv420(noise, noise[::2, ::2], noise[1::2, 1::2])
    prepared = network.prepare(picture, Region.whole(picture.size))
    for _ in range(10):
        network.invoke(prepared)
    before_s = time.thread_time()
    for _ in range(INVOKES_A_ROUND):
        network.invoke(prepared)
    return (time.thread_time() - before_s) * MS_PER_S / INVOKES_A_ROUND


def _bare_decode_ms(clip: Path) -> float:
    before_s = time.process_time()
    with ClipReader(clip) as reader:
        frames = sum(1 for _ in reader.frames())
    return (time.process_time() - before_s) * MS_PER_S / frames
