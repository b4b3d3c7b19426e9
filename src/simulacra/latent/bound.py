r"""What all models with latent codes share: p(x) = ∫ p(x|z) p(z) dz, bounded from below through an encoder q(z|x).

    w_k = p(x|z_k) p(z_k) / q(z_k|x),  z_k ~ q(z|x):   E[w] = p(x)  and, by Jensen,  E[log 1/K Σ_k w_k] <= log p(x).

K = 1 is the ELBO; the bound rises to log p(x) with K. Kingma & Welling 2014, "Auto-Encoding Variational Bayes", eq. 2;
Burda et al. 2016, "Importance Weighted Autoencoders", eq. 8 and theorem 1.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from simulacra.condition import Condition, ConditionLike
from simulacra.directed import ancestral
from simulacra.distributions import Distribution, kl_each
from simulacra.model import Model

CHUNK = 256  # decoded items at a time: memory stays flat in K, and a decoder's outputs stay in the cache of a CPU
PARALLEL = 64  # times as many on any other device


class LatentVariable(Model):
    """Abstract; a subclass writes `encode`, `prior` and `decode`, whose distributions are all that is needed here."""

    sample = ancestral

    @abstractmethod
    def encode(self, x: Tensor, condition: ConditionLike | None = None) -> Distribution:
        """q(z|x), codes (N, ...)."""

    @abstractmethod
    def prior(self, n: int, condition: ConditionLike | None = None) -> Distribution:
        """p(z), codes (n, ...)."""

    @abstractmethod
    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> Distribution:
        """p(x|z), x (N, *shape)."""

    def elbo(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """E_q[log p(x|z)] - KL(q||p), (N,) nats, from one unrelaxed draw of z; the KL in closed form if it has one."""
        reconstruction, kl = self.elbo_terms(x, condition)
        return reconstruction - kl.flatten(1).sum(1)

    def elbo_terms(
        self, x: Tensor, condition: ConditionLike | None = None, relaxed: bool = False
    ) -> tuple[Tensor, Tensor]:
        """log p(x|z), (N,) nats, at one draw of z, and KL(q||p) in its parts, (N, ...): that of each coordinate where
        there is a closed form, else one. A `relaxed` draw has gradients for discrete codes too, and gives no bound."""
        q, p = self.encode(x, condition), self.prior(len(x), condition)
        z = q.reparameterised() if relaxed else q.sample()
        kl = kl_each(q, p)
        return self.decode(z, condition).log_prob(x), (q.log_prob(z) - p.log_prob(z))[:, None] if kl is None else kl

    def log_weights(self, x: Tensor, condition: ConditionLike | None = None, samples: int = 1) -> Tensor:
        """log w_k of `samples` draws, (samples, N) nats; few of them are decoded at a time, whatever their number."""
        condition = self.conditioned(condition, len(x))
        q, at_once = self.encode(x, condition), max(1, self.chunk() // max(1, len(x)))
        counts = [min(at_once, samples - k) for k in range(0, samples, at_once)]
        return torch.cat([self.log_weights_of(q.repeat(count), x, condition) for count in counts])

    def log_weights_of(self, q: Distribution, x: Tensor, condition: Condition) -> Tensor:
        """The same for fresh draws of q, which is repeated K times over all items, (K, N) nats."""
        return self.log_weights_at(q.sample(), q, x, condition)

    def log_weights_at(self, z: Tensor, q: Distribution, x: Tensor, condition: Condition) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x), codes (K · N, ...) of q -> (K, N) nats."""
        times = len(z) // len(x)
        repeated = condition.repeat(times)
        likelihood = self.decode(z, repeated).log_prob(x.repeat(times, *[1] * len(self.spec.shape)))
        prior = self.prior(len(z), repeated).log_prob(z)
        return (likelihood + prior - q.log_prob(z)).view(times, len(x))

    def log_prob_bound(self, x: Tensor, condition: ConditionLike | None = None, samples: int = 1) -> Tensor:
        """log 1/K Σ_k w_k with K = samples draws, (N,) nats."""
        return torch.logsumexp(self.log_weights(x, condition, samples), dim=0) - math.log(samples)

    def chunk(self) -> int:
        """How many items are decoded at a time for the bound."""
        return CHUNK * (1 if self.device.type == "cpu" else PARALLEL)
