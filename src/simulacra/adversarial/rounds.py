"""What both players look at in one turn: real and generated items, as the critic sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn

from simulacra.adversarial.games import Game
from simulacra.condition import Condition
from simulacra.networks import CriticNetwork


@dataclass(frozen=True, eq=False)
class Side:
    """Items of one kind, and what the critic makes of them, computed when it is first used.

    made:      the items, or what makes them when they are first used.
    condition: that of these items.
    x:         (N, *shape), in [-1, 1] where the data lie on a grid, after the augmentation.
    features:  (N, F), of the critic's body, or (N, P, F) of P patches of each item.
    scores:    (N,) or (N, P), in float32.
    """

    critic: CriticNetwork
    made: Tensor | Callable[[], Tensor]
    condition: Condition

    @cached_property
    def x(self) -> Tensor:
        return self.made if isinstance(self.made, Tensor) else self.made()

    @cached_property
    def features(self) -> Tensor:
        return self.critic.features(self.x, self.condition)

    @property
    def pooled(self) -> Tensor:
        """Features of items, (N, F): of patches their means."""
        return self.features if self.features.dim() == 2 else self.features.mean(1)

    @cached_property
    def scores(self) -> Tensor:
        return self.critic.head(self.features, self.condition).float()


@dataclass(frozen=True, eq=False)
class Round:
    """One turn of a player.

    real, fake: the items of both kinds; the fake ones have gradients in the generator's turn alone.
    z:          the codes (N, latent) that the fake ones were made of.
    generator:  the network that made them.
    share:      of training that is done, 0 to 1.
    of_generator: whether it is the generator's turn, whose gradients pass through the generated items.
    game:       what both play.
    """

    real: Side
    fake: Side
    z: Tensor
    generator: nn.Module
    game: Game
    share: float = 0.0
    of_generator: bool = False

    @property
    def critic(self) -> CriticNetwork:
        return self.real.critic

    @property
    def condition(self) -> Condition:
        return self.real.condition
