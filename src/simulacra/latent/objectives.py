r"""What a variational autoencoder maximises. Every objective says what is reported: named terms, per item, to minimise.

ELBO    E_q[log p(x|z)] - β KL(q||p); β != 1, the warm-up of the KL and free bits change training and never a score.
IWAE    log 1/K Σ_k w_k, with gradients through the draws (Burda et al. 2016, section 3).
DReG    the same bound; the encoder's gradient is E[Σ_k w̃_k² ∂log w_k/∂z_k ∂z_k/∂φ] with w̃ the normalised weights,
        which has no more noise as K grows (Tucker et al. 2019, "Doubly Reparameterized Gradient Estimators").
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from simulacra.capabilities import Condition
from simulacra.distributions import Distribution, kl_divergence, kl_each
from simulacra.errors import UsageError, did_you_mean
from simulacra.latent.bound import LatentVariable
from simulacra.latent.priors import FairCoins, FairDice, LearnedMixture, Prior, VampPrior

DRAWS = 5  # of an importance-weighted objective


def warm_up(step: int, steps: int) -> float:
    """Rises from 1/steps in step 0 to 1 in the last of so many steps; it is 1 ever after, and where there are none."""
    return min(1.0, (step + 1) / steps) if steps else 1.0


class Objective(ABC):
    @abstractmethod
    def terms(self, model: LatentVariable, x: Tensor, given: Condition, warmth: float) -> dict[str, Tensor]:
        """Named scalars whose sum is minimised; `warmth`, from 0 to 1, is how far the KL's warm-up has come."""


@dataclass(frozen=True)
class ELBO(Objective):
    """beta: weight of the KL. free_bits: nats of every coordinate, on average over the batch, that cost nothing
    (Kingma et al. 2016, "Improved Variational Inference with Inverse Autoregressive Flow", eq. 15)."""

    beta: float
    free_bits: float

    def terms(self, model: LatentVariable, x: Tensor, given: Condition, warmth: float) -> dict[str, Tensor]:
        q = model.encode(x, given)
        z = q.reparameterised()
        reconstruction = model.decode(z, given).log_prob(x).mean()
        kl = self._kl(q, model.prior(len(x), given), z)
        return {"reconstruction": -reconstruction, "kl": self.beta * warmth * kl}

    def _kl(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        if not self.free_bits:
            return kl_divergence(q, p, z).mean()
        each = kl_each(q, p)
        assert each is not None
        return each.mean(0).clamp(min=self.free_bits).sum()


@dataclass(frozen=True)
class IWAE(Objective):
    draws: int

    def terms(self, model: LatentVariable, x: Tensor, given: Condition, warmth: float) -> dict[str, Tensor]:
        q = model.encode(x, given).repeat(self.draws)
        log_w = model.log_weights_at(q.reparameterised(), q, x, given)
        return {"iwae": (math.log(self.draws) - torch.logsumexp(log_w, dim=0)).mean()}


@dataclass(frozen=True)
class DReG(Objective):
    draws: int

    def terms(self, model: LatentVariable, x: Tensor, given: Condition, warmth: float) -> dict[str, Tensor]:
        q = model.encode(x, given).repeat(self.draws)
        z = q.reparameterised()
        log_w = model.log_weights_at(z, q.detached(), x, given)
        share = log_w.detach().softmax(dim=0)
        if z.requires_grad:
            # the weighted sum below gives z the gradient w̃ ∂log w/∂z; the encoder's has the square of w̃
            shares = share.flatten().view(-1, *[1] * (z.dim() - 1))
            z.register_hook(lambda gradient: gradient * shares)  # a hook that held z itself would keep it for ever
        bound = torch.logsumexp(log_w.detach(), dim=0) - math.log(self.draws)
        weighted = (share * log_w).sum(0)
        return {"iwae": (weighted.detach() - weighted - bound).mean()}


OBJECTIVES = ("elbo", "iwae", "dreg")


def objective(name: str, prior: Prior, beta: float, kl_warmup: int, free_bits: float, draws: int | None) -> Objective:
    """The objective called `name`; raises UsageError for a combination that makes no sense, with the reason."""
    if name not in OBJECTIVES:
        raise UsageError(f"there is no objective {name!r}.{did_you_mean(name, OBJECTIVES)}")
    if beta < 0 or kl_warmup < 0 or free_bits < 0:
        raise UsageError("beta, kl_warmup and free_bits cannot be negative")
    if name == "elbo":
        if draws is not None:
            raise UsageError(f"draws = {draws} belongs to an importance-weighted objective: add --objective iwae")
        if free_bits and isinstance(prior, LearnedMixture | VampPrior):
            raise UsageError("free bits are counted per coordinate, but a mixture gives one KL for the whole code")
        return ELBO(beta, free_bits)
    if beta != 1 or kl_warmup or free_bits:
        raise UsageError(f"objective {name!r} has no KL term that beta, kl_warmup or free_bits could weigh")
    if isinstance(prior, FairCoins | FairDice):
        raise UsageError(
            f"objective {name!r} needs gradients through true draws, and discrete codes have only relaxed ones, "
            "with which it bounds nothing; use --objective elbo"
        )
    if draws is not None and draws < 2:
        raise UsageError(f"objective {name!r} needs draws >= 2, not {draws}; with one draw it is the ELBO")
    return IWAE(draws or DRAWS) if name == "iwae" else DReG(draws or DRAWS)
