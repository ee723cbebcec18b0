"""The workshop's own detector: a small convolutional network for one picture at a time.

A backbone of cross-stage blocks at strides 8, 16 and 32, a neck that passes what each knows to
the others in both directions, and at each stride a head that says for every cell: is something
here, what, and where. The layout is that of YOLOX, so that its decoder reads the outputs and its
weights can be a start; activations are ReLU6, which an Edge TPU fuses into the convolution and
which keep int8 ranges small.

Every convolution's width is a number of the plan: pruning makes a network with another plan, and
nothing else changes.
"""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tools.workshop.errors import WorkshopError
from tools.workshop.runs import RunFolder, write_bytes, write_text

PLAN_FILE = "network.json"
WEIGHTS_FILE = "weights.pt"
STRIDES = (8, 16, 32)
# Bottlenecks in the four stages of the backbone.
DEPTHS = (1, 3, 3, 1)
# Widths of a YOLOX-nano: of the first convolution, and of the heads.
BASE, HEAD = 16, 64
# An input's sides: the coarsest map has whole cells.
SIDE_MULTIPLE = STRIDES[-1]
# Of a hundredth.
PRIOR_LOGIT = -4.6

Colour = Literal["bgr", "rgb"]
Activation = Literal["relu6", "silu"]


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """All that is needed to build a network, its weights aside.

    Attributes:
        classes: What it finds, by index.
        height: Of the input, pixels; a multiple of 32.
        width: Of the input, pixels; a multiple of 32.
        widths: Output channels by the name of the convolution.
        colour: Order of the input's channels.
        activation: After each convolution; `silu` is for teachers, an Edge TPU does not fuse it.
    """

    classes: tuple[str, ...]
    height: int
    width: int
    widths: Mapping[str, int]
    colour: Colour = "bgr"
    activation: Activation = "relu6"


