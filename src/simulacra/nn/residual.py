"""Residual stacks of convolutions, for images that are seen whole."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualStack(nn.Module):
    """h <- h + conv1×1(relu(conv3×3(relu(h)))), `blocks` times, and a last relu; (N, width, H, W) throughout.

    van den Oord et al. 2017, "Neural Discrete Representation Learning", section 4.1.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.wide = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(blocks))
        self.narrow = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(blocks))

    def forward(self, h: Tensor) -> Tensor:
        for wide, narrow in zip(self.wide, self.narrow, strict=True):
            h = h + narrow(F.relu(wide(F.relu(h))))
        return F.relu(h)
