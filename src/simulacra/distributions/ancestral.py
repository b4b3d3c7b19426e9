"""Codes in layers, each of which knows those before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Generator, Tensor

from simulacra.distributions.base import Distribution, Factorised

Choose = Callable[[Factorised], Tensor]
Walk = Callable[[Sequence[Tensor], Choose], None]


class Ancestral(Distribution):
    """p(z) = Π_l p(z_l | z_<l); z (N, D) are all layers, each flattened, one after the other.

    `walk(context, choose)` goes through the layers: it calls `choose(p_l)` with p(z_l | z_<l), takes what comes back
    for z_l and goes on. `context` are the tensors that all layers are conditioned on, with the items first.
    """

    def __init__(self, walk: Walk, context: Sequence[Tensor]) -> None:
        self.walk, self.context = walk, list(context)

    def log_prob(self, x: Tensor) -> Tensor:
        used, nats = 0, x.new_zeros(len(x))

        def choose(p: Factorised) -> Tensor:
            nonlocal used, nats
            shape = p.mean.shape[1:]
            layer = x[:, used : used + shape.numel()].unflatten(1, shape)
            used, nats = used + shape.numel(), nats + p.log_prob(layer)
            return layer

        self.walk(self.context, choose)
        return nats

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        return self._gather(lambda p: p.sample(generator, temperature))

    def reparameterised(self) -> Tensor:
        return self._gather(lambda p: p.reparameterised())

    @property
    def mean(self) -> Tensor:
        """Every layer at its mean, given that those before it are at theirs: not E[z], but one typical code."""
        return self._gather(lambda p: p.mean)

    @property
    def mode(self) -> Tensor:
        """Every layer at its mode, given that those before it are at theirs."""
        return self._gather(lambda p: p.mode)

    def _gather(self, choose: Choose) -> Tensor:
        layers: list[Tensor] = []

        def keep(p: Factorised) -> Tensor:
            layers.append(choose(p))
            return layers[-1]

        self.walk(self.context, keep)
        return torch.cat([layer.flatten(1) for layer in layers], dim=1)

    def _with(self, change: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(self.walk, [change(tensor) for tensor in self.context])
