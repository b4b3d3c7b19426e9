r"""The vector-quantised autoencoder: an image is told by grids of discrete codes k(x), and codes have a learned prior.

    log p(x) >= log p(x | k(x)) + log p(k(x)),

because q(k|x) puts all its mass on k(x): its entropy is zero, and KL(q || p) = -log p(k(x)). The first half of training
is the autoencoder's, -log p(x | k) + β Σ |z - sg[e]|², the second half the prior's, -log p(k).
van den Oord, Vinyals & Kavukcuoglu 2017, "Neural Discrete Representation Learning", eq. 3; Razavi, van den Oord &
Vinyals 2019, "Generating Diverse High-Fidelity Images with VQ-VAE-2".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Generator, Tensor

from simulacra.capabilities import Condition
from simulacra.data.spec import MOST_LEVELS, DataSpec
from simulacra.distributions import Distribution, PointMass
from simulacra.errors import NotSupported, UsageError
from simulacra.latent.bound import LatentVariable
from simulacra.latent.code_grids import CodeGrids, is_large
from simulacra.latent.codeprior import CodePrior
from simulacra.latent.likelihoods import likelihood as choose_likelihood
from simulacra.latent.quantise import CodeUse, code_use
from simulacra.registry import register
from simulacra.turns import Phase, Turn

STAGES = 0.5  # share of the budget after which the autoencoder is done and its prior begins
CODES, FEW_CODES = 128, 8  # in a codebook; a code stands for 4×4 pixels of a large image, for 2×2 of a small one


class VectorQuantised(LatentVariable):
    """Base of the models with grids of codes; a code z is the vectors of all grids, from coarse to fine, (N, numbers).

    Labels condition the prior; the autoencoder does not see them.
    """

    def __init__(
        self,
        spec: DataSpec,
        grids: int,
        codes: int | None,
        dim: int,
        width: int,
        blocks: int,
        likelihood: str,
        commitment: float,
        prior_width: int,
        prior_layers: int,
        dropout: float,
    ) -> None:
        super().__init__(spec)
        if not spec.is_image:
            raise UsageError(f"this model is for images (C, H, W), not vectors of shape {spec.shape}; try vae")
        if codes is None:
            codes = CODES if is_large(spec.shape) else FEW_CODES
        if not 2 <= codes <= MOST_LEVELS or min(dim, width, prior_width) < 1 or blocks < 0 or not commitment > 0:
            raise UsageError(
                f"codes must be 2 to {MOST_LEVELS}, dim, width and prior_width at least 1, blocks at least 0 and "
                f"commitment positive, not {codes}, {dim}, {width}, {prior_width}, {blocks} and {commitment}"
            )
        self.commitment = commitment
        self.likelihood = choose_likelihood(likelihood, spec)
        self.autoencoder = CodeGrids(spec, grids, codes, dim, width, blocks, self.likelihood.parameters)
        sizes, classes = self.autoencoder.sizes, dict(spec.condition)
        self.code_prior = CodePrior(sizes, codes, classes, prior_width, prior_layers, dropout)

    def phases(self) -> Sequence[Phase]:
        return [
            Phase(self.autoencoder, self.autoencoder_loss, end=STAGES),
            Phase(self.code_prior, self.prior_loss, begin=STAGES),
        ]

    def autoencoder_loss(self, turn: Turn) -> dict[str, Tensor]:
        """-log p(x|k) and β Σ |z - sg[e]|², per item whatever the size of the batch; the codes follow by themselves."""
        found = self.autoencoder(self._real(turn.x), learn=self.training)
        log_prob = self._decoded([grid.vectors for grid in found]).log_prob(turn.x)
        distance = torch.stack([grid.distance for grid in found]).sum(0)
        return {"reconstruction": -log_prob.mean(), "commitment": self.commitment * distance.mean()}

    def prior_loss(self, turn: Turn) -> dict[str, Tensor]:
        """-log p(k), nats of every grid."""
        with torch.no_grad():
            indices = self.codes(turn.x)
        nats = zip(self.autoencoder.sizes, self.code_prior.log_prob_each(indices, turn.condition), strict=True)
        return {f"codes_{height}x{width}": -log_prob.mean() for (height, width), log_prob in nats}

    def codes(self, x: Tensor) -> list[Tensor]:
        """k(x): the indices of all grids, from coarse to fine, (N, h, w) each; x (N, *shape) on the data grid."""
        return [grid.indices for grid in self.autoencoder(self._real(x))]

    @torch.no_grad()
    def code_use(self, batches: Iterable[Tensor]) -> list[CodeUse]:
        """How all these items together, in batches of x, use the codes of every grid, from coarse to fine."""
        books = self.autoencoder.codebooks
        totals = [torch.zeros(len(book.counts), dtype=torch.int64, device=self.device) for book in books]
        for x in batches:
            for total, indices in zip(totals, self.codes(x.to(self.device)), strict=True):
                total += torch.bincount(indices.flatten(), minlength=len(total))
        return [code_use(total, size) for total, size in zip(totals, self.autoencoder.sizes, strict=True)]

    def encode(self, x: Tensor, condition: Condition | None = None) -> PointMass:
        """All mass on the vectors of k(x), codes (N, numbers)."""
        self.conditioned(condition, len(x))
        return PointMass(self.autoencoder.flat([grid.vectors for grid in self.autoencoder(self._real(x))]))

    def prior(self, n: int, condition: Condition | None = None) -> CodeVectors:
        """p(z | label), codes (n, numbers)."""
        return CodeVectors(self.autoencoder, self.code_prior, self.conditioned(condition, n), n)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Distribution:
        """p(x|z), x (N, *shape); z (N, numbers) need not be made of codes."""
        self.conditioned(condition, len(z))
        return self._decoded(self.autoencoder.split(z))

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """log p(x | k(x)) + log p(k(x) | label), (N,) nats, without noise: a bound from one end to the other."""
        given = self.conditioned(condition, len(x))
        found = self.autoencoder(self._real(x))
        log_prior = self.code_prior.log_prob_each([grid.indices for grid in found], given)
        return self._decoded([grid.vectors for grid in found]).log_prob(x) + torch.stack(log_prior).sum(0)

    def log_weights(self, x: Tensor, condition: Condition | None = None, samples: int = 1) -> Tensor:
        """The ELBO, (samples, N): every draw of q(k|x) is the same."""
        if samples < 1:
            raise UsageError(f"the bound needs at least one sample, not {samples}")
        return self.elbo(x, condition).expand(samples, len(x))

    def log_prob_bound(self, x: Tensor, condition: Condition | None = None, samples: int = 1) -> Tensor:
        """The ELBO, (N,): more draws of a point mass cannot raise it."""
        return self.log_weights(x, condition, samples)[0]

    @torch.no_grad()
    def sample(
        self,
        n: int,
        condition: Condition | None = None,
        temperature: float = 1.0,
        generator: Generator | None = None,
        sampler: str = "cached",
    ) -> Tensor:
        """k ~ p(k | label), grid after grid, and x ~ p(x|k); `sampler` as in `Autoregressive.sample`."""
        given = self.conditioned(condition, n)
        z = self.prior(n, given).sample(generator, temperature, sampler)
        return self.decode(z, given).sample(generator, temperature)

    def _real(self, x: Tensor) -> Tensor:
        return self.spec.centred(x).to(next(self.parameters()).dtype)

    def _decoded(self, vectors: Sequence[Tensor]) -> Distribution:
        return self.likelihood(self.autoencoder.decode(vectors))


class CodeVectors(Distribution):
    """The prior of the codes as one of their vectors, (N, numbers): masses of those z that are made of codes."""

    def __init__(self, grids: CodeGrids, prior: CodePrior, given: Condition, n: int) -> None:
        self.grids, self.code_prior, self.given, self.n = grids, prior, given, n

    def log_prob(self, x: Tensor) -> Tensor:
        indices, is_code = [], torch.ones(len(x), dtype=torch.bool, device=x.device)
        for book, vectors in zip(self.grids.codebooks, self.grids.split(x), strict=True):
            rows = vectors.movedim(1, -1).to(book.sums.dtype)
            exact = torch.cdist(rows.flatten(0, -2), book.codes, compute_mode="donot_use_mm_for_euclid_dist")
            distance, nearest = exact.min(-1)
            indices.append(nearest.view(rows.shape[:-1]))
            is_code &= (distance == 0).view(len(x), -1).all(1)
        log_prob = torch.stack(self.code_prior.log_prob_each(indices, self.given)).sum(0)
        return log_prob.masked_fill(~is_code, -math.inf)

    def sample(self, generator: Generator | None = None, temperature: float = 1.0, sampler: str = "cached") -> Tensor:
        indices = self.code_prior.sample(self.n, self.given, temperature, generator, sampler)
        return self.grids.flat(self.grids.look_up(indices))

    @property
    def mean(self) -> Tensor:
        raise NotSupported("the mean over all grids of codes is a sum without end, and no code; draw from the prior")


@register("vqvae", paper="van den Oord et al. 2017, Neural Discrete Representation Learning")
class VQVAE(VectorQuantised):
    r"""log p(x|c) >= log p(x | k(x)) + log p(k(x) | c): one grid of codes k, with a Gated PixelCNN as its prior.

    A grid has a quarter of the sides of an image, or half of those of an image of less than 16 pixels.

    Args:
        spec: images; with a condition field, the prior is p(codes | label).
        codes: in the codebook; without it 128, or 8 for images of less than 16 pixels.
        dim: numbers in a code.
        width: channels of encoder and decoder.
        blocks: residual blocks of either.
        likelihood: p(x|z): auto, bernoulli, continuous-bernoulli, categorical, gaussian or logistic-mixture.
        commitment: weight β of the distance from the encoder's vectors to their codes.
        prior_width: channels of each stack of the prior.
        prior_layers: gated layers of the prior.
        dropout: share of the prior's features dropped in training.
    """

    defaults = {"learning_rate": 2e-3, "batch": 64, "steps": 4000, "schedule": "cosine", "ema": 0.99}

    def __init__(
        self,
        spec: DataSpec,
        codes: int | None = None,
        dim: int = 32,
        width: int = 64,
        blocks: int = 2,
        likelihood: str = "auto",
        commitment: float = 0.25,
        prior_width: int = 32,
        prior_layers: int = 4,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(spec, 1, codes, dim, width, blocks, likelihood, commitment, prior_width, prior_layers, dropout)


@register("vqvae2", paper="Razavi et al. 2019, Generating Diverse High-Fidelity Images with VQ-VAE-2")
class VQVAE2(VectorQuantised):
    r"""log p(x|c) >= log p(x | k(x)) + Σ_g log p(k_g(x) | k_<g(x), c): grids of codes from coarse to fine.

    The finest grid is that of vqvae, and every other one has half the sides of the next.

    Args:
        spec: images; with a condition field, the priors are p(codes | label).
        grids: how many, at least 2.
        codes: in each codebook; without it 128, or 8 for images of less than 16 pixels.
        dim: numbers in a code.
        width: channels of encoder and decoder.
        blocks: residual blocks at each resolution.
        likelihood: p(x|z): auto, bernoulli, continuous-bernoulli, categorical, gaussian or logistic-mixture.
        commitment: weight β of the distance from the encoder's vectors to their codes.
        prior_width: channels of each stack of the priors.
        prior_layers: gated layers of each prior.
        dropout: share of the priors' features dropped in training.
    """

    defaults = VQVAE.defaults

    def __init__(
        self,
        spec: DataSpec,
        grids: int = 2,
        codes: int | None = None,
        dim: int = 32,
        width: int = 64,
        blocks: int = 2,
        likelihood: str = "auto",
        commitment: float = 0.25,
        prior_width: int = 32,
        prior_layers: int = 4,
        dropout: float = 0.2,
    ) -> None:
        if grids < 2:
            raise UsageError(f"vqvae2 has at least 2 grids, not {grids}; vqvae has one")
        super().__init__(
            spec, grids, codes, dim, width, blocks, likelihood, commitment, prior_width, prior_layers, dropout
        )
