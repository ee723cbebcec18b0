"""A network that rounds while it learns: where, how, and that it is the better for it."""

# ruff: noqa: E402 -- PyTorch is asked for first: without it the whole module is skipped

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from tests.workshop.tiny_networks import pictures, said, tiny, tiny_plan
from tools.workshop.fake_quantization import (
    LARGEST_WEIGHT,
    RELU6_STEP,
    RoundedConv,
    RoundedRange,
    RoundedReLU6,
    make_quantization_aware,
    rounded_weights,
)
from tools.workshop.network import Detector, fused

pytestmark = pytest.mark.workshop


def aware(seed: int = 0) -> Detector:
    detector = tiny(seed)
    make_quantization_aware(detector)
    return detector


def slope(function: nn.Module, x: Tensor) -> list[float]:
    x = x.clone().requires_grad_()
    function(x).sum().backward()
    assert x.grad is not None
    return [round(value, 6) for value in x.grad.tolist()]


# --- the parts ---------------------------------------------------------------------------------


def test_weights_lie_on_a_grid_of_their_channel_and_its_largest_stays() -> None:
    weights = torch.randn(4, 3, 3, 3) * torch.tensor([1e-3, 1.0, 50.0, 0.0]).reshape(4, 1, 1, 1)
    rounded = rounded_weights(weights)
    largest = weights.abs().amax((1, 2, 3))
    torch.testing.assert_close(rounded.abs().amax((1, 2, 3)), largest)
    for channel in range(3):
        steps = rounded[channel] / largest[channel] * LARGEST_WEIGHT
        assert (steps - steps.round()).abs().max().item() < 1e-3
        assert (rounded - weights)[channel].abs().max() <= largest[channel] / 127 * 0.501
    assert (rounded[3] == 0).all()


def test_folding_a_normalisation_in_before_or_after_rounding_is_the_same() -> None:
    """So what is learnt with normalisations is what int8 will have without them."""
    weights, gains = torch.randn(4, 3, 3, 3), torch.tensor([0.1, 1.0, 7.0, -2.0])
    scaled = gains.reshape(4, 1, 1, 1)
    torch.testing.assert_close(rounded_weights(weights * scaled), rounded_weights(weights) * scaled)


def test_gradients_pass_through_the_rounding_of_weights() -> None:
    weights = torch.randn(2, 3, 1, 1).requires_grad_()
    rounded_weights(weights).sum().backward()
    assert weights.grad is not None
    assert (weights.grad == 1).all()


def test_relu6_has_256_steps_and_lets_gradients_through_between_its_ends() -> None:
    x = torch.tensor([-1.0, 0.0, 0.01, 0.02, 3.0, 5.99, 6.5])
    steps = RoundedReLU6()(x) / RELU6_STEP
    assert steps.tolist() == pytest.approx([0, 0, 0, 1, 128, 255, 255], abs=0.51)
    assert (steps - steps.round()).abs().max().item() < 1e-4
    assert slope(RoundedReLU6(), x) == [0, 1, 1, 1, 1, 1, 0]


def test_a_range_is_that_of_its_first_batch_and_then_follows_slowly() -> None:
    place = RoundedRange()
    place(torch.tensor([-1.0, 3.0]))
    assert (place.low.item(), place.high.item()) == (-1.0, 3.0)
    place(torch.tensor([-2.0, 13.0]))
    assert place.low.item() == pytest.approx(-1.02)
    assert place.high.item() == pytest.approx(3.2)


def test_a_range_stands_still_when_nobody_learns() -> None:
    place = RoundedRange()
    place(torch.tensor([-1.0, 3.0]))
    place.eval()
    assert place(torch.tensor([-5.0, 0.0, 9.0])).tolist() == pytest.approx(
        [-1.0, 0.0, 3.0], abs=0.01
    )
    assert (place.low.item(), place.high.item()) == (-1.0, 3.0)
    assert slope(place, torch.tensor([-5.0, 1.0, 9.0])) == [0, 1, 0]


def test_nought_is_in_every_range_and_is_said_exactly() -> None:
    place = RoundedRange()
    place(torch.tensor([2.0, 3.0]))
    assert (place.low.item(), place.high.item()) == (0.0, 3.0)
    crooked = RoundedRange()
    crooked(torch.tensor([-0.777, 1.3331]))
    assert crooked(torch.zeros(3)).tolist() == [0, 0, 0]


def test_a_range_of_noughts_stays_a_range() -> None:
    place = RoundedRange()
    assert torch.isfinite(place(torch.zeros(3))).all()
    place(torch.tensor([1.0]))
    assert place.high.item() == 1.0


# --- the network -------------------------------------------------------------------------------


def test_every_convolution_and_activation_rounds_and_all_that_is_summed_or_said() -> None:
    kinds = [type(module) for module in aware().modules()]
    assert nn.Conv2d not in kinds
    assert nn.ReLU6 not in kinds
    plain = [type(module) for module in tiny().modules()]
    assert kinds.count(RoundedConv) == plain.count(nn.Conv2d)
    assert kinds.count(RoundedReLU6) == plain.count(nn.ReLU6)
    # Seven sums in the three residual stages, what these are put beside, boxes and scores.
    assert kinds.count(RoundedRange) == 7 + 3 + 2


def test_what_is_learnt_are_the_parameters_that_were_there() -> None:
    detector = tiny()
    before = {name: id(parameter) for name, parameter in detector.named_parameters()}
    make_quantization_aware(detector)
    after = {name: id(parameter) for name, parameter in detector.named_parameters()}
    assert after == before


def test_its_weights_fit_an_ordinary_network() -> None:
    state = aware().state_dict()
    plain = Detector(tiny_plan())
    missing, more = plain.load_state_dict(state, strict=False)
    assert not missing
    assert {name.rsplit(".", 1)[1] for name in more} == {"low", "high"}


def test_it_says_nearly_the_same_and_not_quite() -> None:
    detector, plain = aware().train(), tiny().train()
    with torch.no_grad():
        rounded, exact = (torch.cat(net(pictures(4)), -1) for net in (detector, plain))
    assert 0.001 < (rounded - exact).abs().mean() / exact.std() < 0.5


def test_gradients_reach_every_layer() -> None:
    detector = aware()
    detector.train()
    boxes, logits = detector(pictures(4))
    (boxes.square().sum() + logits.square().sum()).backward()
    still = [n for n, p in detector.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_a_plain_network_is_not_touched_by_another_that_rounds() -> None:
    before = said(tiny(), pictures())
    aware()
    assert torch.equal(said(tiny(), pictures()), before)
    assert torch.equal(said(fused(tiny()), pictures()), said(fused(tiny()), pictures()))
