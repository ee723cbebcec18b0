"""What is asked of the devices, and what comes back."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from camera_app.scheduling.load import ShedCause, Worth
from camera_app.values import Detection, Picture, Region

# Live, an answer that comes later than this after the frame is of no use: it is about the past, and
# a newer frame is waiting.
ANSWER_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """One region of one picture that a model is wanted for.

    The last five matter only where demands compete: live.

    Attributes:
        model: Name of the model pack.
        picture: The frame's pixels.
        region: The part to look at.
        min_score: Detections below it are not wanted.
        camera: Name of the camera.
        place: Which of the frame's regions this is, from 0.
        worth: What the region is worth.
        captured_ns: When the frame was captured, monotonic.
        deadline_ns: When an answer is of no use any more, monotonic.
    """

    model: str
    picture: Picture
    region: Region
    min_score: float
    camera: str = ""
    place: int = 0
    worth: Worth = Worth.MOTION
    captured_ns: int = 0
    deadline_ns: int = 0


Answer = Future[list[Detection]]


class DemandShed(Exception):
    """A demand was given up, by rule: it stands in place of an answer.

    Attributes:
        cause: The rule.
    """

    def __init__(self, cause: ShedCause) -> None:
        super().__init__(cause.value)
        self.cause = cause
