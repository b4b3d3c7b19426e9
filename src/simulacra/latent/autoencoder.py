r"""The autoencoder: codes z = f(x) from which x can be made again, and nothing about how they are distributed,

    min_{f,g} E |x - g(f(x + ε))|²,    ε ~ N(0, noise² I), on the centred grid [-1, 1].

Without noise it is the classic one, Hinton & Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural
Networks"; with it f and g must undo what happened to x, Vincent et al. 2010, "Stacked Denoising Autoencoders", section
3. There is no p(z), and a code that no item has is decoded to anything at all: so the model draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from simulacra.capabilities import Condition
from simulacra.data.spec import DataSpec
from simulacra.distributions import PointMass, at_least_float32
from simulacra.errors import UsageError
from simulacra.latent.networks import Decoder, Encoder
from simulacra.model import Model
from simulacra.registry import register
from simulacra.turns import Phase, Turn


@register("autoencoder", paper="Hinton & Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks")
class Autoencoder(Model):
    r"""min E |x - g(f(x))|²: features and reconstructions, no draws and no likelihood.

    Args:
        spec: what x is: images or vectors, discrete or continuous; with a condition field, both networks know it.
        latent: coordinates of a code z.
        network: dense (fully connected) or conv (strided convolutions, for images).
        hidden: units of a layer of a dense network.
        layers: hidden layers of a dense network.
        width: channels next to the image of a conv network; they double with every halving of its sides.
        noise: σ of what is added to x in training, on [-1, 1], for the encoder to undo.
    """

    defaults = {"learning_rate": 1e-3, "batch": 128, "steps": 4000}

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 16,
        network: Literal["dense", "conv"] = "dense",
        hidden: int = 400,
        layers: int = 2,
        width: int = 32,
        noise: float = 0.0,
    ) -> None:
        super().__init__(spec)
        if latent < 1 or not noise >= 0:
            raise UsageError(f"an autoencoder needs latent >= 1 and noise >= 0, not {latent} and {noise}")
        self.noise = noise
        self.encoder = Encoder(spec, latent, network, hidden, layers, width)
        self.decoder = Decoder(spec, latent, 1, network, hidden, layers, width)

    def encode(self, x: Tensor, condition: Condition | None = None) -> PointMass:
        """f(x), codes (N, latent)."""
        return PointMass(at_least_float32(self.encoder(x, self.conditioned(condition, len(x)))))

    def decode(self, z: Tensor, condition: Condition | None = None) -> PointMass:
        """g(z) on the data grid: the nearest point of it."""
        return PointMass(self.spec.on_grid(self._made(z, self.conditioned(condition, len(z)))))

    def _made(self, z: Tensor, given: Condition) -> Tensor:
        """g(z) where the squared error is taken: centred, (N, *shape)."""
        return at_least_float32(self.decoder(z, given)).squeeze(-1)

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        clean = self.spec.centred(turn.x)
        corrupted = clean + self.noise * torch.randn_like(clean) if self.noise else clean
        made = self._made(self.encoder.of_real(corrupted, turn.condition), turn.condition)
        return {"squared_error": (made - clean).square().flatten(1).sum(1).mean()}
