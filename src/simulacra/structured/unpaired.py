r"""Translation without pairs: a generator G(x, c) maps an item to domain c, and back again it is to be itself.

    min_G max_D   game of D with real x of their domains c, and with G(x, c') of target domains c'
                + λ E |G(G(x, c'), c) - x|      cycle
                + μ E |G(x, c) - x|             identity

Nobody knows which item of another domain goes with x: the critic asks that G(x, c') looks like c', and the cycle that x
can be recovered of it. All means are over items, so that a batch may be shared out and mixes domains as it likes.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from simulacra.adversarial.games import Game
from simulacra.adversarial.penalties import Penalty, prepared
from simulacra.adversarial.rounds import Round, Side
from simulacra.adversarial.terms import Terms
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel, Real
from simulacra.model import Model
from simulacra.networks import CriticNetwork, Generator, form_of
from simulacra.networks.images import refuse_unless_images
from simulacra.parts import called
from simulacra.turns import Phase, Turn

PICTURE = "x"  # the field of the generator's condition that is the item itself

TRAINING = {  # the papers' 1e-4 and 2e-4 for runs a hundred times as long
    "learning_rate": 1e-3,
    "betas": (0.5, 0.999),
    "batch": 8,
    "steps": 2000,
    "ema": 0.99,
    "schedule": "cosine",
}


class OfItem(nn.Module):
    """x (N, *shape) in the form that networks see and a condition -> x' (N, *shape): a generator that reads x as the
    picture of its condition, beside the `fields`.

    Its code is a constant, of as many numbers as a class has beside it: nothing of a translation is random.
    """

    def __init__(self, spec: DataSpec, fields: Mapping[str, ClassLabel], part: Generator, code: int) -> None:
        super().__init__()
        own = {PICTURE: Real(spec.shape)}
        self.names, self.code = tuple(fields), code
        self.network = part.build(DataSpec(spec.x, {**own, **fields}), code)

    def forward(self, x: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        given = Condition({PICTURE: x} | {name: condition[name] for name in self.names})
        return self.network(x.new_ones(len(x), self.code), given)


class Unpaired(Model):
    """Abstract: the losses of a generator and a critic of items of several domains, which are classes.

    A subclass builds `generator`, a module (x, condition) -> x, and `critic`, both of items in their form, and says
    what the `targets` are.

    Attributes:
        form: how items look to the networks.
        cycle: λ. identity: μ. critic_steps: updates of the critic for one of the generator, on fresh items.
    """

    stratified: ClassVar[bool] = True
    generator: nn.Module
    critic: CriticNetwork
    terms: Terms
    memories: nn.ModuleList

    def __init__(
        self,
        spec: DataSpec,
        game: Game,
        penalties: Sequence[Penalty],
        cycle: float,
        identity: float,
        critic_steps: int,
    ) -> None:
        super().__init__(spec)
        refuse_unless_images(spec, self.name, on_grid=True)
        self.domains = spec.classes(self.name)
        if not self.domains:
            raise UsageError(
                f"{self.name} translates between domains: add --condition label where they are classes, or --domains x "
                "noto where they are fields"
            )
        if not (0 <= cycle < math.inf and 0 <= identity < math.inf) or critic_steps < 1:
            given = f"{cycle}, {identity} and {critic_steps}"
            raise UsageError(f"{self.name} needs cycle >= 0, identity >= 0 and critic_steps >= 1, not {given}")
        for penalty in penalties:
            if penalty.every > 1 or prepared(penalty):
                raise UsageError(
                    f"{self.name} takes its penalties in every step: leave out `every` and `first` of "
                    f"{called(penalty)[1]!r}"
                )
        self.form, self.game, self.penalties = form_of(spec), game, tuple(penalties)
        self.cycle, self.identity, self.critic_steps = cycle, identity, critic_steps

    def remember_penalties(self) -> None:
        """Build the memories of the penalties, once both networks stand."""
        self.terms = Terms(self.penalties, self._memory, besides=("cycle", "identity"))
        self.memories = self.terms.memories

    def _memory(self, penalty: Penalty) -> nn.Module:
        return penalty.memory(self.form.made, self.generator, self.critic)

    @abstractmethod
    def targets(self, own: Condition) -> Condition:
        """The domains to which the items of a loss, which are of the domains `own`, are translated."""

    def shown(self, made: Tensor, target: Condition) -> Tensor:
        """What the critic sees of generated items in its own turn."""
        return made

    # Turns

    def phases(self) -> Sequence[Phase]:
        return [
            Phase(self.terms.player("critic", self.critic), self.critic_loss, repeat=self.critic_steps),
            Phase(self.terms.player("generator", self.generator), self.generator_loss),
        ]

    def averaged(self) -> Sequence[nn.Module]:
        return [self.generator]

    # Losses

    def critic_loss(self, turn: Turn) -> dict[str, Tensor]:
        x, target = self.form(turn.x), self.targets(turn.condition)
        with torch.no_grad():
            made = self.shown(self.generator(x, target), target)
        seen = self._round(turn, x, made, target, "critic")
        terms = {"critic": self.game.critic(seen.real.scores, seen.fake.scores)}
        return terms | self.terms.in_every_step(seen, "critic")

    def generator_loss(self, turn: Turn) -> dict[str, Tensor]:
        x, own = self.form(turn.x), turn.condition
        target = self.targets(own)
        if self.identity:
            both = Condition({name: torch.cat([target[name], own[name]]) for name in own})
            made, same = self.generator(torch.cat([x, x]), both).chunk(2)
        else:
            made = same = self.generator(x, target)
        seen = self._round(turn, x, made, target, "generator")
        real = seen.real.scores if self.game.paired else None
        terms = {"generator": self.game.generator(seen.fake.scores, real)}
        if self.cycle:
            terms["cycle"] = self.cycle * distance(self.generator(made, own), x)
        if self.identity:
            terms["identity"] = self.identity * distance(same, x)
        return terms | self.terms.in_every_step(seen, "generator")

    def _round(self, turn: Turn, x: Tensor, made: Tensor, target: Condition, player: str) -> Round:
        """Real items in their domains and generated ones in theirs; what stands for codes are the items themselves."""
        real, fake = Side(self.critic, x, turn.condition), Side(self.critic, made, target)
        return Round(real, fake, x, self.generator, self.game, turn.share, player == "generator")

    # The ability

    @torch.no_grad()
    def translate(
        self, x: Tensor, condition: ConditionLike | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """G(x, c), items x (N, *shape) in the domain that is the condition, (N, *shape) on the grid.

        Nothing of it is random. Raises UsageError for a domain that does not exist, or that is not given.
        """
        given = self.conditioned(condition, len(x))
        seen = self.form(x).to(next(self.generator.parameters()).dtype)
        return self.form.items(self.generator(seen, given))


def distance(made: Tensor, x: Tensor) -> Tensor:
    """E |made - x|, in float32."""
    return (made.float() - x.float()).abs().mean()
