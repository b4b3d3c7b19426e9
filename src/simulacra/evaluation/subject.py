"""What is measured: a model on a split. What several metrics share is computed when the first asks for it, and kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from simulacra.capabilities import Encoder, Sampler, need
from simulacra.data import ClassLabel, Dataset, Split
from simulacra.evaluation import fidelity
from simulacra.evaluation.likelihood import Score, score
from simulacra.evaluation.memorisation import Neighbours, nearest_items
from simulacra.evaluation.representation import Encoded, encoded
from simulacra.feed import feed
from simulacra.model import Model, evaluating
from simulacra.randomness import generator, some_of

LARGEST = 2000  # samples and held-out items compared
DRAWN_AT_ONCE = 250


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, a split of data that it is measured on, and the seed of all that is drawn for that.

    Attributes:
        draws: of the importance-weighted bound.
    """

    model: Model
    data: Dataset
    split: str = "test"
    seed: int = 0
    draws: int = 1

    @property
    def items(self) -> Split:
        """All items of the split."""
        return self.data.split(self.split)

    @cached_property
    def labels(self) -> list[str]:
        """The fields of class labels that the model is not conditioned on."""
        fields = self.data.spec.condition.items()
        return [name for name, own in fields if isinstance(own, ClassLabel) and name not in self.model.spec.condition]

    @cached_property
    def score(self) -> Score:
        """Of the whole split; raises NotSupported for a model without a likelihood."""
        return score(self.model, self.data, self.split, self.draws, seed=self.seed)

    @cached_property
    def index(self) -> np.ndarray:
        """The numbers (n,) of the held-out items that samples are compared with: all, or 2,000 drawn by the seed."""
        most = min(LARGEST, len(self.items), len(self.data.train))
        return some_of(len(self.items), most, self.seed, "evaluate")

    @property
    def n(self) -> int:
        """Samples, and held-out items."""
        return len(self.index)

    @property
    def which(self) -> str:
        """Which held-out items these are, for a protocol."""
        if self.n == len(self.items):
            return f"all {self.n} {self.split} items"
        return f"{self.n} of {len(self.items)} {self.split} items, drawn by seed {self.seed}"

    @cached_property
    def held_out(self) -> np.ndarray:
        """(n, *shape) on the grid."""
        return np.asarray(self.items.x[self.index])

    @cached_property
    def samples(self) -> np.ndarray:
        """(n, *shape) on the grid, under the conditions of the held-out items; raises NotSupported without a sampler.

        They are drawn in blocks of 250 items, each from noise of its own.
        """
        sampler, drawn = need(self.model, Sampler), []
        for start in range(0, self.n, DRAWN_AT_ONCE):
            part = self.index[start : start + DRAWN_AT_ONCE]
            _, condition = feed(self.items, part, self.model.spec, self.model.device)
            noise = generator(self.model.device, self.seed, "evaluate", start)
            with evaluating(self.model):
                drawn.append(sampler.sample(len(part), condition, generator=noise).cpu().numpy())
        return np.concatenate(drawn)

    @cached_property
    def features(self) -> fidelity.PixelPCA:
        """Principal components of the training pixels, as many as n items can support."""
        components = fidelity.components_for(self.n, self.data.spec.dims)
        return fidelity.PixelPCA.fit(self.data.train.x, self.data.spec.levels, components)

    @cached_property
    def neighbours(self) -> Neighbours:
        """Of each sample its nearest training item."""
        return nearest_items(self.samples, self.data.train.x, self.data.spec.levels)

    @cached_property
    def codes(self) -> tuple[Encoded, Encoded]:
        """Codes and labels of training items, and of items of the split; raises NotSupported without an encoder."""
        need(self.model, Encoder)
        return encoded(self.model, self.data, self.split, self.labels, self.seed)
