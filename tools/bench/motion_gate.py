"""What CPU time the motion gate takes a frame, beside OpenCV's MOG2 on the same coarse luma.

    python tools/bench/motion_gate.py CLIP [--rounds N] [--json]

Both see each frame just decoded, as they would in the camera, taking turns at being first, so
that caches and whatever else the machine does favour neither. Decoding is not counted.
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
import numpy.typing as npt

from camera_app.capture import ClipReader, MotionGate
from camera_app.config import MotionSettings
from camera_app.values import Pixels

T = TypeVar("T")
Figures = npt.NDArray[np.float64]

STRIDE = 4  # MOG2 sees every fourth pixel each way, which is twice as fine as the gate's grid
FRAME_LIMIT = 600


def main() -> None:
    options = _options()
    cv2.setNumThreads(1)
    rounds = [_round(options.clip) for _ in range(options.rounds)]
    gate, mog2, quiet = (np.concatenate([r[i] for r in rounds]) for i in range(3))
    # Undisturbed: the fifth percentile, for machines on which other things run.
    figures = {
        "frames": len(gate),
        "gate_us": _percentile(gate, 50),
        "gate_quiet_us": _percentile(gate[quiet], 50),
        "gate_busy_us": _percentile(gate[~quiet], 50),
        "gate_quiet_undisturbed_us": _percentile(gate[quiet], 5),
        "gate_busy_undisturbed_us": _percentile(gate[~quiet], 5),
        "mog2_us": _percentile(mog2, 50),
        "mog2_undisturbed_us": _percentile(mog2, 5),
        "gate_to_mog2": round(statistics.median(gate) / statistics.median(mog2), 3),
    }
    print(
        json.dumps(figures)
        if options.json
        else "\n".join(f"{k:>26} {v}" for k, v in figures.items())
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _round(path: Path) -> tuple[Figures, Figures, Figures]:
    """Return µs of the gate, µs of MOG2, and where the gate saw nothing, a value a frame."""
    gate = MotionGate(MotionSettings())
    mog2 = cv2.createBackgroundSubtractorMOG2(detectShadows=False)
    gate_us, mog2_us, quiet = [], [], []
    with ClipReader(path) as clip:
        for frame, index in zip(clip.frames(), range(FRAME_LIMIT), strict=False):
            luma, at_ns = frame.picture.luma, frame.captured_ns
            if index % 2:
                mog2_us.append(_timed(_mog2_boxes, mog2, luma)[1])
            motion, us = _timed(gate.look, luma, at_ns)
            gate_us.append(us)
            quiet.append(motion.share == 0.0)
            if not index % 2:
                mog2_us.append(_timed(_mog2_boxes, mog2, luma)[1])
    return np.array(gate_us), np.array(mog2_us), np.array(quiet)


def _mog2_boxes(mog2: cv2.BackgroundSubtractorMOG2, luma: Pixels) -> int:
    changed = mog2.apply(np.ascontiguousarray(luma[::STRIDE, ::STRIDE]))
    outlines, _ = cv2.findContours(changed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return len([cv2.boundingRect(outline) for outline in outlines])


def _percentile(values: Figures, share: int) -> float | None:
    return round(float(np.percentile(values, share)), 1) if len(values) else None


def _timed(call: Callable[..., T], *arguments: object) -> tuple[T, float]:
    began = time.thread_time_ns()
    result = call(*arguments)
    return result, (time.thread_time_ns() - began) / 1000


if __name__ == "__main__":
    main()
