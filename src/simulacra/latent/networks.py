"""Encoders and decoders: fully connected for anything, convolutional for images.

An encoder maps x, centred, (N, *shape), to (N, outputs); a decoder maps codes (N, inputs) to the raw numbers of a
likelihood, (N, *shape, parameters).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from simulacra.capabilities import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.nn import AddCondition, Double, Halve, halvings

NETWORKS = ("dense", "conv")


class Perceptron(nn.Module):
    """inputs -> hidden (ReLU, the condition added to the first of `layers`) -> outputs"""

    def __init__(
        self, inputs: int, hidden: int, layers: int, outputs: int, classes: dict[str, int], dropout: float
    ) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.condition = AddCondition(classes, hidden)
        self.dropout = nn.Dropout(dropout)
        self.inner = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers - 1))
        self.last = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return self.answer(self.read(x), condition)

    def read(self, x: Tensor) -> Tensor:
        """What is the same for all conditions."""
        return self.first(x.flatten(1))

    def answer(self, h: Tensor, condition: Condition) -> Tensor:
        h = self.dropout(torch.relu(self.condition(h, condition)))
        for layer in self.inner:
            h = self.dropout(torch.relu(layer(h)))
        return self.last(h)


class ConvEncoder(nn.Module):
    """x -> halved down to coarse features -> outputs, which know the condition."""

    def __init__(self, shape: Sequence[int], width: int, outputs: int, classes: dict[str, int], dropout: float) -> None:
        super().__init__()
        self.down = Halve(tuple(shape), width)
        self.condition = AddCondition(classes, self.down.features)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(self.down.features, outputs)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return self.answer(self.read(x), condition)

    def read(self, x: Tensor) -> Tensor:
        """What is the same for all conditions."""
        return self.down(x)

    def answer(self, h: Tensor, condition: Condition) -> Tensor:
        return self.last(self.dropout(self.condition(h, condition)))


class ConvDecoder(nn.Module):
    """codes, and the condition -> coarse features -> doubled up to (N, outputs, H, W)."""

    def __init__(
        self, inputs: int, width: int, shape: Sequence[int], outputs: int, classes: dict[str, int], dropout: float
    ) -> None:
        super().__init__()
        self.up = Double(tuple(shape), width, outputs)
        self.first = nn.Linear(inputs, self.up.features)
        self.condition = AddCondition(classes, self.up.features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        return self.up(self.dropout(self.condition(self.first(z), condition)))


class Encoder(nn.Module):
    """x on the data grid (N, *shape) -> (N, outputs)."""

    def __init__(
        self, spec: DataSpec, outputs: int, network: str, hidden: int, layers: int, width: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.spec, classes = spec, check_network(spec, network, hidden, layers, width, dropout)
        self.body = (
            ConvEncoder(spec.shape, width, outputs, classes, dropout)
            if network == "conv"
            else Perceptron(spec.dims, hidden, layers, outputs, classes, dropout)
        )

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return self.of_real(self.spec.centred(x), condition)

    def of_real(self, x: Tensor, condition: Condition) -> Tensor:
        """The same for x that is centred already, and need not lie on the grid."""
        return self.body(self._shown(x), condition)

    def _shown(self, x: Tensor) -> Tensor:
        """The network is shown grid data in [0, 1], where dark is nothing: on images that are mostly dark it then
        learns faster, and less by heart (two nats on binarized MNIST)."""
        shown = x if self.spec.levels is None else (x + 1) / 2
        return shown.to(next(self.parameters()).dtype)

    def read(self, x: Tensor) -> Tensor:
        """What the network makes of x before it is told a condition, (N, features): `answer` does the rest."""
        return self.body.read(self._shown(self.spec.centred(x)))

    def answer(self, h: Tensor, condition: Condition) -> Tensor:
        return self.body.answer(h, condition)


class Decoder(nn.Module):
    """Codes (N, ...) with `inputs` numbers each -> the raw numbers of a likelihood, (N, *shape, parameters)."""

    def __init__(
        self,
        spec: DataSpec,
        inputs: int,
        parameters: int,
        network: str,
        hidden: int,
        layers: int,
        width: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.shape, self.parameters_each = spec.shape, parameters
        classes = check_network(spec, network, hidden, layers, width, dropout)
        self.convolutional = network == "conv"
        self.body = (
            ConvDecoder(inputs, width, spec.shape, spec.shape[0] * parameters, classes, dropout)
            if self.convolutional
            else Perceptron(inputs, hidden, layers, spec.dims * parameters, classes, dropout)
        )

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        raw = self.body(z.flatten(1).to(next(self.parameters()).dtype), condition)
        if self.convolutional:
            return raw.unflatten(1, (self.shape[0], self.parameters_each)).movedim(2, -1)
        return raw.unflatten(1, (*self.shape, self.parameters_each))


def check_network(spec: DataSpec, network: str, hidden: int, layers: int, width: int, dropout: float) -> dict[str, int]:
    """The sizes of the condition's fields; raises UsageError for a network that cannot be, or not for such data."""
    if network not in NETWORKS:
        raise UsageError(f"network is dense or conv, not {network!r}")
    if min(hidden, layers, width) < 1 or not 0 <= dropout < 1:
        raise UsageError("a network needs hidden, layers and width >= 1, and dropout from 0 up to 1")
    if network == "conv" and (not spec.is_image or halvings(spec.shape)[0] < 1):
        raise UsageError(f"a conv network is for images from 7×7 up, not for shape {spec.shape}; use --network dense")
    return {name: label.count for name, label in spec.condition.items()}
