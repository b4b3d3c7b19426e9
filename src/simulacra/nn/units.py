"""Units of real numbers: a network that sees each coordinate in standard deviations from its mean does not depend on
what the numbers are measured in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from simulacra import whole


class Units(nn.Module):
    """u = (x - mean) / scale of vectors x (N, dims), from the mean and the variance of all items that were learnt from;
    the identity before.

    A model learns from the items of its losses alone, and in training mode alone: scoring and drawing depend on no
    batch and leave it as it is.
    """

    mean: Tensor
    variance: Tensor
    seen: Tensor

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dims))
        self.register_buffer("variance", torch.ones(dims))
        self.register_buffer("seen", torch.tensor(0))

    @torch.no_grad()
    def learn(self, x: Tensor) -> None:
        """Pool x (N, ..., dims), that of all processes, with all that was seen before; an item may be several vectors.

        Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample Variance".
        """
        x = whole.gathered(x).flatten(0, -2)
        self.seen += len(x)
        share = len(x) / self.seen
        change = x.mean(0) - self.mean
        self.variance += share * (x.var(0, correction=0) - self.variance + (1 - share) * change.square())
        self.mean += share * change

    @property
    def scale(self) -> Tensor:
        """(dims,); 1 where all items are alike."""
        return torch.where(self.variance > 0, self.variance.sqrt(), 1)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, ...) in these units, of the same shape."""
        return ((x.flatten(1) - self.mean) / self.scale).view_as(x)

    def back(self, u: Tensor) -> Tensor:
        """The x of these u (N, ...), of the same shape."""
        return (u.flatten(1) * self.scale + self.mean).view_as(u)
