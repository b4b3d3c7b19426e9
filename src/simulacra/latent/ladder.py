r"""A hierarchy of codes, from a global one on a grid of 1×1 to local ones on fine grids:

    p(x, z) = p(x|z) Π_l p(z_l | z_<l),        q(z|x) = Π_l q(z_l | z_<l, x),
    log p(x) >= E_q[log p(x|z)] - Σ_l E_q[KL(q(z_l | z_<l, x) || p(z_l | z_<l))] = ELBO(x).

A bottom-up network computes features d of x on every grid. Then both p and q run from the top down, through the same
features h: on each grid, from 1×1 to the finest, every layer computes p(z_l | h) from h and q(z_l | h, d) from h and d,
draws z_l from one of them, and adds it to h. All are diagonal Gaussians. The last h gives the parameters of p(x|z).
Sønderby et al. 2016, "Ladder Variational Autoencoders"; the blocks are those of Child 2021, "Very Deep VAEs
Generalize Autoregressive Models and Can Outperform Them on Images", section 3.

Codes z of this model are standardised by their prior, (z_l - μ_p(z_<l)) / σ_p(z_<l), so that the prior is N(0, I),
whatever the layers above and the label; densities of codes are those of standardised ones. No bound depends on this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import Ancestral, DiagonalGaussian, Distribution, kl_divergence
from simulacra.errors import UsageError
from simulacra.latent.bound import LatentVariable
from simulacra.latent.ladder_network import BottomUp, Size, TopDown, grids_of
from simulacra.latent.likelihoods import Likelihood, default_likelihood
from simulacra.latent.objectives import ELBO, Objective
from simulacra.parts import part
from simulacra.registry import register
from simulacra.turns import Phase, Turn

AT_ONCE = 1 << 27  # numbers in one map of features of all items that are decoded together for the bound


@part("ladder-size", "small")
class Small(Size):
    """Trains in minutes on a CPU."""

    width: int = 64
    hidden: int = 32
    latent: int = 8
    layers: tuple[int, ...] = (1, 2, 2, 1)
    grid: int = 16


@part("ladder-size", "medium")
class Medium(Size):
    """CIFAR-10 in hours on one GPU."""

    width: int = 192
    hidden: int = 64
    latent: int = 16
    layers: tuple[int, ...] = (8, 6, 4, 2, 1)
    grid: int = 32


@part("ladder-size", "large")
class Large(Size):
    """45 layers for images of 32×32."""

    width: int = 384
    hidden: int = 96
    latent: int = 16
    layers: tuple[int, ...] = (21, 11, 6, 4, 2, 1)
    grid: int = 256


@register(
    "ladder-vae",
    paper="Sønderby et al. 2016, Ladder VAE; Child 2021, Very Deep VAEs",
    defaults={"learning_rate": 2e-3, "batch": 64, "steps": 4000, "clip": 100.0},
)
class LadderVAE(LatentVariable):
    r"""log p(x) >= E_q[log p(x|z)] - Σ_l KL(q(z_l | z_<l, x) || p(z_l | z_<l)), for images of any size.

    The defaults of training suit the small size. Child 2021 trains the large one at a learning rate of 2e-4 with weight
    decay 0.01, weights averaged at 0.9999, clipped gradients and `skip`, as rare gradients are far too large.

    Args:
        spec: what x is; with a condition, p(x | condition).
        size: small, medium or large, each with its numbers: small:width=32,layers=(1,1).
        likelihood: p(x|z): bernoulli, continuous-bernoulli, categorical, gaussian or logistic-mixture; without it the
            one that suits the grid.
        objective: what is maximised: elbo or iwae. Without a warm-up of the KL the upper layers stay inactive for long
            (Sønderby et al. 2016, section 2.2).
    """

    per_coordinate = reparameterised = True  # of the codes: the KL is a sum over layers, all of them Gaussian
    separate = False  # q and p run through the same layers

    def __init__(
        self,
        spec: DataSpec,
        size: Size = Small(),  # noqa: B008 (parts are immutable)
        likelihood: Likelihood | None = None,
        objective: Objective = ELBO(warmup=500),  # noqa: B008
    ) -> None:
        super().__init__(spec)
        if not spec.is_image:
            raise UsageError(f"ladder-vae is for images (C, H, W), not vectors of shape {spec.shape}; try vae")
        objective.check(self)
        self.objective = objective
        self.likelihood = (likelihood or default_likelihood(spec)).build(spec)
        patch, grids = grids_of(spec.shape, size)
        self.encoder = BottomUp(spec.shape[0], patch, size, grids, spec.condition)
        outputs = spec.shape[0] * self.likelihood.parameters
        self.decoder = TopDown(spec.shape, outputs, patch, size, grids, spec.condition)
        self.layers = [torch.Size((size.latent, *grid.size)) for grid in reversed(grids) for _ in range(grid.layers)]
        self.numbers = size.width * math.prod(grids[0].size)  # of h on the finest grid

    def _features(self, x: Tensor, condition: Condition) -> list[Tensor]:
        return self.encoder(self.spec.centred(x).to(self.encoder.stem.weight.dtype), condition)

    def _output(self, raw: Tensor) -> Distribution:
        """(N, C · parameters, H, W) -> p(x|z)"""
        return self.likelihood(raw.unflatten(1, (self.spec.shape[0], -1)).movedim(2, -1))

    def encode(self, x: Tensor, condition: ConditionLike | None = None) -> Ancestral:
        """q(z|x), codes (N, D): the layers one after the other, standardised by their prior."""
        condition = self.conditioned(condition, len(x))
        features = self._features(x, condition)

        def walk(context: Sequence[Tensor], choose: Callable[[DiagonalGaussian], Tensor]) -> None:
            fields = Condition(dict(zip(condition, context[len(features) :], strict=True)))
            self.decoder(len(context[0]), context, fields, lambda p, q: _from_code(p, choose(_in_units_of(p, q))))

        return Ancestral(walk, [*features, *condition.values()])

    def prior(self, n: int, condition: ConditionLike | None = None) -> DiagonalGaussian:
        """p(z) = N(0, I), codes (n, D), whatever the label: each layer is standardised by p(z_l | z_<l)."""
        return DiagonalGaussian.standard(n, sum(layer.numel() for layer in self.layers), like=self.decoder.last.weight)

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> Distribution:
        """p(x|z), x (N, *shape)."""
        condition = self.conditioned(condition, len(z))
        codes = iter(z.split([layer.numel() for layer in self.layers], dim=1))
        raw = self.decoder(len(z), None, condition, lambda p, _: _from_code(p, next(codes).view_as(p.mean)))
        return self._output(raw)

    def kl_by_layer(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """KL(q(z_l | z_<l, x) || p(z_l | z_<l)) at a draw of the layers before, (layers, N) nats, from the top down."""
        return self.elbo_terms(x, condition)[1].t()

    def elbo_terms(
        self, x: Tensor, condition: ConditionLike | None = None, relaxed: bool = False
    ) -> tuple[Tensor, Tensor]:
        """log p(x|z), (N,), and the KL of each layer in closed form given the layers before, (N, layers), nats, from
        one draw of all layers."""
        condition, kl = self.conditioned(condition, len(x)), []

        def choose(p: DiagonalGaussian, q: DiagonalGaussian) -> Tensor:
            z = q.sample()
            kl.append(kl_divergence(q, p, z))
            return z

        raw = self.decoder(len(x), self._features(x, condition), condition, choose)
        return self._output(raw).log_prob(x), torch.stack(kl, dim=1)

    def log_weights_of(self, q: Distribution, x: Tensor, condition: Condition) -> Tensor:
        """log p(x, z_k) - log q(z_k|x) of fresh draws, (K, N) nats: one top-down pass computes p and q."""
        assert isinstance(q, Ancestral)  # whose context begins with the features of x
        times, nats = len(q.context[0]) // len(x), []

        def choose(p: DiagonalGaussian, q: DiagonalGaussian) -> Tensor:
            z = q.sample()
            nats.append(p.log_prob(z) - q.log_prob(z))
            return z

        raw = self.decoder(times * len(x), q.context, condition.repeat(times), choose)
        nats.append(self._output(raw).log_prob(x.repeat(times, 1, 1, 1)))
        return torch.stack(nats).sum(0).view(times, len(x))

    def chunk(self) -> int:
        return max(1, min(super().chunk(), AT_ONCE // self.numbers))

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        return self.objective.terms(self, turn)


def _in_units_of(p: DiagonalGaussian, q: DiagonalGaussian) -> DiagonalGaussian:
    """q of the code (z - μ_p) / σ_p, where q is of z."""
    return DiagonalGaussian((q.mean - p.mean) * torch.exp(-p.log_scale), q.log_scale - p.log_scale)


def _from_code(p: DiagonalGaussian, code: Tensor) -> Tensor:
    return p.mean + torch.exp(p.log_scale) * code
