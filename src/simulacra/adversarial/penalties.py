r"""Penalties: terms that are added to a player's loss, in all steps or in some, and constraints on its weights.

    gradient     λ E (|∇D(x̂)| - 1)² between real and generated items      Gulrajani et al. 2017, WGAN-GP, eq. 3
    r1, r2       γ/2 E |∇D(x)|² on real, or on generated items             Mescheder et al. 2018, eq. 9 and 10
    clipping     every weight of the critic into [-c, c] after an update   Arjovsky et al. 2017, WGAN, algorithm 1
    orthogonal   β Σ |WᵀW ⊙ (1 - I)|²                                      Brock et al. 2019, BigGAN, eq. 3
    features     λ |E f(x) - E f(G(z))|², f the critic's features          Salimans et al. 2016, section 3.1
    matching     λ L(D(x, c), D(x, c̄)), c̄ of another item, L the game's    Reed et al. 2016, GAN-CLS (matching.py)
    described    -λ E log P(words | x), read from the critic's features    Qiao et al. 2019, MirrorGAN (described.py)

and those on pairs of an item and what is made under its condition (pairs.py), on objects and on words in their boxes
(`simulacra.structured`).

Gradients of the critic are taken in float32. A penalty that has buffers or a head of its own builds them as a module,
its *memory*, which is saved and resumed with the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from simulacra import whole
from simulacra.adversarial.rounds import Round, Side
from simulacra.data.spec import DataSpec
from simulacra.devices import in_autocast, without_autocast
from simulacra.distributions import Distribution
from simulacra.errors import UsageError
from simulacra.networks import CriticNetwork, of_items
from simulacra.nn import Spectral
from simulacra.parts import above, kind, part, share, within

PLAYERS = ("critic", "generator")


@kind("penalty")
class Penalty(Protocol):
    """A term of a player's loss, of which `every`-th step is taken, or a constraint on its weights, or both.

    Attributes:
        players: whose loss it is a term of: critic, generator, or both.
        owners: of these players, who trains the parameters of its memory.
    """

    players: ClassVar[Sequence[str]]
    owners: ClassVar[Sequence[str]]

    @property
    def every(self) -> int:
        """Steps from one to the next; one that is taken rarely counts for the steps between."""
        ...

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        """Buffers, and parameters that are trained with the players'. Raises UsageError for data and networks that the
        penalty is not for."""
        ...

    def loss(self, seen: Round, memory: nn.Module) -> Tensor | None:
        """A scalar in float32; None for a penalty that is a constraint alone."""
        ...

    def constrain(self, player: nn.Module) -> None:
        """What is done to the weights of a player after each of its updates."""
        ...


@runtime_checkable
class OfCodes(Protocol):
    """A penalty on what can be read of the codes, whose memory depends on p(z) too."""

    def memory_of_codes(self, codes: Distribution, critic: CriticNetwork) -> nn.Module:
        """In the place of `memory`. Raises UsageError for codes that the penalty is not for."""
        ...


@runtime_checkable
class Prepared(Protocol):
    """A penalty that is learned before the game.

    Attributes:
        first: the share of a run, from its beginning, in which its owners have no other loss; the game begins then.
    """

    @property
    def first(self) -> float: ...


def prepared(penalty: Penalty) -> float:
    """The share of a run in which the penalty alone is learned; 0 for most."""
    return penalty.first if isinstance(penalty, Prepared) else 0.0


class OfCritic:
    """What most penalties have in common: they are terms of the critic's loss, without a memory or a constraint."""

    players: ClassVar[Sequence[str]] = ("critic",)
    owners: ClassVar[Sequence[str]] = PLAYERS

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        return nn.Module()

    def loss(self, seen: Round, memory: nn.Module) -> Tensor | None:
        return None

    def constrain(self, player: nn.Module) -> None:
        pass


class Weighed(OfCritic):
    """Abstract: with a weight, taken every so many steps."""

    weight: float
    every: int

    def __post_init__(self) -> None:
        above(0, weight=self.weight)
        within(1, every=self.every)
        if isinstance(self, Prepared):
            share(first=self.first)


def squared_gradients(side: Side, x: Tensor | None = None) -> Tensor:
    """|∇_x D(x)|² of each item of a side, or at other points x, (N,), differentiable in the critic, in float32. Of
    patches D is the mean of their scores.

    That of the items of a critic's turn is taken through the pass that their scores are from, where it was in float32.
    """
    if x is None and side.x.is_leaf and side.x.requires_grad and not in_autocast(side.x.device):
        (gradient,) = torch.autograd.grad(of_items(side.scores).sum(), side.x, create_graph=True)
        return gradient.flatten(1).square().sum(1)
    with without_autocast(side.x.device):
        at = (side.x if x is None else x).detach().float().requires_grad_()
        scores = side.critic(at, side.condition)
        (gradient,) = torch.autograd.grad(of_items(scores).sum(), at, create_graph=True)
        return gradient.flatten(1).square().sum(1)


