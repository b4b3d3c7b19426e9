"""A game is two functions of scores: what the critic minimises, and what the generator minimises."""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from simulacra.parts import kind, part


@kind("game")
class Game(Protocol):
    """Scores (N,) of real and of generated items -> two losses."""

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's loss, a scalar."""
        ...

    def generator(self, fake: Tensor) -> Tensor:
        """The generator's loss, a scalar."""
        ...


@part("game", "non-saturating")
class NonSaturating:
    r"""Goodfellow et al. 2014, "Generative Adversarial Nets", eq. 1 and section 3; scores are logits.

    D = σ(score) is the critic's probability that an item is real. The critic maximises V = E log D(x) + E log(1 -
    D(G(z))), at best 2 JSD(p, q) - log 4; the generator maximises E log D(G(z)) rather than minimising E log(1 -
    D(G(z))), whose gradient vanishes where the critic is confident.
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        return F.softplus(-fake).mean()


@part("game", "wasserstein")
class Wasserstein:
    r"""Arjovsky et al. 2017, "Wasserstein GAN", eq. 2: the critic raises E D(x) - E D(G(z)), the generator E D(G(z)).

    The maximum over 1-Lipschitz D is a distance of p and q; a penalty has to keep D near 1-Lipschitz.
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor) -> Tensor:
        return -fake.mean()
