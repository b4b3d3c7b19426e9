"""The penalties of a game as terms of the losses of both players: whose they are, under which name, and how often.

Those that are taken in every step are added to a player's loss; of the others each is a phase of its own. What is
learned before the game is a player's only phase until it begins.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from simulacra.adversarial.penalties import PLAYERS, Penalty, prepared
from simulacra.adversarial.rounds import Round
from simulacra.parts import called
from simulacra.turns import Phase, Player, Turn, numbered


class Terms:
    """Penalties with what they remember.

    Attributes:
        penalties: all of them, in order.
        memories: a module for each, which the model around registers under a name of its own.
        names: one for each, which no other term of a loss has.
    """

    def __init__(
        self, penalties: Sequence[Penalty], memory: Callable[[Penalty], nn.Module], besides: Sequence[str] = ()
    ) -> None:
        """memory: builds that of a penalty, once both networks stand. besides: names that other terms have."""
        taken = [*PLAYERS, *besides]
        self.penalties, self.memories = tuple(penalties), nn.ModuleList(map(memory, penalties))
        self.names = numbered([*taken, *(called(penalty)[1] for penalty in penalties)])[len(taken) :]

    def player(self, name: str, network: nn.Module, rate: float = 1.0) -> Player:
        """A network as a player, with the constraints on its weights and the memories that it trains."""
        own = self._of(name)
        constraints = [functools.partial(self.penalties[k].constrain, network) for k in own]
        memories = [self.memories[k] for k in own if name in self.penalties[k].owners]
        return Player([network, *memories], rate, after=constraints)

    def in_every_step(self, seen: Round, player: str) -> dict[str, Tensor]:
        """The terms of a player's loss in any turn, each a scalar in float32."""
        always = [k for k in self._of(player) if self.penalties[k].every == 1]
        found = {self.names[k]: self.penalties[k].loss(seen, self.memories[k]) for k in always}
        return {name: term.float() for name, term in found.items() if term is not None}

    def in_some_steps(
        self, player: Player, name: str, look: Callable[[Turn], Round], begin: float = 0.0
    ) -> list[Phase]:
        """The phases of a player in which the other terms are taken, of what it then looks at."""
        rare = [(k, self.penalties[k].every) for k in self._of(name) if self.penalties[k].every > 1]
        return [Phase(player, self._alone(k, look, every), every, begin=begin) for k, every in rare]

    @property
    def begin(self) -> float:
        """The share of a run at which the game begins."""
        return max(map(prepared, self.penalties), default=0.0)

    def before_the_game(self, player: Player, name: str, look: Callable[[Turn], Round]) -> list[Phase]:
        """The phases of a player until then: of what it learns first, and owns."""
        first = [k for k in self._of(name) if prepared(self.penalties[k]) and name in self.penalties[k].owners]
        return [Phase(player, self._alone(k, look, 1), end=self.begin) for k in first]

    def _alone(self, k: int, look: Callable[[Turn], Round], every: int) -> _Alone:
        return _Alone(self.names[k], self.penalties[k], self.memories[k], look, every)

    def _of(self, player: str) -> list[int]:
        """The numbers of the penalties that are terms of a player's loss."""
        return [k for k, penalty in enumerate(self.penalties) if player in penalty.players]


class _Alone:
    """The loss of a penalty that is a phase of its own: taken every so many steps it is multiplied by their number, for
    the same mean gradient."""

    def __init__(
        self, name: str, penalty: Penalty, memory: nn.Module, look: Callable[[Turn], Round], every: int
    ) -> None:
        self.__name__ = name
        self.penalty, self.memory, self.look, self.every = penalty, memory, look, every

    def __call__(self, turn: Turn) -> dict[str, Tensor]:
        loss = self.penalty.loss(self.look(turn), self.memory)
        assert loss is not None, "a constraint is no term that is taken by itself"
        return {self.__name__: self.every * loss.float()}
