r"""A scene as rows: everybody who is there, each in a frame of their own.

    position of the frame   where a person is at the last step seen, p_T
    axis of the frame       u = (p_T - p_{T-3}) / |p_T - p_{T-3}|, of everything seen where that is 0
    unit of the frame       s = √(mean |p_t - p_{t-1}|² + s₀²), s₀ = 0.1 m a step

What is computed of positions in such frames is the same wherever a scene lies and however it is turned, and what is
computed of rows depends neither on the order of people nor on padding. Nothing here sees more than the past.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

FEWEST = 0.1  # s₀
RECENT = 3  # steps that say where somebody heads


@dataclass(frozen=True)
class Crowd:
    """Attributes:
    past: (M, T, 2) positions of all people of N scenes, one after the other, T > 1.
    mask: (N, P) truths: M of them, in the order of the rows.
    """

    past: Tensor
    mask: Tensor

    @classmethod
    def of(cls, past: Tensor, mask: Tensor) -> Crowd:
        """past (N, P, T, 2)"""
        return cls(past[mask], mask)

    def __len__(self) -> int:
        return len(self.past)

    @cached_property
    def scene(self) -> Tensor:
        """(M,) of each person the number of the scene."""
        return self.mask.nonzero()[:, 0]

    @cached_property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """(Q,), (Q,): each person with each other one of the scene, by rows."""
        row = torch.full(self.mask.shape, -1, device=self.mask.device)
        row[self.mask] = torch.arange(len(self), device=self.mask.device)
        both = self.mask[:, :, None] & self.mask[:, None]
        both &= ~torch.eye(self.mask.shape[1], dtype=torch.bool, device=self.mask.device)
        scene, one, other = both.nonzero(as_tuple=True)
        return row[scene, one], row[scene, other]

    @cached_property
    def axis(self) -> Tensor:
        """u (M, 2)"""
        recent = self.past[:, -1] - self.past[:, -1 - min(RECENT, self.past.shape[1] - 1)]
        whole = self.past[:, -1] - self.past[:, 0]
        heading = torch.where((recent == 0).all(1, keepdim=True), whole, recent)
        first = torch.zeros_like(heading)
        first[:, 0] = 1.0
        heading = torch.where((heading == 0).all(1, keepdim=True), first, heading)
        return heading / heading.norm(dim=1, keepdim=True)

    @cached_property
    def unit(self) -> Tensor:
        """s (M,)"""
        return (self.past.diff(dim=1).square().sum(2).mean(1) + FEWEST**2).sqrt()

    @property
    def velocity(self) -> Tensor:
        """(M, 2) metres a step: the last one seen."""
        return self.past[:, -1] - self.past[:, -2]

    def straight(self, steps: int) -> Tensor:
        """(M, steps, 2): everybody goes on with the last velocity."""
        times = torch.arange(1, steps + 1, device=self.past.device, dtype=self.past.dtype)
        return self.past[:, -1:] + times[:, None] * self.velocity[:, None]

    def inward(self, vectors: Tensor, rows: Tensor | None = None) -> Tensor:
        """Differences of positions (M, ..., 2) in metres -> in the frames of all people, or of these rows."""
        axis, unit = (self.axis, self.unit) if rows is None else (self.axis[rows], self.unit[rows])
        return turned(vectors, axis, inverse=True) / unit.view(-1, *[1] * (vectors.dim() - 1))

    def outward(self, vectors: Tensor) -> Tensor:
        """The inverse."""
        return turned(vectors, self.axis) * self.unit.view(-1, *[1] * (vectors.dim() - 1))

    def padded(self, rows: Tensor) -> Tensor:
        """Values (M, ...) of rows -> (N, P, ...), zeros where nobody is."""
        values = rows.new_zeros(*self.mask.shape, *rows.shape[1:])
        values[self.mask] = rows
        return values

    def sums(self, rows: Tensor) -> Tensor:
        """(..., M) -> (..., N), the sum over the people of each scene."""
        shape = (*rows.shape[:-1], len(self.mask))
        return rows.new_zeros(shape).index_add(rows.dim() - 1, self.scene, rows)

    def means(self, rows: Tensor) -> Tensor:
        """(..., M) -> (..., N), the mean over the people of each scene; 0 of nobody."""
        return self.sums(rows) / self.mask.sum(1).clamp(min=1).to(rows.dtype)


def turned(vectors: Tensor, axis: Tensor, inverse: bool = False) -> Tensor:
    """Vectors (M, ..., 2) turned by the angle of an axis (M, 2), or back."""
    cos, sin = (own.view(-1, *[1] * (vectors.dim() - 2)) for own in axis.unbind(1))
    sin = -sin if inverse else sin
    x, y = vectors.unbind(-1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y], -1)


class Pooling(nn.Module):
    """max_j MLP(where j is, where j goes, h_j) over the others of a scene, zeros of nobody else; (M, width).

    Gupta et al. 2018, "Social GAN", section 3.3; places and velocities are in the frame of the person who looks.
    """

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(nn.Linear(4 + features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())

    def forward(self, crowd: Crowd, features: Tensor) -> Tensor:
        one, other = crowd.pairs
        place = crowd.inward(crowd.past[other, -1] - crowd.past[one, -1], one)
        place = place / (1 + place.norm(dim=1, keepdim=True) / 5)  # whoever is far is at about one distance
        motion = crowd.inward(crowd.velocity[other] - crowd.velocity[one], one)
        seen = self.layers(torch.cat([place, motion, features[other]], 1))
        pooled = seen.new_zeros(len(crowd), self.width)
        return pooled.scatter_reduce(0, one[:, None].expand_as(seen), seen, "amax")
