"""PyTorch to TensorFlow Lite through litert-torch: the workshop's own networks, or any module.

Channels go last at the door, so that the converter can turn all of the inside and no TRANSPOSE
stays.
"""

from __future__ import annotations

import copy
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tools.workshop.convert import Sample
from tools.workshop.errors import WorkshopError
from tools.workshop.runs import write_bytes

LONGEST_REASON = 300
SUGGESTIONS = {
    "aten.nonzero": "what a network finds must have a fixed length: leave that to the decoder",
    "torchvision.nms": "end the network before it: the camera's decoders do that part",
    "aten.grid_sampler_2d": "resize or crop outside the network",
}
SUGGEST_ELSE = "write the layer with convolutions, additions, multiplications and activations"


class ChannelsLast(nn.Module):
    """A module that thinks with channels first, its input and outputs with channels last."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            output.permute(0, 2, 3, 1) if output.dim() == 4 else output
            for output in flat(self.inner(x.permute(0, 3, 1, 2)))
        )


def flat(outputs: Any) -> tuple[Tensor, ...]:
    """Return what a module gave as a flat row of tensors."""
    if isinstance(outputs, Tensor):
        return (outputs,)
    values = outputs.values() if isinstance(outputs, dict) else outputs
    return tuple(tensor for value in values for tensor in flat(value))


def load_module(name: str) -> nn.Module:
    """Return the module that `package.module:callable` makes, ready to look.

    It is the owner's own code, and it is run; the current folder is searched first.

    Raises:
        WorkshopError: It cannot be imported or called, or makes something else.
    """
    module_name, _, attribute = name.partition(":")
    if not (module_name and attribute):
        raise WorkshopError(
            "expected MODULE:CALLABLE, such as my_network:build", where=f"--torch {name}"
        )
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        made = getattr(importlib.import_module(module_name), attribute)()
    # The owner's code may raise anything; what it was is told, and where.
    except Exception as error:
        raise WorkshopError(
            f"it could not be made: {type(error).__name__}: {error} ({last_place(error)})",
            where=f"--torch {name}",
            remedy="The callable takes no arguments and returns a torch.nn.Module with its weights",
        ) from error
    if not isinstance(made, nn.Module):
        raise WorkshopError(
            f"it made a {type(made).__name__}, expected a torch.nn.Module", where=f"--torch {name}"
        )
    return made.eval()


def load_run(folder: Path) -> tuple[nn.Module, tuple[int, ...]]:
    """Return the network that training left in a run folder, as the camera runs it, and its input.

    Raises:
        WorkshopError: There is none, or plan and weights do not belong together.
    """
    from tools.workshop import network

    detector = network.load_run(folder)
    module = network.DeployedDetector(network.fused(detector)).eval()
    return module, (1, detector.plan.height, detector.plan.width, 3)


def last_place(error: BaseException) -> str:
    """Return where an error was raised: file and line."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"


