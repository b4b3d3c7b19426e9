r"""Discrete codes, as real numbers 0 and 1 that a decoder can read, and their relaxations, which have gradients.

A relaxed draw lies between the codes and comes as near to them as the relaxation is small:

    z = softmax((logits + Gumbel noise) / τ)  ->  a one-hot draw of softmax(logits)  as  τ -> 0.

Maddison et al. 2017, "The Concrete Distribution"; Jang et al. 2017, "Categorical Reparameterization with
Gumbel-Softmax". A bound is only a bound with true draws: relaxed ones are for training.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from simulacra import whole
from simulacra.distributions.base import Distribution, Factorised, at_least_float32, uniform


class BinaryCode(Factorised):
    """p(z_d = 1) = sigmoid(logits), codes (N, D) of 0.0 and 1.0."""

    def __init__(self, logits: Tensor, relaxation: float = 0.5) -> None:
        self.logits, self.relaxation = at_least_float32(logits), relaxation

    @property
    def mean(self) -> Tensor:
        return self.logits.sigmoid()

    @property
    def mode(self) -> Tensor:
        return (self.logits > 0).to(self.logits.dtype)

    @property
    def deviations(self) -> Tensor:
        return (self.mean * (1 - self.mean)).sqrt()

    @property
    def values(self) -> int:
        return 2

    def log_each(self, x: Tensor) -> Tensor:
        return -F.binary_cross_entropy_with_logits(self.logits, x.to(self.logits.dtype), reduction="none")

    def quantile(self, u: Tensor, temperature: float = 1.0) -> Tensor:
        return (u >= torch.sigmoid(self.logits / -temperature)).to(self.logits.dtype)

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        return self.quantile(uniform(self.logits, generator), temperature)

    def reparameterised(self) -> Tensor:
        u = uniform(self.logits, None).clamp(1e-6, 1 - 1e-6)
        return torch.sigmoid((self.logits + torch.logit(u)) / self.relaxation)


class OneHotCode(Distribution):
    """p(z_d = e_k) = softmax(logits_d)_k, codes (N, D, K) with one 1.0 in every row."""

    def __init__(self, logits: Tensor, relaxation: float = 0.5) -> None:
        self.log_masses, self.relaxation = at_least_float32(logits).log_softmax(-1), relaxation

    @property
    def mean(self) -> Tensor:
        return self.log_masses.exp()

    @property
    def mode(self) -> Tensor:
        """The 1 at the most probable place of every row, the first of equals."""
        return F.one_hot(self.log_masses.argmax(-1), self.values).to(self.log_masses.dtype)

    @property
    def deviations(self) -> Tensor:
        return (self.mean * (1 - self.mean)).sqrt()

    @property
    def values(self) -> int:
        return self.log_masses.shape[-1]

    def log_prob(self, x: Tensor) -> Tensor:
        return (x * self.log_masses).flatten(1).sum(1)

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        masses = torch.softmax(self.log_masses / temperature, dim=-1)
        u = uniform(masses[..., 0], generator).unsqueeze(-1)
        chosen = (masses.cumsum(-1) <= u).sum(-1).clamp(max=masses.shape[-1] - 1)
        return F.one_hot(chosen, masses.shape[-1]).to(masses.dtype)

    def reparameterised(self) -> Tensor:
        like = self.log_masses
        shape, kind = like.shape[1:], {"device": like.device, "dtype": like.dtype}
        exponential = whole.drawn(
            len(like), lambda n, own: torch.empty(n, *shape, **kind).exponential_(generator=own), like.device
        )
        gumbel = -exponential.log()
        return torch.softmax((self.log_masses + gumbel) / self.relaxation, dim=-1)
