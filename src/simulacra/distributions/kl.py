"""KL(q || p) between distributions, in closed form where there is one and from a draw of q elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from simulacra.distributions.base import Distribution
from simulacra.distributions.codes import BinaryCode, OneHotCode
from simulacra.distributions.correlated import CorrelatedGaussian
from simulacra.distributions.gaussian import DiagonalGaussian, Laplace


def kl_divergence(q: Distribution, p: Distribution, z: Tensor) -> Tensor:
    """KL(q || p), (N,) nats. `z` is a draw from q, used by the one-sample estimate log q(z) - log p(z)."""
    each = kl_each(q, p)
    return q.log_prob(z) - p.log_prob(z) if each is None else each.flatten(1).sum(1)


def kl_each(q: Distribution, p: Distribution) -> Tensor | None:
    """The share of every coordinate of the code in KL(q || p), (N, *shape) nats; None where there is no closed form.

    Where p is a chain of the coordinates, that of each is its divergence given those before it.
    """
    form = _CLOSED.get((type(q), type(p)))
    return None if form is None else form(q, p)


def _between_gaussians(q: DiagonalGaussian, p: DiagonalGaussian) -> Tensor:
    """log σ_p/σ_q + (σ_q² + (μ_q - μ_p)²) / 2σ_p² - 1/2"""
    ratio = torch.exp(2 * (q.log_scale - p.log_scale))
    distance = ((q.mean - p.mean) * torch.exp(-p.log_scale)).square()
    return p.log_scale - q.log_scale + 0.5 * (ratio + distance - 1)


def _between_laplaces(q: Laplace, p: Laplace) -> Tensor:
    """log b_p/b_q + (b_q exp(-d/b_q) + d) / b_p - 1 with d = |μ_q - μ_p|"""
    distance = (q.mean - p.mean).abs()
    spread = torch.exp(q.log_scale - distance * torch.exp(-q.log_scale))
    return p.log_scale - q.log_scale + (spread + distance) * torch.exp(-p.log_scale) - 1


def _between_bits(q: BinaryCode, p: BinaryCode) -> Tensor:
    """Σ_{z in 0, 1} q(z) (log q(z) - log p(z))"""
    one, zero = torch.ones_like(q.logits), torch.zeros_like(q.logits)
    return sum((q.log_each(z).exp() * (q.log_each(z) - p.log_each(z)) for z in (one, zero)), zero)


def _between_one_hots(q: OneHotCode, p: OneHotCode) -> Tensor:
    """Σ_k q_k (log q_k - log p_k)"""
    return (q.mean * (q.log_masses - p.log_masses)).sum(-1)


_CLOSED: dict[tuple[type, type], Callable[[Any, Any], Tensor]] = {
    (DiagonalGaussian, DiagonalGaussian): _between_gaussians,
    (DiagonalGaussian, CorrelatedGaussian): lambda q, p: p.kl_each_from(q),
    (Laplace, Laplace): _between_laplaces,
    (BinaryCode, BinaryCode): _between_bits,
    (OneHotCode, OneHotCode): _between_one_hots,
}
