r"""The autoencoder: codes z = f(x) from which x is reconstructed, without a model of their distribution,

    min_{f,g} E |x - g(f(x + ε))|²,    ε ~ N(0, noise² I), on the centred grid [-1, 1].

Without noise it is the classic one, Hinton & Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural
Networks"; with it f and g must remove the noise, Vincent et al. 2010, "Stacked Denoising Autoencoders", section 3.
There is no p(z), and the decoder is undefined away from codes of items: so the model has no samples.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from simulacra import whole
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import PointMass, at_least_float32
from simulacra.errors import UsageError
from simulacra.model import Model
from simulacra.networks import Auto, Decoder, Encoder, Network
from simulacra.registry import register
from simulacra.turns import Phase, Turn


@register(
    "autoencoder",
    paper="Hinton & Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks",
    defaults={"learning_rate": 1e-3, "batch": 128, "steps": 4000},
)
class Autoencoder(Model):
    r"""min E |x - g(f(x))|²: features and reconstructions, no draws and no likelihood.

    Args:
        spec: what x is: images or vectors, discrete or continuous; both networks are conditioned on its condition.
        latent: coordinates of a code z.
        network: f and g: dense (fully connected), conv (strided convolutions, for images), or auto, which is conv from
            32×32 on and dense below.
        noise: σ of the noise added to x in training, on [-1, 1].
    """

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 16,
        network: Network = Auto(layers=2),  # noqa: B008 (parts are immutable)
        noise: float = 0.0,
    ) -> None:
        super().__init__(spec)
        if latent < 1 or not noise >= 0:
            raise UsageError(f"an autoencoder needs latent >= 1 and noise >= 0, not {latent} and {noise}")
        self.noise = noise
        self.encoder = Encoder(spec, latent, network)
        self.decoder = Decoder(spec, latent, 1, network)

    def encode(self, x: Tensor, condition: ConditionLike | None = None) -> PointMass:
        """f(x), codes (N, latent)."""
        return PointMass(at_least_float32(self.encoder(x, self.conditioned(condition, len(x)))))

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> PointMass:
        """g(z) on the data grid: the nearest point of it."""
        return PointMass(self.spec.on_grid(self._decoded(z, self.conditioned(condition, len(z)))))

    def _decoded(self, z: Tensor, condition: Condition) -> Tensor:
        """g(z) where the squared error is taken: centred, (N, *shape)."""
        return at_least_float32(self.decoder(z, condition)).squeeze(-1)

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        clean = self.spec.centred(turn.x)
        corrupted = clean + self.noise * whole.normal(clean.shape, clean) if self.noise else clean
        decoded = self._decoded(self.encoder.from_centred(corrupted, turn.condition), turn.condition)
        return {"squared_error": (decoded - clean).square().flatten(1).sum(1).mean()}
