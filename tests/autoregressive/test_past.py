"""x_i is predicted from what comes before it, from all of it, and from nothing else: derivatives, exactly."""

import pytest
import torch
from small import items, labels, randomise

from simulacra.autoregressive import GatedPixelCNN
from simulacra.data import DataSpec

SHAPES = [(1, 5, 5), (1, 3, 7), (1, 6, 2), (1, 1, 6), (1, 6, 1), (1, 1, 1), (3, 4, 3), (3, 1, 3), (3, 3, 1), (2, 2, 3)]
NETWORKS = [{}, {"kernel": 3}, {"kernel": 5, "inner_kernel": 1}, {"layers": 1}]


def model(shape, condition=None, width=24, layers=4, **arguments) -> GatedPixelCNN:
    """Wide, so that ReLUs which happen to be off hide no dependency, and with random biases everywhere."""
    made = GatedPixelCNN(DataSpec(shape, 4, condition or {}), width=width, layers=layers, **arguments)
    return randomise(made.double().eval(), 0.25)


def order(shape) -> torch.Tensor:
    """The place of every sub-pixel (C, H, W) in the chain: row, column, channel."""
    channels, height, width = shape
    return torch.arange(height * width * channels).view(height, width, channels).permute(2, 0, 1).flatten()


def dependence(model: GatedPixelCNN, condition=None) -> torch.Tensor:
    """(dims, dims): the largest |d logit of x_i / d x_j|, rows and columns in the order of the chain."""
    shape = model.spec.shape
    start = torch.randn(1, *shape, dtype=torch.float64)

    def logits(x):
        model._centred = lambda _: x  # the input as real numbers, which have derivatives
        return model.conditionals(x, condition).log_masses()

    jacobian = torch.autograd.functional.jacobian(logits, start)  # (1, C, H, W, levels, 1, C, H, W)
    reached = jacobian.abs().amax(4).view(model.spec.dims, model.spec.dims)
    chain = order(shape).argsort()
    return reached[chain][:, chain]


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nothing_at_or_after_a_sub_pixel_reaches_it(shape, network):
    reached = dependence(model(shape, **network))
    assert (reached.triu() == 0).all()  # exactly


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_that_comes_before_reaches_a_sub_pixel(shape):
    """No blind spot: a window of 7 and three layers on top see the whole of these images."""
    reached = dependence(model(shape))
    past = torch.ones_like(reached).tril(-1).bool()
    assert (reached[past] != 0).all()


@pytest.mark.parametrize("shape", [(1, 4, 3), (3, 2, 3)], ids=str)
def test_a_condition_opens_no_door_to_the_future(shape):
    reached = dependence(model(shape, labels(3)), {"label": torch.tensor([2])})
    assert (reached.triu() == 0).all()
    assert (reached[torch.ones_like(reached).tril(-1).bool()] != 0).all()


@pytest.mark.parametrize("shape", [(1, 3, 3), (3, 2, 2)], ids=str)
def test_the_condition_reaches_every_sub_pixel(shape):
    net = model(shape, labels(3))
    x = items(net.spec, 2)[:1].expand(3, *shape)
    masses = net.conditionals(x, {"label": torch.arange(3)}).log_masses()
    assert ((masses[0] - masses[1]).abs().amax(-1) > 0).all()
    assert ((masses[1] - masses[2]).abs().amax(-1) > 0).all()


@pytest.mark.parametrize("shape", [(1, 4, 5), (3, 3, 2)], ids=str)
def test_one_item_knows_nothing_of_its_batch_mates(shape):
    """Each alone gives what it gives among others, in training mode too (where there is no dropout)."""
    net = model(shape, dropout=0.0).train()
    x = items(net.spec, 5)
    alone = torch.cat([net.log_prob(x[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(net.log_prob(x), alone, rtol=1e-12, atol=1e-12)
