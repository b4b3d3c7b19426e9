"""Estimates of log p(x) where it is known: z ~ N(0, I), x ~ N(W z, σ² I), so that p(x) = N(0, W Wᵀ + σ² I).

The encoder is the exact posterior made wider by exp(0.1) and moved by a tenth, so that every estimate has a gap. For
the ELBO and K = 5 to 5,000 importance weights: the mean gap log p(x) - estimate over 64 items, nats, its standard
error, and the largest gap of an item; the same for annealed importance sampling and for draws of the prior.

    python benchmarks/exactness.py
"""

from __future__ import annotations

import math

import torch
from record import conclude, parser
from torch import Tensor

from simulacra.data import DataSpec
from simulacra.distributions import DiagonalGaussian
from simulacra.evaluation.estimators import Estimate, choose
from simulacra.fields import Real
from simulacra.latent.bound import LatentVariable
from simulacra.turns import Phase

DIMS, CODES, SIGMA, ITEMS = 5, 2, 0.6, 64
TIMES = 2000  # estimates whose mean is the bound itself, within 1e-4 nats


class LinearGaussian(LatentVariable):
    """W has orthogonal columns: then the posterior is a diagonal Gaussian, as q(z|x) is."""

    def __init__(self, off: float) -> None:
        super().__init__(DataSpec(Real((DIMS,))))
        directions = torch.linalg.qr(torch.randn(DIMS, CODES, generator=torch.Generator().manual_seed(1)).double())[0]
        self.register_buffer("weights", directions * torch.tensor([1.5, 0.5], dtype=torch.float64))
        self.off = off

    def phases(self) -> list[Phase]:
        return []

    def encode(self, x: Tensor, condition: object = None) -> DiagonalGaussian:
        precision = 1 + self.weights.square().sum(0) / SIGMA**2
        mean = x @ self.weights / SIGMA**2 / precision
        return DiagonalGaussian((1 - self.off) * mean, (self.off - precision.log() / 2).expand_as(mean))

    def prior(self, n: int, condition: object = None) -> DiagonalGaussian:
        return DiagonalGaussian.standard(n, CODES, like=self.weights)

    def decode(self, z: Tensor, condition: object = None) -> DiagonalGaussian:
        mean = z @ self.weights.T
        return DiagonalGaussian(mean, torch.full_like(mean, math.log(SIGMA)))

    def exact(self, x: Tensor) -> Tensor:
        covariance = self.weights @ self.weights.T + SIGMA**2 * torch.eye(DIMS, dtype=torch.float64)
        return torch.distributions.MultivariateNormal(torch.zeros(DIMS).double(), covariance).log_prob(x)


def main() -> None:
    smoke = parser(__doc__).parse_args().smoke
    torch.manual_seed(0)
    model = LinearGaussian(off=0.1)
    z = model.prior(ITEMS).sample()
    x = model.decode(z).sample()
    truth = model.exact(x)

    def row(found: Estimate) -> dict[str, float]:
        gap, error = truth - found.log_prob, found.standard_error
        gaps = {"mean gap": gap.mean(), "its standard error": gap.std() / math.sqrt(ITEMS), "largest": gap.abs().max()}
        if found.samples > 1:
            gaps |= {"largest, in standard errors": (gap / error).abs().max(), "standard error": error.mean()}
            gaps |= {"effective sample size": found.effective_sample_size.median()}
        return {name: float(value) for name, value in gaps.items()}

    figures = {"elbo": row(choose("elbo", 1)(model, x))}
    for k in (5, 50) if smoke else (5, 50, 500, 5000):
        figures[f"importance, K = {k}"] = row(choose("importance", k)(model, x))
    k = 50 if smoke else 5000
    figures[f"importance, K = {k}, mean of {TIMES}"] = row_of_means(model, x[:8], truth[:8], k, 2 if smoke else TIMES)
    figures["ais, 64 chains, 100 temperatures"] = row(choose("ais", 64, 20 if smoke else 100)(model, x))
    figures[f"prior, K = {k}"] = row(choose("prior", k)(model, x))
    conclude("exactness", figures, smoke=smoke, seeds=[0], notes="nats, float64; gap = exact log p(x) - estimate")


def row_of_means(model: LinearGaussian, x: Tensor, truth: Tensor, k: int, times: int) -> dict[str, float]:
    """The bound itself, without the noise of one estimate: the mean of many, of 8 items."""
    means = torch.stack([choose("importance", k)(model, x).log_prob for _ in range(times)])
    gap = truth - means.mean(0)
    return {"mean gap": float(gap.mean()), "its standard error": float(means.mean(1).std() / math.sqrt(times))}


if __name__ == "__main__":
    main()
