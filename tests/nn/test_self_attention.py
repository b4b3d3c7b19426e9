"""Self-attention adds what every place reads from all others, and nothing at its beginning."""

import pytest
import torch

from simulacra.fields import ClassLabel
from simulacra.nn import ConditionalBatchNorm, ConditionRows, SelfAttention, spectral


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (1, 3)])
def test_with_a_gain_of_zero_it_is_the_identity(size):
    x = torch.randn(2, 16, *size)
    assert torch.equal(SelfAttention(16)(x), x)


def test_every_place_reads_from_every_other_one():
    torch.manual_seed(0)
    layer = SelfAttention(8).double()
    with torch.no_grad():
        layer.gain.fill_(1.0)
    x = torch.randn(1, 8, 5, 4).double().requires_grad_()
    (reached,) = torch.autograd.grad(layer(x)[0, :, 0, 0].sum(), x)
    assert (reached[0, :, 3:, 2:] != 0).any(0).float().mean() > 0.5  # the largest of four places in each channel
    assert (reached[0, :, 0, 0] != 0).all()


def test_it_is_the_sum_of_its_definition():
    torch.manual_seed(0)
    layer = SelfAttention(8).double()
    with torch.no_grad():
        layer.gain.fill_(0.7)
    x = torch.randn(1, 8, 2, 2).double()
    key, value = (each(x).flatten(2).amax(2)[0] for each in (layer.key, layer.value))  # one place is left of 2×2
    read = (layer.last.weight[:, :, 0, 0] @ value)[:, None, None]  # α = 1
    torch.testing.assert_close(layer(x)[0], x[0] + 0.7 * read)
    assert key.shape == (1,)


def test_penalties_of_gradients_reach_it():
    torch.manual_seed(0)
    layer = spectral(SelfAttention(8)).double()
    with torch.no_grad():
        layer.gain.fill_(1.0)
    x = torch.randn(2, 8, 4, 4).double().requires_grad_()
    (slope,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert all(parameter.grad.any() for parameter in layer.parameters())


def test_conditional_batch_norm_begins_as_batch_norm():
    torch.manual_seed(0)
    rows = ConditionRows({"label": ClassLabel(3)}, 8)
    norm, plain = ConditionalBatchNorm(4, rows), torch.nn.BatchNorm2d(4)
    x, given = 3 + 2 * torch.randn(6, 4, 5, 5), {"label": torch.arange(6) % 3}
    assert torch.equal(norm(x, given), plain(x))
    assert torch.equal(norm.eval()(x, given), plain.eval()(x))
    with torch.no_grad():
        rows.add.tables["label"].weight[1] = torch.cat([torch.full((4,), 0.5), torch.full((4,), -2.0)])
    expected = plain(x)
    expected[1::3] = 1.5 * expected[1::3] - 2
    torch.testing.assert_close(norm(x, given), expected)
