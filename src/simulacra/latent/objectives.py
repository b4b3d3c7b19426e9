r"""What a variational autoencoder maximises. An objective returns named terms, means over items, to be minimised.

ELBO    E_q[log p(x|z)] - β KL(q||p); β != 1, the warm-up of the KL and free bits change training and never a score.
        Free bits are counted on the parts that the KL has: the coordinates of a code, the layers of a ladder.
IWAE    log 1/K Σ_k w_k, with gradients through the draws (Burda et al. 2016, section 3).
DReG    the same bound; the encoder's gradient is E[Σ_k w̃_k² ∂log w_k/∂z_k ∂z_k/∂φ] with w̃ the normalised weights,
        whose variance does not grow with K (Tucker et al. 2019, "Doubly Reparameterized Gradient Estimators").
"""

from __future__ import annotations

import math
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from simulacra import whole
from simulacra.errors import UsageError
from simulacra.latent.bound import LatentVariable
from simulacra.parts import called, kind, part, within
from simulacra.turns import Turn


class Codes(Protocol):
    """What an objective needs to know of q(z|x) and p(z).

    Attributes:
        per_coordinate: whether their KL is a sum of parts in closed form.
        reparameterised: whether unrelaxed draws of q have gradients.
        separate: whether q has no parameters but those that the encoder returns for each item.
    """

    per_coordinate: bool
    reparameterised: bool
    separate: bool


@kind("objective")
class Objective(Protocol):
    """What is maximised of a model with an encoder, a prior and a decoder."""

    def terms(self, model: LatentVariable, turn: Turn) -> dict[str, Tensor]:
        """Named scalars whose sum is minimised."""
        ...

    def check(self, codes: Codes) -> None:
        """Raise UsageError, with the reason, for codes for which it is not defined."""
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
        free_bits: nats of every part of the KL, on average over the batch, that cost nothing: of a coordinate's, or of
            a layer's of ladder-vae (Kingma et al. 2016, "Improved Variational Inference with Inverse Autoregressive
            Flow", eq. 15).
    """

    beta: float = 1.0
    warmup: int = 0
    free_bits: float = 0.0

    def __post_init__(self) -> None:
        within(0, beta=self.beta, warmup=self.warmup, free_bits=self.free_bits)

    def check(self, codes: Codes) -> None:
        if self.free_bits and not codes.per_coordinate:
            raise UsageError("free bits are counted per coordinate, but a mixture gives one KL for the whole code")

    def terms(self, model: LatentVariable, turn: Turn) -> dict[str, Tensor]:
        reconstruction, parts = model.elbo_terms(turn.x, turn.condition, relaxed=True)
        each = whole.mean(parts.mean(0)) if self.free_bits else parts.flatten(1).sum(1).mean()
        costly = each.clamp(min=self.free_bits).sum() if self.free_bits else each
        kl = self.beta * warm_up(turn.step, self.warmup) * costly
        return {"reconstruction": -reconstruction.mean(), "kl": kl}


class _Weighted:
    """What the importance-weighted objectives have in common."""

    draws: int
    detaches: ClassVar[bool] = False  # whether the parameters of q are detached, and not those of p

    def __post_init__(self) -> None:
        within(2, draws=self.draws)

    def check(self, codes: Codes) -> None:
        name = called(self)[1]
        if not codes.reparameterised:
            raise UsageError(
                f"objective {name!r} needs gradients through unrelaxed draws, and discrete codes have only "
                "relaxed ones, with which it is no bound; use --objective elbo"
            )
        if self.detaches and not codes.separate:
            raise UsageError(
                f"objective {name!r} needs a q(z|x) that shares no layer with p(z), and here both run through the same "
                "ones; use --objective iwae"
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
        log_w = model.log_weights_of(q, turn.x, turn.condition)
        return {"iwae": (math.log(self.draws) - torch.logsumexp(log_w, dim=0)).mean()}


@part("objective", "dreg")
class DReG(_Weighted):
    """The same bound, with the doubly reparameterised gradient of the encoder.

    Attributes:
        draws: K, codes that are weighed for each item, at least 2: with one it is the ELBO.
    """

    draws: int = 5
    detaches: ClassVar[bool] = True

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
