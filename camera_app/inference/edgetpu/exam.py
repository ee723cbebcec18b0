"""Known answers asked of a stick: one question at a time, so that they fit in between the work.

A stick that computes nonsense is quick and friendly; nothing but its answers gives it away.
"""

from __future__ import annotations

from dataclasses import replace

from camera_app.inference.known_answers import Difference, differences
from camera_app.inference.network import LoadedPack, Network
from camera_app.inference.runtime import Interpreter
from camera_app.models import ModelPack, Task, UnusedDecode


def questions(pack: ModelPack) -> tuple[ModelPack, ...]:
    """Return the pack once for each of its known answers, with that one alone."""
    known = pack.known_answers
    if known is None:
        return ()
    return tuple(
        replace(pack, known_answers=known.model_copy(update={"answers": (answer,)}))
        for answer in known.answers
    )


def wrong_answer(question: ModelPack, interpreter: Interpreter) -> Difference | None:
    """Ask one question; return how far off the answer is, or None if it is right.

    Raises:
        PackRejected: The answer is not of this network at all.
        ModelOutputError: The network's tensors do not fit the pack's family.
    """
    if question.task is not Task.DETECTION or isinstance(question.decode, UnusedDecode):
        found = differences(LoadedPack(question, interpreter))
    else:
        network = Network(question, interpreter)
        found = differences(network, network.decode)
    return next((difference for difference in found if not difference.is_within), None)
