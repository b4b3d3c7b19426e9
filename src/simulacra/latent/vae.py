r"""The variational autoencoder: p(x) = ∫ p(x|z) p(z) dz, bounded from below through an encoder q(z|x),

    log p(x) >= E_q[log p(x|z)] - KL(q(z|x) || p(z)) = ELBO(x).

Kingma & Welling 2014, "Auto-Encoding Variational Bayes", eq. 3. The importance-weighted bound

    log p(x) >= E[ log 1/K Σ_k p(x|z_k) p(z_k) / q(z_k|x) ]

rises to log p(x) with K: Burda et al. 2016, "Importance Weighted Autoencoders", eq. 8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from simulacra.capabilities import Condition
from simulacra.data.spec import DataSpec
from simulacra.distributions import DiagonalGaussian, Distribution, at_least_float32, kl_divergence
from simulacra.errors import UsageError
from simulacra.latent.likelihoods import likelihood as choose_likelihood
from simulacra.model import Model, Phase
from simulacra.nn import AddCondition
from simulacra.registry import register

CHUNK = 4096  # decoded items at a time in the importance-weighted bound: memory stays flat in K


class Perceptron(nn.Module):
    """inputs -> hidden (ReLU, with the condition added) -> outputs"""

    def __init__(self, inputs: int, hidden: int, outputs: int, classes: dict[str, int], dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.condition = AddCondition(classes, hidden)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return self.last(self.dropout(torch.relu(self.condition(self.first(x), condition))))


@register("vae", paper="Kingma & Welling 2014, Auto-Encoding Variational Bayes")
class VAE(Model):
    r"""log p(x) >= E_q[log p(x|z)] - β KL(q(z|x) || p(z)), fully connected: on MNIST the classic 784-400-20.

    Args:
        spec: what x is: images or vectors, discrete or continuous; with a condition field, p(x | label).
        latent: numbers in a code z.
        hidden: units of the one hidden layer of encoder and decoder.
        likelihood: p(x|z): auto, bernoulli, categorical, gaussian or logistic-mixture.
        beta: weight of the KL term in training; every bound that is reported has beta = 1.
        dropout: share of the hidden units dropped in training.
    """

    defaults = {"learning_rate": 1e-3, "batch": 128, "steps": 4000}

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 20,
        hidden: int = 400,
        likelihood: str = "auto",
        beta: float = 1.0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(spec)
        if latent < 1 or hidden < 1 or beta < 0 or not 0 <= dropout < 1:
            raise UsageError("vae needs latent >= 1, hidden >= 1, beta >= 0 and dropout from 0 up to 1")
        self.latent, self.beta = latent, beta
        self.likelihood = choose_likelihood(likelihood, spec)
        classes = {name: label.count for name, label in spec.condition.items()}
        self.encoder = Perceptron(spec.dims, hidden, 2 * latent, classes, dropout)
        self.decoder = Perceptron(latent, hidden, spec.dims * self.likelihood.parameters, classes, dropout)

    def encode(self, x: Tensor, condition: Condition | None = None) -> DiagonalGaussian:
        """q(z|x), codes (N, latent)."""
        given = self.conditioned(condition, len(x))
        mean, log_scale = self.encoder(self._flat(x), given).chunk(2, dim=1)
        return DiagonalGaussian(mean, log_scale.clamp(-8, 8))

    def _flat(self, x: Tensor) -> Tensor:
        return self.spec.centred(x).flatten(1).to(self.encoder.first.weight.dtype)

    def prior(self, n: int, condition: Condition | None = None) -> DiagonalGaussian:
        """p(z) = N(0, I), codes (n, latent)."""
        return DiagonalGaussian.standard(n, self.latent, like=self.encoder.first.weight)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Distribution:
        """p(x|z), x (N, *shape)."""
        given = self.conditioned(condition, len(z))
        raw = at_least_float32(self.decoder(z, given))
        return self.likelihood.distribution(raw.unflatten(1, (*self.spec.shape, self.likelihood.parameters)))

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """E_q[log p(x|z)] - KL(q||p), (N,) nats, from one draw of z; the KL in closed form."""
        reconstruction, kl = self._terms(x, condition)
        return reconstruction - kl

    def _terms(self, x: Tensor, condition: Condition | None) -> tuple[Tensor, Tensor]:
        q = self.encode(x, condition)
        z = q.sample()
        return self.decode(z, condition).log_prob(x), kl_divergence(q, self.prior(len(x), condition), z)

    def log_prob_bound(self, x: Tensor, condition: Condition | None = None, samples: int = 1) -> Tensor:
        """log 1/K Σ_k p(x, z_k) / q(z_k|x) with K = samples draws, (N,) nats; memory does not grow with K."""
        if samples < 1:
            raise UsageError(f"the bound needs at least one sample, not {samples}")
        given = self.conditioned(condition, len(x))
        q = self.encode(x, given)
        at_once = max(1, CHUNK // len(x))
        weights = [self._log_weights(x, q, given, min(at_once, samples - k)) for k in range(0, samples, at_once)]
        return torch.logsumexp(torch.cat(weights), dim=0) - math.log(samples)

    def _log_weights(self, x: Tensor, q: DiagonalGaussian, given: Condition, k: int) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x) for k draws, (k, N)."""
        spread = DiagonalGaussian(q.mean.repeat(k, 1), q.log_scale.repeat(k, 1))
        z = spread.sample()
        repeated = {name: value.repeat(k) for name, value in given.items()}
        likelihood = self.decode(z, repeated).log_prob(x.repeat(k, *[1] * len(self.spec.shape)))
        return (likelihood + self.prior(len(z)).log_prob(z) - spread.log_prob(z)).view(k, len(x))

    @torch.no_grad()
    def sample(
        self,
        n: int,
        condition: Condition | None = None,
        temperature: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """z ~ p(z), x ~ p(x|z): true draws of the model, their pixel noise included; temperature sharpens both."""
        z = self.prior(n, condition).sample(generator, temperature)
        return self.decode(z, self.conditioned(condition, n)).sample(generator, temperature)

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, x: Tensor, condition: Condition) -> dict[str, Tensor]:
        reconstruction, kl = self._terms(x, condition)
        return {"reconstruction": -reconstruction.mean(), "kl": self.beta * kl.mean()}
