r"""Whether the codes of the data, all together, are distributed like the prior: q(z) = E_x q(z|x) against p(z).

Samples are decoded draws of p(z). Where q(z) is another distribution, the decoder has seen no such codes, and samples
differ from the data in a way that no reconstruction shows and no KL of single items: log p(x) >= E log p(x|z) - I(x; z)
- KL(q(z) || p(z)) (Hoffman & Johnson 2016, "ELBO surgery"). Compared are draws of both, by their first two moments:

    KL(N(μ_q, Σ_q) || N(μ_p, Σ_p)) = ½ (tr Σ_p⁻¹Σ_q + (μ_p - μ_q)·Σ_p⁻¹(μ_p - μ_q) - d + log |Σ_p| / |Σ_q|)   nats

It is 0 for other distributions with the same moments, such as clusters. Where a code has more dimensions than the draws
support, each is compared alone, and the sum taken. Of codes with a finite number of values it is the sum of
KL(q(z_d) || p(z_d)) by the shares of their values. Its floor is that of two sets of draws of the prior.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from simulacra.capabilities import Encoder, Prior, need
from simulacra.data import Split
from simulacra.evaluation import intervals
from simulacra.feed import BLOCK, numbered
from simulacra.model import Model, evaluating
from simulacra.randomness import generator, mix
from simulacra.terminal import number_of

FEWEST, COMPARED = 20, 2000  # items whose codes are compared
ITEMS_PER_MOMENT = 10  # draws for each dimension, without which a covariance is mostly noise
FLOORS = 20  # pairs of sets of draws of the prior behind a floor
SMALLEST = 1e-12  # variance
FEW = 100  # items, of which codes are few whatever their dimensions
VISIBLE = 0.05  # nats a dimension: a variance of 0.6, or a mean at 0.3 standard deviations, everywhere

Gap = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Codes (n, d), draws of the prior (m, d), and R selections of either (R, n), (R, m), truths -> nats (R,)."""


@dataclass(frozen=True)
class Aggregate:
    """Draws of q(z) and of p(z) under the conditions of the same items, and how far they are apart.

    codes, prior: (n, d); of one-hot rows one column for each value.
    gap:          nats, as above; low, high: its 95 % interval.
    floor:        that of two sets of n draws of the prior.
    how:          which moments were compared.
    """

    codes: np.ndarray
    prior: np.ndarray
    gap: float
    low: float
    high: float
    floor: float
    how: str

    @property
    def offset(self) -> np.ndarray:
        """Mean of the codes minus that of the prior, in standard deviations of the prior, (d,)."""
        return (self.codes.mean(0) - self.prior.mean(0)) / np.sqrt(_variance(self.prior))

    @property
    def ratio(self) -> np.ndarray:
        """Variance of the codes in units of the prior's, (d,)."""
        return _variance(self.codes) / _variance(self.prior)

    @property
    def differs(self) -> bool:
        """Whether the gap is both beyond chance and large enough to show in samples."""
        return self.low > self.floor and self.gap - self.floor > VISIBLE * self.codes.shape[1]

    @property
    def warning(self) -> str | None:
        """That the items are few, where chance alone makes a gap as large as one that would show in samples."""
        n, d = self.codes.shape
        if n >= FEW and self.floor <= VISIBLE * d:
            return None
        return (
            f"{n} items are few for codes of {number_of(d, 'number')}: draws of the prior alone are {self.floor:.2g} "
            f"nats apart (the floor), and the interval reaches from {self.low:.2g} to {self.high:.2g}, so that only a "
            "gap far above the floor says anything; take more items"
        )