def standard_widths(base: int = BASE, head: int = HEAD) -> dict[str, int]:
    """Return the widths of an unpruned network.

    Args:
        base: Channels of the first convolution; each stage doubles them.
        head: Channels of the heads.
    """
    widths = {"stem": base}
    for stage, depth in enumerate(DEPTHS, start=1):
        out = base << stage
        widths |= {f"down{stage}": out, **_cross_widths(f"stage{stage}", out, depth)}
    deep, middle, fine = base << 4, base << 3, base << 2
    widths |= {"pool.reduce": deep // 2, "pool.join": deep, "lateral5": middle, "lateral4": fine}
    widths |= _cross_widths("up4", middle, 1) | _cross_widths("up3", fine, 1)
    widths |= {"to4": fine, "to5": middle}
    widths |= _cross_widths("down4out", middle, 1) | _cross_widths("down5out", deep, 1)
    for level in (3, 4, 5):
        for part in ("stem", "what0", "what1", "where0", "where1"):
            widths[f"head{level}.{part}"] = head
    return widths


def _cross_widths(name: str, out: int, depth: int) -> dict[str, int]:
    inner = out // 2
    widths = {f"{name}.main": inner, f"{name}.side": inner, f"{name}.join": out}
    for index in range(depth):
        widths |= {f"{name}.narrow{index}": inner, f"{name}.wide{index}": inner}
    return widths


class ConvUnit(nn.Module):
    """Convolution, batch normalisation, ReLU6; depthwise and then pointwise if `separable`."""

    def __init__(
        self, into: int, out: int, kernel: int, stride: int = 1, *, separable: bool = False
    ) -> None:
        super().__init__()
        self.depthwise = ConvUnit.of_groups(into, kernel, stride) if separable else None
        if separable:
            kernel, stride = 1, 1
        self.conv = nn.Conv2d(into, out, kernel, stride, _padding(kernel, stride), bias=False)
        self.norm = nn.BatchNorm2d(out, eps=1e-3, momentum=0.05)
        self.act = nn.ReLU6()

    @staticmethod
    def of_groups(channels: int, kernel: int, stride: int) -> nn.Sequential:
        """Return a depthwise unit."""
        padding = _padding(kernel, stride)
        return nn.Sequential(
            nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels, bias=False),
            nn.BatchNorm2d(channels, eps=1e-3, momentum=0.05),
            nn.ReLU6(),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.depthwise is not None:
            x = self.depthwise(x)
        return self.act(self.norm(self.conv(x)))


def _padding(kernel: int, stride: int) -> int:
    return (kernel - stride + 1) // 2 if stride > 1 else kernel // 2


class CrossBlock(nn.Module):
    """Half of the channels through bottlenecks, half past them, then joined.

    `sums` and `joined` are seams: what is added up and what is put side by side pass through them
    and come out as they went in, unless fake quantization has taken their place.
    """

    def __init__(
        self, into: int, widths: Mapping[str, int], name: str, depth: int, *, residual: bool
    ) -> None:
        super().__init__()
        self.main = ConvUnit(into, widths[f"{name}.main"], 1)
        self.side = ConvUnit(into, widths[f"{name}.side"], 1)
        self.residual = residual
        self.narrow = nn.ModuleList()
        self.wide = nn.ModuleList()
        self.sums = nn.ModuleList(nn.Identity() for _ in range(depth if residual else 0))
        channels = widths[f"{name}.main"]
        for index in range(depth):
            inner, out = widths[f"{name}.narrow{index}"], widths[f"{name}.wide{index}"]
            self.narrow.append(ConvUnit(channels, inner, 1))
            self.wide.append(ConvUnit(inner, out, 3, separable=True))
            channels = out
        self.joined = nn.Identity()
        self.join = ConvUnit(channels + widths[f"{name}.side"], widths[f"{name}.join"], 1)

    def forward(self, x: Tensor) -> Tensor:
        main = self.main(x)
        for index, (narrow, wide) in enumerate(zip(self.narrow, self.wide, strict=True)):
            step = wide(narrow(main))
            main = self.sums[index](main + step) if self.residual else step
        return self.join(self.joined(torch.cat((main, self.side(x)), dim=1)))


class PyramidPool(nn.Module):
    """Looks at the coarsest map through windows of four sizes at once."""

    def __init__(self, into: int, reduce: int, out: int) -> None:
        super().__init__()
        self.reduce = ConvUnit(into, reduce, 1)
        # A window of 9 is two of 5 one after the other, and 13 is three: the same maxima, sooner.
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.join = ConvUnit(reduce * 4, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        five = self.pool(x)
        nine = self.pool(five)
        return self.join(torch.cat((x, five, nine, self.pool(nine)), dim=1))


class Head(nn.Module):
    """Says for every cell of one map whether, what and where."""

    def __init__(self, into: int, widths: Mapping[str, int], level: int, classes: int) -> None:
        super().__init__()
        of = {part: widths[f"head{level}.{part}"] for part in ("stem", "what0", "what1")}
        of |= {part: widths[f"head{level}.{part}"] for part in ("where0", "where1")}
        self.stem = ConvUnit(into, of["stem"], 1)
        self.what0 = ConvUnit(of["stem"], of["what0"], 3, separable=True)
        self.what1 = ConvUnit(of["what0"], of["what1"], 3, separable=True)
        self.where0 = ConvUnit(of["stem"], of["where0"], 3, separable=True)
        self.where1 = ConvUnit(of["where0"], of["where1"], 3, separable=True)
        self.to_class = nn.Conv2d(of["what1"], classes, 1)
        self.to_box = nn.Conv2d(of["where1"], 4, 1)
        self.to_objectness = nn.Conv2d(of["where1"], 1, 1)
        # Nearly all cells see nothing: a network that begins by saying so need not learn it first.
        nn.init.constant_(self.to_objectness.bias, PRIOR_LOGIT)
        nn.init.constant_(self.to_class.bias, PRIOR_LOGIT)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)
        where = self.where1(self.where0(x))
        what = self.what1(self.what0(x))
        scores = torch.cat((self.to_objectness(where), self.to_class(what)), dim=1)
        return self.to_box(where), scores


class Detector(nn.Module):
    """The network of a plan.

    `forward` takes bytes as float32 (n, 3, height, width) and returns boxes (n, cells, 4) as
    centre offset and logarithm of the size, in cells, and the logits (n, cells, 1 + classes) of
    objectness and classes; cells stride by stride, row by row. `said_boxes` and `said_logits` are
    seams, as in a `CrossBlock`.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.plan = plan
        of = plan.widths
        self.stem = ConvUnit(3, of["stem"], 6, 2)
        into = of["stem"]
        for stage, depth in enumerate(DEPTHS, start=1):
            out = of[f"down{stage}"]
            setattr(self, f"down{stage}", ConvUnit(into, out, 3, 2, separable=True))
            if stage == len(DEPTHS):
                self.pool = PyramidPool(out, of["pool.reduce"], of["pool.join"])
                out = of["pool.join"]
            block = CrossBlock(out, of, f"stage{stage}", depth, residual=stage != len(DEPTHS))
            setattr(self, f"stage{stage}", block)
            into = of[f"stage{stage}.join"]
        c3, c4, c5 = (of[f"stage{stage}.join"] for stage in (2, 3, 4))
        self.lateral5 = ConvUnit(c5, of["lateral5"], 1)
        self.up4 = CrossBlock(of["lateral5"] + c4, of, "up4", 1, residual=False)
        self.lateral4 = ConvUnit(of["up4.join"], of["lateral4"], 1)
        self.up3 = CrossBlock(of["lateral4"] + c3, of, "up3", 1, residual=False)
        self.to4 = ConvUnit(of["up3.join"], of["to4"], 3, 2, separable=True)
        self.down4out = CrossBlock(of["to4"] + of["lateral4"], of, "down4out", 1, residual=False)
        self.to5 = ConvUnit(of["down4out.join"], of["to5"], 3, 2, separable=True)
        self.down5out = CrossBlock(of["to5"] + of["lateral5"], of, "down5out", 1, residual=False)
        classes = len(plan.classes)
        self.head3 = Head(of["up3.join"], of, 3, classes)
        self.head4 = Head(of["down4out.join"], of, 4, classes)
        self.head5 = Head(of["down5out.join"], of, 5, classes)
        self.larger = nn.Upsample(scale_factor=2, mode="nearest")
        self.said_boxes, self.said_logits = nn.Identity(), nn.Identity()
        set_activation(self, plan.activation)

    def maps(self, x: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return boxes (n, 4, rows, columns) and logits of each stride."""
        x = self.stage1(self.down1(self.stem(x)))
        fine = self.stage2(self.down2(x))
        middle = self.stage3(self.down3(fine))
        deep = self.lateral5(self.stage4(self.pool(self.down4(middle))))
        middle = self.lateral4(self.up4(torch.cat((self.larger(deep), middle), dim=1)))
        fine = self.up3(torch.cat((self.larger(middle), fine), dim=1))
        middle = self.down4out(torch.cat((self.to4(fine), middle), dim=1))
        deep = self.down5out(torch.cat((self.to5(middle), deep), dim=1))
        return self.head3(fine), self.head4(middle), self.head5(deep)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.maps(x)
        boxes = torch.cat([_rows(boxes) for boxes, _ in found], dim=1)
        logits = torch.cat([_rows(logits) for _, logits in found], dim=1)
        return self.said_boxes(boxes), self.said_logits(logits)


def _rows(maps: Tensor) -> Tensor:
    """Return (n, channels, rows, columns) as (n, cells, channels)."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)


class DeployedDetector(nn.Module):
    """The network as the camera runs it: NHWC bytes in, scores through the sigmoid."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        boxes, logits = self.detector(x.permute(0, 3, 1, 2))
        return boxes, torch.sigmoid(logits)


def set_activation(network: nn.Module, activation: Activation) -> None:
    """Exchange what comes after each convolution."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, (nn.ReLU6, nn.SiLU)):
                setattr(module, name, nn.ReLU6() if activation == "relu6" else nn.SiLU())


def save(folder: Path, detector: Detector) -> None:
    """Leave a network in a run folder: its plan as JSON, its weights beside it."""
    document = asdict(detector.plan)
    write_text(folder / PLAN_FILE, json.dumps(document, indent=1) + "\n")
    buffer = io.BytesIO()
    torch.save(detector.state_dict(), buffer)
    write_bytes(folder / WEIGHTS_FILE, buffer.getvalue())


def read_plan(folder: Path) -> NetworkPlan:
    """Return the plan that a run folder holds.

    Raises:
        WorkshopError: There is none, or it is wrong.
    """
    path = RunFolder(folder).file(PLAN_FILE, made_by="train")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        plan = NetworkPlan(**{**document, "classes": tuple(document["classes"])})
        if any(side < 1 or side % SIDE_MULTIPLE for side in (plan.height, plan.width)):
            raise ValueError(f"an input of {plan.width}x{plan.height} has no whole cells")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WorkshopError(f"not a plan of a network: {error!r}", where=str(path)) from error
    return plan


def load_run(folder: Path) -> Detector:
    """Return the network of a run folder, ready to look.

    Raises:
        WorkshopError: There is none, or plan and weights do not belong together.
    """
    detector = _built(folder)
    path = RunFolder(folder).file(WEIGHTS_FILE, made_by="train")
    detector.load_state_dict(_fitting(read_state(path), detector, path))
    detector.eval()
    return detector


def _built(folder: Path) -> Detector:
    plan = read_plan(folder)
    try:
        return Detector(plan)
    except (KeyError, TypeError, RuntimeError) as error:
        raise WorkshopError(
            f"the plan has no whole network in it: {error!r}", where=str(folder / PLAN_FILE)
        ) from error


def read_state(path: Path) -> dict[str, Any]:
    """Return what `torch.save` wrote of plain values and tensors.

    Raises:
        WorkshopError: The file is damaged, or holds something else.
    """
    try:
        # weights_only: a file of weights from elsewhere must not run code.
        state = torch.load(path, map_location="cpu", weights_only=True)
    # PyTorch has no error of its own for a damaged file: what it raises depends on the byte.
    except Exception as error:
        raise WorkshopError(
            f"cannot be read as PyTorch's: {first_line(error)}",
            where=str(path),
            remedy="Make it anew, or bring back a copy",
        ) from error
    if not isinstance(state, dict):
        raise WorkshopError(f"holds a {type(state).__name__}, no weights", where=str(path))
    return state


def first_line(error: Exception) -> str:
    """Return what an error says first; PyTorch's go on for pages."""
    return (str(error) or type(error).__name__).strip().splitlines()[0]


def _fitting(state: dict[str, Any], detector: Detector, path: Path) -> dict[str, Any]:
    """Return weights if they are those of a network; PyTorch itself would list every tensor."""
    wanted = {name: value.shape for name, value in detector.state_dict().items()}
    given = {name: getattr(value, "shape", None) for name, value in state.items()}
    strange = [name for name in {**wanted, **given} if wanted.get(name) != given.get(name)]
    if strange:
        raise WorkshopError(
            f"the weights do not fit the plan: {len(strange)} of {len(wanted)} tensors differ, "
            f"such as {strange[0]}",
            where=str(path),
            remedy="Plan and weights belong together: take both from the same run",
        )
    return state


def fused(detector: Detector) -> Detector:
    """Return a copy with normalisation folded into the convolutions: it says the same, sooner."""
    plain: Detector = copy.deepcopy(detector)
    plain.eval()
    for module in list(plain.modules()):
        if isinstance(module, ConvUnit):
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = nn.Identity()
            if module.depthwise is not None:
                conv, norm, act = module.depthwise
                module.depthwise = nn.Sequential(fuse_conv_bn_eval(conv, norm), act)
    return plain
