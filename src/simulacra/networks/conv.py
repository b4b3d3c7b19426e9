"""Strided convolutions for images of any size: halved down to a few coarse pixels, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Field
from simulacra.networks.pair import Network
from simulacra.nn import AddCondition, Double, Halve, halvings
from simulacra.parts import part, share, within


class ConvEncoder(nn.Module):
    """x -> halved down to coarse features -> outputs, which know the condition."""

    def __init__(
        self, shape: Sequence[int], width: int, outputs: int, fields: Mapping[str, Field], dropout: float
    ) -> None:
        super().__init__()
        self.down = Halve(tuple(shape), width)
        self.condition = AddCondition(fields, self.down.features)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(self.down.features, outputs)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return self.with_condition(self.without_condition(x), condition)

    def without_condition(self, x: Tensor) -> Tensor:
        """What is the same for all conditions."""
        return self.down(x)

    def with_condition(self, h: Tensor, condition: Condition) -> Tensor:
        return self.last(self.dropout(self.condition(h, condition)))


class ConvDecoder(nn.Module):
    """codes, and the condition -> coarse features -> doubled up to (N, C, H, W, parameters)."""

    def __init__(
        self,
        inputs: int,
        width: int,
        shape: Sequence[int],
        parameters: int,
        fields: Mapping[str, Field],
        dropout: float,
    ) -> None:
        super().__init__()
        self.channels, self.parameters_each = shape[0], parameters
        self.up = Double(tuple(shape), width, shape[0] * parameters)
        self.first = nn.Linear(inputs, self.up.features)
        self.condition = AddCondition(fields, self.up.features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        raw = self.up(self.dropout(self.condition(self.first(z), condition)))
        return raw.unflatten(1, (self.channels, self.parameters_each)).movedim(2, -1)


@part("network", "conv")
class Conv(Network):
    """Strided convolutions, for images from 7×7 up.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        dropout: share of the coarse features dropped in training.
    """

    width: int = 32
    dropout: float = 0.0

    def __post_init__(self) -> None:
        within(1, width=self.width)
        share(dropout=self.dropout)

    def encoder(self, spec: DataSpec, outputs: int) -> nn.Module:
        self._refuse(spec)
        return ConvEncoder(spec.shape, self.width, outputs, spec.condition, self.dropout)

    def decoder(self, spec: DataSpec, inputs: int, parameters: int) -> nn.Module:
        self._refuse(spec)
        return ConvDecoder(inputs, self.width, spec.shape, parameters, spec.condition, self.dropout)

    def _refuse(self, spec: DataSpec) -> None:
        if not spec.is_image or halvings(spec.shape)[0] < 1:
            raise UsageError(f"a conv network is for images from 7×7 up, not for shape {spec.shape}; use dense")
