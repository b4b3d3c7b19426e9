"""A classifier on the codes of an encoder, trained together with it by the labels alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.capabilities import Encoder
from simulacra.data import DataSpec
from simulacra.distributions import grid_dtype
from simulacra.model import Model, evaluating
from simulacra.turns import Phase, Turn


class Supervised(Model):
    """q(y|x) = softmax(W μ(x) + b) with μ(x) the mean of q(z|x); the whole encoder is trained too."""

    def __init__(self, spec: DataSpec, encoder: Model) -> None:
        super().__init__(spec)
        ((self.field, label),) = spec.classes("a classifier").items()
        self.encoder = encoder
        nothing = torch.zeros(1, *spec.shape, device=encoder.device, dtype=grid_dtype(spec.levels))
        with evaluating(encoder):
            size = self._means(nothing).shape[1]
        self.head = nn.Linear(size, label.count, device=encoder.device)

    def _means(self, x: Tensor) -> Tensor:
        assert isinstance(self.encoder, Encoder)
        return self.encoder.encode(x).mean.flatten(1).float()

    def log_class_probs(self, x: Tensor) -> Tensor:
        """log q(y|x), (N, classes)."""
        return self.head(self._means(x)).log_softmax(1)

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        return {"cross-entropy": F.nll_loss(self.log_class_probs(turn.x), turn.condition[self.field])}
