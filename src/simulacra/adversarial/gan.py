"""A generative adversarial network: a generator and a critic take turns at a game, with penalties.

A GAN has no likelihood: its generator is a map from codes to items, and the critic's score is no density.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from simulacra.adversarial.games import Game, NonSaturating
from simulacra.adversarial.penalties import Penalty
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.directed import ancestral
from simulacra.distributions import DiagonalGaussian, PointMass
from simulacra.errors import UsageError
from simulacra.model import Model
from simulacra.networks import Critic, DenseCritic, DenseGenerator, Generator
from simulacra.parts import called
from simulacra.registry import register
from simulacra.turns import Phase, Player, Turn, numbered


@register(
    "gan",
    paper="Goodfellow et al. 2014, Generative Adversarial Nets",
    defaults={"learning_rate": 2e-4, "betas": (0.5, 0.999), "batch": 64, "steps": 4000, "ema": 0.995},
)
class GAN(Model):
    r"""min_G max_D of a game, with D(x, c) and G(z, c), z ~ N(0, I); every network, game and penalty is a part.

    Args:
        spec: what x is; both networks are conditioned on its condition.
        latent: numbers in a code z.
        generator: the network from codes to items.
        critic: the network from items to scores.
        game: what the two minimise.
        penalties: terms added to the critic's loss.
        critic_steps: updates of the critic for one of the generator, each on fresh items.
    """

    sample = ancestral

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 64,
        generator: Generator = DenseGenerator(),  # noqa: B008 (parts are immutable)
        critic: Critic = DenseCritic(),  # noqa: B008
        game: Game = NonSaturating(),  # noqa: B008
        penalties: tuple[Penalty, ...] = (),
        critic_steps: int = 1,
    ) -> None:
        super().__init__(spec)
        if latent < 1 or critic_steps < 1:
            raise UsageError(f"a GAN needs latent >= 1 and critic_steps >= 1, not {latent} and {critic_steps}")
        self.latent, self.game, self.penalties, self.critic_steps = latent, game, penalties, critic_steps
        self.generator, self.critic = generator.build(spec, latent), critic.build(spec)

    def phases(self) -> Sequence[Phase]:
        critic = Player(self.critic)
        lazy = [(name, penalty) for name, penalty in self._named_penalties() if penalty.every > 1]
        return [
            Phase(critic, self.critic_loss, repeat=self.critic_steps),
            *(Phase(critic, _Lazy(self, name, penalty), every=penalty.every) for name, penalty in lazy),
            Phase(self.generator, self.generator_loss),
        ]

    def _named_penalties(self) -> list[tuple[str, Penalty]]:
        """Each with the name of its term, which no other term of the critic has."""
        names = numbered(["critic", *(called(penalty)[1] for penalty in self.penalties)])
        return list(zip(names[1:], self.penalties, strict=True))

    def averaged(self) -> Sequence[nn.Module]:
        return [self.generator]

    def critic_loss(self, turn: Turn) -> dict[str, Tensor]:
        real, condition = self.spec.centred(turn.x), turn.condition
        with torch.no_grad():
            fake = self.generate(len(turn), condition)
        # two passes: real and fake items must not share the statistics of one batch norm
        real_scores = self.critic(real, condition)
        terms = {"critic": self.game.critic(real_scores.float(), self.critic(fake, condition).float())}
        always = [(name, penalty) for name, penalty in self._named_penalties() if penalty.every == 1]
        return terms | {name: penalty.loss(self.critic, real, fake, condition).float() for name, penalty in always}

    def generator_loss(self, turn: Turn) -> dict[str, Tensor]:
        fake = self.generate(len(turn), turn.condition)
        return {"generator": self.game.generator(self.critic(fake, turn.condition).float())}

    def generate(self, n: int, condition: Condition) -> Tensor:
        """n fresh items in [-1, 1], differentiable in the generator."""
        return self.generator(self.prior(n).sample(), condition)

    def prior(self, n: int, condition: ConditionLike | None = None) -> DiagonalGaussian:
        """p(z) = N(0, I), codes (n, latent)."""
        return DiagonalGaussian.standard(n, self.latent, like=next(self.generator.parameters()))

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> PointMass:
        """G(z) on the data grid: the point to which the generator maps each code."""
        condition = self.conditioned(condition, len(z))
        return PointMass(self.spec.on_grid(self.generator(z, condition).float()))


class _Lazy:
    """The loss of a penalty taken every so many steps: multiplied by their number, for the same mean gradient."""

    def __init__(self, model: GAN, name: str, penalty: Penalty) -> None:
        self.model, self.penalty, self.__name__ = model, penalty, name

    def __call__(self, turn: Turn) -> dict[str, Tensor]:
        real = self.model.spec.centred(turn.x)
        with torch.no_grad():
            fake = self.model.generate(len(turn), turn.condition)
        loss = self.penalty.loss(self.model.critic, real, fake, turn.condition)
        return {self.__name__: self.penalty.every * loss.float()}
