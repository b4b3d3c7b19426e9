"""The running average of the weights: what is saved, sampled and scored."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from simulacra.model import Model


class AveragedModel:
    """θ̄ <- θ̄ + (1 - d_t)(θ - θ̄) with d_t = min(decay, (1 + t) / (10 + t)), so that the first steps are soon forgotten.

    Only the modules that `Model.averaged` names are averaged: a critic that helps a generator to learn is not. Their
    floating buffers (the running statistics of batch norm) are averaged in the same way, so that they belong to the
    averaged weights. Everything else is copied from the model when the copy is read.

    averaged: the averaged tensors by name.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay = decay
        self._model = copy.deepcopy(model).eval().requires_grad_(False)
        ours, theirs, saved = _named(self._model), _named(model), model.state_dict().keys()
        chosen = {tensor for module in model.averaged() for tensor in _named(module).values()}
        kept = [name for name, tensor in theirs.items() if tensor in chosen and tensor.is_floating_point()]
        self.averaged = {name: ours[name] for name in kept if name in saved}
        self._sources = [theirs[name] for name in self.averaged]
        self._copied = [(ours[name], theirs[name]) for name in ours if name not in self.averaged]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After step number `step` (from 0)."""
        if not self.averaged:
            return
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            list(self.averaged.values()), [tensor.detach() for tensor in self._sources], weight
        )

    @property
    def model(self) -> Model:
        """The model with its averaged weights, of now."""
        with torch.no_grad():
            for mine, other in self._copied:
                mine.copy_(other)
        return self._model


def _named(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, each once."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}
