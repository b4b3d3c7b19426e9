"""Encoders and decoders: a pair of networks between items and codes, chosen by a part.

A network gives two modules. That of an encoder maps x (N, *shape), dark as 0, and a condition to (N, outputs);
that of a decoder maps codes (N, inputs) and a condition to the raw numbers of a likelihood, (N, *shape, parameters).
The condition is what `simulacra.nn.Embed` makes of it and `AddCondition` reads: a tensor for each field by its name.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.nn import Embed
from simulacra.parts import kind, part


@kind("network")
class Network(Protocol):
    """Builds the modules of an encoder and a decoder. Subclass a built-in one to bring one of the two of your own."""

    def encoder(self, spec: DataSpec, outputs: int) -> nn.Module:
        """A module (x (N, *shape), condition) -> (N, outputs); raises UsageError for data that it is not for."""
        ...

    def decoder(self, spec: DataSpec, inputs: int, parameters: int) -> nn.Module:
        """A module (z (N, inputs), condition) -> (N, *shape, parameters); raises UsageError likewise."""
        ...


@runtime_checkable
class InTwoSteps(Protocol):
    """A module of an encoder that reads x before it knows the condition: many conditions then share the first step."""

    def without_condition(self, x: Tensor) -> Tensor: ...
    def with_condition(self, h: Tensor, condition: Condition) -> Tensor: ...


class Encoder(nn.Module):
    """x on the data grid (N, *shape) -> (N, outputs)."""

    def __init__(self, spec: DataSpec, outputs: int, network: Network) -> None:
        super().__init__()
        self.spec = spec
        self.embed = Embed(spec.condition)
        self.body = network.encoder(spec, outputs)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return self.from_centred(self.spec.centred(x), condition)

    def from_centred(self, x: Tensor, condition: Condition) -> Tensor:
        """The same for x that is centred already, and need not lie on the grid."""
        return self.body(self._shown(x), self.embed(condition))

    def _shown(self, x: Tensor) -> Tensor:
        """The network sees grid data in [0, 1], where dark is nothing: on images that are mostly dark it then learns
        faster, and less by heart (two nats on binarized MNIST)."""
        shown = x if self.spec.levels is None else (x + 1) / 2
        return shown.to(next(self.parameters()).dtype)

    def without_condition(self, x: Tensor) -> Tensor:
        """What can be computed of x before the condition is known, (N, ...): `with_condition` does the rest."""
        shown = self._shown(self.spec.centred(x))
        return self.body.without_condition(shown) if isinstance(self.body, InTwoSteps) else shown

    def with_condition(self, h: Tensor, condition: Condition) -> Tensor:
        """From what `without_condition` returned to (N, outputs)."""
        embedded = self.embed(condition)
        return self.body.with_condition(h, embedded) if isinstance(self.body, InTwoSteps) else self.body(h, embedded)


class Decoder(nn.Module):
    """Codes (N, ...) with `inputs` numbers each -> the raw numbers of a likelihood, (N, *shape, parameters)."""

    def __init__(self, spec: DataSpec, inputs: int, parameters: int, network: Network) -> None:
        super().__init__()
        self.embed = Embed(spec.condition)
        self.body = network.decoder(spec, inputs, parameters)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        return self.body(z.flatten(1).to(next(self.parameters()).dtype), self.embed(condition))


@part("network", "pair")
class Pair:
    """The encoder of one network and the decoder of another: `pair:encoders=conv,decoders=(dense:hidden=200)`.

    Attributes:
        encoders: the network whose encoder is taken.
        decoders: the network whose decoder is taken.
    """

    encoders: Network
    decoders: Network

    def encoder(self, spec: DataSpec, outputs: int) -> nn.Module:
        return self.encoders.encoder(spec, outputs)

    def decoder(self, spec: DataSpec, inputs: int, parameters: int) -> nn.Module:
        return self.decoders.decoder(spec, inputs, parameters)
