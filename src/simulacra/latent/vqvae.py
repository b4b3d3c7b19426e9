r"""The vector-quantised autoencoder: an image is encoded as grids of discrete codes k(x), which have a learned prior.

    log p(x) >= log p(x | k(x)) + log p(k(x)),

because q(k|x) puts all its mass on k(x): its entropy is zero, and KL(q || p) = -log p(k(x)). The first half of training
is the autoencoder's, -log p(x | k) + β Σ |z - sg[e]|², the second half the prior's, -log p(k).
van den Oord, Vinyals & Kavukcuoglu 2017, "Neural Discrete Representation Learning", eq. 3; Razavi, van den Oord &
Vinyals 2019, "Generating Diverse High-Fidelity Images with VQ-VAE-2".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor

from simulacra.autoregressive.gated_pixelcnn import GatedPixelCNN
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import Distribution, PointMass
from simulacra.errors import NotSupported, UsageError
from simulacra.fields import MOST_LEVELS, Field
from simulacra.latent.code_grids import CodeGrids, is_large
from simulacra.latent.codeprior import CodePrior
from simulacra.latent.likelihoods import Likelihood, default_likelihood
from simulacra.latent.quantise import CodeUse, code_use
from simulacra.model import Model
from simulacra.parts import kind, part, share, within
from simulacra.registry import register, variant
from simulacra.turns import Phase, Turn

STAGES = 0.5  # share of the budget after which the autoencoder is fixed and its prior is trained
TRAINING = {"learning_rate": 2e-3, "batch": 64, "steps": 4000, "schedule": "cosine", "ema": 0.99}
CODES, FEW_CODES = 128, 8  # in a codebook; a code stands for 4×4 pixels of a large image, for 2×2 of a small one


@kind("grid-prior")
class GridPrior(Protocol):
    """Builds p(codes of all grids | condition)."""

    def build(self, sizes: Sequence[tuple[int, int]], codes: int, fields: Mapping[str, Field]) -> CodePrior:
        """For grids of these sizes (h, w), from coarse to fine, of so many codes each."""
        ...


@part("grid-prior", "gated-pixelcnn")
class GridPixelCNN:
    """A Gated PixelCNN for each grid, conditioned on the coarser ones.

    Attributes:
        width: channels of each stack.
        layers: gated layers.
        dropout: share of the features dropped in training.
    """

    width: int = 32
    layers: int = 4
    dropout: float = 0.2

    def __post_init__(self) -> None:
        within(1, width=self.width, layers=self.layers)
        share(dropout=self.dropout)

    def build(self, sizes: Sequence[tuple[int, int]], codes: int, fields: Mapping[str, Field]) -> CodePrior:
        network = GatedPixelCNN(self.width, self.layers, kernel=5, dropout=self.dropout, embedding=True)
        return CodePrior(sizes, codes, fields, network)


@register(
    "vqvae",
    paper="van den Oord et al. 2017, Neural Discrete Representation Learning",
    defaults=TRAINING,
)
class VQVAE(Model):
    r"""log p(x|c) >= log p(x | k(x)) + Σ_g log p(k_g(x) | k_<g(x), c): grids of codes k, with learned priors.

    The finest grid has a quarter of the sides of an image, or half of those of an image of less than 16 pixels; every
    other one has half the sides of the next. A code z is the vectors of all grids, from coarse to fine, (N, numbers).
    Only the prior is conditioned; the autoencoder is not.

    Args:
        spec: images; with a condition, the prior is p(codes | condition).
        grids: how many.
        codes: in each codebook; without it 128, or 8 for images of less than 16 pixels.
        dim: numbers in a code.
        width: channels of encoder and decoder.
        blocks: residual blocks of either, at each resolution.
        commitment: weight β of the distance from the encoder's vectors to their codes.
        prior: of the codes of each grid, conditioned on the coarser ones.
        likelihood: p(x|z): bernoulli, continuous-bernoulli, categorical, gaussian or logistic-mixture; without it the
            one that suits the grid.
    """

    def __init__(
        self,
        spec: DataSpec,
        grids: int = 1,
        codes: int | None = None,
        dim: int = 32,
        width: int = 64,
        blocks: int = 2,
        commitment: float = 0.25,
        prior: GridPrior = GridPixelCNN(),  # noqa: B008 (parts are immutable)
        likelihood: Likelihood | None = None,
    ) -> None:
        super().__init__(spec)
        if not spec.is_image:
            raise UsageError(f"this model is for images (C, H, W), not vectors of shape {spec.shape}; try vae")
        codes = (CODES if is_large(spec.shape) else FEW_CODES) if codes is None else codes
        if not 2 <= codes <= MOST_LEVELS or min(grids, dim, width) < 1 or blocks < 0 or not commitment > 0:
            raise UsageError(
                f"codes must be 2 to {MOST_LEVELS}, grids, dim and width at least 1, blocks at least 0 and commitment "
                f"positive, not {codes}, {grids}, {dim}, {width}, {blocks} and {commitment}"
            )
        self.commitment = commitment
        self.likelihood = (likelihood or default_likelihood(spec)).build(spec)
        self.autoencoder = CodeGrids(spec, grids, codes, dim, width, blocks, self.likelihood.parameters)
        self.code_prior = prior.build(self.autoencoder.sizes, codes, spec.condition)

    def phases(self) -> Sequence[Phase]:
        return [
            Phase(self.autoencoder, self.autoencoder_loss, end=STAGES),
            Phase(self.code_prior, self.prior_loss, begin=STAGES),
        ]

    def autoencoder_loss(self, turn: Turn) -> dict[str, Tensor]:
        """-log p(x|k) and β Σ |z - sg[e]|², means over items; in training mode the codebooks are updated too."""
        updates = turn.step / turn.share if turn.share > 0 else math.inf  # of the whole stage
        found = self.autoencoder(self._real(turn.x), self.training, updates)
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

    def encode(self, x: Tensor, condition: ConditionLike | None = None) -> PointMass:
        """All mass on the vectors of k(x), codes (N, numbers)."""
        self.conditioned(condition, len(x))
        return PointMass(self.autoencoder.flat([grid.vectors for grid in self.autoencoder(self._real(x))]))

    def prior(self, n: int, condition: ConditionLike | None = None) -> CodeVectors:
        """p(z | label), codes (n, numbers)."""
        return CodeVectors(self.autoencoder, self.code_prior, self.conditioned(condition, n), n)

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> Distribution:
        """p(x|z), x (N, *shape); z (N, numbers) need not be made of codes."""
        self.conditioned(condition, len(z))
        return self._decoded(self.autoencoder.split(z))

    def elbo(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """log p(x | k(x)) + log p(k(x) | label), (N,) nats, without noise: a lower bound of log p(x | label)."""
        condition = self.conditioned(condition, len(x))
        found = self.autoencoder(self._real(x))
        log_prior = self.code_prior.log_prob_each([grid.indices for grid in found], condition)
        return self._decoded([grid.vectors for grid in found]).log_prob(x) + torch.stack(log_prior).sum(0)

    def log_weights(self, x: Tensor, condition: ConditionLike | None = None, samples: int = 1) -> Tensor:
        """The ELBO, (samples, N): every draw of q(k|x) is the same."""
        return self.elbo(x, condition).expand(samples, len(x))

    def log_prob_bound(self, x: Tensor, condition: ConditionLike | None = None, samples: int = 1) -> Tensor:
        """The ELBO, (N,): more draws of a point mass cannot raise it."""
        return self.log_weights(x, condition, samples)[0]

    @torch.no_grad()
    def sample(
        self,
        n: int,
        condition: ConditionLike | None = None,
        temperature: float = 1.0,
        generator: Generator | None = None,
        sampler: str = "cached",
    ) -> Tensor:
        """k ~ p(k | label), grid after grid, and x ~ p(x|k); `sampler` as in `Autoregressive.sample`."""
        condition = self.conditioned(condition, n)
        z = self.prior(n, condition).sample(generator, temperature, sampler)
        return self.decode(z, condition).sample(generator, temperature)

    def _real(self, x: Tensor) -> Tensor:
        return self.spec.centred(x).to(next(self.parameters()).dtype)

    def _decoded(self, vectors: Sequence[Tensor]) -> Distribution:
        return self.likelihood(self.autoencoder.decode(vectors))


class CodeVectors(Distribution):
    """The prior of the codes as a distribution of their vectors, (N, numbers): a mass on those z made of codes."""

    def __init__(self, grids: CodeGrids, prior: CodePrior, condition: Condition, n: int) -> None:
        self.grids, self.code_prior, self.condition, self.n = grids, prior, condition, n

    def log_prob(self, x: Tensor) -> Tensor:
        indices, is_code = [], torch.ones(len(x), dtype=torch.bool, device=x.device)
        for book, vectors in zip(self.grids.codebooks, self.grids.split(x), strict=True):
            rows = vectors.movedim(1, -1).to(book.sums.dtype)
            exact = torch.cdist(rows.flatten(0, -2), book.codes, compute_mode="donot_use_mm_for_euclid_dist")
            distance, nearest = exact.min(-1)
            indices.append(nearest.view(rows.shape[:-1]))
            is_code &= (distance == 0).view(len(x), -1).all(1)
        log_prob = torch.stack(self.code_prior.log_prob_each(indices, self.condition)).sum(0)
        return log_prob.masked_fill(~is_code, -math.inf)

    def sample(self, generator: Generator | None = None, temperature: float = 1.0, sampler: str = "cached") -> Tensor:
        indices = self.code_prior.sample(self.n, self.condition, temperature, generator, sampler)
        return self.grids.flat(self.grids.look_up(indices))

    @property
    def mean(self) -> Tensor:
        raise NotSupported("the mean over all grids of codes has no closed form and is no code; draw from the prior")


vqvae2 = variant(
    "vqvae2",
    VQVAE,
    paper="Razavi et al. 2019, Generating Diverse High-Fidelity Images with VQ-VAE-2",
    defaults=TRAINING,
    grids=2,
)
