"""A mixture of Gaussians over whole codes, one set of components for all items: what a learned prior is."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from simulacra import whole
from simulacra.distributions.base import Distribution, at_least_float32


class GaussianMixture(Distribution):
    """p(z) = Σ_k softmax(weights)_k N(z; means_k, diag(exp(2 log_scales_k))), for n items.

    weights (K,), means and log_scales (K, D). A code has one component, unlike those of `MixtureOfGaussians`, whose
    coordinates choose theirs one by one.
    """

    def __init__(self, n: int, weights: Tensor, means: Tensor, log_scales: Tensor) -> None:
        self.n = n
        self.log_weights = at_least_float32(weights).log_softmax(-1)
        self.means, self.log_scales = at_least_float32(means), at_least_float32(log_scales)

    @property
    def mean(self) -> Tensor:
        return (self.log_weights.exp() @ self.means).expand(self.n, -1)

    @property
    def deviations(self) -> Tensor:
        """sqrt(Σ_k w_k (σ_k² + (μ_k - μ)²)) with the mean μ of all."""
        spread = (2 * self.log_scales).exp() + (self.means - self.mean[:1]).square()
        return (self.log_weights.exp() @ spread).sqrt().expand(self.n, -1)

    def log_prob(self, x: Tensor) -> Tensor:
        return torch.logsumexp(self.log_joint(x), dim=1)

    def log_joint(self, z: Tensor) -> Tensor:
        """log of weight × density, for each component: codes (N, D) -> (N, K).

        (z - μ)²/σ² is written out, so that two matrix products take the place of a table (N, K, D). They are in double
        precision where there is one, because large numbers cancel in this form.
        """
        precise = torch.float32 if z.device.type == "mps" else torch.float64
        z, means, log_scales = z.to(precise), self.means.to(precise), self.log_scales.to(precise)
        precision = torch.exp(-2 * log_scales)
        constant = (means.square() * precision + 2 * log_scales).sum(1) + means.shape[1] * math.log(2 * math.pi)
        with torch.autocast(z.device.type, enabled=False):  # which would have products of float32 in half precision
            distance = z.square() @ precision.T - 2 * z @ (means * precision).T + constant
        return (self.log_weights - 0.5 * distance).to(self.means.dtype)

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        """A component by its weight to the power 1/T, then a Gaussian draw of it, σ scaled by T."""
        weights = torch.softmax(self.log_weights / temperature, dim=-1)
        chosen = whole.drawn(
            self.n,
            lambda n, own: torch.multinomial(weights, n, replacement=True, generator=own),
            weights.device,
            generator,
        )
        noise = whole.normal((self.n, self.means.shape[1]), self.means, generator)
        return self.means[chosen] + noise * torch.exp(self.log_scales[chosen]) * temperature
