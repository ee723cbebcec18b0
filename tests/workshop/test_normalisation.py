"""Statistics of normalisations: measured without a change, or to make one."""

# ruff: noqa: E402 -- PyTorch is asked for first: without it the whole module is skipped

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from tests.workshop.tiny_networks import furthest, pictures, said, tiny
from tools.workshop.network import Detector
from tools.workshop.normalisation import SMALLEST_VARIANCE, measure_anew, renormalise

pytestmark = pytest.mark.workshop


def norms(detector: Detector) -> list[nn.BatchNorm2d]:
    return [module for module in detector.modules() if isinstance(module, nn.BatchNorm2d)]


def test_renormalised_a_network_says_the_same() -> None:
    detector = tiny()
    before = said(detector, pictures(4, seed=9))
    renormalise(detector, [pictures(4), pictures(4, seed=1)])
    assert furthest(said(detector, pictures(4, seed=9)), before) < 1e-3


def test_renormalised_its_statistics_are_those_of_the_pictures() -> None:
    detector = tiny()
    renormalise(detector, [pictures(2), pictures(2, seed=1)])
    seen: list[torch.Tensor] = []
    stem = detector.stem.norm
    hook = stem.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    said(detector, torch.cat((pictures(2), pictures(2, seed=1))))
    hook.remove()
    (x,) = seen
    torch.testing.assert_close(stem.running_mean, x.mean((0, 2, 3)), rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(
        stem.running_var, x.var((0, 2, 3), unbiased=False), rtol=1e-4, atol=1e-2
    )


def test_renormalising_leaves_no_hook_behind() -> None:
    detector = tiny()
    renormalise(detector, [pictures()])
    assert not any(norm._forward_hooks for norm in norms(detector))


def test_a_channel_that_never_changes_keeps_what_it_says() -> None:
    """Its variance is nothing, by which nothing can be divided."""
    detector = tiny()
    with torch.no_grad():
        detector.stem.conv.weight[0] = 0
    before = said(detector, pictures())
    renormalise(detector, [pictures()])
    assert detector.stem.norm.running_var[0].item() == pytest.approx(SMALLEST_VARIANCE)
    assert furthest(said(detector, pictures()), before) < 1e-3


def test_measured_anew_each_layer_is_centred_and_says_something_else() -> None:
    detector = tiny()
    momenta = [norm.momentum for norm in norms(detector)]
    before = said(detector, pictures())
    measure_anew(detector, [pictures(4), pictures(4, seed=1)])
    assert furthest(said(detector, pictures()), before) > 0.01
    assert [norm.momentum for norm in norms(detector)] == momenta
    assert not detector.training
    expected = sum(
        detector.stem.conv(x).mean((0, 2, 3)) for x in (pictures(4), pictures(4, seed=1))
    )
    torch.testing.assert_close(detector.stem.norm.running_mean, expected / 2, rtol=1e-4, atol=1e-2)


def test_measured_twice_it_stays_as_it_was() -> None:
    detector = tiny()
    measure_anew(detector, [pictures(4)])
    once = said(detector, pictures())
    measure_anew(detector, [pictures(4)])
    assert torch.equal(said(detector, pictures()), once)
