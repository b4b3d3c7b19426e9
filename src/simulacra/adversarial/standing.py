r"""Standing statistics: batch norms of a generator whose moments are those of the codes that it is sampled with.

    μ_l = E_z mean h_l(z),   σ²_l = E_z var h_l(z),     h_l: what reaches norm l when all norms use their batch

Averages that ran along with training are of other codes where these are truncated, and of other weights. The average θ̄
of weights that jitter by δ around it has activations of a smaller variance: E|h_θ|² = |h_θ̄|² + E|h_δ|² for a linear
map, so that running averages of σ² are somewhat large for θ̄. That hardly matters for the decays of `fit`, which
therefore keeps them: they need no codes, no conditions and no passes of their own.
Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", appendices A and E.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm


def restated(generator: nn.Module, batches: Iterable[tuple[Tensor, Any]]) -> nn.Module:
    """A copy of the generator whose batch norms have the statistics of these batches of codes and conditions."""
    other = copy.deepcopy(generator)
    restate(other, batches)
    return other


@torch.no_grad()
def restate(generator: nn.Module, batches: Iterable[tuple[Tensor, Any]]) -> None:
    """Put means over these batches of codes and conditions in the place of the running statistics of every batch norm.

    Nothing else of the generator changes, nor its mode.
    """
    norms = [module for module in generator.modules() if isinstance(module, BatchNorm)]
    before = [(norm.momentum, norm.training) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum, norm.training = None, True  # None: the plain mean of all batches
    for z, condition in batches:
        generator(z, condition)
    for norm, (momentum, training) in zip(norms, before, strict=True):
        norm.momentum, norm.training = momentum, training
