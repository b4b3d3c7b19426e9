"""Convolutions whose output depends only on what comes before."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def groups_of(channels: int, groups: int, period: int | None = None) -> Tensor:
    """(channels,) the group of each: equal runs (red, green, blue), repeated every `period` channels for a gate."""
    period = period or channels
    return torch.arange(channels, device="cpu") % period * groups // period


@functools.lru_cache(maxsize=64)
def group_mask(out_channels: int, in_channels: int, groups: int, strict: bool, period: int | None = None) -> Tensor:
    """(out, in) of 0 and 1: an output of group g sees inputs of groups up to g, or before g when `strict`.

    It is kept for the next layer of this kind, so nobody writes to it.
    """
    out_group, in_group = groups_of(out_channels, groups, period), groups_of(in_channels, groups)
    before = in_group[None, :] < out_group[:, None]
    return (before if strict else before | (in_group[None, :] == out_group[:, None])).float()


class MaskedConv2d(nn.Conv2d):
    """A convolution whose weight is multiplied by a fixed mask in every call, never erased in place.

    The mask is no parameter and no part of the saved weights: it follows from the constructor.
    """

    mask: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel: tuple[int, int], mask: Tensor) -> None:
        super().__init__(in_channels, out_channels, kernel)
        self.register_buffer("mask", mask.expand_as(self.weight).clone(), persistent=False)
        with torch.no_grad():  # keep the variance of the outputs that a full kernel would have
            self.weight.mul_(self.mask.mean().clamp(min=1e-3).rsqrt())

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight * self.mask, self.bias)
