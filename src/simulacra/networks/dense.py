"""Fully connected networks, for items of any shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.fields import Field
from simulacra.networks.pair import Network
from simulacra.nn import AddCondition
from simulacra.parts import part, share, within


class Perceptron(nn.Module):
    """inputs -> hidden (ReLU, the condition added to the first of `layers`) -> numbers of a shape, (N, *shape)"""

    def __init__(
        self,
        inputs: int,
        hidden: int,
        layers: int,
        shape: Sequence[int],
        fields: Mapping[str, Field],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.first = nn.Linear(inputs, hidden)
        self.condition = AddCondition(fields, hidden)
        self.dropout = nn.Dropout(dropout)
        self.inner = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers - 1))
        self.last = nn.Linear(hidden, math.prod(shape))

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return self.with_condition(self.without_condition(x), condition)

    def without_condition(self, x: Tensor) -> Tensor:
        """What is the same for all conditions."""
        return self.first(x.flatten(1))

    def with_condition(self, h: Tensor, condition: Condition) -> Tensor:
        h = self.dropout(torch.relu(self.condition(h, condition)))
        for layer in self.inner:
            h = self.dropout(torch.relu(layer(h)))
        return self.last(h).unflatten(1, self.shape)


@part("network", "dense")
class Dense(Network):
    """Fully connected networks.

    Attributes:
        hidden: units of a layer.
        layers: hidden layers.
        dropout: share of the features dropped in training.
    """

    hidden: int = 400
    layers: int = 1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        within(1, hidden=self.hidden, layers=self.layers)
        share(dropout=self.dropout)

    def encoder(self, spec: DataSpec, outputs: int) -> nn.Module:
        return Perceptron(spec.dims, self.hidden, self.layers, (outputs,), spec.condition, self.dropout)

    def decoder(self, spec: DataSpec, inputs: int, parameters: int) -> nn.Module:
        shape = (*spec.shape, parameters)
        return Perceptron(inputs, self.hidden, self.layers, shape, spec.condition, self.dropout)
