r"""A game is two functions of scores: what the critic minimises, and what the generator minimises.

With the real items' scores s and those of generated ones t, the critic's loss and the generator's:

    minimax          E ζ(-s) + E ζ(t)             -E ζ(t)              ζ(t) = log(1 + eᵗ), D = σ(score)
    non-saturating   E ζ(-s) + E ζ(t)              E ζ(-t)
    least-squares    ½E (s - 1)² + ½E t²           ½E (t - 1)²
    wasserstein      E t - E s                    -E t
    hinge            E max(0, 1 - s) + E max(0, 1 + t)      -E t
    relativistic     E ζ(t - s)                    E ζ(s - t)           each item with one of the other kind
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import torch.nn.functional as F
from torch import Tensor

from simulacra.networks import of_items
from simulacra.parts import kind, part, share


@kind("game")
class Game(Protocol):
    """Scores (N,) of real and of generated items -> two losses.

    Attributes:
        paired: whether the generator's loss depends on the scores of real items.
        boundary: the score between what the critic takes for real and for generated; None where a score means nothing
            by itself, for all of them can be shifted.
    """

    paired: ClassVar[bool]
    boundary: ClassVar[float | None]

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's loss, a scalar."""
        ...

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """The generator's loss, a scalar; `real` is None where the game is not paired."""
        ...


class _Classifying:
    """D = σ(score) is the critic's probability that an item is real; it maximises V = E log D(x) + E log(1 - D(G(z))),
    at best 2 JSD(p, q) - log 4. With smoothing the probability that is aimed at for a real item is 1 - smoothing."""

    paired: ClassVar[bool] = False
    boundary: ClassVar[float | None] = 0.0
    smoothing: float

    def __post_init__(self) -> None:
        share(smoothing=self.smoothing)

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        of_real = (1 - self.smoothing) * F.softplus(-real) + self.smoothing * F.softplus(real)
        return of_real.mean() + F.softplus(fake).mean()


@part("game", "minimax")
class Minimax(_Classifying):
    r"""Goodfellow et al. 2014, "Generative Adversarial Nets", eq. 1: the generator minimises what the critic maximises.

    Its gradient is -D(G(z)) for each score, and vanishes where the critic is confident: it is here to show that.

    Attributes:
        smoothing: by which the probability of real items falls short of 1 (Salimans et al. 2016, section 3.4).
    """

    smoothing: float = 0.0

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -F.softplus(fake).mean()


@part("game", "non-saturating")
class NonSaturating(_Classifying):
    r"""Goodfellow et al. 2014, section 3: the same critic, and a generator that maximises E log D(G(z)).

    The gradient of that is 1 - D(G(z)) for each score, at its largest where the critic is confident.

    Attributes:
        smoothing: by which the probability of real items falls short of 1 (Salimans et al. 2016, section 3.4).
    """

    smoothing: float = 0.0

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return F.softplus(-fake).mean()


@part("game", "least-squares")
class LeastSquares:
    r"""Mao et al. 2017, "Least Squares Generative Adversarial Networks", eq. 2 with a = 0 and b = c = 1."""

    paired: ClassVar[bool] = False
    boundary: ClassVar[float | None] = 0.5

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return 0.5 * (fake - 1).square().mean()


@part("game", "wasserstein")
class Wasserstein:
    r"""Arjovsky et al. 2017, "Wasserstein GAN", eq. 2: the critic raises E D(x) - E D(G(z)), the generator E D(G(z)).

    The maximum over 1-Lipschitz D is a distance of p and q; a penalty has to keep D near 1-Lipschitz.
    """

    paired: ClassVar[bool] = False
    boundary: ClassVar[float | None] = None

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -fake.mean()


@part("game", "hinge")
class Hinge:
    r"""Lim & Ye 2017, "Geometric GAN", eq. 14: the critic's loss ends where a score is right by a margin of 1."""

    paired: ClassVar[bool] = False
    boundary: ClassVar[float | None] = 0.0

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -fake.mean()


@part("game", "relativistic")
class Relativistic:
    r"""Jolicoeur-Martineau 2019, "The relativistic discriminator"; in pairs: Huang et al. 2024, "The GAN is dead; long
    live the GAN!", eq. 2.

    What counts is which item of a pair is the real one. No generator that leaves out a mode is a local minimum
    (Sun et al. 2020, "Towards a Better Global Loss Landscape of GANs").
    """

    paired: ClassVar[bool] = True
    boundary: ClassVar[float | None] = None

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(fake - real).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        assert real is not None, "the generator of a paired game needs the scores of real items"
        return F.softplus(real - fake).mean()


def margins(game: Game, real: Tensor, fake: Tensor) -> Tensor:
    """How far the critic is on the right side for each real item, (N,): its score from the boundary of the game, or,
    where a score by itself means nothing, from the score of a generated item."""
    return of_items(real - (fake if game.boundary is None else game.boundary))
