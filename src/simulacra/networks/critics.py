r"""What a critic is: a body from items to features, and a head from features to scores, of an item or its patches.

The condition c enters at one of two places, or not at all:

    projection     D(x, c) = ψ(φ(x)) + φ(x)·V c       Miyato & Koyama 2018, "cGANs with Projection Discriminator", eq. 3
    concatenation  D(x, c) = ψ(φ([x, E c]))           Mirza & Osindero 2014, "Conditional Generative Adversarial Nets";
                                                      Isola et al. 2017, "Image-to-Image Translation"
    none           D(x) = ψ(φ(x)), where a penalty sees to it that items are of their class
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.fields import Field
from simulacra.networks.generators import perceptron
from simulacra.nn import Pictures, Vectors
from simulacra.parts import kind, part, within

REACH = 2.0  # of the bends of a critic of real numbers, in standard deviations of each


@kind("critic")
class Critic(Protocol):
    """Builds the body of a critic."""

    def build(self, spec: DataSpec, shape: Sequence[int]) -> nn.Module:
        """A module x (N, *shape) -> features (N, outputs), or (N, P, outputs) of P patches of each item, with the
        attribute `outputs`; `shape` is that of the items of the spec, with more channels where a condition stands
        beside them.

        Raises UsageError for data that it is not for.
        """
        ...


@kind("conditioning")
class Conditioning(Protocol):
    """How a critic sees its condition."""

    def planes(self, spec: DataSpec) -> nn.Module | None:
        """A module condition -> what stands beside x, (N, more, *shape[1:]), with the attribute `count`; or None."""
        ...

    def head(self, spec: DataSpec, features: int, bias: bool = True) -> nn.Module:
        """A module (features, condition) -> scores (N,), or (N, P) of patches; without a bias where a game does not
        depend on it."""
        ...


@runtime_checkable
class Initialising(Protocol):
    """A body that says how the modules of its head begin, too, and normalises them as its own."""

    def initialise(self, module: nn.Module) -> None: ...


class CriticNetwork(nn.Module):
    """x (N, *shape) in [-1, 1] and a condition -> scores (N,), or (N, P) where the body looks at patches."""

    def __init__(self, spec: DataSpec, critic: Critic, conditioning: Conditioning, bias: bool = True) -> None:
        super().__init__()
        self.planes = conditioning.planes(spec)
        more = 0 if self.planes is None else int(self.planes.count)  # pyright: ignore[reportArgumentType]
        self.body = critic.build(spec, (spec.shape[0] + more, *spec.shape[1:]))
        self.head = conditioning.head(spec, int(self.body.outputs), bias)  # pyright: ignore[reportArgumentType]
        if isinstance(self.body, Initialising):
            self.head.apply(self.body.initialise)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return self.head(self.features(x, condition), condition)

    def features(self, x: Tensor, condition: Condition) -> Tensor:
        """What the head reads, (N, F) or (N, P, F)."""
        return self.body(x if self.planes is None else torch.cat([x, self.planes(condition).to(x.dtype)], dim=1))


def of_items(scores: Tensor) -> Tensor:
    """One score for each item, (N,): of patches (N, P) their mean."""
    return scores if scores.dim() == 1 else scores.flatten(1).mean(1)


class ProjectionHead(nn.Module):
    """Features (N, ..., features) -> scores (N, ...): a linear map, and their products with a vector for each field."""

    def __init__(self, fields: Mapping[str, Field], features: int, bias: bool = True) -> None:
        super().__init__()
        self.score, self.vectors = nn.Linear(features, 1, bias), Vectors(fields, features)

    def forward(self, h: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        score = self.score(h).squeeze(-1)
        for vector in self.vectors(condition).values():
            score = score + (vector.view(len(h), *[1] * (h.dim() - 2), -1) * h).sum(-1)
        return score


class Planes(nn.Module):
    """A condition -> what stands beside x, (N, count, *shape[1:]): the pictures and maps of the condition as they are,
    brought to the size of an image, and for each other field a plane of numbers.

    Of vectors (D,), which have no channels, each field has D numbers.
    """

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        channels, *self.size = spec.shape
        width = math.prod(self.size) if self.size else channels
        maps = spec.condition if spec.is_image else {}
        self.pictures = Pictures(maps, (spec.shape[-2], spec.shape[-1]) if maps else (1, 1))
        others = {name: field for name, field in spec.condition.items() if name not in self.pictures.fields}
        self.vectors = Vectors(others, width)
        self.count = len(others) * (1 if self.size else channels) + self.pictures.count

    def forward(self, condition: Mapping[str, Tensor]) -> Tensor:
        values = list(self.vectors(condition).values())
        if not self.size:
            return torch.cat(values, dim=1)
        planes = [torch.stack(values, dim=1).unflatten(2, self.size)] if values else []
        return torch.cat([*planes, *([self.pictures(condition)] if self.pictures.count else [])], dim=1)


@part("conditioning", "projection")
class Projection:
    """Features times a vector for each field are added to the score."""

    def planes(self, spec: DataSpec) -> nn.Module | None:
        return None

    def head(self, spec: DataSpec, features: int, bias: bool = True) -> nn.Module:
        return ProjectionHead(spec.condition, features, bias)


@part("conditioning", "concatenation")
class Concatenation:
    """The pictures of the condition stand beside x, and a plane of numbers for each other field."""

    def planes(self, spec: DataSpec) -> nn.Module | None:
        return Planes(spec) if spec.condition else None

    def head(self, spec: DataSpec, features: int, bias: bool = True) -> nn.Module:
        return ProjectionHead({}, features, bias)


@part("conditioning", "none")
class Unconditional:
    """The critic does not see the condition."""

    def planes(self, spec: DataSpec) -> nn.Module | None:
        return None

    def head(self, spec: DataSpec, features: int, bias: bool = True) -> nn.Module:
        return ProjectionHead({}, features, bias)


class PerceptronCritic(nn.Module):
    """x through hidden layers of leaky ReLUs.

    reach: how far from the origin the first layer bends, where x has no bounds; by torch's own biases it is about 1.
    """

    def __init__(self, inputs: int, hidden: int, layers: int, reach: float | None = None) -> None:
        super().__init__()
        self.stack, self.outputs = perceptron([inputs, *[hidden] * layers], nn.LeakyReLU(0.2)), hidden
        if reach is not None:
            first = self.stack[0]
            assert isinstance(first, nn.Linear)
            with torch.no_grad():
                first.bias.uniform_(-reach, reach).mul_(first.weight.norm(dim=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.stack(x.flatten(1))


@part("critic", "dense")
class DenseCritic:
    """Fully connected.

    Attributes:
        hidden: units of a layer.
        layers: hidden layers.
    """

    hidden: int = 128
    layers: int = 3

    def __post_init__(self) -> None:
        within(1, hidden=self.hidden, layers=self.layers)

    def build(self, spec: DataSpec, shape: Sequence[int]) -> nn.Module:
        return PerceptronCritic(math.prod(shape), self.hidden, self.layers, REACH if spec.levels is None else None)
