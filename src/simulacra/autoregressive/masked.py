"""Linear layers in which an output reads only what comes before it in some order."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.autoregressive.vector import blank


def precedes(ranks: Tensor, out_ranks: Tensor) -> Tensor:
    """(out, in) of 0 and 1: whether rank < out rank. In floats, as products with booleans take 20 times longer."""
    return (out_ranks.float()[:, None] - ranks.float()).clamp_(0, 1)


class MaskedLinear(nn.Module):
    """y_q = b_q + Σ_p mask_qp W_qp x_p, where an output q may stand for several numbers under the same mask.

    The mask is a factor in every call and never changes the weights; a call may pass a stricter mask instead.
    """

    _mask: Tensor  # (out, 1, in): one copy for all the numbers of an output

    def __init__(self, mask: Tensor, numbers: int = 1) -> None:
        super().__init__()
        outputs, inputs = mask.shape
        self.weight = blank(outputs, numbers, inputs)
        self.bias = nn.Parameter(torch.zeros(outputs * numbers))
        self.register_buffer("_mask", mask[:, None], persistent=False)
        reach = (mask.mean().clamp(min=1e-3) * inputs) ** -0.5  # of as many inputs as an output reads on average
        nn.init.uniform_(self.weight, -float(reach), float(reach))

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        weight = self.weight * (self._mask if mask is None else mask[:, None])
        return F.linear(input, weight.flatten(0, 1), self.bias)

    @property
    def mask(self) -> Tensor:
        """Of the shape of the weights."""
        return self._mask.expand_as(self.weight)
