"""Networks: a pack is loaded by a runtime, fed with pictures, its tensors decoded.

`load_network`, `load_classifier` and `load_embedder` are the doors. A loaded one belongs to one
thread at a time; many threads load the same pack many times.
"""

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