@part("penalty", "gradient")
class GradientPenalty(Weighed):
    r"""λ E (|∇D(x̂)| - 1)², at points x̂ = α x + (1 - α) G(z) between real and generated items, α ~ U[0, 1] for each.

    Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", eq. 3. In float32; where the gradient vanishes, the
    derivative of its norm is set to 0 instead of NaN.

    Attributes:
        weight: λ.
        every: steps from one to the next.
    """

    weight: float = 10.0
    every: int = 1

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        if any(isinstance(module, BatchNorm) for module in critic.modules()):
            raise UsageError(
                "penalty 'gradient' bounds the slope of each score by its own item, and batch norm in a critic lets it "
                "depend on all of the batch: take --critic dcgan:batch_norm=false, or residual:normalise=none"
            )
        return nn.Module()

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        real, fake = seen.real.x.float(), seen.fake.x.detach().float()
        alpha = whole.uniform((len(real), *[1] * (real.dim() - 1)), real)
        squared = squared_gradients(seen.real, torch.lerp(fake, real, alpha))
        norm = torch.where(squared > 0, squared.clamp(min=1e-20).sqrt(), squared)
        return self.weight * (norm - 1).square().mean()


class ZeroCentred(Weighed):
    """Abstract: γ/2 E |∇D|² of the items of one side."""

    side: ClassVar[str]
    end: float

    def __post_init__(self) -> None:
        super().__post_init__()
        above(0, end=self.end)

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        """γ/2 E |∇D|² with γ = weight · end^share."""
        return self.weight * self.end**seen.share / 2 * squared_gradients(getattr(seen, self.side)).mean()


@part("penalty", "r1")
class R1(ZeroCentred):
    r"""γ/2 E |∇D(x)|² on real items: Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?".

    Attributes:
        weight: γ in the beginning.
        every: steps from one to the next.
        end: what is left of γ at the end of training, as a share; it falls geometrically.
    """

    side: ClassVar[str] = "real"
    weight: float = 1.0
    every: int = 1
    end: float = 1.0


@part("penalty", "r2")
class R2(ZeroCentred):
    r"""γ/2 E |∇D(G(z))|² on generated items: Mescheder et al. 2018, eq. 10.

    Attributes:
        weight: γ in the beginning.
        every: steps from one to the next.
        end: what is left of γ at the end of training, as a share; it falls geometrically.
    """

    side: ClassVar[str] = "fake"
    weight: float = 1.0
    every: int = 1
    end: float = 1.0


@part("penalty", "clipping")
class Clipping(OfCritic):
    """Every parameter of the critic is moved into [-limit, limit] after each update.

    Arjovsky et al. 2017, "Wasserstein GAN", algorithm 1, line 7.

    Attributes:
        limit: c.
    """

    every: ClassVar[int] = 1
    limit: float = 0.01

    def __post_init__(self) -> None:
        above(0, limit=self.limit)

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        if any(isinstance(module, Spectral) for module in critic.modules()):
            raise UsageError(
                "penalty 'clipping' bounds the weights of a critic, and spectral norm makes their size of no account: "
                "leave the penalty out, or take --critic residual:normalise=none"
            )
        return nn.Module()

    @torch.no_grad()
    def constrain(self, player: nn.Module) -> None:
        for parameter in player.parameters():
            parameter.clamp_(-self.limit, self.limit)


@part("penalty", "orthogonal")
class Orthogonal(Weighed):
    r"""β Σ_W |WᵀW ⊙ (1 - I)|²_F over the weights of the generator: its filters are kept from being parallel.

    Rows of embeddings, biases and gains have no part in it. Brock et al. 2019, "Large Scale GAN Training", eq. 3.

    Attributes:
        weight: β.
        every: steps from one to the next.
    """

    players: ClassVar[Sequence[str]] = ("generator",)
    weight: float = 1e-4
    every: int = 1

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        total = next(seen.generator.parameters()).new_zeros(())
        for module in seen.generator.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) or hasattr(module, "weight_scale"):
                weight = cast(Tensor, module.weight) * cast(float, getattr(module, "weight_scale", 1.0))
                rows = weight.float().flatten(1)
                products = rows @ rows.T
                total = total + (products - products.diagonal().diag()).square().sum()
        return self.weight * total


@part("penalty", "features")
class FeatureMatching(Weighed):
    r"""λ |E f(x) - E f(G(z))|², f the features before the critic's head: the generator matches their means.

    Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.1.

    Attributes:
        weight: λ.
        every: steps from one to the next.
    """

    players: ClassVar[Sequence[str]] = ("generator",)
    weight: float = 1.0
    every: int = 1

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        real, fake = (whole.mean(side.features.float().mean(0)) for side in (seen.real, seen.fake))
        return self.weight * (real.detach() - fake).square().mean()


def refuse_without_classes(spec: DataSpec, name: str) -> None:
    """Raise UsageError for a condition that is not of classes."""
    if not spec.condition:
        raise UsageError(f"penalty {name!r} is of a class of each item: add --condition label")
    spec.classes(name)
