r"""A convolution of an image that was doubled, and one whose output is halved, each as a single convolution.

    doubled   w * up(x), up repeats each pixel 2×2         = the transposed convolution of x with W and stride 2
    halved    mean over 2×2 pixels of w * x                = the convolution of x with W/4 and stride 2
    W_ab = Σ_{i,j ∈ {0,1}} w_{a-i, b-j}

W has a row and a column more than w. For w of 3×3 there are 16 products for each pixel of the smaller image instead of
36, and no image that is twice as large as what is read or made. Equal up to rounding, at the edges too: beyond them are
zeros either way.
Karras et al. 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation", appendix A, have the
same kernels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def spread(weight: Tensor) -> Tensor:
    """W (..., k + 1, k + 1) of w (..., k, k)."""
    wide = F.pad(weight, (1, 1, 1, 1))
    rows = wide[..., 1:, :] + wide[..., :-1, :]
    return rows[..., 1:] + rows[..., :-1]


def conv_of_doubled(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (N, I, H, W) and w (O, I, k, k), k odd -> (N, O, 2H, 2W)"""
    mirrored = spread(weight).transpose(0, 1).flip(2, 3)  # a transposed convolution writes where another reads
    return F.conv_transpose2d(x, mirrored, bias, stride=2, padding=weight.shape[-1] // 2)


def halved_conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (N, I, 2H, 2W) and w (O, I, k, k), k odd -> (N, O, H, W)"""
    return F.conv2d(x, spread(weight) / 4, bias, stride=2, padding=weight.shape[-1] // 2)


def repeated(x: Tensor) -> Tensor:
    """up(x): (N, C, H, W) -> (N, C, 2H, 2W). What torch has for it is several times slower on a CPU."""
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


class DoublingConv2d(nn.Conv2d):
    """x (N, inputs, H, W) -> (N, outputs, 2H, 2W): a convolution of x with each pixel repeated."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return conv_of_doubled(input, weight, bias)


class HalvingConv2d(nn.Conv2d):
    """x (N, inputs, 2H, 2W) -> (N, outputs, H, W): means over 2×2 pixels of a convolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return halved_conv(input, weight, bias)