def aggregate(model: Model, split: Split, index: np.ndarray, seed: int) -> Aggregate:
    """Of the items of a split with these numbers; the seed is that of one draw of q(z|x) and two of p(z) for each.

    Raises NotSupported for a model without an encoder or a prior.
    """
    codes, prior, other, kind = _draws(model, split, index, seed)
    n, d = codes.shape
    gap, how = _gap_of(n, d, kind)
    rng = np.random.default_rng(mix(seed, "aggregate"))
    spread = intervals.spread(lambda rows: gap(codes, prior, rows, rows), n, rng)
    both = np.concatenate([prior, other])
    halves = intervals.some_halves(2 * n, FLOORS, rng)
    floor = float(gap(both, both, halves, ~halves).mean())
    low, high = intervals.of_distance(spread.distance, spread)
    return Aggregate(codes, prior, spread.distance, low, high, floor, how)


def _draws(model: Model, split: Split, index: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """A draw of q(z|x) of each item, two of p(z), (n, d) each, and whether these are real, bits or one-hot rows."""
    encoder, of, noise = need(model, Encoder), need(model, Prior), generator(model.device, seed, "aggregate")
    found: tuple[list[torch.Tensor], ...] = ([], [], [])
    kind = "real"
    with evaluating(model):
        for x, condition in numbered(split, index, model.spec, model.device, BLOCK):
            prior = of.prior(len(x), condition)
            draws = encoder.encode(x, condition).sample(noise), prior.sample(noise), prior.sample(noise)
            if prior.values:
                kind = "one-hot" if draws[0].dim() == 3 else "bits"
            for kept, z in zip(found, draws, strict=True):
                kept.append(z.flatten(1).float().cpu())
    codes, one, other = (torch.cat(kept).double().numpy() for kept in found)
    return codes, one, other, kind


def _gap_of(n: int, d: int, kind: str) -> tuple[Gap, str]:
    if kind != "real":
        return (_of_values if kind == "one-hot" else _of_bits), "shares of the values of each discrete number"
    if n >= ITEMS_PER_MOMENT * d:
        return _of_covariances, f"means and covariances of {d} numbers"
    return _of_variances, f"means and variances of {d} numbers, each alone"


def _of_covariances(codes: np.ndarray, prior: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    scale = np.sqrt(_variance(prior))
    z, w, ridge = codes / scale, prior / scale, SMALLEST * np.eye(codes.shape[1])

    def nats(z: np.ndarray, w: np.ndarray) -> float:
        of_codes, of_prior = (np.atleast_2d(np.cov(part, rowvar=False)) + ridge for part in (z, w))
        inside, offset = np.linalg.inv(of_prior), z.mean(0) - w.mean(0)
        logs = np.linalg.slogdet(of_prior)[1] - np.linalg.slogdet(of_codes)[1]
        return ((inside * of_codes).sum() + offset @ inside @ offset - len(offset) + logs) / 2

    return np.array([nats(z[some], w[more]) for some, more in zip(rows, others, strict=True)])


def _of_variances(codes: np.ndarray, prior: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    def moments(z: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z, weights, n = z - prior.mean(0), rows.astype(np.float64), rows.sum(1, keepdims=True)
        mean = weights @ z / n
        return mean, np.maximum((weights @ z**2 - n * mean**2) / (n - 1), SMALLEST)

    (mean, variance), (usual, scale) = moments(codes, rows), moments(prior, others)
    ratio = variance / scale
    return (ratio + (mean - usual) ** 2 / scale - 1 - np.log(ratio)).sum(1) / 2


def _shares(z: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """How often each column is 1, (R, d), with half an item added on either side."""
    return (rows.astype(np.float64) @ z + 0.5) / (rows.sum(1, keepdims=True) + 1)


def _of_values(codes: np.ndarray, prior: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    q, p = _shares(codes, rows), _shares(prior, others)
    return (q * np.log(q / p)).sum(1)


def _of_bits(codes: np.ndarray, prior: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    q, p = _shares(codes, rows), _shares(prior, others)
    return (q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))).sum(1)


def _variance(z: np.ndarray) -> np.ndarray:
    return np.maximum(z.var(0, ddof=1), SMALLEST)
