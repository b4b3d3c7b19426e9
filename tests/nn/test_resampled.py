"""A convolution of a doubled image, and one that is halved, are single convolutions with the same numbers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from simulacra.nn import DoublingConv2d, HalvingConv2d, repeated, spectral

X = torch.randn(2, 3, 6, 4, generator=torch.Generator().manual_seed(0)).double()


def in_two(layer, x):
    """The definition: what is doubled is read by the convolution, what the convolution makes is averaged."""
    doubling = isinstance(layer, DoublingConv2d)
    x = F.interpolate(x, scale_factor=2, mode="nearest") if doubling else x
    x = F.conv2d(x, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2)
    return x if doubling else F.avg_pool2d(x, 2)


@pytest.mark.parametrize("of", [DoublingConv2d, HalvingConv2d])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_convolution_that_it_stands_for_at_the_edges_too_and_so_are_its_gradients(of, kernel, bias):
    layer = of(3, 5, kernel, bias).double()
    x = X.clone().requires_grad_()
    found, expected = layer(x), in_two(layer, x)
    torch.testing.assert_close(found, expected)
    ways = [
        torch.autograd.grad(y.square().sum(), [x, *layer.parameters()], create_graph=True) for y in (found, expected)
    ]
    torch.testing.assert_close(*ways)
    torch.testing.assert_close(*(torch.autograd.grad(way[0].square().sum(), layer.weight)[0] for way in ways))


@pytest.mark.parametrize("of", [DoublingConv2d, HalvingConv2d])
def test_under_spectral_norm_it_is_that_of_the_weight_over_its_largest_singular_value(of):
    layer = spectral(of(3, 5, 3)).eval()
    other = nn.Conv2d(3, 5, 3)
    other.__class__ = of
    other.load_state_dict({"weight": layer.normalised(), "bias": layer.bias})
    torch.testing.assert_close(layer(X.float()), in_two(other, X.float()), atol=1e-5, rtol=1e-4)


def test_repeated_pixels_are_nearest_ones():
    assert torch.equal(repeated(X), F.interpolate(X, scale_factor=2, mode="nearest"))
