"""The block of very deep residual networks: cheap because its 3×3 convolutions have few channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Bottleneck(nn.Module):
    """inputs -> hidden -> hidden -> hidden -> outputs: convolutions of 1×1, 3×3, 3×3 and 1×1, each after a GELU.

    On maps of at most 2×2 pixels all are 1×1: a wider kernel would read little but padding. The last one is scaled by
    `scale`, so that a sum of many blocks starts no larger than one. Child 2021, "Very Deep VAEs", section 3.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, size: tuple[int, int], scale: float = 1.0) -> None:
        super().__init__()
        side = 3 if max(size) > 2 else 1
        self.narrow = nn.Conv2d(inputs, hidden, 1)
        self.first = nn.Conv2d(hidden, hidden, side, padding=side // 2)
        self.second = nn.Conv2d(hidden, hidden, side, padding=side // 2)
        self.widen = nn.Conv2d(hidden, outputs, 1)
        with torch.no_grad():
            self.widen.weight.mul_(scale)

    def forward(self, h: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)"""
        for conv in (self.narrow, self.first, self.second, self.widen):
            h = conv(nn.functional.gelu(h))
        return h
