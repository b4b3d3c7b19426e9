r"""Attention of places over words: each place of a map reads what it needs from a sentence.

    α_p· = softmax_t(q_p · k_t / √d),   read_p = Σ_t α_pt v_t,      t over the words that are there

Weights are 0 on padding and sum to 1; where there is no word nothing is read. As an injection into a map,
h + W [h, read], W 1×1: Xu et al. 2018, "AttnGAN", eq. 2, with keys and queries of Vaswani et al. 2017, "Attention Is
All You Need", eq. 1. It is written out, since fused kernels for attention have no second derivatives, which penalties
of gradients need.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def weights(queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
    """Queries (N, P, d), keys (N, T, d) and truths (N, T) -> α (N, P, T), in float32 at least."""
    products = (queries @ keys.transpose(1, 2)) * queries.shape[2] ** -0.5
    there = mask.unsqueeze(1)
    products = products.float() if products.dtype != torch.float64 else products
    return torch.softmax(products.masked_fill(~there, torch.finfo(products.dtype).min), dim=2) * there


class Attend(nn.Module):
    """Features (N, P, inputs), words (N, T, width) and their mask (N, T) -> what each of P places reads, (N, P,
    outputs)."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(inputs, outputs, bias=False), nn.Linear(width, outputs, bias=False)
        self.value = nn.Linear(width, outputs, bias=False)

    def forward(self, h: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        value = self.value(words)
        return weights(self.query(h), self.key(words), mask).to(value.dtype) @ value


class CrossAttention(nn.Module):
    """h (N, channels, H, W), words (N, T, width) and their mask (N, T) -> (N, channels, H, W)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.attend = Attend(channels, width, channels)
        self.last = nn.Linear(2 * channels, channels)

    def forward(self, h: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        places = h.flatten(2).transpose(1, 2)
        read = self.attend(places, words, mask)
        change = self.last(F.relu(torch.cat([places, read], dim=2)))
        return h + change.transpose(1, 2).unflatten(2, h.shape[2:])
