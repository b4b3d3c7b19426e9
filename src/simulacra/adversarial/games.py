"""A game is two functions of (real scores, fake scores): what the critic minimises and what the generator minimises.

Scores are logits: σ(score) is the critic's belief that an item is real.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor


class Game(ABC):
    @abstractmethod
    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's loss, a scalar; scores (N,)."""

    @abstractmethod
    def generator(self, fake: Tensor) -> Tensor:
        """The generator's loss, a scalar; scores (N,)."""


class NonSaturating(Game):
    r"""Goodfellow et al. 2014, "Generative Adversarial Nets", eq. 1 and section 3.

    The critic maximises V = E log D(x) + E log(1 - D(G(z))), at best 2 JSD(p, q) - log 4; the generator maximises
    E log D(G(z)) rather than minimising E log(1 - D(G(z))), whose gradient vanishes while the critic wins.
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        return F.softplus(-fake).mean()
