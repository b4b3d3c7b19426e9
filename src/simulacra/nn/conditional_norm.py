r"""Conditional batch norm: y = (1 + g(c)) ⊙ (h - μ)/√(σ² + ε) + b(c), with a gain and an offset that depend on c.

Dumoulin et al. 2017, "A Learned Representation for Artistic Style"; de Vries et al. 2017, "Modulating early visual
processing by language".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from simulacra.fields import Field
from simulacra.nn.embed import AddCondition


class ConditionRows(nn.Module):
    """A condition, as `Embed` returns it -> the sum of a vector for each field, (N, outputs), which begins at zero."""

    def __init__(self, fields: Mapping[str, Field], outputs: int) -> None:
        super().__init__()
        self.add = AddCondition(fields, outputs)
        for parameter in self.add.parameters():
            nn.init.zeros_(parameter)

    def forward(self, condition: Mapping[str, Tensor]) -> Tensor:
        return cast(Tensor, self.add.row(condition))


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose gain and offset are `modulation(given)`, (N, 2 · width); without it they are parameters."""

    def __init__(self, width: int, modulation: nn.Module | None) -> None:
        super().__init__()
        self.norm, self.modulation = nn.BatchNorm2d(width, affine=modulation is None), modulation

    def forward(self, h: Tensor, given: object) -> Tensor:
        h = self.norm(h)
        if self.modulation is None:
            return h
        gain, offset = self.modulation(given).to(h.dtype)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(h + offset, h, gain)
