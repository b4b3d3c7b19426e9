"""The other way to train: one pass over the training split, for a model in closed form.

It has the face of the loop and the pass is its only step, so that a run is a run however its model is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from simulacra.capabilities import ClosedForm
from simulacra.errors import TrainingError
from simulacra.model import Model
from simulacra.training.batches import Batches


class OnePass:
    """A model that is estimated by its one `step`. Every rank of a distributed run makes the whole pass by itself."""

    def __init__(self, model: Model) -> None:
        self.fitted = model.eval()
        self.steps = 0
        self.norms: dict[str, Tensor] = {}  # no gradients
        self.drawn = torch.zeros((), dtype=torch.int64)  # it reads no batch twice and no part of the split

    def step(self, batches: Batches, done: float) -> dict[str, Tensor]:
        assert isinstance(self.fitted, ClosedForm)
        self.fitted.estimate(batches.once())
        self.steps += 1
        return {}

    def check(self) -> None:
        """There is no loss that could have failed."""

    def judges(self, done: float) -> bool:
        """After the pass the model is what it will be."""
        return True

    def refuse_unless_finite(self) -> None:
        for name, tensor in self.fitted.state_dict().items():
            if not torch.isfinite(tensor).all():
                raise TrainingError(f"the estimate of {name!r} is not finite; nothing was saved of it")

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint must hold beside the step number."""
        return {f"model.{name}": tensor for name, tensor in self.fitted.state_dict().items()}

    @torch.no_grad()
    def restore(self, steps: int, tensors: Mapping[str, Tensor]) -> None:
        """Continue after step number `steps`."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])
        self.steps = steps
