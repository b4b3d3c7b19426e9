"""KL(q || p) between distributions, in closed form where there is one and from draws of q elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

from simulacra.distributions.base import Distribution
from simulacra.distributions.gaussian import DiagonalGaussian


def kl_divergence(q: Distribution, p: Distribution, z: Tensor) -> Tensor:
    """KL(q || p), (N,) nats. `z` is a draw from q, used by the one-sample estimate log q(z) - log p(z)."""
    if isinstance(q, DiagonalGaussian) and isinstance(p, DiagonalGaussian):
        return _between_gaussians(q, p)
    return q.log_prob(z) - p.log_prob(z)


def _between_gaussians(q: DiagonalGaussian, p: DiagonalGaussian) -> Tensor:
    """Σ_d log σ_p/σ_q + (σ_q² + (μ_q - μ_p)²) / 2σ_p² - 1/2"""
    ratio = torch.exp(2 * (q.log_scale - p.log_scale))
    distance = ((q.mean - p.mean) * torch.exp(-p.log_scale)).square()
    return (p.log_scale - q.log_scale + 0.5 * (ratio + distance - 1)).flatten(1).sum(1)
