r"""The equalised learning rate: weights w ~ N(0, 1), and a layer that computes with ŵ = w / √inputs.

Adam moves every weight by about the same amount whatever its gradient's size. Where all weights have the same range,
as here, all layers learn equally fast; with the usual initial weights of N(0, 1/inputs) wide layers would learn faster
relative to their range. A `rate` below 1 makes the weights that much larger and the factor that much smaller: the layer
begins alike and learns `rate` times as fast. `weight_scale` of a layer is the factor, rate / √inputs.
Karras et al. 2018, "Progressive Growing of GANs", section 4.1; Karras et al. 2019, appendix C, for the rate.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2  # of the leaky ReLU below zero, in all of these papers
TINY = 1e-8


class EqualLinear(nn.Module):
    """x (N, inputs) -> (N, outputs), with every bias at `bias` in the beginning."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.weight_scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.weight_scale, self.bias * self.rate)


class EqualConv2d(nn.Module):
    """x (N, inputs, H, W) -> (N, outputs, H, W); with stride 2 and without padding half the size, rounded down."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.weight_scale, self.stride = 1 / math.sqrt(inputs * kernel**2), stride
        self.padding = kernel // 2 if stride == 1 else 0

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.weight_scale, self.bias, self.stride, self.padding)


def leaky(x: Tensor) -> Tensor:
    """√2 times the leaky ReLU: 1.02 is the root mean square of what it makes of N(0, 1)."""
    return math.sqrt(2) * F.leaky_relu(x, SLOPE)


def precise(x: Tensor) -> Tensor:
    """In float32, or in float64 where x is."""
    return x if x.dtype == torch.float64 else x.float()


def pixel_norm(x: Tensor) -> Tensor:
    """x / √(mean of x² over the features): (N, C, ...) with features of mean square 1 at every place.

    Karras et al. 2018, section 4.2; of codes z ~ N(0, I), their direction alone is left.
    """
    return x * torch.rsqrt(precise(x).square().mean(1, keepdim=True) + TINY).to(x.dtype)
