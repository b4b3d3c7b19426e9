r"""A class label that few items have is one more latent variable: p(x, y, z) = p(y) p(z) p(x|y,z), with p(y) uniform.

A labelled item is bounded through q(z|x,y), an unlabelled one through q(y|x) q(z|x,y):

    log p(x, y) >= E_q(z|x,y)[log p(x|y,z) + log p(y) + log p(z) - log q(z|x,y)]  = -L(x, y)
    log p(x)    >= Σ_y q(y|x) (-L(x, y)) + H(q(y|x))                               = -U(x)

The loss is Σ_labelled (L(x, y) - α log q(y|x)) + Σ_unlabelled U(x): the classifier q(y|x) learns from both sums.
Kingma et al. 2014, "Semi-supervised Learning with Deep Generative Models", eq. 6 to 9.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from simulacra import whole
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import DiagonalGaussian, Distribution, at_least_float32, kl_divergence
from simulacra.errors import UsageError
from simulacra.latent.bound import LatentVariable
from simulacra.latent.likelihoods import Likelihood, compact_likelihood
from simulacra.latent.priors import UnitGaussian
from simulacra.networks import Auto, Decoder, Encoder, Network
from simulacra.registry import register
from simulacra.turns import Phase, Turn


@register(
    "m2",
    paper="Kingma et al. 2014, Semi-supervised Learning with Deep Generative Models",
    defaults={"learning_rate": 1e-3, "batch": 200, "steps": 4000},
)
class M2(LatentVariable):
    r"""log p(x|y) >= E_q[log p(x|y,z)] - KL(q(z|x,y) || p(z)), and a classifier q(y|x), from few labels.

    In training the label of an unlabelled item is -1.

    Args:
        spec: what x is; its one condition field is the class y.
        latent: coordinates of a code z, which describes what the class y does not: the style.
        network: of classifier, encoder and decoder: dense (fully connected), conv (strided convolutions, for images),
            or auto: conv from 32×32 on, dense below.
        likelihood: p(x|y,z): bernoulli, continuous-bernoulli, categorical, gaussian or logistic-mixture; without it one
            that suits the grid with few numbers for a sub-pixel, as every class of an unlabelled item is decoded.
        alpha: weight of -log q(y|x) of a labelled item.
    """

    learns_unlabelled = True

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 50,
        network: Network = Auto(hidden=500),  # noqa: B008 (parts are immutable)
        likelihood: Likelihood | None = None,
        alpha: float = 10.0,
    ) -> None:
        super().__init__(spec)
        if len(spec.condition) != 1:
            raise UsageError(
                "m2 needs one field of classes as its condition: fit it with --condition label, or what it is called"
            )
        if latent < 1 or not alpha >= 0:
            raise UsageError(f"m2 needs latent >= 1 and alpha >= 0, not latent = {latent} and alpha = {alpha}")
        ((self.field, label),) = spec.classes("m2").items()
        self.classes, self.latent, self.alpha = label.count, latent, alpha
        self.likelihood = (likelihood or compact_likelihood(spec)).build(spec)
        self.codes = UnitGaussian(latent)
        self.classifier = Encoder(spec.conditioned_on(()), label.count, network)
        self.encoder = Encoder(spec, 2 * latent, network)
        self.decoder = Decoder(spec, latent, self.likelihood.parameters, network)

    def log_class_probs(self, x: Tensor) -> Tensor:
        """log q(y|x), (N, classes)."""
        return at_least_float32(self.classifier(x, Condition())).log_softmax(1)

    def encode(self, x: Tensor, condition: ConditionLike | None = None) -> DiagonalGaussian:
        """q(z|x,y), codes (N, latent)."""
        return self._posterior(self.encoder(x, self.conditioned(condition, len(x))))

    def _posterior(self, raw: Tensor) -> DiagonalGaussian:
        return self.codes.posterior(raw.unflatten(1, (self.latent, 2)))

    def prior(self, n: int, condition: ConditionLike | None = None) -> DiagonalGaussian:
        """p(z) = N(0, I), whatever the class, codes (n, latent)."""
        return DiagonalGaussian.standard(n, self.latent, like=next(self.decoder.parameters()))

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> Distribution:
        """p(x|y,z), x (N, *shape)."""
        return self.likelihood(self.decoder(z, self.conditioned(condition, len(z))))

    def elbo(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """A bound of log p(x|y), (N,) nats, from one draw of z; of log p(x), -U(x), for an item whose label is -1."""
        y = (condition or {}).get(self.field)
        if not isinstance(y, Tensor) or (y >= 0).all():
            return super().elbo(x, condition)
        cost, marginal = self._costs(x, y, self.log_class_probs(x))
        order = torch.cat([(y >= 0).nonzero().flatten(), (y < 0).nonzero().flatten()]).argsort()
        return torch.cat([math.log(self.classes) - cost, -marginal])[order]

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        """Eq. 9 over the items of a batch, per item; where the label is -1, all classes are weighed by q(y|x)."""
        x, y = turn.x, turn.condition[self.field]
        log_q = self.log_class_probs(x)
        cost, marginal = self._costs(x, y, log_q)
        labelled = (y >= 0).nonzero().flatten()
        return {
            "labelled": cost.sum() / len(x),
            "unlabelled": marginal.sum() / len(x),
            "classifier": -self.alpha * log_q[labelled, y[labelled]].sum() / len(x),
        }

    def _costs(self, x: Tensor, y: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
        """L(x, y) of the labelled items, and U(x) of the unlabelled ones, whose y is -1; nats."""
        labelled, unlabelled, item = self._pairs(y)
        classes = torch.arange(self.classes, device=y.device)
        its_class = torch.cat([y[labelled], classes.repeat(len(unlabelled))])
        with whole.rows_of(self._pairs(whole.column(self.field, y))[2]):
            cost, log_weights = self._cost(x, item, its_class), log_q[unlabelled]
        each = cost[len(labelled) :].view(-1, self.classes) + log_weights  # its mean over q(y|x) is U(x)
        return cost[: len(labelled)], (log_weights.exp() * each).sum(1)

    def _pairs(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The labelled items, the unlabelled ones, and the items of all pairs of an item and a class."""
        labelled, unlabelled = (y >= 0).nonzero().flatten(), (y < 0).nonzero().flatten()
        return labelled, unlabelled, torch.cat([labelled, unlabelled.repeat_interleave(self.classes)])

    def _cost(self, x: Tensor, item: Tensor, its_class: Tensor) -> Tensor:
        """L(x_i, y) of R pairs of an item and a class, (R,) nats; features of x alone are computed once an item."""
        condition = Condition({self.field: its_class})
        q = self._posterior(self.encoder.with_condition(self.encoder.without_condition(x)[item], condition))
        z = q.reparameterised()
        reconstruction = self.likelihood(self.decoder(z, condition)).log_prob(x[item])
        return kl_divergence(q, self.prior(len(z)), z) - reconstruction + math.log(self.classes)
