"""Which runtime a weights file needs: its kind decides, and nothing is tried out."""

from __future__ import annotations

from camera_app.inference.runtime import Runtime, choose_runtime
from camera_app.models import WeightsKind

ONNX_RUNTIME = "onnxruntime"


def runtime_for(kind: WeightsKind) -> Runtime:
    """Return the best installed runtime for weights of this kind.

    Raises:
        DeviceRefused: There is none; it says what to type.
    """
    return runtime_named(ONNX_RUNTIME if kind is WeightsKind.ONNX else "")


def runtime_named(name: str) -> Runtime:
    """Return the runtime of this name; empty: the best for TensorFlow Lite files.

    Raises:
        DeviceRefused: It cannot be used; it says what to type.
    """
    if name != ONNX_RUNTIME:
        return choose_runtime(name)
    # Imported where it is used: most cameras have no ONNX file.
    from camera_app.inference.onnx import choose_onnx_runtime

    return choose_onnx_runtime()
