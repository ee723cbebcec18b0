"""Training from end to end: it learns, it can be stopped, and it refuses what makes no sense."""

# ruff: noqa: E402 -- PyTorch is asked for first: without it the whole module is skipped

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.workshop.tiny_networks import (
    bytes_of,
    furthest,
    pictures,
    said,
    short,
    tiny,
    tiny_plan,
)
from tests.workshop.training_pictures import PLACES, SIDE, painted_set
from tools.workshop import network
from tools.workshop import train as trainer
from tools.workshop.augment import Augmentation, read_picture
from tools.workshop.dataset import DataSet
from tools.workshop.errors import WorkshopError
from tools.workshop.feed import Batch
from tools.workshop.imitation import Teacher
from tools.workshop.losses import cells_of, corners_of, overlap
from tools.workshop.network import STRIDES, Detector, load_run
from tools.workshop.train import CHECKPOINT, HISTORY, Schedule, Training, few_pictures, rate_at

pytestmark = pytest.mark.workshop


def fresh(classes: tuple[str, ...] = ("person",)) -> Detector:
    torch.manual_seed(0)
    return Detector(tiny_plan(classes))


def trained(
    data: DataSet, folder: Path, schedule: Schedule, teacher: Teacher | None = None
) -> Training:
    folder.mkdir(parents=True, exist_ok=True)
    training = Training(fresh(data.classes), data, schedule, folder, teacher)
    training.run()
    return training


