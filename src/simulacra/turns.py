"""Who moves when, and on what: a model in training is a list of phases, each a player and a loss.

    Player   modules that move together, with one optimiser's moments
    Phase    a player's loss, and when it is due
    Turn     what a loss is a function of: items, their condition, and how far training has come

A loss is `loss(turn) -> {name: scalar}`, whose sum the player minimises; it knows no optimiser, and the loop no loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.errors import UsageError

Items = tuple[Tensor, Condition]


@dataclass(frozen=True, eq=False)
class Turn:
    """What a loss sees.

    x:         items (N, *shape) on the data grid.
    condition: that of these items.
    further:   more draws, for a phase with `draws` > 1: (x, condition) of as many other items each.
    step:      steps that were taken before this one.
    share:     of the phase's own time, 0 at its beginning and 1 at its end.
    """

    x: Tensor
    condition: Condition = field(default_factory=Condition)
    further: tuple[Items, ...] = ()
    step: int = 0
    share: float = 0.0

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, index: Tensor | slice) -> Turn:
        """The same turn with some of the items, and as many of every further draw."""
        further = tuple((x[index], condition.rows(index)) for x, condition in self.further)
        return replace(self, x=self.x[index], condition=self.condition.rows(index), further=further)


Loss = Callable[[Turn], dict[str, Tensor]]


@dataclass(frozen=True, eq=False)
class Player:
    """Modules that are trained together: one optimiser, and so one set of moments, however many losses they have.

    Two players may share modules, each with moments of its own: the encoder of an adversarial autoencoder learns to
    reconstruct as a part of one player and to deceive the critic as another.

    modules: one, or several. rate: a factor of the learning rate. betas: of Adam, in the place of the options' own.
    after: what is done to its weights after each update, such as to clip them.
    """

    modules: nn.Module | Sequence[nn.Module]
    rate: float = 1.0
    betas: tuple[float, float] | None = None
    after: Sequence[Callable[[], None]] = ()

    def __post_init__(self) -> None:
        modules = (self.modules,) if isinstance(self.modules, nn.Module) else tuple(self.modules)
        object.__setattr__(self, "modules", modules)
        if not self.rate > 0:
            raise UsageError(f"the rate of a player is a factor of the learning rate and positive, not {self.rate}")

    def parameters(self) -> Iterator[nn.Parameter]:
        """Every parameter once, also one that several modules share."""
        yield from dict.fromkeys(parameter for module in self._modules() for parameter in module.parameters())

    def buffers(self) -> Iterator[Tensor]:
        """Every buffer once."""
        yield from dict.fromkeys(buffer for module in self._modules() for buffer in module.buffers())

    def requires_grad_(self, wanted: bool = True) -> None:
        """Whether gradients reach its parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(wanted)

    def _modules(self) -> Sequence[nn.Module]:
        assert isinstance(self.modules, tuple)
        return self.modules


@dataclass(frozen=True)
class Phase:
    """One player's turn: `player` is improved on `loss(turn)`, a dict of named scalars whose sum is minimised.

    A phase is due in every `every`-th step and then taken `repeat` times, each time on `draws` fresh batches; and this
    from the share `begin` of the budget up to `end`, for what is trained in stages. A bare module is a player of its
    own; phases that name the same `Player` share its moments.

    Raises UsageError for numbers below one and for a time that is empty.
    """

    player: Player | nn.Module
    loss: Loss
    every: int = 1
    repeat: int = 1
    draws: int = 1
    begin: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.player, Player):
            object.__setattr__(self, "player", Player(self.player))
        if min(self.every, self.repeat, self.draws) < 1 or not 0 <= self.begin < self.end <= 1:
            raise UsageError(
                f"the phase {self.name!r} needs every, repeat and draws >= 1 and 0 <= begin < end <= 1, not "
                f"{self.every}, {self.repeat}, {self.draws}, {self.begin} and {self.end}"
            )

    @property
    def loss_name(self) -> str:
        return getattr(self.loss, "__name__", type(self.loss).__name__)

    @property
    def name(self) -> str:
        """That of its loss: `critic` of `critic_loss`."""
        return self.loss_name.removesuffix("_loss")

    @property
    def batches(self) -> int:
        """How many batches it reads in a step in which it is due."""
        return self.repeat * self.draws

    def share(self, done: float) -> float:
        """How much of its own time has passed once `done` of the budget is spent: 0 at `begin`, 1 at `end`."""
        return passed([self], done)

    def on(self, done: float) -> bool:
        """Whether its own time has begun and not ended, with `done` of the budget spent."""
        return self.begin <= done and (done < self.end or self.end >= 1)

    def due(self, step: int, done: float) -> bool:
        """Whether it is taken in step number `step`, with `done` of the budget spent."""
        return step % self.every == 0 and self.on(done)


def players(phases: Sequence[Phase]) -> list[Player]:
    """Every player of these phases once, in the order of their first turns."""
    found = dict.fromkeys(phase.player for phase in phases)
    return [player for player in found if isinstance(player, Player)]


def passed(phases: Sequence[Phase], done: float) -> float:
    """The share of the time of phases, from their first `begin` to the last `end`, that has passed once `done` of the
    budget is spent."""
    begin, end = min(phase.begin for phase in phases), max(phase.end for phase in phases)
    return (done - begin) / (end - begin)


def names(phases: Sequence[Phase]) -> list[str]:
    """Of each phase a name that no other one has: its own, and a number where several have the same."""
    return numbered([phase.name for phase in phases])


def numbered(own: Sequence[str]) -> list[str]:
    """Names of which no two are the same: those that occur several times get a number, `a1` and `a2`."""
    return [f"{name}{1 + own[:i].count(name)}" if own.count(name) > 1 else name for i, name in enumerate(own)]


def lazy_correction(phases: Sequence[Phase], done: float = 0.0) -> float:
    r"""c of a player with these phases, some of which are due in few steps (lazy) and some in all.

    With u_all updates in a step on average, of which u_main are of the phases that are due in every step,
    c = u_main / u_all. A learning rate times c and betas to the power of c make of many small updates what the main
    phases alone would have made. It is 1 where there is no lazy phase or no other. A phase counts in its own time
    only: `done` is the share of the budget that is spent.
    Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", appendix B.
    """
    phases = [phase for phase in phases if phase.on(done)]
    everyone = sum(phase.repeat / phase.every for phase in phases)
    main = sum(phase.repeat for phase in phases if phase.every == 1)
    return main / everyone if main else 1.0
