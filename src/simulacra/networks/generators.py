"""What a generator and a critic are, and fully connected ones for items of any shape.

A generator maps codes z (N, latent) and a condition to x (N, *shape), in [-1, 1] where x lies on a grid; a critic maps
x and a condition to one score an item, (N,). The condition enters the generator beside z, and the critic by projection:

    D(x, c) = ψ(φ(x)) + φ(x)·V c,      Miyato & Koyama 2018, "cGANs with Projection Discriminator", eq. 3.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.fields import Field
from simulacra.nn import Vectors
from simulacra.parts import kind, part, within

LABEL_SCALE = 0.1  # of a label's row beside z ~ N(0, I): rows as large as z leave little variety within a class


@kind("generator")
class Generator(Protocol):
    """Builds a module (z, condition) -> x."""

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        """Raises UsageError for data that it is not for."""
        ...


@kind("critic")
class Critic(Protocol):
    """Builds a module (x, condition) -> scores (N,)."""

    def build(self, spec: DataSpec) -> nn.Module:
        """Raises UsageError for data that it is not for."""
        ...


class BesideCode(nn.Module):
    """z (N, latent) -> z and a vector of the same length for each field, (N, latent · (1 + fields))."""

    def __init__(self, fields: Mapping[str, Field], latent: int) -> None:
        super().__init__()
        self.vectors, self.outputs = Vectors(fields, latent), latent * (1 + len(fields))
        scale_rows(self.vectors, LABEL_SCALE)

    def forward(self, z: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([z, *self.vectors(condition).values()], dim=1)


class Projection(nn.Module):
    """Features (N, features) -> scores (N,): a linear map, and their products with a vector for each field."""

    def __init__(self, fields: Mapping[str, Field], features: int) -> None:
        super().__init__()
        self.score, self.vectors = nn.Linear(features, 1), Vectors(fields, features)

    def forward(self, h: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        score = self.score(h).squeeze(1)
        for vector in self.vectors(condition).values():
            score = score + (vector * h).sum(1)
        return score


def scale_rows(vectors: Vectors, scale: float) -> None:
    """Draw the rows of classes from N(0, scale²)."""
    for module in vectors.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, 0.0, scale)


class PerceptronGenerator(nn.Module):
    """z, the condition beside it, through hidden layers of ReLUs."""

    def __init__(self, spec: DataSpec, latent: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.shape, self.on_grid = spec.shape, spec.levels is not None
        self.enter = BesideCode(spec.condition, latent)
        self.stack = nn.Sequential(*_layers([self.enter.outputs, *[hidden] * layers], nn.ReLU()))
        self.last = nn.Linear(hidden, spec.dims)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        x = self.last(self.stack(self.enter(z, condition))).unflatten(1, self.shape)
        return torch.tanh(x) if self.on_grid else x


class PerceptronCritic(nn.Module):
    """x through hidden layers of leaky ReLUs, and a projection on the condition."""

    def __init__(self, spec: DataSpec, hidden: int, layers: int) -> None:
        super().__init__()
        self.stack = nn.Sequential(*_layers([spec.dims, *[hidden] * layers], nn.LeakyReLU(0.2)))
        self.head = Projection(spec.condition, hidden)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return self.head(self.stack(x.flatten(1)), condition)


def _layers(sizes: Sequence[int], activation: nn.Module) -> list[nn.Module]:
    return [
        module for inputs, outputs in itertools.pairwise(sizes) for module in (nn.Linear(inputs, outputs), activation)
    ]


class _Sized:
    hidden: int
    layers: int

    def __post_init__(self) -> None:
        within(1, hidden=self.hidden, layers=self.layers)


@part("generator", "dense")
class DenseGenerator(_Sized):
    """Fully connected.

    Attributes:
        hidden: units of a layer.
        layers: hidden layers.
    """

    hidden: int = 256
    layers: int = 2

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        return PerceptronGenerator(spec, latent, self.hidden, self.layers)


@part("critic", "dense")
class DenseCritic(_Sized):
    """Fully connected.

    Attributes:
        hidden: units of a layer.
        layers: hidden layers.
    """

    hidden: int = 256
    layers: int = 2

    def build(self, spec: DataSpec) -> nn.Module:
        return PerceptronCritic(spec, self.hidden, self.layers)
