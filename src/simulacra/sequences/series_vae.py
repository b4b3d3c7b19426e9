r"""A variational autoencoder of series: one code for a window, read and written by recurrent networks,

    q(z|x) = N(μ, σ²) of a bidirectional GRU over x,    p(x|z) = Π_t Π_d N(x_td; μ_td, σ_td²) of a GRU that is given z

at every step. Kingma & Welling 2014, "Auto-Encoding Variational Bayes", with the networks of Fabius & van Amersfoort
2014, "Variational Recurrent Auto-Encoders". The code holds what a window has as a whole, its level, its phase, and the
numbers of a window are independent given it: what is rough in a series is drawn as white noise around a smooth course.
The networks see columns in deviations from their means over the training items, and p is the density of x itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from simulacra.condition import ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import DiagonalGaussian
from simulacra.errors import UsageError
from simulacra.latent.bound import LatentVariable
from simulacra.nn import AddCondition, Embed, Units
from simulacra.registry import register
from simulacra.sequences.spec import series_shape
from simulacra.turns import Phase, Turn

LOG_SCALES = (-5.0, 3.0)  # of a number, in deviations of its column


@register(
    "series-vae",
    paper="Fabius & van Amersfoort 2014, Variational Recurrent Auto-Encoders",
    defaults={"learning_rate": 2e-3, "batch": 64, "steps": 2000, "schedule": "cosine", "clip": 1.0},
)
class SeriesVAE(LatentVariable):
    r"""log p(x|c) >= E_q[log p(x|z, c)] - KL(q(z|x, c) || N(0, I)) of series (T, D).

    Args:
        spec: what x is: series (T, D) of real numbers, with any condition.
        latent: numbers in a code.
        hidden: units of the recurrent networks.
    """

    def __init__(self, spec: DataSpec, latent: int = 16, hidden: int = 64) -> None:
        super().__init__(spec)
        length, columns = series_shape(spec, "series-vae", "vae")
        if min(latent, hidden) < 1:
            raise UsageError("series-vae needs latent and hidden >= 1")
        self.latent = latent
        self.units = Units(columns)
        self.embed = Embed(spec.condition)
        self.reader = nn.GRU(columns, hidden, batch_first=True, bidirectional=True)
        self.read_condition = AddCondition(spec.condition, 2 * hidden)
        self.code = nn.Linear(2 * hidden, 2 * latent)
        self.given = nn.Linear(latent, hidden)
        self.write_condition = AddCondition(spec.condition, hidden)
        self.places = nn.Parameter(0.1 * torch.randn(length, hidden))
        self.writer = nn.GRU(hidden, hidden, batch_first=True)
        self.numbers = nn.Linear(hidden, 2 * columns)

    def encode(self, x: Tensor, condition: ConditionLike | None = None) -> DiagonalGaussian:
        """q(z|x), codes (N, latent)."""
        with torch.autocast(x.device.type, enabled=False):  # a recurrence adds up what rounding loses
            embedded = self.embed(self.conditioned(condition, len(x)))
            u = (x.to(self.places.dtype) - self.units.mean) / self.units.scale
            _, last = self.reader(u)
            h = self.read_condition(torch.cat((last[0], last[1]), dim=1), embedded)
            return DiagonalGaussian(*self.code(torch.tanh(h)).chunk(2, dim=1))

    def prior(self, n: int, condition: ConditionLike | None = None) -> DiagonalGaussian:
        """N(0, I), codes (n, latent), whatever the condition."""
        zeros = self.places.new_zeros(n, self.latent)
        return DiagonalGaussian(zeros, zeros)

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> DiagonalGaussian:
        """p(x|z), x (N, T, D)."""
        with torch.autocast(z.device.type, enabled=False):
            embedded = self.embed(self.conditioned(condition, len(z)))
            given = self.write_condition(self.given(z.to(self.places.dtype)), embedded)
            h, _ = self.writer(torch.relu(given[:, None] + self.places))
            mean, log_scale = self.numbers(h).chunk(2, dim=-1)
            scale = self.units.scale
            return DiagonalGaussian(self.units.mean + scale * mean, log_scale.clamp(*LOG_SCALES) + scale.log())

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        if self.training:
            self.units.learn(turn.x)
        reconstruction, kl = self.elbo_terms(turn.x, turn.condition, relaxed=True)
        return {"reconstruction": -reconstruction.mean(), "kl": kl.flatten(1).sum(1).mean()}
