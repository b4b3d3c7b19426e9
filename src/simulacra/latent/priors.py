r"""Priors p(z), each with the family of posteriors q(z|x) that goes with it.

A code has `latent` coordinates. An encoder returns `parameters_each` numbers for each of them, and `posterior` turns
these, (N, latent, parameters_each), into q(z|x); `forward(n)` is the prior of n items, with parameters of its own or
without.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from simulacra.data.spec import DataSpec
from simulacra.distributions import (
    BinaryCode,
    CorrelatedGaussian,
    DiagonalGaussian,
    Distribution,
    Factorised,
    GaussianMixture,
    Laplace,
    OneHotCode,
)
from simulacra.errors import UsageError
from simulacra.parts import above, kind, part, within

Posterior = Factorised | OneHotCode
Encode = Callable[[Tensor], Posterior]
"""q(z|u) of centred u, (K, *shape), which need not lie on the grid."""

LOG_SCALE = 8.0  # |log σ| of a posterior stays below it


@kind("prior")
class Prior(Protocol):
    """Builds p(z) over codes of `latent` coordinates, for items of a spec."""

    def build(self, spec: DataSpec, latent: int) -> CodePrior:
        """Raises UsageError for data that it does not suit."""
        ...


class CodePrior(nn.Module):
    """p(z) over codes of `numbers` real numbers: `latent`, but for categorical codes."""

    parameters_each = 2
    pseudo_input_count = 0  # pseudo-inputs that the encoder reads whenever the prior is evaluated
    per_coordinate = True  # these three are what an objective needs to know: see `objectives.Codes`
    reparameterised = True
    separate = True

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = self.numbers = latent

    @abstractmethod
    def posterior(self, raw: Tensor) -> Posterior:
        """q(z|x) from the encoder's outputs, (N, latent, parameters_each)."""

    @abstractmethod
    def forward(self, n: int, like: Tensor, encode: Encode) -> Distribution:
        """p(z) of n items, on the device and in the precision of `like`; only a VampPrior needs `encode`."""


def gaussian(raw: Tensor) -> DiagonalGaussian:
    """Means and bounded log scales, (..., 2) -> N(mean, σ²)"""
    mean, log_scale = raw.unbind(-1)
    return DiagonalGaussian(mean, log_scale.clamp(-LOG_SCALE, LOG_SCALE))


class UnitGaussian(CodePrior):
    """N(0, I)"""

    def posterior(self, raw: Tensor) -> DiagonalGaussian:
        return gaussian(raw)

    def forward(self, n: int, like: Tensor, encode: Encode) -> Distribution:
        return DiagonalGaussian.standard(n, self.latent, like=like)


class LearnedGaussian(CodePrior):
    """N(μ, (WᵀW)⁻¹), both learned; at first N(0, I). `weight` is W below its diagonal."""

    def __init__(self, latent: int) -> None:
        super().__init__(latent)
        self.location, self.log_diagonal = nn.Parameter(torch.zeros(latent)), nn.Parameter(torch.zeros(latent))
        self.weight = nn.Parameter(torch.zeros(latent, latent))
        self.mask: Tensor
        self.register_buffer("mask", torch.ones(latent, latent).tril(-1), persistent=False)

    def posterior(self, raw: Tensor) -> DiagonalGaussian:
        return gaussian(raw)

    def forward(self, n: int, like: Tensor, encode: Encode) -> Distribution:
        diagonal = self.log_diagonal.clamp(-LOG_SCALE, LOG_SCALE).exp().diag()
        return CorrelatedGaussian(n, self.location, self.weight * self.mask + diagonal)


class UnitLaplace(CodePrior):
    """Laplace(0, 1) for every coordinate"""

    def posterior(self, raw: Tensor) -> Laplace:
        mean, log_scale = raw.unbind(-1)
        return Laplace(mean, log_scale.clamp(-LOG_SCALE, LOG_SCALE))

    def forward(self, n: int, like: Tensor, encode: Encode) -> Distribution:
        zeros = like.new_zeros(n, self.latent)
        return Laplace(zeros, zeros)


class UniformBits(CodePrior):
    """Every coordinate 0 or 1, with mass 1/2 each."""

    parameters_each = 1
    reparameterised = False

    def __init__(self, latent: int, relaxation: float) -> None:
        super().__init__(latent)
        self.relaxation = relaxation

    def posterior(self, raw: Tensor) -> BinaryCode:
        return BinaryCode(raw.squeeze(-1), self.relaxation)

    def forward(self, n: int, like: Tensor, encode: Encode) -> Distribution:
        return BinaryCode(like.new_zeros(n, self.latent), self.relaxation)


