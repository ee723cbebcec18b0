"""Known answers: what a network says to inputs that everybody can make again.

Here is how they are written down, and the inputs. Running a network and comparing is done in
`camera_app.inference`. Two libraries, or two processors, never agree to the last bit, so an answer
comes with the distance that is still the same network.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from camera_app.errors import PackRejected
from camera_app.values import Rgb

# Not the shape of any network's input, so that an answer depends on how a picture is fitted in.
PICTURE_WIDTH = 308
PICTURE_HEIGHT = 220
PATCH_SIDE = 22

LEAST_SCORE = 0.3

Positive = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Table(BaseModel):
    """A table of the file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KnownOutput(Table):
    """Values of one output tensor.

    Attributes:
        name: Of the tensor.
        step: What counts as one step: 1 for whole numbers; for real ones a 255th of the range
            that the tensor had when the answer was written down.
        limit_steps: How far values may be off, on average.
        indexes: Where the values stood in the flattened tensor.
        values: As the network gave them, not dequantised.
    """

    name: str
    step: Positive
    limit_steps: Positive
    indexes: tuple[Annotated[int, Field(ge=0)], ...]
    values: tuple[float, ...]

    @model_validator(mode="after")
    def _lengths_agree(self) -> KnownOutput:
        if not self.indexes or len(self.indexes) != len(self.values):
            raise ValueError("indexes and values must be as many, at least one")
        return self


class KnownDetection(Table):
    """One object that is found: box as left, top, right, bottom in pixels of the picture."""

    label: str
    score: Share
    box: tuple[float, float, float, float]


class KnownAnswer(Table):
    """What the network says to one input.

    Attributes:
        input: One of `INPUTS`, or a picture file in the pack.
        outputs: Sampled values; empty where their order is chance.
        detections: What is made of them, best first, down to a score of LEAST_SCORE; None where
            that is chance.
    """

    input: str
    outputs: tuple[KnownOutput, ...] = ()
    detections: tuple[KnownDetection, ...] | None = None


class KnownAnswers(Table):
    """The whole of the file.

    Attributes:
        made_with: Runtime, version and processor that gave the answers.
    """

    model_config = ConfigDict(populate_by_name=True)

    schema_: Annotated[Literal[1], Field(alias="schema")]
    made_with: str
    answers: Annotated[tuple[KnownAnswer, ...], Field(min_length=1)]


def parse_known_answers(content: bytes, *, where: str) -> KnownAnswers:
    """Read the file.

    Raises:
        PackRejected: It is not in this form; every problem is named.
    """
    try:
        return KnownAnswers.model_validate_json(content)
    except ValidationError as error:
        lines = [
            f"\n  {'.'.join(map(str, details['loc'])) or 'file'}: {details['msg']}"
            for details in error.errors(include_url=False)
        ]
        raise PackRejected(f"the known answers are wrong{''.join(lines)}", where=where) from error


def gradient() -> Rgb:
    """Return a smooth picture in which no two channels are alike."""
    across = np.linspace(0, 255, PICTURE_WIDTH)
    down = np.linspace(0, 255, PICTURE_HEIGHT)[:, None]
    planes = (across + 0 * down, down + 0 * across, 255 - (across + down) / 2)
    return Rgb(np.ascontiguousarray(np.stack(planes, axis=-1).astype(np.uint8)))


def noise() -> Rgb:
    """Return a picture of chance bytes."""
    return Rgb(_bytes("noise", PICTURE_HEIGHT, PICTURE_WIDTH))


def patches() -> Rgb:
    """Return a picture of coloured squares: edges, corners and plain faces."""
    small = _bytes("patches", PICTURE_HEIGHT // PATCH_SIDE, PICTURE_WIDTH // PATCH_SIDE)
    return Rgb(np.ascontiguousarray(small.repeat(PATCH_SIDE, axis=0).repeat(PATCH_SIDE, axis=1)))


def _bytes(seed: str, height: int, width: int) -> npt.NDArray[np.uint8]:
    # A hash, because NumPy's generators may change their streams between versions.
    content = hashlib.shake_128(seed.encode()).digest(height * width * 3)
    return np.frombuffer(content, np.uint8).reshape(height, width, 3)


INPUTS = {"gradient": gradient, "noise": noise, "patches": patches}
