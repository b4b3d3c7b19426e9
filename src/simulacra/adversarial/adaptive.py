r"""Adaptive augmentation: each change is made with probability p, and p follows how sure the critic is of real items.

    r = E sign D(x),     p <- p ± (items seen since) / rise,  up where r exceeds its target, after every fourth turn

A critic that knows a small data set by heart is sure of every real item, and then more is changed.

Nothing leaks while p < 1. A change of the group {g} with the distribution μ maps a distribution of images q to
(1 - p) q + p Σ_g μ(g) g q. All μ here are of positive type (uniform over flips and quarter turns; the difference of two
uniform integers for translations; Gaussian for brightness and the logarithms of scale, contrast and saturation), so
that the second term has no negative eigenvalue and all eigenvalues lie in [1 - p, 1]: T is invertible, away from the
edges of an image, and T(G(z)) is distributed like T(x) only where G(z) is like x.
Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", sections 2.2 and 3, appendix C.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from simulacra import whole
from simulacra.adversarial.augmentation import Augment, Shown, refuse_without_images
from simulacra.adversarial.diffaugment import SHARE, coloured, gathered, per_item_integer, places
from simulacra.data.spec import DataSpec
from simulacra.distributions import at_least_float32
from simulacra.errors import UsageError
from simulacra.parts import above, part, share, within

Change = Literal["flip", "rotation", "translation", "scaling", "colour"]
CHANGES: tuple[Change, ...] = ("flip", "rotation", "translation", "scaling", "colour")
TURNS = 4  # of the critic from one change of p to the next
SCALING, BRIGHTNESS = 0.2, 0.2  # standard deviations: of the scale, octaves; of the brightness
CONTRAST, SATURATION = 0.5, 1.0  # octaves


class Adapting(Augment):
    """T at a probability that adapts.

    Buffers: p; signs and seen, the sum of the signs of margins and their number since p was changed; turns since then.
    """

    p: Tensor
    signs: Tensor
    seen: Tensor
    turns: Tensor

    def __init__(self, policy: tuple[Change, ...], target: float, rise: float, most: float, begin: float) -> None:
        super().__init__()
        self.policy, self.target, self.rise, self.most = policy, target, 1000 * rise, most
        for name, value in (("p", begin), ("signs", 0.0), ("seen", 0.0), ("turns", 0.0)):
            self.register_buffer(name, torch.tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        x = at_least_float32(x)
        row, column = places(x)
        if "flip" in self.policy:
            column = torch.where(self._chosen(x) & (per_item_integer(0, 1, x) == 1), x.shape[3] - 1 - column, column)
        if "rotation" in self.policy:
            row, column = self._turned(x, row, column)
        if "translation" in self.policy:
            row, column = self._moved(x, row, 2), self._moved(x, column, 3)
        if {"flip", "rotation", "translation"} & set(self.policy):
            x = gathered(x, row, column)
        if "scaling" in self.policy:
            x = scaled(x, self._octaves(x, SCALING))
        if "colour" in self.policy:
            brightness = torch.where(self._chosen(x), BRIGHTNESS * whole.normal((len(x), 1, 1, 1), x), 0.0)
            x = coloured(x, brightness, self._octaves(x, SATURATION), self._octaves(x, CONTRAST))
        return x

    def _chosen(self, x: Tensor) -> Tensor:
        """For each image whether a change is made, (N, 1, 1, 1), with probability p."""
        return whole.uniform((len(x), 1, 1, 1), x) < self.p

    def _octaves(self, x: Tensor, deviation: float) -> Tensor:
        """A log-normal factor for each image, or 1."""
        factor = torch.exp2(deviation * whole.normal((len(x), 1, 1, 1), x))
        return torch.where(self._chosen(x), factor, 1.0)

    def _turned(self, x: Tensor, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
        """Quarter turns, of images that are not square half turns alone; a flip and a turn make all of the square's
        symmetries."""
        last_row, last_column = x.shape[2] - 1, x.shape[3] - 1
        square = last_row == last_column
        quarters = per_item_integer(0, 3, x) if square else 2 * per_item_integer(0, 1, x)
        quarters = torch.where(self._chosen(x), quarters, 0)
        if square:  # a quarter turn reads (row, column) at (column, last - row)
            row, column = (torch.where(quarters % 2 == 1, *pair) for pair in ((column, row), (last_row - row, column)))
        half = quarters >= 2
        return torch.where(half, last_row - row, row), torch.where(half, last_column - column, column)

    def _moved(self, x: Tensor, place: Tensor, axis: int) -> Tensor:
        """Rows or columns moved by whole pixels; what comes from outside is reflected at the edge."""
        last, furthest = x.shape[axis] - 1, round(SHARE * x.shape[axis])
        by = per_item_integer(0, furthest, x) - per_item_integer(0, furthest, x)
        place = (place - torch.where(self._chosen(x), by, 0)).abs()
        return last - (last - place).abs()

    @torch.no_grad()
    def adapt(self, margins: Tensor) -> None:
        signs = whole.gathered(margins.sign().nan_to_num().float())
        self.signs += signs.sum()
        self.seen += len(signs)
        self.turns += 1
        due = self.turns >= TURNS
        moved = self.p + (self.signs / self.seen - self.target).sign() * self.seen / self.rise
        self.p.copy_(torch.where(due, moved.clamp(0.0, self.most), self.p))
        for buffer in (self.signs, self.seen, self.turns):
            buffer.copy_(torch.where(due, 0.0, buffer))


def scaled(x: Tensor, factor: Tensor) -> Tensor:
    """Images enlarged about their middle by a factor for each (N, 1, 1, 1), bilinear, reflected at the edges; one with
    the factor 1 stays as it is."""
    zero = torch.zeros_like(factor)
    inverse = 1 / factor
    rows = torch.cat([torch.cat([inverse, zero, zero], 3), torch.cat([zero, inverse, zero], 3)], 2).squeeze(1)
    at = F.affine_grid(rows, list(x.shape), align_corners=False)
    there = F.grid_sample(x, at, mode="bilinear", padding_mode="reflection", align_corners=False)
    return torch.where(factor == 1, x, there)


@part("shown", "adaptive")
class Adaptive(Shown):
    """Flips, quarter turns, translation, scaling and colour, each with a probability p that adapts.

    Attributes:
        target: of r, the mean sign of the critic's scores of real items, -1 to 1: above it more is changed.
        rise: thousands of real items over which p would rise from 0 to 1.
        most: of p, below 1.
        begin: p in the beginning.
        policy: which of flip, rotation, translation, scaling and colour.
    """

    target: float = 0.6
    rise: float = 100.0
    most: float = 0.8
    begin: float = 0.0
    policy: tuple[Change, ...] = CHANGES

    def __post_init__(self) -> None:
        within(-1, 1, target=self.target)
        above(0, rise=self.rise)
        share(most=self.most, begin=self.begin)
        if self.begin > self.most:
            raise UsageError(f"p of adaptive begins at {self.begin:g}, above the {self.most:g} that it has at most")
        if not self.policy or len(set(self.policy)) < len(self.policy):
            raise UsageError(f"the policy of adaptive has one or more of {', '.join(CHANGES)}, each once")

    def build(self, spec: DataSpec) -> Augment:
        refuse_without_images(spec, "adaptive")
        return Adapting(self.policy, self.target, self.rise, self.most, self.begin)
