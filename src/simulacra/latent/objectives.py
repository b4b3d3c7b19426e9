r"""What a variational autoencoder maximises. An objective returns named terms, means over items, to be minimised.

ELBO    E_q[log p(x|z)] - β KL(q||p); β != 1, the warm-up of the KL and free bits change training and never a score.
IWAE    log 1/K Σ_k w_k, with gradients through the draws (Burda et al. 2016, section 3).
DReG    the same bound; the encoder's gradient is E[Σ_k w̃_k² ∂log w_k/∂z_k ∂z_k/∂φ] with w̃ the normalised weights,
        whose variance does not grow with K (Tucker et al. 2019, "Doubly Reparameterized Gradient Estimators").
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from simulacra.distributions import Distribution, kl_divergence, kl_each
from simulacra.errors import UsageError
from simulacra.latent.bound import LatentVariable
from simulacra.latent.priors import CodePrior
from simulacra.parts import called, kind, part, within
from simulacra.turns import Turn


@kind("objective")
class Objective(Protocol):
    """What is maximised of a model with an encoder, a prior and a decoder."""

    def terms(self, model: LatentVariable, turn: Turn) -> dict[str, Tensor]:
        """Named scalars whose sum is minimised."""
        ...

    def check(self, prior: CodePrior) -> None:
        """Raise UsageError, with the reason, for a prior for which it is not defined."""
        ...


def warm_up(step: int, steps: int) -> float:
    """Rises from 1/steps in step 0 to 1 in the last of so many steps; it is 1 afterwards, and for steps = 0."""
    return min(1.0, (step + 1) / steps) if steps else 1.0


@part("objective", "elbo")
class ELBO:
    """E_q[log p(x|z)] - β KL(q||p).

    Attributes:
        beta: weight of the KL; every bound that is reported has beta = 1.
        warmup: steps over which this weight rises from 0.
        free_bits: nats of every coordinate's KL, on average over the batch, that cost nothing (Kingma et al. 2016,
            "Improved Variational Inference with Inverse Autoregressive Flow", eq. 15).
    """

    beta: float = 1.0
    warmup: int = 0
    free_bits: float = 0.0

    def __post_init__(self) -> None:
        within(0, beta=self.beta, warmup=self.warmup, free_bits=self.free_bits)

    def check(self, prior: CodePrior) -> None:
        if self.free_bits and not prior.per_coordinate:
            raise UsageError("free bits are counted per coordinate, but a mixture gives one KL for the whole code")

    def terms(self, model: LatentVariable, turn: Turn) -> dict[str, Tensor]:
        q = model.encode(turn.x, turn.condition)
        z = q.reparameterised()
        reconstruction = model.decode(z, turn.condition).log_prob(turn.x).mean()
        kl = self._kl(q, model.prior(len(turn), turn.condition), z)
        return {"reconstruction": -reconstruction, "kl": self.beta * warm_up(turn.step, self.warmup) * kl}

    def _kl(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        if not self.free_bits:
            return kl_divergence(q, p, z).mean()
        each = kl_each(q, p)
        assert each is not None
        return each.mean(0).clamp(min=self.free_bits).sum()


class _Weighted:
    """What the importance-weighted objectives have in common."""

    draws: int

    def __post_init__(self) -> None:
        within(2, draws=self.draws)

    def check(self, prior: CodePrior) -> None:
        if not prior.reparameterised:
            raise UsageError(
                f"objective {called(self)[1]!r} needs gradients through unrelaxed draws, and discrete codes have only "
                "relaxed ones, with which it is no bound; use --objective elbo"
            )


@part("objective", "iwae")
class IWAE(_Weighted):
    """log 1/K Σ_k w_k, with gradients through the draws.

    Attributes:
        draws: K, codes that are weighed for each item, at least 2: with one it is the ELBO.
    """

    draws: int = 5

    def terms(self, model: LatentVariable, turn: Turn) -> dict[str, Tensor]:
        q = model.encode(turn.x, turn.condition).repeat(self.draws)
        log_w = model.log_weights_at(q.reparameterised(), q, turn.x, turn.condition)
        return {"iwae": (math.log(self.draws) - torch.logsumexp(log_w, dim=0)).mean()}


@part("objective", "dreg")
class DReG(_Weighted):
    """The same bound, with the doubly reparameterised gradient of the encoder.

    Attributes:
        draws: K, codes that are weighed for each item, at least 2: with one it is the ELBO.
    """

    draws: int = 5

    def terms(self, model: LatentVariable, turn: Turn) -> dict[str, Tensor]:
        q = model.encode(turn.x, turn.condition).repeat(self.draws)
        z = q.reparameterised()
        log_w = model.log_weights_at(z, q.detached(), turn.x, turn.condition)
        share = log_w.detach().softmax(dim=0)
        if z.requires_grad:
            # the weighted sum below gives z the gradient w̃ ∂log w/∂z; the encoder's has the square of w̃
            shares = share.flatten().view(-1, *[1] * (z.dim() - 1))
            z.register_hook(lambda gradient: gradient * shares)  # a hook that held z itself would keep it for ever
        bound = torch.logsumexp(log_w.detach(), dim=0) - math.log(self.draws)
        weighted = (share * log_w).sum(0)
        return {"iwae": (weighted.detach() - weighted - bound).mean()}
