"""A generative adversarial network: a generator and a critic take turns at a game, with penalties.

A GAN has no likelihood: its generator is a map from codes to items, and the critic's score is no density.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from simulacra.adversarial.augmentation import Shown
from simulacra.adversarial.games import Game, Relativistic, Wasserstein, margins
from simulacra.adversarial.pairs import OfPairs
from simulacra.adversarial.penalties import PLAYERS, OfCodes, Penalty, ZeroCentred
from simulacra.adversarial.rounds import Round, Side
from simulacra.adversarial.standing import restated
from simulacra.adversarial.terms import Terms
from simulacra.adversarial.zero_centred import usual_penalties
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.devices import in_autocast
from simulacra.distributions import Distribution, PointMass, TruncatedGaussian
from simulacra.errors import UsageError
from simulacra.inverse import by_search
from simulacra.latent.sampled_priors import Gaussian, SampledPrior
from simulacra.model import Model
from simulacra.networks import (
    Conditioning,
    Critic,
    CriticNetwork,
    DenseCritic,
    DenseGenerator,
    Generator,
    InStep,
    Projection,
    Styled,
    form_of,
    of_items,
)
from simulacra.networks.options import numbers_under, under_options
from simulacra.nn import Spectral
from simulacra.parts import above, called, within
from simulacra.registry import register
from simulacra.turns import Phase, Player, Turn

STANDING = 128  # codes in a batch of which statistics are taken
CODE = 64  # numbers in a code


@register(
    "gan",
    paper="Goodfellow et al. 2014, Generative Adversarial Nets",
    defaults={
        "learning_rate": 2e-3,
        "betas": (0.0, 0.99),
        "batch": 64,
        "steps": 12_000,
        "ema": 0.99,
        "schedule": "cosine",
    },
)
class GAN(Model):
    r"""min_G max_D of a game, with D(x, c) and G(z, c), z ~ p(z); every network, game and penalty is a part.

    Args:
        spec: what x is; both networks are conditioned on its condition.
        latent: numbers in a code z; by default 64, and for vectors as many as they have, from 2 to 64.
        generator: the network from codes to items.
        critic: the network from items to features, on which the scores depend.
        game: what the two minimise.
        penalties: terms of either's loss, and constraints on its weights; without it r1 and r2 for the
            relativistic game, which needs both, of a weight in proportion to the size of x, and none for another.
        conditioning: how the critic sees the condition: projection, concatenation or none.
        prior: p(z): gaussian, or structured where some numbers of a code are to have a meaning.
        augmentation: how items are changed before the critic sees them, real and generated ones alike.
        critic_steps: updates of the critic for one of the generator, each on fresh items.
        critic_rate: the critic's learning rate in units of the generator's.
    """

    bf16_from: ClassVar[int | None] = 784
    invert = by_search

    def __init__(
        self,
        spec: DataSpec,
        latent: int | None = None,
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
        if latent is None:  # of more numbers than a vector has, nearly all turn into little: modes are lost
            latent = CODE if spec.is_image else min(max(2, spec.dims), CODE)
        if latent < 1 or critic_steps < 1:
            raise UsageError(f"a GAN needs latent >= 1 and critic_steps >= 1, not {latent} and {critic_steps}")
        above(0, critic_rate=critic_rate)
        penalties = usual_penalties(game, spec) if penalties is None else penalties
        self.latent, self.game, self.penalties, self.codes = latent, game, penalties, prior
        self.critic_steps, self.critic_rate = critic_steps, critic_rate
        self.form = form_of(spec)
        self.units = self.form.units  # a module: what it has learnt is saved and resumed with the model
        self.generator = generator.build(self.form.made, latent)
        self.critic = CriticNetwork(self.form.made, critic, conditioning, bias=game.boundary is not None)
        self.growth = InStep(self.generator, self.critic)
        if augmentation is not None and any(isinstance(penalty, OfPairs) for penalty in penalties):
            own = next(called(penalty)[1] for penalty in penalties if isinstance(penalty, OfPairs))
            raise UsageError(
                f"penalty {own!r} compares items in pairs, and an augmentation changes both of a pair in ways of their "
                "own: leave out one of the two"
            )
        self.prior(1)  # which refuses a number of dimensions that it does not have
        self.terms = Terms(penalties, self._memory)
        self.memories = self.terms.memories
        self.shown = None if augmentation is None else augmentation.build(spec)

    def _memory(self, penalty: Penalty) -> nn.Module:
        if isinstance(penalty, OfCodes):
            return penalty.memory_of_codes(self.prior(1), self.critic)
        spec = self.spec if isinstance(penalty, OfPairs) else self.form.made  # what items are, or what networks see
        return penalty.memory(spec, self.generator, self.critic)

    # Turns

    def phases(self) -> Sequence[Phase]:
        critic, generator = self._player("critic"), self._player("generator")
        look = {name: functools.partial(self.round, player=name, later=True) for name in PLAYERS}
        begin, players = self.terms.begin, {"critic": critic, "generator": generator}
        return [
            *(own for name in PLAYERS for own in self.terms.before_the_game(players[name], name, look[name])),
            Phase(critic, self.critic_loss, repeat=self.critic_steps, begin=begin),
            *self.terms.in_some_steps(critic, "critic", look["critic"], begin),
            Phase(generator, self.generator_loss, begin=begin),
            *self.terms.in_some_steps(generator, "generator", look["generator"], begin),
        ]

    def refuse_unless_trainable(self) -> None:
        """Raise UsageError for the Wasserstein game of a critic whose slope nothing bounds."""
        bounded = any("critic" in penalty.players for penalty in self.penalties)
        bounded = bounded or any(isinstance(module, Spectral) for module in self.critic.modules())
        if isinstance(self.game, Wasserstein) and not bounded:
            raise UsageError(
                "the critic's loss of game 'wasserstein' has no minimum where nothing bounds its slope: add "
                "--penalties gradient (or clipping), or take --critic residual, which has spectral norm"
            )

    def _player(self, name: str) -> Player:
        if name == "critic":
            return self.terms.player(name, self.critic, self.critic_rate)
        return self.terms.player(name, self.generator)

    def averaged(self) -> Sequence[nn.Module]:
        return [self.generator]

    # Losses

    def critic_loss(self, turn: Turn) -> dict[str, Tensor]:
        if self.training:
            self.form.learn(turn.x)
        seen = self.round(turn, "critic")
        terms = {"critic": self.game.critic(seen.real.scores, seen.fake.scores)}
        if self.shown is not None:
            self.shown.adapt(margins(self.game, seen.real.scores.detach(), seen.fake.scores.detach()))
        return terms | self._penalised(seen, "critic")

    def generator_loss(self, turn: Turn) -> dict[str, Tensor]:
        seen = self.round(turn, "generator")
        real = seen.real.scores if self.game.paired else None
        return {"generator": self.game.generator(seen.fake.scores, real)} | self._penalised(seen, "generator")

    def _penalised(self, seen: Round, player: str) -> dict[str, Tensor]:
        return self.terms.in_every_step(seen, player)

    def round(self, turn: Turn, player: str, later: bool = False) -> Round:
        """Real items in the form in which networks see them, and fresh generated ones; the latter have gradients in the
        generator's turn alone.

        later: whether they are generated when something looks at them, as not every penalty does.
        """
        if self.training:
            self.growth.grow(turn.share)
        condition, learns = turn.condition, player == "generator" and torch.is_grad_enabled()
        with torch.set_grad_enabled(learns):
            codes = self._codes_in(turn)
            z = codes.sample()

        def generated() -> Tensor:
            with torch.set_grad_enabled(learns):
                return self.generator(z, condition)

        fake = None if later else generated()
        real = self._shown(self._as_made(turn.x))
        made = (lambda: self._shown(generated())) if fake is None else self._shown(fake)
        if player == "critic" and isinstance(made, Tensor):
            real, made = self._followed(real, "real"), self._followed(made, "fake")
        # two sides, each with a pass of its own: real and fake items must not share the statistics of one batch norm
        sides = Side(self.critic, real, condition), Side(self.critic, made, condition)
        return Round(*sides, z, self.generator, self.game, turn.share, player == "generator", codes)

    def _codes_in(self, turn: Turn) -> Distribution:
        """What the codes of the items that are generated in a turn are drawn from: p(z)."""
        return self.prior(len(turn), turn.condition)

    def _followed(self, x: Tensor, side: str) -> Tensor:
        """Items at which a penalty of every step needs the critic's slope: it is that of the pass that scores them.

        Under autocast it has a pass of its own, since that of the scores is in another precision.
        """
        mine = any(isinstance(own, ZeroCentred) and own.side == side and own.every == 1 for own in self.penalties)
        return x.requires_grad_() if mine and not in_autocast(x.device) else x

    def _as_made(self, x: Tensor) -> Tensor:
        """Items as the generator makes them: in their form, and as coarse as it has grown."""
        return self.growth.coarse(self.form(x))

    def _shown(self, x: Tensor) -> Tensor:
        return x if self.shown is None else self.shown(x)

    # Abilities

    @torch.no_grad()
    def sample(
        self,
        n: int,
        condition: ConditionLike | None = None,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
        truncation: float | None = None,
        standing: int = 0,
        **own: Any,
    ) -> Tensor:
        """True draws, (n, *shape) on the grid; temperature narrows p(z).

        Args:
            n: how many.
            condition: of the items.
            temperature: σ of the Gaussian that codes are drawn from.
            generator: of the noise.
            truncation: each number of a code is drawn again until it is at most this in size: draws are less varied. Of
                a generator with styles it is ψ, by which these are drawn towards their mean: 1 leaves them as they are.
            standing: codes from which the statistics of the generator's batch norms are estimated anew, of classes in
                turn; 0 keeps those of training. It is for codes that differ from those of training.
            own: options of the generator, where it has any of its own; see `simulacra.networks.options`.

        Raises UsageError for a truncation of a prior that is not Gaussian, for standing statistics of a condition that
        is not of classes, whose distribution is not known, and for an option that the generator does not have.
        """
        given = under_options(self.generator, self.conditioned(condition, n), own)
        within(0, standing=standing)
        if truncation is not None and isinstance(self.generator, Styled):
            if not math.isfinite(truncation):
                raise UsageError(f"truncation is a finite number, not {truncation}")
            z = self.prior(n, given).sample(generator, temperature)
            return self.form.items(self.generator.truncated(z, given, truncation))
        z = self._codes(n, given, truncation).sample(generator, temperature)
        numbers, further = numbers_under(self.generator, self.latent, own)
        more = [self._codes(n, given, truncation, each).sample(generator, temperature) for each in further]
        z = torch.cat([z, *more], dim=1)[:, :numbers]
        painter = self._with_standing_statistics(standing, truncation, temperature) if standing else self.generator
        return self.form.items(painter(z, given))

    def _codes(
        self, n: int, condition: ConditionLike | None, truncation: float | None, numbers: int | None = None
    ) -> Distribution:
        p = self.prior(n, condition) if numbers is None else self._prior(n, numbers)
        if truncation is None:
            return p
        above(0, truncation=truncation)
        if not isinstance(self.codes, Gaussian):
            raise UsageError(f"truncation is for codes of the gaussian prior, not of {called(self.codes)[1]}")
        return TruncatedGaussian(p.mean, truncation)

    def _with_standing_statistics(self, codes: int, truncation: float | None, temperature: float) -> nn.Module:
        """A copy of the generator; its statistics are the same in every call."""
        noise, given = torch.Generator(self.device).manual_seed(0), self.every_class(STANDING)
        z = (self._codes(STANDING, given, truncation).sample(noise, temperature) for _ in range(-(-codes // STANDING)))
        return restated(self.generator, ((each, given) for each in z))

    def prior(self, n: int, condition: ConditionLike | None = None) -> Distribution:
        """p(z), codes (n, latent)."""
        return self._prior(n, self.latent)

    def _prior(self, n: int, numbers: int) -> Distribution:
        like = next(self.generator.parameters()).detach()
        modes = torch.full((n,), -1, device=like.device)
        return self.codes.codes(modes, 1, numbers, like)

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> PointMass:
        """G(z) on the data grid: the point to which the generator maps each code."""
        return PointMass(self.form.items(self.generator(z, self.conditioned(condition, len(z)))))

    def rendered(self, z: Tensor, condition: Condition) -> Tensor:
        """G(z) before it is rounded, (N, *shape): in [-1, 1] where x lies on a grid; differentiable in z. Of a map of
        classes (1, H, W) there is a channel for each class."""
        return self.form.rendered(self.generator(z, condition))

    # The critic, for whoever looks at the game

    def boundary(self) -> float | None:
        """The score between what the critic takes for real and for generated; None where scores can be shifted."""
        return self.game.boundary

    def critic_scores(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """D(x), (N,), as in training and without the augmentation: no density, and of some games of no meaning by
        itself."""
        return self._scores(self._as_made(x), self.conditioned(condition, len(x)))

    def scores_of_draws(
        self, n: int, condition: ConditionLike | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """D(G(z)) of n draws of z, (n,), as in training and without the augmentation."""
        given = self.conditioned(condition, n)
        return self._scores(self.generator(self.prior(n, given).sample(generator), given).float(), given)

    @torch.no_grad()
    def _scores(self, x: Tensor, condition: Condition) -> Tensor:
        critic = copy.deepcopy(self.critic).train()  # moments of the batch, as in training, which change no statistics
        return of_items(critic(x, condition).float())
