r"""Priors p(z), each with the family of posteriors q(z|x) that goes with it.

A code has `latent` coordinates. An encoder emits `parameters` numbers for each of them, (N, latent, parameters), and
`posterior` turns these into q(z|x); `forward(n)` is the prior of n items, with parameters of its own or without.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from simulacra.data.spec import DataSpec
from simulacra.distributions import (
    BinaryCode,
    DiagonalGaussian,
    Distribution,
    Factorised,
    GaussianMixture,
    Laplace,
    OneHotCode,
)
from simulacra.errors import UsageError, did_you_mean

Posterior = Factorised | OneHotCode
Ask = Callable[[Tensor], Posterior]
"""q(z|u) of centred u, (K, *shape), which need not lie on the grid."""

COMPONENTS = 500  # of a mixture, or pseudo-inputs of a VampPrior
CATEGORIES = 10
RELAXATION = 0.5
LOG_SCALE = 8.0  # |log σ| of a posterior stays below it


class Prior(nn.Module):
    """p(z) over codes of `numbers` real numbers: `latent`, but for categorical codes."""

    parameters_each = 2
    asks = 0  # items that the encoder is asked about whenever the prior is

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = self.numbers = latent

    @abstractmethod
    def posterior(self, raw: Tensor) -> Posterior:
        """q(z|x) from the encoder's numbers, (N, latent, parameters)."""

    @abstractmethod
    def forward(self, n: int, like: Tensor, ask: Ask) -> Distribution:
        """p(z) of n items, on the device and in the precision of `like`; `ask` is what only a VampPrior needs."""


class UnitGaussian(Prior):
    """N(0, I)"""

    def posterior(self, raw: Tensor) -> DiagonalGaussian:
        mean, log_scale = raw.unbind(-1)
        return DiagonalGaussian(mean, log_scale.clamp(-LOG_SCALE, LOG_SCALE))

    def forward(self, n: int, like: Tensor, ask: Ask) -> Distribution:
        return DiagonalGaussian.standard(n, self.latent, like=like)


class UnitLaplace(Prior):
    """Laplace(0, 1) for every coordinate: sparser than a Gaussian, and not the same in all directions."""

    def posterior(self, raw: Tensor) -> Laplace:
        mean, log_scale = raw.unbind(-1)
        return Laplace(mean, log_scale.clamp(-LOG_SCALE, LOG_SCALE))

    def forward(self, n: int, like: Tensor, ask: Ask) -> Distribution:
        zeros = like.new_zeros(n, self.latent)
        return Laplace(zeros, zeros)


class FairCoins(Prior):
    """Every coordinate 0 or 1, with mass 1/2 each."""

    parameters_each = 1

    def __init__(self, latent: int, relaxation: float) -> None:
        super().__init__(latent)
        self.relaxation = relaxation

    def posterior(self, raw: Tensor) -> BinaryCode:
        return BinaryCode(raw.squeeze(-1), self.relaxation)

    def forward(self, n: int, like: Tensor, ask: Ask) -> Distribution:
        return BinaryCode(like.new_zeros(n, self.latent), self.relaxation)


class FairDice(Prior):
    """Every coordinate one of `categories`, all of the same mass; codes are one-hot, (N, latent, categories)."""

    def __init__(self, latent: int, categories: int, relaxation: float) -> None:
        super().__init__(latent)
        self.parameters_each, self.relaxation = categories, relaxation
        self.numbers = latent * categories

    def posterior(self, raw: Tensor) -> OneHotCode:
        return OneHotCode(raw, self.relaxation)

    def forward(self, n: int, like: Tensor, ask: Ask) -> Distribution:
        return OneHotCode(like.new_zeros(n, self.latent, self.parameters_each), self.relaxation)


class LearnedMixture(UnitGaussian):
    """Σ_k w_k N(μ_k, diag σ_k²), all of it learned."""

    def __init__(self, latent: int, components: int) -> None:
        super().__init__(latent)
        self.weights = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, latent))
        self.log_scales = nn.Parameter(torch.zeros(components, latent))

    def forward(self, n: int, like: Tensor, ask: Ask) -> Distribution:
        return GaussianMixture(n, self.weights, self.means, self.log_scales)


class VampPrior(UnitGaussian):
    r"""1/K Σ_k q(z|u_k): the encoder's own answers to K learned pseudo-inputs u_k, which lie in [-1, 1] like x.

    Tomczak & Welling 2018, "VAE with a VampPrior", eq. 9.
    """

    def __init__(self, spec: DataSpec, latent: int, components: int) -> None:
        super().__init__(latent)
        self.asks = components
        self.pseudo_inputs = nn.Parameter(torch.randn(components, *spec.shape) * 0.5 - 1)  # mostly dark, as images are

    def forward(self, n: int, like: Tensor, ask: Ask) -> Distribution:
        q = ask(self.pseudo_inputs.tanh())
        assert isinstance(q, DiagonalGaussian)
        return GaussianMixture(n, q.mean.new_zeros(len(q.mean)), q.mean, q.log_scale)


def prior(
    name: str,
    spec: DataSpec,
    latent: int,
    components: int | None = None,
    categories: int | None = None,
    relaxation: float | None = None,
) -> Prior:
    """The prior called `name`; what is None takes its usual value where the prior has it.

    Raises UsageError for a prior that does not exist, or not for such data, and for a number that it has no use for.
    """
    if name not in PRIORS:
        raise UsageError(f"there is no prior {name!r}.{did_you_mean(name, PRIORS)}")
    given = {"components": components, "categories": categories, "relaxation": relaxation}
    for argument, value in given.items():
        if value is not None and argument not in PRIORS[name]:
            raise UsageError(f"prior {name!r} has no {argument}: leave {argument} = {value} out")
        if value is not None and not value > 0:
            raise UsageError(f"{argument} must be positive, not {value}")
    if name == "vampprior" and spec.condition:
        raise UsageError(
            "a vampprior asks the encoder about pseudo-inputs, which have no label; "
            "drop --condition, or use --prior mixture"
        )
    if name == "vampprior":
        return VampPrior(spec, latent, components or COMPONENTS)
    if name == "mixture":
        return LearnedMixture(latent, components or COMPONENTS)
    if name == "bernoulli":
        return FairCoins(latent, relaxation or RELAXATION)
    if name == "categorical":
        return FairDice(latent, categories or CATEGORIES, relaxation or RELAXATION)
    return UnitLaplace(latent) if name == "laplace" else UnitGaussian(latent)


PRIORS = {  # and the arguments that each has use for
    "gaussian": (),
    "laplace": (),
    "bernoulli": ("relaxation",),
    "categorical": ("categories", "relaxation"),
    "mixture": ("components",),
    "vampprior": ("components",),
}
