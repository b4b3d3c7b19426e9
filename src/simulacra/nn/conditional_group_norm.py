r"""Group norm with a gain and an offset for each item: y = (1 + g(s)) ⊙ (h - μ)/√(σ² + ε) + b(s), s (N, inputs).

μ and σ are of a group of the channels of one item (Wu & He 2018, "Group Normalization"), so that no item depends on its
batch; g and b are linear in s and begin at zero (Perez et al. 2018, "FiLM", eq. 1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

GROUP = 8  # channels of a group, at least where there are as many


class ConditionalGroupNorm(nn.Module):
    """h (N, width, H, W) and s (N, inputs) -> (N, width, H, W)."""

    def __init__(self, width: int, inputs: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups_for(width), width, affine=False)
        self.modulation = nn.Linear(inputs, 2 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, h: Tensor, s: Tensor) -> Tensor:
        gain, offset = self.modulation(s).to(h.dtype)[:, :, None, None].chunk(2, dim=1)
        h = self.norm(h)
        return torch.addcmul(h + offset, h, gain)


def groups_for(width: int) -> int:
    """Groups of 8 channels or more, as many as divide the width."""
    return next(count for count in range(max(1, width // GROUP), 0, -1) if width % count == 0)
