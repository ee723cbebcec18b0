"""What CPU time the motion gate takes a frame, beside OpenCV's MOG2 on the same coarse luma.

    python tools/bench/motion_gate.py CLIP [--rounds N] [--json]

Both see the same frames in the same process, taking turns frame by frame, so that whatever else
the machine does slows both. Decoding is done before and not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from camera_app.capture import ClipReader, MotionGate
from camera_app.config import MotionSettings
from camera_app.values import Pixels

T = TypeVar("T")

STRIDE = 4  # MOG2 sees every fourth pixel each way, which is twice as fine as the gate's grid
FRAME_LIMIT = 600


def main() -> None:
    options = _options()
    cv2.setNumThreads(1)
    frames = _frames(options.clip)
    rounds = [_round(frames) for _ in range(options.rounds)]
    gate, mog2, quiet = (np.concatenate([r[i] for r in rounds]) for i in range(3))
    figures = {
        "frames": len(gate),
        "gate_us": round(statistics.median(gate), 1),
        "gate_quiet_us": round(statistics.median(gate[quiet]), 1) if quiet.any() else None,
        "gate_busy_us": round(statistics.median(gate[~quiet]), 1) if not quiet.all() else None,
        "mog2_us": round(statistics.median(mog2), 1),
        "gate_to_mog2": round(statistics.median(gate) / statistics.median(mog2), 3),
    }
    print(
        json.dumps(figures)
        if options.json
        else "\n".join(f"{k:>14} {v}" for k, v in figures.items())
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _frames(path: Path) -> list[tuple[Pixels, int]]:
    with ClipReader(path) as clip:
        pairs = zip(clip.frames(), range(FRAME_LIMIT), strict=False)
        return [(frame.picture.luma.copy(), frame.captured_ns) for frame, _ in pairs]


def _round(frames: list[tuple[Pixels, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return µs of the gate, µs of MOG2, and where the gate saw nothing, a value a frame."""
    gate = MotionGate(MotionSettings())
    mog2 = cv2.createBackgroundSubtractorMOG2(detectShadows=False)
    figures = []
    for luma, at_ns in frames:
        motion, gate_us = _timed(lambda: gate.look(luma, at_ns))  # noqa: B023 - called at once
        _, mog2_us = _timed(lambda: _mog2_boxes(mog2, luma))  # noqa: B023
        figures.append((gate_us, mog2_us, motion.share == 0.0))
    first, second, third = zip(*figures, strict=True)
    return np.array(first), np.array(second), np.array(third)


def _mog2_boxes(mog2: cv2.BackgroundSubtractorMOG2, luma: Pixels) -> int:
    changed = mog2.apply(np.ascontiguousarray(luma[::STRIDE, ::STRIDE]))
    outlines, _ = cv2.findContours(changed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return len([cv2.boundingRect(outline) for outline in outlines])


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    began = time.thread_time_ns()
    result = call()
    return result, (time.thread_time_ns() - began) / 1000


if __name__ == "__main__":
    main()
