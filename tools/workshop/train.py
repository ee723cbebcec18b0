"""Trains a detector, epoch by epoch; a stopped run goes on where its last epoch ended.

The weights that are kept are a running mean of those that are trained: on few pictures it is
steadier. What each epoch gave is a line of `history.jsonl`.
"""

from __future__ import annotations

import copy
import io
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from tools.workshop import network
from tools.workshop.augment import PLAIN, Augmentation
from tools.workshop.dataset import DataSet
from tools.workshop.errors import WorkshopError
from tools.workshop.fake_quantization import make_quantization_aware
from tools.workshop.feed import Batch, batches
from tools.workshop.imitation import Features, Teacher, feature_loss, imitation_loss
from tools.workshop.losses import Cells, Losses, cells_of, losses_of
from tools.workshop.network import STRIDES, Detector
from tools.workshop.runs import write_bytes, write_text

CHECKPOINT = "checkpoint.pt"
HISTORY = "history.jsonl"
LARGEST_STEP = 10.0
# Pictures to measure the statistics of normalisations on.
FEW = 160


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a network is trained.

    Attributes:
        epochs: Times that every picture is shown.
        batch: Pictures a step.
        rate: Learning rate at its highest; it falls to a hundredth along a cosine.
        warm_up_steps: Steps in which the rate rises from zero.
        decay: Weight decay of convolutions.
        memory: Share of the kept weights that a step leaves as they are.
        sizes: Height and width of the inputs, one drawn a batch.
        seed: Of everything that is left to chance.
        workers: Processes that make samples.
        imitation: Weight of the teacher's say against the labels', if there is a teacher.
        features: Weight of how far each part is from the teacher's own; for equal widths.
        most_batches: Batches of an epoch at most; None for all. For trials.
        how: How far samples stray from their pictures.
        quantization_aware: Weights and layers round as int8 will.
    """

    epochs: int = 6
    batch: int = 32
    rate: float = 1e-3
    warm_up_steps: int = 100
    decay: float = 5e-4
    memory: float = 0.995
    sizes: tuple[tuple[int, int], ...] = ((256, 256),)
    seed: int = 0
    workers: int = 2
    imitation: float = 1.0
    features: float = 0.0
    most_batches: int | None = None
    how: Augmentation = field(default_factory=Augmentation)
    quantization_aware: bool = False

    def as_json(self) -> str:
        """Return it as checkpoints keep it."""
        fields = asdict(self)
        if not self.quantization_aware:
            del fields["quantization_aware"]  # checkpoints from before there was a choice lack it
        return json.dumps(fields, sort_keys=True)


class Training:
    """One run of training. Not for more than one thread."""

    def __init__(
        self,
        detector: Detector,
        data: DataSet,
        schedule: Schedule,
        folder: Path,
        teacher: Teacher | None = None,
    ) -> None:
        self._images = data.split("train")
        if not self._images:
            raise WorkshopError("the data set has no pictures to train on", where="split train")
        self._detector = detector.to(memory_format=torch.channels_last)
        self._schedule = schedule
        self._folder = folder
        self._teacher = teacher
        # The copy comes first: hooks must stay with the network that is trained.
        self._kept: Detector = copy.deepcopy(detector)
        self._kept.eval()
        if schedule.quantization_aware:
            make_quantization_aware(detector)  # only what is trained: what is kept stays plain
        self._optimizer = _optimizer(detector, schedule)
        count = max(1, len(self._images) // schedule.batch)
        self._steps_per_epoch = min(count, schedule.most_batches or count)
        self._features = Features(detector) if teacher and schedule.features else None
        self._step = 0
        self._epoch = 0
        self._cells: dict[tuple[int, int], Cells] = {}

    @property
    def kept(self) -> Detector:
        """The network with the mean of the weights: what training is for."""
        return self._kept

    def run(self) -> None:
        """Train from wherever the run folder says to the end; leave the network there.

        Raises:
            WorkshopError: A picture cannot be read, the loss is no number, nothing can be written,
                or the folder holds another run. What was saved before stays.
        """
        torch.manual_seed(self._schedule.seed)
        if (self._folder / CHECKPOINT).is_file():
            self._resume()
        else:
            self._begin()
        while self._epoch < self._schedule.epochs:
            self._one_epoch()
            self._epoch += 1
            self._save()
        network.save(self._folder, self._kept)

    def _begin(self) -> None:
        write_text(self._folder / HISTORY, "")

    def _one_epoch(self) -> None:
        self._detector.train()
        begun = time.monotonic()
        sums = dict.fromkeys(("objectness", "category", "box", "imitation", "features"), 0.0)
        bar = tqdm(
            self._batches(),
            total=self._steps_per_epoch,
            desc=f"epoch {self._epoch + 1} of {self._schedule.epochs}",
            disable=None,
        )
        for batch in bar:
            parts = self._one_step(batch)
            for name, value in parts.items():
                sums[name] += value
            bar.set_postfix({name: f"{value:.2f}" for name, value in parts.items()})
        means = {name: round(value / self._steps_per_epoch, 4) for name, value in sums.items()}
        self._log({"epoch": self._epoch + 1, **means, "seconds": round(time.monotonic() - begun)})

    def _batches(self) -> Iterator[Batch]:
        schedule = self._schedule
        source = batches(
            self._images,
            schedule.how,
            schedule.sizes,
            batch=schedule.batch,
            seed=schedule.seed,
            epoch=self._epoch,
            workers=schedule.workers,
        )
        for _, batch in zip(range(self._steps_per_epoch), source, strict=False):
            yield batch

    def _one_step(self, batch: Batch) -> dict[str, float]:
        pictures = batch.pictures.float().contiguous(memory_format=torch.channels_last)
        cells = self._cells_of(pictures)
        boxes, logits = self._detector(pictures)
        losses = losses_of(boxes, logits, batch, cells)
        loss = losses.total
        parts = _floats(losses)
        if self._teacher is not None:
            said = imitation_loss(boxes, logits, self._teacher.look(pictures), cells)
            loss = loss + self._schedule.imitation * said
            parts["imitation"] = float(said.detach())
            if self._features is not None:
                apart = feature_loss(self._features, self._teacher.features)
                loss = loss + self._schedule.features * apart
                parts["features"] = float(apart.detach())
        self._learn(loss)
        return parts

    def _learn(self, loss: Tensor) -> None:
        self._expect_finite(loss, "loss")
        for group in self._optimizer.param_groups:
            group["lr"] = rate_at(self._step, self._schedule, self._steps_per_epoch)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        length = nn.utils.clip_grad_norm_(self._detector.parameters(), LARGEST_STEP)
        self._expect_finite(length, "gradient")
        self._optimizer.step()
        self._step += 1
        self._remember()

    def _expect_finite(self, value: Tensor, name: str) -> None:
        if not torch.isfinite(value):
            raise WorkshopError(
                f"the {name} is {float(value.detach())} at step {self._step}",
                where=str(self._folder),
                remedy="Lower --rate, and take another --run folder",
            )

    @torch.no_grad()
    def _remember(self) -> None:
        """Move the kept weights a little towards the trained ones; faster at the beginning."""
        memory = min(self._schedule.memory, (1 + self._step) / (10 + self._step))
        trained = self._detector.state_dict()
        for name, kept in self._kept.state_dict().items():
            if kept.dtype.is_floating_point:
                kept.mul_(memory).add_(trained[name], alpha=1 - memory)
            else:
                kept.copy_(trained[name])

    def _cells_of(self, pictures: Tensor) -> Cells:
        size = (pictures.shape[2], pictures.shape[3])
        if size not in self._cells:
            self._cells[size] = cells_of(*size, STRIDES)
        return self._cells[size]

    def _log(self, record: dict[str, Any]) -> None:
        path = self._folder / HISTORY
        # Of an epoch that was not saved there may be a line: it is made again.
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        write_text(path, "".join(f"{x}\n" for x in [*lines[: self._epoch], json.dumps(record)]))
        print(" ".join(f"{name} {value}" for name, value in record.items()), flush=True)

    def _save(self) -> None:
        buffer = io.BytesIO()
        torch.save(
            {
                "epoch": self._epoch,
                "step": self._step,
                "trained": self._detector.state_dict(),
                "kept": self._kept.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "schedule": self._schedule.as_json(),
                "plan": json.dumps(asdict(self._detector.plan)),
            },
            buffer,
        )
        write_bytes(self._folder / CHECKPOINT, buffer.getvalue())

    def _resume(self) -> None:
        path = self._folder / CHECKPOINT
        state = network.read_state(path)
        try:
            self._refuse_another_run(state, path)
            self._detector.load_state_dict(state["trained"])
            self._kept.load_state_dict(state["kept"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._epoch, self._step = state["epoch"], state["step"]
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise WorkshopError(
                f"this is no checkpoint of such a network: {network.first_line(error)}",
                where=str(path),
                remedy="Take another --run folder, or remove the file to begin anew",
            ) from error

    def _refuse_another_run(self, state: dict[str, Any], path: Path) -> None:
        plan = asdict(self._detector.plan)
        differing = _differing(state["schedule"], self._schedule.as_json())
        # Checkpoints from before plans were noted lack it.
        differing += _differing(state.get("plan", json.dumps(plan)), json.dumps(plan))
        if differing:
            raise WorkshopError(
                f"the folder holds a run with other settings: {'; '.join(differing)}",
                where=str(path),
                remedy="Take another --run folder, or the settings of the run",
            )


def _differing(first: str, second: str) -> list[str]:
    """Return which fields of two JSON objects differ, and how."""
    before, now = json.loads(first), json.loads(second)
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return [_difference(name, before.get(name), now.get(name)) for name in names]


def _difference(name: str, before: Any, now: Any) -> str:
    if isinstance(before, dict):
        return f"other {name}"
    return f"{name} was {json.dumps(before)}, is {json.dumps(now)}"


def few_pictures(data: DataSet, size: tuple[int, int]) -> list[Tensor]:
    """Return some hundred pictures of a data set, spread over it, as the camera would see them."""
    images = data.split("train")
    chosen = images[:: max(1, len(images) // FEW)]
    source = batches(chosen, PLAIN, [size], batch=16, seed=0, epoch=0, workers=0)
    return [batch.pictures.float() for batch in source]


def rate_at(step: int, schedule: Schedule, steps_per_epoch: int) -> float:
    """Return the learning rate of a step: up in a line, down along a cosine to a hundredth."""
    last = schedule.epochs * steps_per_epoch
    warm = min(schedule.warm_up_steps, last // 3)
    if step < warm:
        return schedule.rate * (step + 1) / warm
    along = (step - warm) / max(1, last - warm)
    return schedule.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * along)))


def _optimizer(detector: Detector, schedule: Schedule) -> torch.optim.Optimizer:
    """Return AdamW; only the weights of convolutions decay."""
    weights = [p for p in detector.parameters() if p.ndim > 1]
    others = [p for p in detector.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": schedule.decay}]
    return torch.optim.AdamW([*groups, {"params": others, "weight_decay": 0.0}], lr=schedule.rate)


def _floats(losses: Losses) -> dict[str, float]:
    return {
        "objectness": float(losses.objectness.detach()),
        "category": float(losses.category.detach()),
        "box": float(losses.box.detach()),
    }
