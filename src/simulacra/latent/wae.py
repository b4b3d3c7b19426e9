r"""The Wasserstein autoencoder: codes of the data are distributed like p(z), by the maximum mean discrepancy,

    min_{f,g} E[-log p(x|f(x))] + λ MMD²(q, p),    MMD² = E k(z, z') + E k(w, w') - 2 E k(z, w),    z ~ q, w ~ p,

without a critic. The kernel is a sum of inverse multiquadratics, whose tails are so heavy that codes far from p(z) have
a gradient: with C the mean squared distance of two draws of p(z), 2d for N(0, I),

    k(z, w) = Σ_s sC / (sC + |z - w|²),    s = 0.1, 0.2, 0.5, 1, 2, 5, 10.

Tolstikhin et al. 2018, "Wasserstein Auto-Encoders", algorithm 2 and section 4; the scales s are those of their code.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from simulacra import whole
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel
from simulacra.latent.likelihoods import Likelihood
from simulacra.latent.matched import MatchedCodes
from simulacra.latent.sampled_priors import Gaussian, SampledPrior
from simulacra.networks import Auto, Network
from simulacra.randomness import generator
from simulacra.registry import register
from simulacra.turns import Phase, Turn

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
MEASURED = 1000  # draws of p(z) behind C


def mmd(z: Tensor, w: Tensor, distance: float, classes: Tensor | None = None) -> Tensor:
    """MMD² of two sets of codes (N, d) without bias, for which it may be negative; `distance` is C of the kernel.

    The mean of k(z_i, z_j) + k(w_i, w_j) - k(z_i, w_j) - k(z_j, w_i) over i ≠ j: exactly 0 for equal sets. Gretton et
    al. 2012, "A Kernel Two-Sample Test", eq. 4. With `classes` (N,), of z_i and w_i alike, only pairs of one class
    count, and the result is a mean over all such pairs; 0 where there is none.
    """
    pairs = _pairs(z, classes)
    across = _kernel(z, w, distance)
    differences = _kernel(z, z, distance) + _kernel(w, w, distance) - across - across.t()
    return (pairs * differences).sum() / pairs.sum().clamp(min=1)


def _pairs(z: Tensor, classes: Tensor | None) -> Tensor:
    """1 for every pair of two codes (of one class), else 0, (N, N)."""
    pairs = 1 - torch.eye(len(z), device=z.device, dtype=z.dtype)
    return pairs if classes is None else pairs * (classes[:, None] == classes[None, :])


def _kernel(z: Tensor, w: Tensor, distance: float) -> Tensor:
    squared = _squared_distances(z, w)
    return torch.stack([s * distance / (s * distance + squared) for s in SCALES]).sum(0)


def _squared_distances(z: Tensor, w: Tensor) -> Tensor:
    return torch.cdist(z, w, compute_mode="donot_use_mm_for_euclid_dist").square()


@register(
    "wae-mmd",
    paper="Tolstikhin et al. 2018, Wasserstein Auto-Encoders",
    defaults={"learning_rate": 1e-3, "batch": 128, "steps": 4000},
)
class WAEMMD(MatchedCodes):
    r"""min E[-log p(x|f(x))] + λ MMD²(q(z), p(z)).

    Args:
        spec: what x is: images or vectors, discrete or continuous; with a condition, p(x | condition).
        latent: coordinates of a code z.
        network: encoder and decoder: dense (fully connected), conv (strided convolutions, for images), or auto: conv
            from 32×32 on, dense below.
        likelihood: p(x|z): bernoulli, continuous-bernoulli, categorical, gaussian or logistic-mixture; without it the
            one that suits the grid.
        prior: p(z): gaussian, ring, swiss-roll (both with latent 2), or one of your own.
        weight: λ, nats for each unit of MMD².
    """

    bf16_from: ClassVar[int | None] = 784

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 8,
        network: Network = Auto(layers=2),  # noqa: B008 (parts are immutable)
        likelihood: Likelihood | None = None,
        prior: SampledPrior = Gaussian(),  # noqa: B008
        weight: float = 100.0,
    ) -> None:
        super().__init__(spec, latent, network, likelihood, prior)
        if not weight > 0:
            raise UsageError(f"wae-mmd needs weight > 0, not {weight}; use autoencoder for codes without a prior")
        self.weight = weight

    @functools.cached_property
    def distance(self) -> float:
        """C: the mean squared distance of two draws of p(z), of one class where classes have modes of their own."""
        n, condition = MEASURED, None
        if self.codes.modal:
            n = max([n, *(2 * label.count for label in self.spec.classes(self.name).values())])  # a pair of each class
            condition = self.every_class(n)
        w = self.prior(n, condition).sample(generator(self.device, "distance"))
        pairs = _pairs(w, self._one_class(condition) if condition else None)
        return float((pairs * _squared_distances(w, w)).sum() / pairs.sum())

    def _one_class(self, condition: Condition) -> Tensor | None:
        """One number for each combination of classes in all class fields, (N,); None where there are no such fields."""
        fields = [condition[name] for name, field in self.spec.condition.items() if isinstance(field, ClassLabel)]
        return torch.stack(fields, dim=1).unique(dim=0, return_inverse=True)[1] if fields else None

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        x, condition = turn.x, turn.condition
        z, w = self.encode(x, condition).value, self.prior(len(x), condition).sample()
        every_z, every_w = whole.gathered(z), whole.gathered(w.to(z.dtype))  # pairs are made across processes too
        labels = {
            name: whole.gathered(condition[name])
            for name, field in self.spec.condition.items()
            if isinstance(field, ClassLabel)
        }
        gap = mmd(every_z, every_w, self.distance, self._one_class(Condition(labels)))
        return {"reconstruction": self.reconstruction(z, x, condition), "mmd": self.weight * gap}
