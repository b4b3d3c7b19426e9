"""A mask takes part in every call and never touches what it masks."""

import pytest
import torch
from small import condition_of, items, labels, randomise, same, weights

from simulacra.autoregressive import GatedPixelCNN
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.nn import MaskedConv2d, group_mask

SPEC = DataSpec((3, 4, 4), 4, labels(3))


@pytest.fixture
def model() -> GatedPixelCNN:
    return randomise(GatedPixelCNN(SPEC, width=6, layers=3))


def masked(model: GatedPixelCNN) -> list[MaskedConv2d]:
    return [module for module in model.modules() if isinstance(module, MaskedConv2d)]


def test_there_is_no_gradient_outside_a_mask(model):
    model.log_prob(items(SPEC, 4), condition_of(SPEC, 4)).sum().backward()
    reached = [layer for layer in masked(model) if layer.weight.grad is not None]
    assert len(reached) > 6
    for layer in reached:
        assert (layer.weight.grad[layer.mask == 0] == 0).all()
        assert layer.weight.grad.abs().sum() > 0


def test_what_is_masked_does_not_matter(model):
    x, given = items(SPEC, 4), condition_of(SPEC, 4)
    before = model.eval().log_prob(x, given)
    with torch.no_grad():
        for layer in masked(model):
            layer.weight[layer.mask == 0] = 1e6
    assert torch.equal(model.log_prob(x, given), before)


def test_evaluation_leaves_every_parameter_as_it_is(model):
    before = weights(model)
    model.eval()
    model.log_prob(items(SPEC, 4), condition_of(SPEC, 4))
    for sampler in ("cached", "naive"):
        model.sample(2, {"label": 1}, sampler=sampler)
    assert same(weights(model), before)


def test_masks_are_no_part_of_the_saved_weights(model):
    assert not any("mask" in name for name in model.state_dict())


def test_group_mask_lets_red_reach_green_and_green_reach_blue():
    assert group_mask(3, 3, 3, strict=True).tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert group_mask(3, 3, 3, strict=False).tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    halves = group_mask(6, 3, 3, strict=False, period=3)  # both halves of a gate see the same
    assert torch.equal(halves[:3], halves[3:])


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        (DataSpec((5,), 4), {}, "try vae"),
        (DataSpec((1, 4, 4), 4), {"kernel": 4}, "odd"),
        (DataSpec((3, 4, 4), 4), {"width": 2}, "width >= 3"),
        (DataSpec((1, 4, 4), 4), {"layers": 0}, "at least one layer"),
        (DataSpec((1, 4, 4), None), {}, "continuous"),
    ],
)
def test_what_it_cannot_model_is_refused(spec, arguments, message):
    with pytest.raises(UsageError, match=message):
        GatedPixelCNN(spec, **arguments)