def to_channels_last(module: nn.Module, shape: Sequence[int]) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a module that takes channels last, and the shape that it takes.

    Args:
        module: As it is.
        shape: What it takes; channels first where the second side is 1 or 3 and the last is not.
    """
    sides = tuple(shape)
    is_first = len(sides) == 4 and sides[1] in (1, 3) and sides[3] not in (1, 3)
    if not is_first:
        return module, sides
    batch, channels, height, width = sides
    return ChannelsLast(module).eval(), (batch, height, width, channels)


def convert(module: nn.Module, shape: Sequence[int], out: Path) -> None:
    """Write a module as a float TensorFlow Lite file.

    Args:
        module: Ready to look, channels last.
        shape: Of its one input.
        out: The file.

    Raises:
        WorkshopError: It does not run on such an input, or holds what cannot be converted.
    """
    import litert_torch

    example = (torch.zeros(tuple(shape)),)
    try:
        with torch.no_grad():
            module(*example)
    # Any of the owner's layers may refuse, each in its own way.
    except Exception as error:
        raise WorkshopError(
            f"the module does not run on an input {list(shape)}: {error} ({last_place(error)})",
            remedy="Say the shape that it takes with --shape, such as --shape 1,3,256,256",
        ) from error
    try:
        edge_model = litert_torch.convert(module, example)
    # torch.export, JAX and the converter raise errors of their own without a common base; all of
    # them mean that this network cannot be converted as it stands.
    except Exception as error:
        raise _refusal(error, module, example) from error
    export_to(out, edge_model.export)


def export_to(out: Path, export: Callable[[str], None]) -> None:
    """Let a library write a file beside its place, and put it there when it is whole."""
    partial = out.with_name(f".{out.name}.new")
    try:
        export(str(partial))
        write_bytes(out, partial.read_bytes())
    except OSError as error:
        raise WorkshopError(
            f"cannot be written: {error.strerror or error}",
            where=str(out),
            remedy="Free some space or choose another folder, then give the same command again",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def answers(module: nn.Module, samples: Sequence[Sample]) -> list[Sample]:
    """Return what a module says to samples."""
    with torch.no_grad():
        return [
            [output.numpy() for output in flat(module(*map(torch.from_numpy, sample)))]
            for sample in samples
        ]


# --- padding --------------------------------------------------------------------------------


def with_folded_padding(module: nn.Module, shape: Sequence[int]) -> tuple[nn.Module, int]:
    """Return a copy whose stride-2 convolutions hold their padding in their weights, and how many.

    A kernel of an odd side k with (k - 1) / 2 of padding all around sees the same as one of side
    k + 1 whose last row and column are zero, and that one's padding is what TensorFlow Lite calls
    SAME, on maps of even sides. Exact; a little more to multiply, and no PAD operator.

    Args:
        module: Stays as it is.
        shape: Of its input, to learn the sizes of the maps.
    """
    changed = copy.deepcopy(module)
    even = _convolutions_on_even_maps(changed, shape)
    folded = [conv for conv in even if _is_foldable(conv)]
    for conv in folded:
        conv.weight = nn.Parameter(nn.functional.pad(conv.weight.detach(), (0, 1, 0, 1)))
        conv.kernel_size = (conv.kernel_size[0] + 1, conv.kernel_size[1] + 1)
    return changed, len(folded)


def _is_foldable(conv: nn.Conv2d) -> bool:
    high, wide = conv.kernel_size
    return bool(
        conv.stride == (2, 2)
        and conv.dilation == (1, 1)
        and high == wide
        and high % 2 == 1
        and conv.padding == (high // 2, high // 2)
        and conv.padding_mode == "zeros"
    )


def _convolutions_on_even_maps(module: nn.Module, shape: Sequence[int]) -> list[nn.Conv2d]:
    """Return the convolutions that see maps of even sides only."""
    is_even: dict[nn.Conv2d, bool] = {}

    def note(conv: Any, inputs: tuple[Tensor, ...], _: Any) -> None:
        height, width = inputs[0].shape[-2:]
        is_even[conv] = is_even.get(conv, True) and height % 2 == 0 and width % 2 == 0

    convolutions = [child for child in module.modules() if isinstance(child, nn.Conv2d)]
    handles = [conv.register_forward_hook(note) for conv in convolutions]
    try:
        with torch.no_grad():
            module(torch.zeros(tuple(shape)))
    finally:
        for handle in handles:
            handle.remove()
    return [conv for conv, even in is_even.items() if even]


# --- what cannot be converted ---------------------------------------------------------------


def _refusal(error: Exception, module: nn.Module, example: tuple[Tensor, ...]) -> WorkshopError:
    text = str(error)
    head = "Lowering not found: "
    if head in text:
        kind = text.split(head, 1)[1].split(maxsplit=1)[0]
        remedy = next((say for start, say in SUGGESTIONS.items() if kind.startswith(start)), "")
        return WorkshopError(
            f"operators that cannot be converted: {kind} (layer {_layer(kind, module, example)})",
            remedy=(remedy or SUGGEST_ELSE).capitalize(),
        )
    if "data-dependent" in text or "ConcretizationTypeError" in type(error).__name__:
        return WorkshopError(
            f"what the network does depends on what it sees{_line_of(text)}: "
            f"{' '.join(text.split())[:LONGEST_REASON]}",
            remedy="Take out the `if` on a tensor, and outputs whose length is not fixed",
        )
    return WorkshopError(
        f"the converter failed: {type(error).__name__}: {' '.join(text.split())[:LONGEST_REASON]}",
        remedy="Convert parts of the network to find the layer, or go by way of ONNX",
    )


def _layer(kind: str, module: nn.Module, example: tuple[Tensor, ...]) -> str:
    """Return which layer an operator comes from, as PyTorch names layers."""
    with _quiet():
        program = torch.export.export(module, example).run_decompositions()
    for node in program.graph.nodes:
        if str(node.target) == kind:
            stack = node.meta.get("nn_module_stack") or {}
            names = [path for path, _ in stack.values() if path]
            return names[-1].removeprefix("inner.") if names else "of the module itself"
    return "unknown"


def _line_of(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if "in forward" in line]
    return f" ({lines[-1]})" if lines else ""


@contextmanager
def _quiet() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch about itself
        yield
