"""Channels that go, and what is left: a network like any other."""

# ruff: noqa: E402 -- PyTorch is asked for first: without it the whole module is skipped

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch_pruning")

from tests.workshop.tiny_networks import furthest, pictures, said, tiny
from tools.workshop import prune as pruning
from tools.workshop.errors import WorkshopError
from tools.workshop.network import Detector, load_run, save
from tools.workshop.prune import ROUND_TO, Pruned, name_in_plan, prune

pytestmark = pytest.mark.workshop

NOTHING_SPARED = 0


@pytest.fixture(scope="module")
def wide() -> Detector:
    detector = tiny(classes=("person", "dog"))
    widths = {name: 2 * width for name, width in detector.plan.widths.items()}
    return Detector(dataclasses.replace(detector.plan, widths=widths)).eval()


@pytest.fixture(scope="module")
def half(wide: Detector) -> Pruned:
    return prune(wide, 0.5, NOTHING_SPARED)


def test_channels_go_everywhere_but_where_it_speaks(wide: Detector, half: Pruned) -> None:
    before, after = wide.plan.widths, half.detector.plan.widths
    assert after.keys() == before.keys()
    assert all(after[name] <= before[name] for name in before)
    assert sum(after.values()) < 0.7 * sum(before.values())
    assert half.detector.plan.classes == ("person", "dog")
    assert half.detector.head3.to_class.out_channels == 2


def test_widths_that_are_left_are_what_kernels_like(half: Pruned) -> None:
    assert {width % ROUND_TO for width in half.detector.plan.widths.values()} == {0}


def test_what_is_counted_is_what_is_there(wide: Detector, half: Pruned) -> None:
    counts = [sum(p.numel() for p in net.parameters()) for net in (wide, half.detector)]
    assert half.parameters == tuple(counts)
    assert half.multiplications[1] < half.multiplications[0]


def test_the_network_that_was_pruned_stays_as_it_was(wide: Detector) -> None:
    before = said(wide, pictures())
    prune(wide, 0.5, NOTHING_SPARED)
    assert torch.equal(said(wide, pictures()), before)


def test_rebuilt_from_its_plan_it_says_what_the_pruned_modules_say(
    wide: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules: list[Detector] = []
    whole = pruning._rebuilt

    def rebuilt(detector: Detector, network: Detector) -> Detector:
        modules.append(network)
        return whole(detector, network)

    monkeypatch.setattr(pruning, "_rebuilt", rebuilt)
    smaller = prune(wide, 0.5, NOTHING_SPARED).detector
    assert furthest(said(smaller, pictures()), said(modules[0], pictures())) < 1e-5


def test_channels_that_weigh_nothing_go_first_and_are_not_missed(wide: Detector) -> None:
    """The middle layers of the heads depend on nobody else: half of each is switched off."""
    quiet = tiny(classes=("person", "dog"))
    quiet.load_state_dict(tiny(5, classes=("person", "dog")).state_dict())
    layer, behind = quiet.head3.what0, quiet.head3.what1
    with torch.no_grad():
        for channel in range(0, 16, 2):
            layer.conv.weight[channel] = layer.norm.weight[channel] = 0
            layer.norm.bias[channel] = layer.norm.running_mean[channel] = 0
            behind.depthwise[0].weight[channel] = behind.depthwise[1].weight[channel] = 0
            behind.depthwise[1].bias[channel] = behind.depthwise[1].running_mean[channel] = 0
            behind.conv.weight[:, channel] = 0
    ranked = prune(quiet, 0.5, NOTHING_SPARED).detector
    kept = ranked.head3.what0.conv.weight
    assert kept.shape[0] == 8
    assert (kept.abs().sum(dim=(1, 2, 3)) > 0).all()


def test_a_pruned_network_is_saved_loaded_and_pruned_again(half: Pruned, tmp_path: Path) -> None:
    save(tmp_path, half.detector)
    back = load_run(tmp_path)
    assert torch.equal(said(back, pictures()), said(half.detector, pictures()))
    assert prune(back, 0.5, NOTHING_SPARED).parameters[1] < half.parameters[1]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.3, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(wide: Detector, share: float) -> None:
    with pytest.raises(WorkshopError, match=f"cannot take away {share} of the channels"):
        prune(wide, share, NOTHING_SPARED)


@pytest.mark.parametrize("share", [0.51, 0.9, 0.999])
def test_a_share_that_leaves_a_layer_with_nothing_is_refused(wide: Detector, share: float) -> None:
    """The library under it passed such layers over: the more was asked for, the less went."""
    with pytest.raises(WorkshopError, match=r"16 channels.* Give at most 0\.50"):
        prune(wide, share, NOTHING_SPARED)


def test_layers_of_eight_channels_stay_whole() -> None:
    narrow = tiny()
    after = prune(narrow, 0.5, NOTHING_SPARED).detector.plan.widths
    eights = [name for name, width in narrow.plan.widths.items() if width == ROUND_TO]
    assert eights
    assert all(after[name] == ROUND_TO for name in eights)


def test_narrow_layers_are_spared_and_wide_ones_pay(wide: Detector) -> None:
    before, after = wide.plan.widths, prune(wide, 0.5, 32).detector.plan.widths
    assert {name for name in before if after[name] < before[name]} == {
        name for name, width in before.items() if width > 32
    }


@pytest.mark.parametrize(
    ("path", "name"),
    [("stem", "stem"), ("stage2.wide.1", "stage2.wide1"), ("head3.what0", "head3.what0")],
)
def test_layers_are_called_as_the_plan_calls_them(path: str, name: str) -> None:
    assert name_in_plan(path) == name
