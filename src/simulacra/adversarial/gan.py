"""A generative adversarial network: a generator and a critic take turns at a game, with penalties.

A GAN has no likelihood: its generator is a map from codes to items, and the critic's score is no density.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from simulacra.adversarial.augmentation import Shown
from simulacra.adversarial.games import Game, Relativistic
from simulacra.adversarial.penalties import PLAYERS, R1, R2, Penalty
from simulacra.adversarial.rounds import Round, Side
from simulacra.condition import ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.directed import ancestral
from simulacra.distributions import Distribution, PointMass
from simulacra.errors import UsageError
from simulacra.latent.sampled_priors import Gaussian, SampledPrior
from simulacra.model import Model
from simulacra.networks import (
    Conditioning,
    Critic,
    CriticNetwork,
    DenseCritic,
    DenseGenerator,
    Generator,
    Growing,
    Projection,
)
from simulacra.parts import above, called
from simulacra.registry import register
from simulacra.turns import Phase, Player, Turn, numbered


@register(
    "gan",
    paper="Goodfellow et al. 2014, Generative Adversarial Nets",
    defaults={"learning_rate": 2e-4, "betas": (0.5, 0.999), "batch": 64, "steps": 4000, "ema": 0.995},
)
class GAN(Model):
    r"""min_G max_D of a game, with D(x, c) and G(z, c), z ~ p(z); every network, game and penalty is a part.

    Args:
        spec: what x is; both networks are conditioned on its condition.
        latent: numbers in a code z.
        generator: the network from codes to items.
        critic: the network from items to features, on which the scores depend.
        game: what the two minimise.
        penalties: terms of either's loss, and constraints on its weights; without it r1 and r2 of weight 1 for the
            relativistic game, which needs both, and none for another.
        conditioning: how the critic sees the condition: projection, concatenation or none.
        prior: p(z): gaussian, or structured where some numbers of a code are to have a meaning.
        augmentation: how items are changed before the critic sees them, real and generated ones alike.
        critic_steps: updates of the critic for one of the generator, each on fresh items.
        critic_rate: the critic's learning rate in units of the generator's.
    """

    sample = ancestral

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 64,
        generator: Generator = DenseGenerator(),  # noqa: B008 (parts are immutable)
        critic: Critic = DenseCritic(),  # noqa: B008
        game: Game = Relativistic(),  # noqa: B008
        penalties: tuple[Penalty, ...] | None = None,
        conditioning: Conditioning = Projection(),  # noqa: B008
        prior: SampledPrior = Gaussian(),  # noqa: B008
        augmentation: Shown | None = None,
        critic_steps: int = 1,
        critic_rate: float = 1.0,
    ) -> None:
        super().__init__(spec)
        if latent < 1 or critic_steps < 1:
            raise UsageError(f"a GAN needs latent >= 1 and critic_steps >= 1, not {latent} and {critic_steps}")
        above(0, critic_rate=critic_rate)
        penalties = usual_penalties(game) if penalties is None else penalties
        self.latent, self.game, self.penalties, self.codes = latent, game, penalties, prior
        self.critic_steps, self.critic_rate = critic_steps, critic_rate
        self.generator = generator.build(spec, latent)
        self.critic = CriticNetwork(spec, critic, conditioning)
        self.memories = nn.ModuleList(penalty.memory(spec, self.generator, self.critic) for penalty in penalties)
        self.shown = None if augmentation is None else augmentation.build(spec)
        if len({network.grown for network in self._growing}) > 1:
            shares = " and ".join(str(network.grown) for network in self._growing)
            raise UsageError(f"generator and critic grow together: give both the same share `grown`, not {shares}")
        self.prior(1)  # which refuses a number of dimensions that it does not have

    # Turns

    def phases(self) -> Sequence[Phase]:
        players = {name: self._player(name) for name in PLAYERS}
        lazy = {name: [k for k in self._terms(name) if self.penalties[k].every > 1] for name in PLAYERS}
        return [
            Phase(players["critic"], self.critic_loss, repeat=self.critic_steps),
            *(self._lazy(players["critic"], k, "critic") for k in lazy["critic"]),
            Phase(players["generator"], self.generator_loss),
            *(self._lazy(players["generator"], k, "generator") for k in lazy["generator"]),
        ]

    def _player(self, name: str) -> Player:
        network = self.critic if name == "critic" else self.generator
        own = self._terms(name)
        constraints = [functools.partial(self.penalties[k].constrain, network) for k in own]
        memories = [self.memories[k] for k in own]
        rate = self.critic_rate if name == "critic" else 1.0
        return Player([network, *memories], rate, after=constraints)

    def _terms(self, player: str) -> list[int]:
        """The numbers of the penalties that are terms of a player's loss."""
        return [k for k, penalty in enumerate(self.penalties) if player in penalty.players]

    @functools.cached_property
    def _growing(self) -> list[Growing]:
        """The networks that grow, of both players."""
        return [*growing(self.generator), *growing(self.critic)]

    @functools.cached_property
    def _names(self) -> list[str]:
        """A name for each penalty's term, which no other term has."""
        return numbered([*PLAYERS, *(called(penalty)[1] for penalty in self.penalties)])[len(PLAYERS) :]

    def _lazy(self, player: Player, k: int, name: str) -> Phase:
        return Phase(player, _Lazy(self, k, name), every=self.penalties[k].every)

    def averaged(self) -> Sequence[nn.Module]:
        return [self.generator]

    # Losses

    def critic_loss(self, turn: Turn) -> dict[str, Tensor]:
        seen = self.round(turn, "critic")
        terms = {"critic": self.game.critic(seen.real.scores, seen.fake.scores)}
        if self.shown is not None:
            self.shown.adapt(seen.real.scores.detach())
        return terms | self._penalised(seen, "critic")

    def generator_loss(self, turn: Turn) -> dict[str, Tensor]:
        seen = self.round(turn, "generator")
        real = seen.real.scores if self.game.paired else None
        return {"generator": self.game.generator(seen.fake.scores, real)} | self._penalised(seen, "generator")

    def _penalised(self, seen: Round, player: str) -> dict[str, Tensor]:
        always = [k for k in self._terms(player) if self.penalties[k].every == 1]
        found = {self._names[k]: self.penalties[k].loss(seen, self.memories[k]) for k in always}
        return {name: term.float() for name, term in found.items() if term is not None}

    def round(self, turn: Turn, player: str) -> Round:
        """Real items and fresh generated ones; the latter have gradients in the generator's turn alone."""
        if self.training:
            for network in self._growing:
                network.grow(turn.share)
        condition, z = turn.condition, self.prior(len(turn), turn.condition).sample()
        with torch.set_grad_enabled(player == "generator" and torch.is_grad_enabled()):
            fake = self.generator(z, condition)
        real = self.spec.centred(turn.x)
        for network in growing(self.generator):
            real = network.coarse(real)
        if self.shown is not None:
            real, fake = self.shown(real), self.shown(fake)
        # two sides, each with a pass of its own: real and fake items must not share the statistics of one batch norm
        return Round(Side(self.critic, real, condition), Side(self.critic, fake, condition), z, self.generator)

    # Abilities

    def prior(self, n: int, condition: ConditionLike | None = None) -> Distribution:
        """p(z), codes (n, latent)."""
        like = next(self.generator.parameters()).detach()
        modes = torch.full((n,), -1, device=like.device)
        return self.codes.codes(modes, 1, self.latent, like)

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> PointMass:
        """G(z) on the data grid: the point to which the generator maps each code."""
        condition = self.conditioned(condition, len(z))
        return PointMass(self.spec.on_grid(self.generator(z, condition).float()))


def growing(network: nn.Module) -> list[Growing]:
    """What grows of a network."""
    return [module for module in network.modules() if isinstance(module, Growing)]


def usual_penalties(game: Game) -> tuple[Penalty, ...]:
    """Those without which a game does not converge: Huang et al. 2024, "The GAN is dead; long live the GAN!", 2."""
    return (R1(), R2()) if isinstance(game, Relativistic) else ()


class _Lazy:
    """The loss of a penalty taken every so many steps: multiplied by their number, for the same mean gradient."""

    def __init__(self, model: GAN, k: int, player: str) -> None:
        self.model, self.k, self.player = model, k, player
        self.__name__ = model._names[k]  # pyright: ignore[reportPrivateUsage]

    def __call__(self, turn: Turn) -> dict[str, Tensor]:
        penalty, memory = self.model.penalties[self.k], self.model.memories[self.k]
        loss = penalty.loss(self.model.round(turn, self.player), memory)
        assert loss is not None, f"a constraint is no term to be taken every {penalty.every} steps"
        return {self.__name__: penalty.every * loss.float()}
