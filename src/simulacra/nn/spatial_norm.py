r"""Spatially-adaptive normalisation: y = (1 + γ(m)) ⊙ (h - μ)/√(σ² + ε) + β(m), with γ and β maps of pictures m.

    (γ, β) = conv3×3(ReLU(conv3×3(m))),  each (N, width, H, W)

μ and σ are of a group of the channels of one item, so that no item depends on its batch. A norm takes away what is the
same all over a map, which is nearly all that a label map of large areas holds; γ and β put it in again at every size.
They begin at zero, where the layer is the plain norm. Beyond its edges a map goes on as it is there, so that under a
map that is the same everywhere this is a gain and an offset for each channel, `ConditionalGroupNorm`.
Park et al. 2019, "Semantic Image Synthesis with Spatially-Adaptive Normalization", eq. 1 to 3, whose norm is that of a
batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.nn.conditional_group_norm import groups_for


class SpatialNorm(nn.Module):
    """h (N, width, H, W) and pictures m (N, inputs, kH, kW), as `Pictures` makes them -> (N, width, H, W).

    Larger pictures are brought to the size of h by means over k×k pixels: a pixel of a label map then holds the share
    of each class, and nothing that is thin is lost.
    """

    def __init__(self, width: int, inputs: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups_for(width), width, affine=False)
        self.read = nn.Conv2d(inputs, hidden, 3, padding=1, padding_mode="replicate")
        self.modulation = nn.Conv2d(hidden, 2 * width, 3, padding=1, padding_mode="replicate")
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, h: Tensor, pictures: Tensor) -> Tensor:
        gain, offset = self.modulated(pictures, (h.shape[2], h.shape[3])).to(h.dtype).chunk(2, dim=1)
        h = self.norm(h)
        return torch.addcmul(h + offset, h, gain)

    def modulated(self, pictures: Tensor, size: tuple[int, int]) -> Tensor:
        """γ and β beside each other, (N, 2 · width, H, W)."""
        at = pictures if pictures.shape[2:] == size else F.adaptive_avg_pool2d(pictures, size)
        return self.modulation(F.relu(self.read(at)))
