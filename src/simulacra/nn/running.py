r"""A mean that training keeps for use: m <- m + max(1/t, 1 - decay) (value - m), t = 1, 2, ...

So m is the plain mean of the first values, and forgets with `decay` once there are 1 / (1 - decay) of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RunningMean(nn.Module):
    """Rows of means (K, D), each of which is moved by the values of its own kind only."""

    value: Tensor
    count: Tensor

    def __init__(self, rows: int, width: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("value", torch.zeros(rows, width))
        self.register_buffer("count", torch.zeros(rows, dtype=torch.int64))

    @torch.no_grad()
    def update(self, total: Tensor, share: Tensor) -> None:
        """By Σ values / N (K, D) and the share n/N (K,) of the items that are of each kind; a row without any stays."""
        present = share > 0
        self.count += present
        rate = (1 / self.count.clamp(min=1)).clamp(min=1 - self.decay).to(self.value.dtype)
        mean = total / torch.where(present, share, 1.0)[:, None]
        rate = torch.where(present, rate, 0.0)[:, None].to(self.value.dtype)
        self.value += rate * (mean.to(self.value.dtype) - self.value)
