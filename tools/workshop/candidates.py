"""The networks that are measured: packs, weights files of packs, and what lies in a run folder.

All are opened as the camera opens them, so that they are fed and decoded as in use. What has no
manifest yet gets one here, in memory: nothing of a run folder has to be packed or signed before
it can be measured.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from camera_app.inference import Network, TensorSpec, load_network, runtime_for
from camera_app.models import (
    Colour,
    Fit,
    InputGeometry,
    ModelPack,
    Task,
    YoloxDecode,
    find_pack,
    locate_weights,
)
from camera_app.models.inspect import kind_of, sha256_of
from camera_app.models.pack import Card, Licence, Normalisation, Tensors, Weights
from tools.workshop.errors import WorkshopError
from tools.workshop.runs import RunFolder

INT8_FILE = "int8.tflite"
FLOAT_FILE = "float.tflite"
# What the workshop's own networks take: see the module `network`, and there the reasons.
PAD_BYTE = 114
BYTES_AS_THEY_ARE = Normalisation(mean=0.0, divisor=1.0)
FLOAT = "float32"


def load_model(name_or_path: str) -> Network:
    """Open a pack by its name, folder or weights; or a weights file in a run folder.

    Raises:
        CameraAppError: There is no such pack, or it cannot be opened.
    """
    path = Path(name_or_path)
    if path.is_file() and (path.parent / "network.json").is_file():
        return load_network(pack_of_run(path.parent, path))
    return load_network(find_pack(name_or_path))


def load_run(run: Path) -> Network:
    """Open the int8 network of a run folder; the float one where there is no other yet.

    Raises:
        CameraAppError: There is none, or it cannot be opened.
    """
    quantized = run / INT8_FILE
    weights = (
        quantized if quantized.is_file() else RunFolder(run).file(FLOAT_FILE, made_by="convert")
    )
    return load_network(pack_of_run(run, weights))


def pack_of_run(run: Path, weights: Path) -> ModelPack:
    """Return what a manifest would say of a network in a run folder.

    Raises:
        WorkshopError: The folder has no plan of a network.
        PackRejected: The weights cannot be read.
    """
    # Here, because it brings PyTorch with it, and packs are measured without.
    from tools.workshop.network import STRIDES, read_plan

    plan = read_plan(run)
    return ModelPack(
        name=f"{run.name}/{weights.stem}",
        folder=run,
        task=Task.DETECTION,
        weights=_weights(weights),
        input=InputGeometry(
            width=plan.width,
            height=plan.height,
            fit=Fit.LETTERBOX_TOP_LEFT,
            colour=Colour(plan.colour),
            pad=PAD_BYTE,
            normalise=BYTES_AS_THEY_ARE if _input_of(weights).dtype == FLOAT else None,
        ),
        decode=YoloxDecode(family="yolox", strides=STRIDES),
        labels=plan.classes,
        anchors=None,
        tensors=Tensors(),
        licence=Licence(name="not packed yet", allows_shipping=False),
        card=Card(summary="A network of the workshop.", source=str(run)),
        digest=sha256_of(weights),
        weights_path=weights,
    )


def float_twin(network: Network, weights: Path) -> Network:
    """Open the float file that an int8 network was made from: fed and decoded in the same way.

    What a byte means to it is told by the quantisation of the int8 file's input.

    Raises:
        CameraAppError: The file cannot be opened, or is no twin of the network.
    """
    pack = network.pack
    geometry = pack.input
    if geometry.normalise is None and _input_of(weights).dtype == FLOAT:
        geometry = geometry.model_copy(update={"normalise": _meaning_of_bytes(network)})
    twin = dataclasses.replace(
        pack,
        name=f"{pack.name} (float)",
        weights=_weights(weights),
        weights_path=weights,
        input=geometry,
        tensors=Tensors(),
        digest=sha256_of(weights),
        known_answers=None,  # they are the int8 network's
    )
    return load_network(twin)


def _meaning_of_bytes(network: Network) -> Normalisation:
    """Return the real numbers that bytes stand for at the input of a quantized network."""
    spec = _input_of(locate_weights(network.pack))
    if not spec.scale:
        raise WorkshopError(
            "it is not quantized: there is nothing to compare a float file with",
            where=network.pack.name,
            remedy="Give the int8 network, and its float file with --float",
        )
    shift = 128 if spec.dtype == "int8" else 0
    return Normalisation(mean=float(spec.zero_point + shift), divisor=1.0 / spec.scale)


def _weights(path: Path) -> Weights:
    name = re.sub(r"[^A-Za-z0-9._-]", "_", path.name)  # a manifest allows no other characters
    return Weights(file=name, sha256=sha256_of(path), size_bytes=path.stat().st_size)


def _input_of(path: Path) -> TensorSpec:
    return runtime_for(kind_of(path.name)).load(path).inputs[0]
