"""The adversarial workflow, written once: a generator and a critic take turns at a game.

A GAN has no likelihood: its generator is a map from codes to items, and the critic's score is no density.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from simulacra.adversarial.games import Game
from simulacra.capabilities import Condition
from simulacra.data.spec import DataSpec
from simulacra.distributions import DiagonalGaussian, PointMass
from simulacra.latent.directed import DirectedModel
from simulacra.turns import Phase, Turn


class GAN(DirectedModel):
    """Abstract; a subclass builds generator(z, condition) -> x in [-1, 1] and critic(x, condition) -> logits (N,)."""

    def __init__(self, spec: DataSpec, generator: nn.Module, critic: nn.Module, game: Game, latent: int) -> None:
        super().__init__(spec)
        self.generator, self.critic, self.game, self.latent = generator, critic, game, latent

    def phases(self) -> Sequence[Phase]:
        return [Phase(self.critic, self.critic_loss), Phase(self.generator, self.generator_loss)]

    def averaged(self) -> Sequence[nn.Module]:
        return [self.generator]

    def critic_loss(self, turn: Turn) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self.generate(len(turn), turn.condition)
        # two passes: real and fake items must not share the statistics of one batch norm
        real_scores = self.critic(self.spec.centred(turn.x), turn.condition)
        return {"critic": self.game.critic(real_scores.float(), self.critic(fake, turn.condition).float())}

    def generator_loss(self, turn: Turn) -> dict[str, Tensor]:
        fake = self.generate(len(turn), turn.condition)
        return {"generator": self.game.generator(self.critic(fake, turn.condition).float())}

    def generate(self, n: int, condition: Condition) -> Tensor:
        """n fresh items in [-1, 1], differentiable in the generator."""
        return self.generator(self.prior(n).sample(), condition)

    def prior(self, n: int, condition: Condition | None = None) -> DiagonalGaussian:
        """p(z) = N(0, I), codes (n, latent)."""
        return DiagonalGaussian.standard(n, self.latent, like=next(self.generator.parameters()))

    def decode(self, z: Tensor, condition: Condition | None = None) -> PointMass:
        """G(z) on the data grid: the point to which the generator maps each code."""
        given = self.conditioned(condition, len(z))
        return PointMass(self.spec.on_grid(self.generator(z, given).float()))
