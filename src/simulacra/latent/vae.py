r"""The variational autoencoder: p(x) = ∫ p(x|z) p(z) dz, learned together with an encoder q(z|x) that inverts it,

    log p(x) >= E_q[log p(x|z)] - KL(q(z|x) || p(z)) = ELBO(x).

Kingma & Welling 2014, "Auto-Encoding Variational Bayes", eq. 3. Prior, likelihood, networks and objective are chosen by
arguments, since each is an object of its own: `latent.priors`, `.likelihoods`, `.networks`, `.objectives`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from simulacra.capabilities import Condition
from simulacra.data.spec import DataSpec
from simulacra.distributions import Distribution
from simulacra.errors import UsageError
from simulacra.latent import priors
from simulacra.latent.bound import LatentVariable
from simulacra.latent.likelihoods import likelihood as choose_likelihood
from simulacra.latent.networks import Decoder, Encoder
from simulacra.latent.objectives import objective as choose_objective
from simulacra.latent.objectives import warm_up
from simulacra.registry import register
from simulacra.turns import Phase, Turn


@register("vae", paper="Kingma & Welling 2014, Auto-Encoding Variational Bayes")
class VAE(LatentVariable):
    r"""log p(x) >= E_q[log p(x|z)] - KL(q(z|x) || p(z)); by default, on MNIST, the classic 784-400-20.

    Args:
        spec: what x is: images or vectors, discrete or continuous; with a condition field, p(x | label).
        latent: coordinates of a code z.
        network: dense (fully connected) or conv (strided convolutions, for images).
        hidden: units of a layer of a dense network.
        layers: hidden layers of a dense network.
        width: channels next to the image of a conv network; they double with every halving of its sides.
        dropout: share of the features dropped in training.
        likelihood: p(x|z): auto, bernoulli, continuous-bernoulli, categorical, gaussian or logistic-mixture.
        scale: fixes σ of a gaussian likelihood, on [-1, 1]; it is learned for every sub-pixel without it.
        prior: p(z): gaussian, laplace, bernoulli, categorical, mixture or vampprior.
        components: of a mixture or vampprior, 500 without it.
        categories: of a coordinate of a categorical prior, 10 without it.
        relaxation: temperature of the relaxed draws by which discrete codes are trained, 0.5 without it.
        objective: what is maximised: elbo, iwae or dreg.
        draws: codes that iwae and dreg weigh for each item, 5 without it.
        beta: weight of the KL term in training; every bound that is reported has beta = 1.
        kl_warmup: steps over which this weight rises from 0.
        free_bits: nats of every coordinate's KL that cost nothing in training.
    """

    defaults = {"learning_rate": 1e-3, "batch": 128, "steps": 4000}

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 20,
        network: Literal["dense", "conv"] = "dense",
        hidden: int = 400,
        layers: int = 1,
        width: int = 32,
        dropout: float = 0.1,
        likelihood: str = "auto",
        scale: float | None = None,
        prior: str = "gaussian",
        components: int | None = None,
        categories: int | None = None,
        relaxation: float | None = None,
        objective: Literal["elbo", "iwae", "dreg"] = "elbo",
        draws: int | None = None,
        beta: float = 1.0,
        kl_warmup: int = 0,
        free_bits: float = 0.0,
    ) -> None:
        super().__init__(spec)
        if latent < 1:
            raise UsageError(f"a code has at least one coordinate: latent cannot be {latent}")
        self.latent, self.kl_warmup = latent, kl_warmup
        self.likelihood = choose_likelihood(likelihood, spec, scale)
        self.codes = priors.prior(prior, spec, latent, components, categories, relaxation)
        self.objective = choose_objective(objective, self.codes, beta, kl_warmup, free_bits, draws)
        numbers = latent * self.codes.parameters_each
        self.encoder = Encoder(spec, numbers, network, hidden, layers, width, dropout)
        self.decoder = Decoder(
            spec, self.codes.numbers, self.likelihood.parameters, network, hidden, layers, width, dropout
        )

    def encode(self, x: Tensor, condition: Condition | None = None) -> priors.Posterior:
        """q(z|x), codes (N, latent), or (N, latent, categories)."""
        return self._posterior(self.encoder(x, self.conditioned(condition, len(x))))

    def _posterior(self, raw: Tensor) -> priors.Posterior:
        return self.codes.posterior(raw.unflatten(1, (self.codes.latent, self.codes.parameters_each)))

    def prior(self, n: int, condition: Condition | None = None) -> Distribution:
        """p(z), the same for all classes, codes (n, latent) or (n, latent, categories)."""
        return self.codes(n, next(self.decoder.parameters()).detach(), self._ask)

    def _ask(self, x: Tensor) -> priors.Posterior:
        return self._posterior(self.encoder.of_real(x, {}))

    def decode(self, z: Tensor, condition: Condition | None = None) -> Distribution:
        """p(x|z), x (N, *shape)."""
        return self.likelihood(self.decoder(z, self.conditioned(condition, len(z))))

    def chunk(self) -> int:
        """So many that what the prior asks the encoder each time hardly counts."""
        return max(super().chunk(), 4 * self.codes.asks)

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        warmth = warm_up(turn.step, self.kl_warmup)
        return self.objective.terms(self, turn.x, turn.condition, warmth)
