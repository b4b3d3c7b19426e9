r"""Self-attention over the places of a feature map: every place can read from every other one.

    y_i = x_i + γ W_o Σ_j α_ij v_j,    α_i· = softmax_j(q_i · k_j),

with q, k of C/8 channels and v of C/2, linear in x at each place; keys and values are the largest of 2×2 places. γ
begins at 0, so that a network first learns from what is near.
Zhang et al. 2019, "Self-Attention Generative Adversarial Networks", section 3.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """x (N, width, H, W) -> (N, width, H, W), with H·W × H·W/4 weights for each item.

    It is written out, since fused kernels for attention have no second derivatives, which penalties of gradients need.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        small, half = max(1, width // 8), max(1, width // 2)
        self.query, self.key = nn.Conv2d(width, small, 1, bias=False), nn.Conv2d(width, small, 1, bias=False)
        self.value, self.last = nn.Conv2d(width, half, 1, bias=False), nn.Conv2d(half, width, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x).flatten(2)
        key, value = (_pooled(each(x)).flatten(2) for each in (self.key, self.value))
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=2)  # (N, places, places / 4)
        read = value @ weights.transpose(1, 2).to(value.dtype)
        return x + self.gain * self.last(read.unflatten(2, x.shape[2:]))


def _pooled(features: Tensor) -> Tensor:
    return F.max_pool2d(features, 2, ceil_mode=True)
