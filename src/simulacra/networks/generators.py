"""What a generator is, and a fully connected one for items of any shape.

A generator maps codes z (N, latent) and a condition to x (N, *shape), in [-1, 1] where x lies on a grid. The condition
stands beside z, a vector as long as z for each field; in some networks it has a part in every norm as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.fields import Field
from simulacra.nn import Vectors
from simulacra.parts import kind, part, within

SPREAD = 1.0  # of real numbers that are generated in the beginning, in standard deviations of each
LABEL_SCALE = 0.1  # of a label's row beside z ~ N(0, I): rows as large as z leave little variety within a class


@kind("generator")
class Generator(Protocol):
    """Builds a module (z, condition) -> x."""

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        """Raises UsageError for data that it is not for."""
        ...


@runtime_checkable
class Growing(Protocol):
    """A network that changes as training goes on, from small images to those of the data; it may be a part of another.

    Attributes:
        grown: the share of training after which it is at its full size. Generator and critic have the same.
    """

    grown: float

    def grow(self, share: float) -> None:
        """Take the form that it has once this share of training is done, 0 to 1."""
        ...

    def coarse(self, x: Tensor) -> Tensor:
        """Items of the data (N, *shape) with no finer detail than the network makes, or sees, in its present form."""
        ...


@runtime_checkable
class Styled(Protocol):
    """A generator in two networks: codes z become styles w, one for each layer, and styles become items.

    In evaluation mode x = synthesis(mapping(z, condition)) is what the generator makes of z.
    """

    @property
    def mean_w(self) -> Tensor:
        """The running mean of w in training, (K, D): a row for each class where classes are the condition, else one."""
        ...

    def mapping(self, z: Tensor, condition: Condition) -> Tensor:
        """Codes (N, latent) -> styles w (N, layers, D), the same for all layers."""
        ...

    def synthesis(self, w: Tensor) -> Tensor:
        """Styles (N, layers, D) -> x (N, *shape)."""
        ...

    def truncated(self, z: Tensor, condition: Condition, psi: float) -> Tensor:
        """x of the styles m + ψ (w - m), with m the mean style of an item's class: 1 leaves codes as they are."""
        ...


class BesideCode(nn.Module):
    """z (N, latent) -> z and a vector of the same length for each field, (N, latent · (1 + fields))."""

    def __init__(self, fields: Mapping[str, Field], latent: int) -> None:
        super().__init__()
        self.vectors, self.outputs = Vectors(fields, latent), latent * (1 + len(fields))
        scale_rows(self.vectors, LABEL_SCALE)

    def forward(self, z: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([z, *self.vectors(condition).values()], dim=1)


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
        self.stack = perceptron([self.enter.outputs, *[hidden] * layers], nn.ReLU())
        self.last = nn.Linear(hidden, spec.dims)
        if not self.on_grid:
            self._spread()

    def _spread(self) -> None:
        """Weights by which items begin everywhere at once: from one point the nearest modes would be reached alone."""
        maps = [module for module in (*self.stack, self.last) if isinstance(module, nn.Linear)]
        for each in maps:
            gain = SPREAD ** (1 / len(maps)) * (2 / each.in_features) ** 0.5  # of He et al. 2015, times a share
            nn.init.normal_(each.weight, 0.0, gain)
            nn.init.uniform_(each.bias, -0.5, 0.5)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        x = self.last(self.stack(self.enter(z, condition))).unflatten(1, self.shape)
        return torch.tanh(x) if self.on_grid else x


def perceptron(sizes: Sequence[int], activation: nn.Module) -> nn.Sequential:
    """Linear maps from one size to the next, with the activation after each."""
    return nn.Sequential(
        *(layer for inputs, outputs in itertools.pairwise(sizes) for layer in (nn.Linear(inputs, outputs), activation))
    )


@part("generator", "dense")
class DenseGenerator:
    """Fully connected.

    Attributes:
        hidden: units of a layer.
        layers: hidden layers.
    """

    hidden: int = 128
    layers: int = 3

    def __post_init__(self) -> None:
        within(1, hidden=self.hidden, layers=self.layers)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        return PerceptronGenerator(spec, latent, self.hidden, self.layers)
