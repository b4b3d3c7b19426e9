"""Blocks of the progressive and style networks against their definitions."""

import math

import pytest
import torch
from torch.nn import functional as F

from simulacra import whole
from simulacra.nn import (
    BatchDeviation,
    EqualConv2d,
    EqualLinear,
    RunningMean,
    doubled,
    filtered,
    halved,
    leaky,
    pixel_norm,
)
from simulacra.nn.deviation import deviations


@pytest.mark.parametrize("inputs", [4, 64, 1024])
@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_the_forward_variance_is_the_same_at_every_width(inputs, rate):
    """Var y = 1 for x ~ N(0, I), and about 1 still after the activation, whatever the width and the rate."""
    torch.manual_seed(0)
    layer, conv = EqualLinear(inputs, 512, rate=rate), EqualConv2d(inputs, 64, 3)
    y = layer(torch.randn(256, inputs))
    assert y.var().item() == pytest.approx(1, abs=0.2)
    assert leaky(y).square().mean().item() == pytest.approx(1.04, abs=0.2)
    inside = conv(torch.randn(16, inputs, 6, 6))[..., 1:-1, 1:-1]
    assert inside.var().item() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_adam_moves_a_layer_by_its_rate(rate):
    """One step of Adam moves what the layer computes with by learning rate · rate, in units of its own spread."""
    torch.manual_seed(0)
    layer, x = EqualLinear(100, 50, rate=rate), torch.randn(32, 100)
    before = (layer.weight * layer.weight_scale).detach().clone()
    adam = torch.optim.Adam(layer.parameters(), 1e-2, eps=0.0)
    layer(x).square().mean().backward()
    adam.step()
    moved = (layer.weight * layer.weight_scale - before).abs() * math.sqrt(100)
    torch.testing.assert_close(moved, torch.full_like(moved, 1e-2 * rate), rtol=0.05, atol=1e-6)
    assert layer.bias.abs().max().item() == pytest.approx(1e-2)


def test_pixel_norm_leaves_directions():
    x = 7 * torch.randn(3, 5, 2, 2)
    y = pixel_norm(x)
    torch.testing.assert_close(y.square().mean(1), torch.ones(3, 2, 2))
    torch.testing.assert_close(F.cosine_similarity(x, y), torch.ones(3, 2, 2))


# The minibatch standard deviation


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 9, 11])
def test_the_deviation_of_a_batch_by_a_loop(n):
    """Groups of every M-th item; their sizes differ by one where there is a remainder, and all items count."""
    torch.manual_seed(0)
    h = torch.randn(n, 3, 2, 2, dtype=torch.float64)
    count = max(1, n // 4)
    for group in range(count):
        own = h[group::count]
        assert len(own) >= min(n, 4)
        total = 0.0
        for c in range(3):
            for place in range(4):
                values = own[:, c].flatten(1)[:, place]
                total += math.sqrt(((values - values.mean()) ** 2).mean() + 1e-8) / 12
        torch.testing.assert_close(deviations(h)[group::count], torch.full((len(own),), total, dtype=torch.float64))


def test_a_generator_that_repeats_itself_shows():
    h = torch.randn(8, 3, 2, 2)
    plain = BatchDeviation().train()
    assert plain(h)[:, 3].min() > 0.3
    assert plain(h[:1].expand(8, -1, -1, -1))[:, 3].max() < 1e-3


def test_a_single_item_has_finite_gradients_of_both_orders():
    h = torch.randn(1, 3, 2, 2, requires_grad=True)
    (first,) = torch.autograd.grad(BatchDeviation().train()(h).square().sum(), h, create_graph=True)
    first.square().sum().backward()
    assert torch.isfinite(h.grad).all()


def test_in_evaluation_the_running_mean_stands_for_the_batch():
    block = BatchDeviation().train()
    batches = [torch.randn(8, 3, 2, 2) * scale for scale in (1.0, 3.0)]
    usual = sum(deviations(each).mean() for each in batches) / 2
    for each in batches:
        block(each)
    block.eval()
    together, alone = block(batches[0]), block(batches[0][:1])
    torch.testing.assert_close(together[:, 3], usual.expand(8, 2, 2))
    assert torch.equal(alone[0], together[0])
    assert torch.equal(together[:, :3], batches[0])


def test_a_running_mean_is_plain_at_first_and_forgets_later():
    mean = RunningMean(2, 1, decay=0.5)
    first = [1.0, 3.0, 11.0]
    for value in first:
        mean.update(torch.tensor([[value], [0.0]]), torch.tensor([1.0, 0.0]))
    assert mean.value[0].item() == pytest.approx(0.5 * 2.0 + 0.5 * 11)
    assert mean.value[1].item() == 0
    mean.update(torch.tensor([[0.0], [2.0]]), torch.tensor([0.5, 0.5]))  # half of the items, of value 4
    assert mean.value[1].item() == 4
    assert mean.count.tolist() == [4, 1]


def test_rows_of_a_process_are_found_in_what_all_have_gathered():
    part = whole.Part(slice(3, 5), 5, 0, (3, 2), 1, lambda x: x, lambda name: torch.zeros(5))
    with whole.seen_from(part):
        assert torch.equal(whole.own(whole.gathered(torch.tensor([7.0, 8.0]))), torch.tensor([7.0, 8.0]))
    assert whole.own(torch.arange(3)).tolist() == [0, 1, 2]


# Resampling


def test_resampling_is_the_filter_1_3_3_1():
    x = torch.randn(2, 3, 6, 8)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = torch.outer(taps, taps).view(1, 1, 4, 4)
    by_channel = [F.conv2d(x[:, c : c + 1], kernel) for c in range(3)]
    torch.testing.assert_close(filtered(x), torch.cat(by_channel, dim=1))
    torch.testing.assert_close(halved(x)[..., 1:-1, 1:-1], filtered(x)[..., 1::2, 1::2])
    spread = torch.zeros(2, 3, 12, 16)
    spread[..., ::2, ::2] = x
    inside = 4 * filtered(F.pad(spread, (2, 1, 2, 1)))
    torch.testing.assert_close(doubled(x)[..., 2:-2, 2:-2], inside[..., 2:-2, 2:-2])


def test_a_constant_stays_and_a_checkerboard_goes():
    ones = torch.ones(1, 1, 4, 6)
    torch.testing.assert_close(halved(doubled(ones)), ones)
    board = (torch.arange(8)[:, None] + torch.arange(8)).remainder(2).float() * 2 - 1
    assert halved(board.view(1, 1, 8, 8))[..., 1:-1, 1:-1].abs().max() < 1e-6
