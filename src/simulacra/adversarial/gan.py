"""A generative adversarial network: a generator and a critic take turns at a game, with penalties.

A GAN has no likelihood: its generator is a map from codes to items, and the critic's score is no density.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.adversarial.augmentation import Shown
from simulacra.adversarial.games import Game, Relativistic, Wasserstein
from simulacra.adversarial.pairs import OfPairs
from simulacra.adversarial.penalties import PLAYERS, R1, R2, OfCodes, Penalty, ZeroCentred, prepared
from simulacra.adversarial.rounds import Round, Side
from simulacra.adversarial.standing import restate
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.devices import in_autocast
from simulacra.distributions import Distribution, PointMass, TruncatedGaussian
from simulacra.errors import UsageError
from simulacra.fields import Classes, Levels
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
    Growing,
    Projection,
    Styled,
    of_items,
)
from simulacra.networks.layout import Arranging, without_boxes
from simulacra.nn import Spectral, Units
from simulacra.parts import above, called, within
from simulacra.registry import register
from simulacra.turns import Phase, Player, Turn, numbered

STANDING = 128  # codes in a batch of which statistics are taken
CODE = 64  # numbers in a code
PIXELS, NUMBERS = 2048, 30  # of an image, and of a vector, at which γ of r1 and r2 is 1
RARELY = (
    8  # steps from one r1 and r2 of a vector to the next: beside its small networks they would take most of the time
)
LEAST = 0.5  # γ of an image


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
        self.units = Units(spec.dims) if spec.levels is None and not spec.is_image else None
        made = self._made
        self.generator = generator.build(made, latent)
        self.critic = CriticNetwork(made, critic, conditioning, bias=game.boundary is not None)
        if len({network.grown for network in self._growing}) > 1:
            shares = " and ".join(str(network.grown) for network in self._growing)
            raise UsageError(f"generator and critic grow together: give both the same share `grown`, not {shares}")
        if augmentation is not None and any(isinstance(penalty, OfPairs) for penalty in penalties):
            own = next(called(penalty)[1] for penalty in penalties if isinstance(penalty, OfPairs))
            raise UsageError(
                f"penalty {own!r} compares items in pairs, and an augmentation changes both of a pair in ways of their "
                "own: leave out one of the two"
            )
        self.prior(1)  # which refuses a number of dimensions that it does not have
        self.memories = nn.ModuleList(map(self._memory, penalties))
        self.shown = None if augmentation is None else augmentation.build(spec)

    def _memory(self, penalty: Penalty) -> nn.Module:
        if isinstance(penalty, OfCodes):
            return penalty.memory_of_codes(self.prior(1), self.critic)
        return penalty.memory(self.spec, self.generator, self.critic)

    # Turns

    def phases(self) -> Sequence[Phase]:
        players = {name: self._player(name) for name in PLAYERS}
        first = [k for k in self._terms("critic") if prepared(self.penalties[k])]
        begin = max((prepared(self.penalties[k]) for k in first), default=0.0)
        game: list[Phase] = []
        for name, loss, repeat in (
            ("critic", self.critic_loss, self.critic_steps),
            ("generator", self.generator_loss, 1),
        ):
            game.append(Phase(players[name], loss, repeat=repeat, begin=begin))
            lazy = [(k, self.penalties[k].every) for k in self._terms(name) if self.penalties[k].every > 1]
            game += [Phase(players[name], _Alone(self, k, name), every, begin=begin) for k, every in lazy]
        return [*(Phase(players["critic"], _Alone(self, k, "critic", 1), end=begin) for k in first), *game]

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
        network = self.critic if name == "critic" else self.generator
        own = self._terms(name)
        constraints = [functools.partial(self.penalties[k].constrain, network) for k in own]
        memories = [self.memories[k] for k in own if name in self.penalties[k].owners]
        rate = self.critic_rate if name == "critic" else 1.0
        return Player([network, *memories], rate, after=constraints)

    def _terms(self, player: str) -> list[int]:
        """The numbers of the penalties that are terms of a player's loss."""
        return [k for k, penalty in enumerate(self.penalties) if player in penalty.players]

    @functools.cached_property
    def _growing(self) -> list[Growing]:
        """The networks that grow, of both players."""
        return [*self._growing_generators, *growing(self.critic)]

    @functools.cached_property
    def _growing_generators(self) -> list[Growing]:
        return growing(self.generator)

    @functools.cached_property
    def _names(self) -> list[str]:
        """A name for each penalty's term, which no other term has."""
        return numbered([*PLAYERS, *(called(penalty)[1] for penalty in self.penalties)])[len(PLAYERS) :]

    def averaged(self) -> Sequence[nn.Module]:
        return [self.generator]

    # Losses

    def critic_loss(self, turn: Turn) -> dict[str, Tensor]:
        if self.units is not None and self.training:
            self.units.learn(turn.x.flatten(1))
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
        always = [k for k in self._terms(player) if self.penalties[k].every == 1]
        found = {self._names[k]: self.penalties[k].loss(seen, self.memories[k]) for k in always}
        return {name: term.float() for name, term in found.items() if term is not None}

    def round(self, turn: Turn, player: str, later: bool = False) -> Round:
        """Real items and fresh generated ones, vectors of real numbers in units of their own; the latter have gradients
        in the generator's turn alone.

        later: whether they are generated when something looks at them, as not every penalty does.
        """
        if self.training:
            for network in self._growing:
                network.grow(turn.share)
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
        boxes: Literal["given", "predicted"] = "given",
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
            boxes: of a generator that places objects: given, where the condition gives them, or all of them predicted.

        Raises UsageError for a truncation of a prior that is not Gaussian, for standing statistics of a condition that
        is not of classes, whose distribution is not known, and for predicted boxes of a generator that predicts none.
        """
        given = self._placed(self.conditioned(condition, n), boxes)
        within(0, standing=standing)
        if truncation is not None and isinstance(self.generator, Styled):
            if not math.isfinite(truncation):
                raise UsageError(f"truncation is a finite number, not {truncation}")
            z = self.prior(n, given).sample(generator, temperature)
            return self._items(self.generator.truncated(z, given, truncation))
        z = self._codes(n, given, truncation).sample(generator, temperature)
        if not standing:
            return self.decode(z, given).value
        painter = self._with_standing_statistics(standing, truncation, temperature)
        return self._items(painter(z, given))

    def _placed(self, condition: Condition, boxes: str) -> Condition:
        """The condition with its boxes, or without them."""
        if boxes == "given":
            return condition
        if boxes != "predicted" or not isinstance(self.generator, Arranging):
            raise UsageError(
                f"boxes={boxes!r}: boxes are given or predicted, and only --generator layout predicts them"
            )
        return without_boxes(condition, self.generator.graph)

    def _codes(self, n: int, condition: ConditionLike | None, truncation: float | None) -> Distribution:
        p = self.prior(n, condition)
        if truncation is None:
            return p
        above(0, truncation=truncation)
        if not isinstance(self.codes, Gaussian):
            raise UsageError(f"truncation is for codes of the gaussian prior, not of {called(self.codes)[1]}")
        return TruncatedGaussian(p.mean, truncation)

    def _with_standing_statistics(self, codes: int, truncation: float | None, temperature: float) -> nn.Module:
        """A copy of the generator; its statistics are the same in every call."""
        painter, noise = copy.deepcopy(self.generator), torch.Generator(self.device).manual_seed(0)
        batches = -(-codes // STANDING)
        given = self.every_class(STANDING)
        z = (self._codes(STANDING, given, truncation).sample(noise, temperature) for _ in range(batches))
        restate(painter, ((each, given) for each in z))
        return painter

    def prior(self, n: int, condition: ConditionLike | None = None) -> Distribution:
        """p(z), codes (n, latent)."""
        like = next(self.generator.parameters()).detach()
        modes = torch.full((n,), -1, device=like.device)
        return self.codes.codes(modes, 1, self.latent, like)

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> PointMass:
        """G(z) on the data grid: the point to which the generator maps each code."""
        return PointMass(self._items(self.generator(z, self.conditioned(condition, len(z)))))

    def rendered(self, z: Tensor, condition: Condition) -> Tensor:
        """G(z) before it is rounded, (N, *shape): in [-1, 1] where x lies on a grid; differentiable in z. Of a map of
        classes (1, H, W) there is a channel for each class."""
        return self._in_units_of_x(self.generator(z, condition))

    def _items(self, made: Tensor) -> Tensor:
        """What the generator made, on the grid of the data; of classes that of the largest channel."""
        if isinstance(self.spec.x, Classes):
            return made.argmax(1, keepdim=True).to(torch.uint8)
        return self.spec.on_grid(self._in_units_of_x(made))

    @property
    def _made(self) -> DataSpec:
        """What the networks make and see: of classes a channel for each."""
        if not isinstance(self.spec.x, Classes):
            return self.spec
        if self.spec.shape[0] != 1 or not self.spec.is_image:
            raise UsageError(f"a GAN of classes is for maps (1, H, W), not {self.spec.x.describe()}")
        return DataSpec(Levels((self.spec.grid_levels, *self.spec.shape[1:]), 2), self.spec.condition)

    def _as_made(self, x: Tensor) -> Tensor:
        """Items as the generator makes them: in its units, and as coarse as it has grown."""
        if isinstance(self.spec.x, Classes):
            centred = 2.0 * F.one_hot(x[:, 0].long(), self.spec.grid_levels).movedim(-1, 1) - 1.0
        else:
            centred = self.spec.centred(x)
        real = centred if self.units is None else self.units(centred)
        for network in self._growing_generators:
            real = network.coarse(real)
        return real

    def _in_units_of_x(self, made: Tensor) -> Tensor:
        return made.float() if self.units is None else self.units.back(made.float())

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


def growing(network: nn.Module) -> list[Growing]:
    """What grows of a network."""
    return [module for module in network.modules() if isinstance(module, Growing)]


def usual_penalties(game: Game, spec: DataSpec) -> tuple[Penalty, ...]:
    """Those without which a game does not converge: Huang et al. 2024, "The GAN is dead; long live the GAN!", 2."""
    if not isinstance(game, Relativistic):
        return ()
    return zero_centred(gamma_of(spec), 1 if spec.is_image else RARELY)


def zero_centred(gamma: float, every: int = 1) -> tuple[Penalty, ...]:
    """r1 and r2 of weight γ, which falls to a tenth in training."""
    return R1(gamma, every, end=0.1), R2(gamma, every, end=0.1)


def gamma_of(spec: DataSpec) -> float:
    """The weight γ of r1 and r2 that follows from what x is: of an image its pixels over 2048 and at least ½, of a
    vector its numbers over 30.

    Let a critic D' read an image of twice the size by the mean of each 2×2 pixels, and apply D to these. Each of four
    times as many pixels then has a quarter of the gradient, so that |∇D'|² = |∇D|²/4, although D' tells the same images
    apart: only a γ in proportion to the number of pixels weighs both alike. Over 2048 it is 2 at 64×64, that of Huang
    et al. 2024 for FFHQ; others of theirs are 0.05 at 32×32 (CIFAR-10) and 150 at 256×256 (FFHQ). Below
    32×32 images are no larger ones made small: each pixel holds more, and with less than ½ the critic of `digits` wins.
    A vector has units of its own: its numbers count in standard deviations.
    """
    return max(LEAST, math.prod(spec.shape[1:]) / PIXELS) if spec.is_image else math.prod(spec.shape) / NUMBERS


def margins(game: Game, real: Tensor, fake: Tensor) -> Tensor:
    """How far the critic is on the right side for each real item, (N,): its score from the boundary of the game, or,
    where a score by itself means nothing, from the score of a generated item."""
    return of_items(real - (fake if game.boundary is None else game.boundary))


class _Alone:
    """The loss of a penalty that is a phase of its own: taken every so many steps it is multiplied by their number, for
    the same mean gradient."""

    def __init__(self, model: GAN, k: int, player: str, every: int | None = None) -> None:
        self.model, self.k, self.player = model, k, player
        self.every = model.penalties[k].every if every is None else every
        self.__name__ = model._names[k]  # pyright: ignore[reportPrivateUsage]

    def __call__(self, turn: Turn) -> dict[str, Tensor]:
        penalty, memory = self.model.penalties[self.k], self.model.memories[self.k]
        loss = penalty.loss(self.model.round(turn, self.player, later=True), memory)
        assert loss is not None, "a constraint is no term that is taken by itself"
        return {self.__name__: self.every * loss.float()}
