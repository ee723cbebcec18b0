"""Networks: a pack is loaded by a runtime, fed with pictures, its tensors decoded.

`load_network`, `load_classifier` and `load_embedder` are the doors. A loaded one belongs to one
thread at a time; many threads load the same pack many times.

What is listed here is imported when it is first asked for: the child of an Edge TPU imports this
package too, and starts in a fraction of the time without OpenCV and what else only the parent uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from camera_app.lazy import finder

if TYPE_CHECKING:
    from camera_app.inference.choice import runtime_for, runtime_named
    from camera_app.inference.decoders import Classification
    from camera_app.inference.known_answers import Difference
    from camera_app.inference.network import (
        Classifier,
        FaceEmbedder,
        Network,
        check_known_answers,
        load_classifier,
        load_embedder,
        load_network,
    )
    from camera_app.inference.preprocess import Placement, Prepared
    from camera_app.inference.runtime import (
        Interpreter,
        Outputs,
        Runtime,
        Tensor,
        TensorSpec,
        choose_runtime,
    )

__all__ = [
    "Classification",
    "Classifier",
    "Difference",
    "FaceEmbedder",
    "Interpreter",
    "Network",
    "Outputs",
    "Placement",
    "Prepared",
    "Runtime",
    "Tensor",
    "TensorSpec",
    "check_known_answers",
    "choose_runtime",
    "load_classifier",
    "load_embedder",
    "load_network",
    "runtime_for",
    "runtime_named",
]

_HOMES = {
    "Classification": "decoders",
    "Classifier": "network",
    "Difference": "known_answers",
    "FaceEmbedder": "network",
    "Interpreter": "runtime",
    "Network": "network",
    "Outputs": "runtime",
    "Placement": "preprocess",
    "Prepared": "preprocess",
    "Runtime": "runtime",
    "Tensor": "runtime",
    "TensorSpec": "runtime",
    "check_known_answers": "network",
    "choose_runtime": "runtime",
    "load_classifier": "network",
    "load_embedder": "network",
    "load_network": "network",
    "runtime_for": "choice",
    "runtime_named": "choice",
}

__getattr__ = finder(__name__, _HOMES)