def history(folder: Path) -> list[dict[str, float]]:
    records = [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    return [{name: value for name, value in r.items() if name != "seconds"} for r in records]


class PowerCut(Exception):
    """What stops a run in a test."""


def stop_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let training end at a step, as if somebody had pulled the plug."""
    whole = Training._one_step

    def one_step(self: Training, batch: Batch) -> dict[str, float]:
        if self._step == step:
            raise PowerCut
        return whole(self, batch)

    monkeypatch.setattr(Training, "_one_step", one_step)


# --- learning ----------------------------------------------------------------------------------


def test_it_learns_four_pictures_by_heart(tmp_path: Path) -> None:
    data = painted_set(tmp_path, 4)
    many = dataclasses.replace(data, images=data.images * 70)
    trained(many, tmp_path / "run", short(epochs=2, rate=1e-2, warm_up_steps=5, memory=0.8))
    seen = np.stack([read_picture(str(image.path)) for image in data.images])
    with torch.no_grad():
        boxes, logits = load_run(tmp_path / "run")(
            torch.from_numpy(seen).permute(0, 3, 1, 2).float()
        )
    scores = torch.sigmoid(logits[..., 0]) * torch.sigmoid(logits[..., 1])
    best = scores.argmax(dim=1)
    corners = corners_of(boxes, cells_of(SIDE, SIDE, STRIDES))
    for row, place in enumerate(PLACES):
        assert scores[row, best[row]].item() > 0.3, row
        assert overlap(corners[row, best[row]], torch.tensor(place).float()).item() > 0.5, row
    losses = [record["objectness"] for record in history(tmp_path / "run")]
    assert losses[-1] < 0.7 * losses[0]


def test_a_pupil_comes_nearer_to_its_teacher(tmp_path: Path) -> None:
    data = painted_set(tmp_path, 4)
    trained(data, tmp_path / "run", short(epochs=4), Teacher(tiny(3)))
    imitation = [record["imitation"] for record in history(tmp_path / "run")]
    assert 0 < imitation[-1] < imitation[0]


def test_features_are_copied_where_they_are_asked_for(tmp_path: Path) -> None:
    data = painted_set(tmp_path, 4)
    trained(data, tmp_path / "run", short(epochs=3, features=10.0), Teacher(tiny(3)))
    features = [record["features"] for record in history(tmp_path / "run")]
    assert 0 < features[-1] < features[0]


@pytest.mark.parametrize("is_aware", [False, True])
def test_a_stopped_run_ends_as_if_it_had_not_been_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_aware: bool
) -> None:
    """Bit for bit: weights, and what was noted of each epoch."""
    data = painted_set(tmp_path, 8)
    schedule = short(epochs=3, how=Augmentation(), quantization_aware=is_aware)
    trained(data, tmp_path / "whole", schedule)
    with monkeypatch.context() as patch:
        stop_at(3, patch)  # in the middle of the second epoch
        with pytest.raises(PowerCut):
            trained(data, tmp_path / "cut", schedule)
    assert not (tmp_path / "cut/weights.pt").exists()
    trained(data, tmp_path / "cut", schedule)
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")
    assert history(tmp_path / "cut") == history(tmp_path / "whole")


def test_an_epoch_that_was_noted_but_not_saved_is_noted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, folder = painted_set(tmp_path, 4), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_save", power_cut)
        with pytest.raises(PowerCut):
            trained(data, folder, short())
    trained(data, folder, short())
    assert [record["epoch"] for record in history(folder)] == [1, 2]


def power_cut(*_: object) -> None:
    raise PowerCut


def test_a_finished_run_given_again_stays_as_it_is(tmp_path: Path) -> None:
    data, folder = painted_set(tmp_path, 4), tmp_path / "run"
    trained(data, folder, short())
    before = bytes_of(folder), history(folder)
    trained(data, folder, short())
    assert (bytes_of(folder), history(folder)) == before


# --- refusals ----------------------------------------------------------------------------------


def test_a_folder_with_a_run_of_other_settings_is_refused_and_they_are_named(
    tmp_path: Path,
) -> None:
    data, folder = painted_set(tmp_path, 4), tmp_path / "run"
    trained(data, folder, short(epochs=1))
    before = bytes_of(folder)
    with pytest.raises(WorkshopError, match=r"epochs was 1, is 2; rate was 0\.004, is 0\.1"):
        trained(data, folder, short(epochs=2, rate=0.1))
    with pytest.raises(WorkshopError, match="quantization_aware was null, is true"):
        trained(data, folder, short(epochs=1, quantization_aware=True))
    assert bytes_of(folder) == before


def test_a_folder_with_another_network_is_refused(tmp_path: Path) -> None:
    data, folder = painted_set(tmp_path, 4), tmp_path / "run"
    trained(data, folder, short(epochs=1))
    other = dataclasses.replace(data, classes=("face",))
    with pytest.raises(WorkshopError, match=r'classes was \["person"\], is \["face"\]'):
        trained(other, folder, short(epochs=1))


def edited(folder: Path, edit: Callable[[dict[str, object]], object]) -> None:
    state = torch.load(folder / CHECKPOINT, weights_only=True)
    edit(state)
    torch.save(state, folder / CHECKPOINT)


def test_a_checkpoint_from_before_plans_were_noted_is_gone_on_with(tmp_path: Path) -> None:
    data, folder = painted_set(tmp_path, 4), tmp_path / "run"
    trained(data, folder, short(epochs=1))
    before = bytes_of(folder)
    edited(folder, lambda state: state.pop("plan"))
    trained(data, folder, short(epochs=1))
    assert bytes_of(folder) == before


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    data, folder = painted_set(tmp_path, 4), tmp_path / "run"
    trained(data, folder, short(epochs=1))
    edited(folder, lambda state: state.pop("kept"))
    with pytest.raises(WorkshopError, match="no checkpoint of such a network: 'kept'"):
        trained(data, folder, short(epochs=1))
    (folder / CHECKPOINT).write_bytes(b"half of it")
    with pytest.raises(WorkshopError, match="cannot be read"):
        trained(data, folder, short(epochs=1))


def test_a_schedule_is_kept_as_it_always_was_unless_it_rounds() -> None:
    assert "quantization_aware" not in json.loads(Schedule().as_json())
    assert json.loads(Schedule(quantization_aware=True).as_json())["quantization_aware"] is True


def test_a_loss_that_is_no_number_ends_the_run_before_anything_is_spoilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, folder = painted_set(tmp_path, 4), tmp_path / "run"
    whole = trainer.losses_of

    def spoilt(*arguments: object) -> object:
        losses = whole(*arguments)  # type: ignore[arg-type]
        return dataclasses.replace(losses, box=losses.box * math.nan)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "losses_of", spoilt)
        with pytest.raises(WorkshopError, match="the loss is nan at step 0.*Lower --rate"):
            trained(data, folder, short())
    assert not (folder / CHECKPOINT).exists()


def test_a_gradient_that_is_no_number_ends_the_run_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss may be one while its slope is not: of a root at zero, for one."""
    data = painted_set(tmp_path, 4)
    whole = trainer.losses_of

    def steep(*arguments: object) -> object:
        losses = whole(*arguments)  # type: ignore[arg-type]
        return dataclasses.replace(losses, box=losses.box + (losses.box * 0).sqrt())

    monkeypatch.setattr(trainer, "losses_of", steep)
    with pytest.raises(WorkshopError, match="the gradient is nan at step 0"):
        trained(data, tmp_path / "run", short())


def test_a_full_disk_is_told_and_the_last_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, folder = painted_set(tmp_path, 4), tmp_path / "run"
    whole = Training._save

    with monkeypatch.context() as patch:

        def save(self: Training) -> None:
            if self._epoch == 2:
                patch.setattr(os, "fsync", no_space)
            whole(self)

        patch.setattr(Training, "_save", save)
        with pytest.raises(WorkshopError, match="No space left on device.*Free some space"):
            trained(data, folder, short())
    assert torch.load(folder / CHECKPOINT, weights_only=True)["epoch"] == 1
    assert not list(folder.glob("*.part"))
    trained(data, folder, short())
    trained(data, tmp_path / "whole", short())
    assert bytes_of(folder) == bytes_of(tmp_path / "whole")


def no_space(_: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told_while_an_epoch_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = painted_set(tmp_path / "data", 4)
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(WorkshopError, match=r"history\.jsonl: cannot be written: No space"):
        trained(data, tmp_path / "run", short())


def test_a_data_set_without_pictures_to_train_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkshopError, match="no pictures to train on"):
        trained(painted_set(tmp_path, 2, split="val"), tmp_path / "run", short())


# --- the small parts ---------------------------------------------------------------------------


def test_the_rate_rises_in_a_line_and_falls_to_a_hundredth() -> None:
    schedule = Schedule(epochs=2, rate=1.0, warm_up_steps=10)
    rates = [rate_at(step, schedule, 50) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.505)  # half way along the cosine
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)


