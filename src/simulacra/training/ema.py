"""The running average of the weights: what is saved, sampled and scored."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from simulacra.model import Model


class AveragedModel:
    """θ̄ <- θ̄ + (1 - d_t)(θ - θ̄) with d_t = min(decay, (1 + t) / (10 + t)), so that the first steps are soon forgotten.

    Floating buffers (the running statistics of batch norm) are averaged in the same way, so that they belong to the
    averaged weights; integer ones are copied.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        pairs = [(ours, theirs) for ours, theirs in zip(_tensors(self.model), _tensors(model), strict=True)]
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._copied = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After step number `step` (from 0)."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        ours, theirs = zip(*self._averaged, strict=True)
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            ours, [tensor.detach() for tensor in theirs], weight
        )
        for mine, other in self._copied:
            mine.copy_(other)


def _tensors(model: Model) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
