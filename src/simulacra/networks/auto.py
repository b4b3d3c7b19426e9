"""The network that suits the size of the data: fully connected for small images and vectors, else convolutional.

The first layer of a dense network has hidden · dims weights, and the last one as many for each parameter of a pixel:
at 112×92 with a mixture of five logistics 66 million, where strided convolutions need 3.
"""

from __future__ import annotations

from torch import nn

from simulacra.data.spec import DataSpec
from simulacra.networks.conv import Conv
from simulacra.networks.dense import Dense
from simulacra.networks.pair import Network
from simulacra.parts import part, share, within

CONV_FROM = 32  # pixels of the shorter side; what saved models mean by "auto", and so not to be changed


@part("network", "auto")
class Auto(Network):
    """conv for images from 32×32 on, dense for everything smaller and for vectors.

    Attributes:
        hidden: units of a layer where it is dense.
        layers: hidden layers where it is dense.
        dropout: share of the features dropped in training.
    """

    hidden: int = 400
    layers: int = 1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        within(1, hidden=self.hidden, layers=self.layers)
        share(dropout=self.dropout)

    def suited(self, spec: DataSpec) -> Network:
        """The network that it stands for on such data."""
        if spec.is_image and min(spec.shape[1:]) >= CONV_FROM:
            return Conv(dropout=self.dropout)
        return Dense(self.hidden, self.layers, self.dropout)

    def encoder(self, spec: DataSpec, outputs: int) -> nn.Module:
        return self.suited(spec).encoder(spec, outputs)

    def decoder(self, spec: DataSpec, inputs: int, parameters: int) -> nn.Module:
        return self.suited(spec).decoder(spec, inputs, parameters)