def test_a_short_run_warms_up_in_a_third_of_its_steps() -> None:
    schedule = Schedule(epochs=1, rate=1.0, warm_up_steps=100)
    assert rate_at(1, schedule, 9) < rate_at(2, schedule, 9) == 1.0 == rate_at(3, schedule, 9)


def test_what_is_kept_is_a_mean_of_what_is_trained(tmp_path: Path) -> None:
    """At first it follows quickly: at step 1 a ninth of it is memory (2 / 11 stays)."""
    detector = fresh()
    begun = detector.state_dict()["stem.conv.weight"].clone()
    data = painted_set(tmp_path, 4)
    training = Training(detector, data, short(epochs=1), tmp_path)
    training.run()
    now = detector.state_dict()["stem.conv.weight"]
    expected = begun * (2 / 11) + now * (9 / 11)
    torch.testing.assert_close(training.kept.state_dict()["stem.conv.weight"], expected)


def test_few_pictures_are_spread_over_the_data_set_and_not_strayed_with(tmp_path: Path) -> None:
    data = painted_set(tmp_path, 4)
    many = tuple(image for image in data.images for _ in range(100))
    found = few_pictures(dataclasses.replace(data, images=many), (SIDE, SIDE))
    assert sum(len(batch) for batch in found) <= 2 * trainer.FEW
    assert all(batch.shape[1:] == (3, SIDE, SIDE) for batch in found)
    kinds = {tuple(picture[:, 30, 20].tolist()) for batch in found for picture in batch}
    assert kinds == {(90.0, 90.0, 90.0), (0.0, 0.0, 255.0)}


def test_what_is_left_is_what_the_run_kept(tmp_path: Path) -> None:
    training = trained(painted_set(tmp_path, 4), tmp_path / "run", short())
    back = network.load_run(tmp_path / "run")
    assert furthest(said(back, pictures()), said(training.kept, pictures())) < 1e-4
