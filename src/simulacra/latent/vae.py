r"""The variational autoencoder: p(x) = ∫ p(x|z) p(z) dz, learned together with an approximate posterior q(z|x),

    log p(x) >= E_q[log p(x|z)] - KL(q(z|x) || p(z)) = ELBO(x).

Kingma & Welling 2014, "Auto-Encoding Variational Bayes", eq. 3. Prior, likelihood, network and objective are parts: see
`latent.priors`, `.likelihoods`, `.objectives` and `simulacra.networks`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from simulacra.condition import ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import Distribution
from simulacra.errors import UsageError
from simulacra.latent.bound import LatentVariable
from simulacra.latent.likelihoods import Likelihood, default_likelihood
from simulacra.latent.objectives import ELBO, Objective
from simulacra.latent.priors import LearnedGaussianPrior, Posterior, Prior
from simulacra.networks import Auto, Decoder, Encoder, Network
from simulacra.registry import register
from simulacra.turns import Phase, Turn


@register(
    "vae",
    paper="Kingma & Welling 2014, Auto-Encoding Variational Bayes",
    defaults={"learning_rate": 1e-3, "batch": 128, "steps": 4000},
)
class VAE(LatentVariable):
    r"""log p(x) >= E_q[log p(x|z)] - KL(q(z|x) || p(z)); by default, on MNIST, the classic 784-400-20.

    The default prior is a Gaussian whose mean and covariance are learned. To N(0, I) codes are brought by the networks
    alone, and late where the KL is a small part of the nats, as it is of images with many levels: until then samples
    are of codes that no item has.

    Args:
        spec: what x is: images or vectors, discrete or continuous; with a condition, p(x | condition).
        latent: coordinates of a code z.
        network: encoder and decoder: dense (fully connected), conv (strided convolutions, for images), or auto: conv
            from 32×32 on, dense below.
        likelihood: p(x|z): bernoulli, continuous-bernoulli, categorical, gaussian or logistic-mixture; without it the
            one that suits the grid.
        prior: p(z): learned-gaussian, gaussian (N(0, I)), laplace, bernoulli, categorical, mixture or vampprior.
        objective: what is maximised: elbo, iwae or dreg.
    """

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 20,
        network: Network = Auto(dropout=0.1),  # noqa: B008 (parts are immutable)
        likelihood: Likelihood | None = None,
        prior: Prior = LearnedGaussianPrior(),  # noqa: B008
        objective: Objective = ELBO(),  # noqa: B008
    ) -> None:
        super().__init__(spec)
        if latent < 1:
            raise UsageError(f"a code has at least one coordinate: latent cannot be {latent}")
        self.latent, self.objective = latent, objective
        self.likelihood = (likelihood or default_likelihood(spec)).build(spec)
        self.codes = prior.build(spec, latent)
        objective.check(self.codes)
        self.encoder = Encoder(spec, latent * self.codes.parameters_each, network)
        self.decoder = Decoder(spec, self.codes.numbers, self.likelihood.parameters, network)

    def encode(self, x: Tensor, condition: ConditionLike | None = None) -> Posterior:
        """q(z|x), codes (N, latent), or (N, latent, categories)."""
        return self._posterior(self.encoder(x, self.conditioned(condition, len(x))))

    def _posterior(self, raw: Tensor) -> Posterior:
        return self.codes.posterior(raw.unflatten(1, (self.codes.latent, self.codes.parameters_each)))

    def prior(self, n: int, condition: ConditionLike | None = None) -> Distribution:
        """p(z), whatever the condition, codes (n, latent) or (n, latent, categories)."""
        return self.codes(n, next(self.decoder.parameters()).detach(), self._of_pseudo_inputs)

    def _of_pseudo_inputs(self, x: Tensor) -> Posterior:
        return self._posterior(self.encoder.from_centred(x, self.conditioned(None, len(x))))

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> Distribution:
        """p(x|z), x (N, *shape)."""
        return self.likelihood(self.decoder(z, self.conditioned(condition, len(z))))

    def chunk(self) -> int:
        """Items decoded at a time: so many that encoding the pseudo-inputs each time costs little."""
        return max(super().chunk(), 4 * self.codes.pseudo_input_count)

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        return self.objective.terms(self, turn)
