r"""The minibatch standard deviation: a critic sees how much items differ, and so a generator that repeats itself.

    s = mean over features and places of √(variance over the items of a group + ε)

stands beside the features as one more channel. Karras et al. 2018, "Progressive Growing of GANs", section 3.
"""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from simulacra import whole
from simulacra.devices import without_autocast
from simulacra.nn.equalised import TINY, precise
from simulacra.nn.running import RunningMean

GROUP = 4
DECAY = 0.99


@runtime_checkable
class Comparing(Protocol):
    """A module that compares the items of a batch with each other.

    Attributes:
        fewest: items that are taken at a time, at least.
    """

    fewest: ClassVar[int]


class BatchDeviation(nn.Module):
    """h (N, C, H, W) -> (N, C + 1, H, W), the last channel s of each item's group.

    Item i is of group i mod M, M = N // 4 (1 at least): groups have 4 to 7 items, and a batch of fewer than 4 is one
    group. Groups are of the items of all processes; of a batch that is taken in parts, of one part. In evaluation an
    item must not depend on the others, and s is its running mean over training.
    """

    fewest: ClassVar[int] = 2  # of a single item s is √ε, whatever it is

    def __init__(self) -> None:
        super().__init__()
        self.usual = RunningMean(1, 1, DECAY)

    def forward(self, h: Tensor) -> Tensor:
        if self.training:
            everything = deviations(whole.gathered(precise(h)))
            self.usual.update(everything.detach().mean().view(1, 1), everything.new_ones(1))
            own = whole.own(everything)
        else:
            own = self.usual.value[0].expand(len(h))
        plane = own.to(h.dtype).view(-1, 1, 1, 1).expand(-1, 1, *h.shape[2:])
        return torch.cat([h, plane], dim=1)


def deviations(h: Tensor) -> Tensor:
    """The standard deviation s (N,) within the group of each item."""
    n, groups = len(h), max(1, len(h) // GROUP)
    with without_autocast(h.device):
        places = torch.arange(n, device=h.device)
        of_group = torch.arange(groups, device=h.device)[:, None] == places % groups  # (M, N)
        of_group = of_group.to(h.dtype)
        averaging = of_group / of_group.sum(1, keepdim=True)
        flat = h.flatten(1)
        centred = flat - of_group.T @ (averaging @ flat)
        deviation = (averaging @ centred.square() + TINY).sqrt().mean(1)
        return of_group.T @ deviation