class UniformCategories(CodePrior):
    """Every coordinate one of `categories`, all of the same mass; codes are one-hot, (N, latent, categories)."""

    reparameterised = False

    def __init__(self, latent: int, categories: int, relaxation: float) -> None:
        super().__init__(latent)
        self.parameters_each, self.relaxation = categories, relaxation
        self.numbers = latent * categories

    def posterior(self, raw: Tensor) -> OneHotCode:
        return OneHotCode(raw, self.relaxation)

    def forward(self, n: int, like: Tensor, encode: Encode) -> Distribution:
        return OneHotCode(like.new_zeros(n, self.latent, self.parameters_each), self.relaxation)


class LearnedMixture(CodePrior):
    """Σ_k w_k N(μ_k, diag σ_k²), all of it learned."""

    per_coordinate = False

    def __init__(self, latent: int, components: int) -> None:
        super().__init__(latent)
        self.weights = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, latent))
        self.log_scales = nn.Parameter(torch.zeros(components, latent))

    def posterior(self, raw: Tensor) -> DiagonalGaussian:
        return gaussian(raw)

    def forward(self, n: int, like: Tensor, encode: Encode) -> Distribution:
        return GaussianMixture(n, self.weights, self.means, self.log_scales)


class MeanPosterior(CodePrior):
    r"""1/K Σ_k q(z|u_k), over K learned pseudo-inputs u_k, which lie in [-1, 1] like x."""

    per_coordinate = False

    def __init__(self, spec: DataSpec, latent: int, components: int) -> None:
        super().__init__(latent)
        self.pseudo_input_count = components
        self.pseudo_inputs = nn.Parameter(torch.randn(components, *spec.shape) * 0.5 - 1)  # mostly dark, as images are

    def posterior(self, raw: Tensor) -> DiagonalGaussian:
        return gaussian(raw)

    def forward(self, n: int, like: Tensor, encode: Encode) -> Distribution:
        q = encode(self.pseudo_inputs.tanh())
        assert isinstance(q, DiagonalGaussian)
        return GaussianMixture(n, q.mean.new_zeros(len(q.mean)), q.mean, q.log_scale)


@part("prior", "gaussian")
class GaussianPrior:
    """N(0, I)"""

    def build(self, spec: DataSpec, latent: int) -> CodePrior:
        return UnitGaussian(latent)


@part("prior", "learned-gaussian")
class LearnedGaussianPrior:
    """N(μ, Σ), both learned: of all Gaussians the one that is nearest to the codes of the data, KL(q(z) || p(z))."""

    def build(self, spec: DataSpec, latent: int) -> CodePrior:
        return LearnedGaussian(latent)


@part("prior", "laplace")
class LaplacePrior:
    """Laplace(0, 1) for every coordinate: sparser than a Gaussian, and not the same in all directions."""

    def build(self, spec: DataSpec, latent: int) -> CodePrior:
        return UnitLaplace(latent)


@part("prior", "bernoulli")
class BernoulliPrior:
    """Every coordinate 0 or 1, with mass 1/2 each.

    Attributes:
        relaxation: temperature of the relaxed draws by which discrete codes are trained.
    """

    relaxation: float = 0.5

    def __post_init__(self) -> None:
        above(0, relaxation=self.relaxation)

    def build(self, spec: DataSpec, latent: int) -> CodePrior:
        return UniformBits(latent, self.relaxation)


@part("prior", "categorical")
class CategoricalPrior:
    """Every coordinate one of so many categories, all of the same mass.

    Attributes:
        categories: of a coordinate.
        relaxation: temperature of the relaxed draws by which discrete codes are trained.
    """

    categories: int = 10
    relaxation: float = 0.5

    def __post_init__(self) -> None:
        within(1, categories=self.categories)
        above(0, relaxation=self.relaxation)

    def build(self, spec: DataSpec, latent: int) -> CodePrior:
        return UniformCategories(latent, self.categories, self.relaxation)


@part("prior", "mixture")
class MixturePrior:
    """Σ_k w_k N(μ_k, diag σ_k²), all of it learned.

    Attributes:
        components: of the mixture.
    """

    components: int = 500

    def __post_init__(self) -> None:
        within(1, components=self.components)

    def build(self, spec: DataSpec, latent: int) -> CodePrior:
        return LearnedMixture(latent, self.components)


@part("prior", "vampprior")
class VampPrior:
    r"""1/K Σ_k q(z|u_k): the mean of the posteriors of K learned pseudo-inputs u_k, which lie in [-1, 1] like x.

    Tomczak & Welling 2018, "VAE with a VampPrior", eq. 9.

    Attributes:
        components: pseudo-inputs.
    """

    components: int = 500

    def __post_init__(self) -> None:
        within(1, components=self.components)

    def build(self, spec: DataSpec, latent: int) -> CodePrior:
        if spec.condition:
            raise UsageError(
                "a vampprior encodes pseudo-inputs, which have no label; drop --condition, or use --prior mixture"
            )
        return MeanPosterior(spec, latent, self.components)
