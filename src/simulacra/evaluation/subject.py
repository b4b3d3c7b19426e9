"""What is measured: a model on a split. What several metrics share is computed when the first asks for it, and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from simulacra.capabilities import Encoder, Sampler, need
from simulacra.data import ClassLabel, Dataset, Split
from simulacra.evaluation import fidelity
from simulacra.evaluation.convolutions import RandomConvolutions
from simulacra.evaluation.embedding import Embedded, Features, Projection
from simulacra.evaluation.given_features import GivenFeatures
from simulacra.evaluation.learned import Learned, learned
from simulacra.evaluation.likelihood import Score, score
from simulacra.evaluation.memorisation import Neighbours, nearest_items
from simulacra.evaluation.representation import Encoded, encoded
from simulacra.feed import feed
from simulacra.model import Model, evaluating
from simulacra.randomness import generator, some_of

T = TypeVar("T")

LARGEST = 2000  # samples and held-out items compared
POOL = 10_000  # training items that features are fitted to and floors are made of; a fourth for a quick look
DRAWN_AT_ONCE = 250


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, a split of data that it is measured on, and the seed of all that is drawn for that.

    Attributes:
        draws: of the importance-weighted bound.
        of: items that the split had before some of them were drawn for a quick look; None without one.
        file: of a TorchScript module whose features are looked at too.
    """

    model: Model
    data: Dataset
    split: str = "test"
    seed: int = 0
    draws: int = 1
    of: int | None = None
    file: Path | None = None

    @property
    def quick(self) -> bool:
        return self.of is not None

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
        if self.n == (self.of or len(self.items)):
            return f"all {self.n} {self.split} items"
        return f"{self.n} of {self.of or len(self.items)} {self.split} items, drawn by seed {self.seed}"

    @property
    def whole(self) -> str:
        """Which items of the split are looked at where all are meant, for a protocol."""
        some = f"{len(self.items)} of {self.of} {self.split} items, drawn by seed {self.seed} for a quick look"
        return some if self.of is not None and self.of > len(self.items) else f"whole {self.split} split"

    @cached_property
    def held_out(self) -> np.ndarray:
        """(n, *shape) on the grid."""
        return np.asarray(self.items.x[self.index])

    @cached_property
    def samples(self) -> np.ndarray:
        """(n, *shape) on the grid, under the conditions of the held-out items; raises NotSupported without a sampler.

        They are drawn in blocks of 250 items, each from noise of its own.
        """
        return self._drawn(0, self.n)

    def more_samples(self, n: int) -> np.ndarray:
        """(n, *shape): `samples`, and further ones under the conditions of the held-out items in turn."""
        if n <= self.n:
            return self.samples[:n]
        return np.concatenate([self.samples, self._drawn(self.n, n)])

    def _drawn(self, begin: int, end: int) -> np.ndarray:
        """Samples of these numbers, in blocks from the first one on."""
        return self.samples_under(self.index[np.arange(begin, end) % self.n], "evaluate", first=begin)

    def samples_under(self, numbers: np.ndarray, purpose: str, first: int = 0) -> np.ndarray:
        """(m, *shape) on the grid, under the conditions of the items of the split with these numbers (m,).

        The noise of a block of 250 is that of the seed, the purpose and the place of the block, counted from `first`.
        """
        sampler, drawn = need(self.model, Sampler), []
        for start in range(0, len(numbers), DRAWN_AT_ONCE):
            part = numbers[start : start + DRAWN_AT_ONCE]
            _, condition = feed(self.items, part, self.model.spec, self.model.device)
            noise = generator(self.model.device, self.seed, purpose, first + start)
            with evaluating(self.model):
                drawn.append(sampler.sample(len(part), condition, generator=noise).cpu().numpy())
        return np.concatenate(drawn)

    def shared(self, kind: Callable[[Subject], T]) -> T:
        """kind(subject), computed when a metric first needs it, and kept: what several metrics have in common."""
        if kind not in self._shared:
            self._shared[kind] = kind(self)
        return self._shared[kind]

    @cached_property
    def _shared(self) -> dict[Any, Any]:
        return {}

    @cached_property
    def pool(self) -> np.ndarray:
        """The numbers of the training items that stand for all of them: 10,000, or 2,500 for a quick look."""
        return some_of(len(self.data.train), POOL // 4 if self.quick else POOL, self.seed, "pool")

    @cached_property
    def learned(self) -> Learned | None:
        """The classifier of the training split and its features; None in a quick look and where there is none."""
        return None if self.quick else learned(self.data)

    @cached_property
    def in_learned(self) -> Embedded | None:
        """Real items and samples in the features of `learned`."""
        own = self.learned
        if own is None:
            return None
        if len(own.kept) >= self.n:
            return self._embedded(own, own.name, own.protocol, own.kept)
        return self._embedded(own, own.name, f"{own.protocol}; the floor is of items that it knows", self.pool)

    @cached_property
    def in_convolutions(self) -> Embedded | None:
        """In fixed random convolutions; None where x is no image."""
        if not self.data.spec.is_image:
            return None
        own = RandomConvolutions(self.data.spec)
        return self._embedded(own, own.name, own.name, self.pool)

    @cached_property
    def in_pixels(self) -> Embedded:
        """In principal components of the pixels."""
        own = self.features
        pool = own(self._training(self.pool))
        unit = float(np.sqrt((pool**2).mean())) or 1.0
        return Embedded(own, own.name, own.name, own(self.held_out), own(self.samples), pool, self.pool, unit)

    @cached_property
    def in_file(self) -> Embedded | None:
        """In the features of the module that a user gives; None where that is none."""
        own = self._given
        if own is None:
            return None
        rows = some_of(len(self.data.train), 2 * self.n, self.seed, "pool")
        pool = own(self._training(rows))
        return Embedded(own, own.name, own.name, own(self.held_out), own(self.samples), pool, rows, 1.0)

    @property
    def of_inception(self) -> bool:
        """Whether that module is the network that FID is defined by."""
        return self._given is not None and self._given.inception

    @property
    def near(self) -> Embedded:
        """The features in which neighbours are looked for: what is learnt, else random convolutions, else pixels."""
        return self.in_learned or self.in_convolutions or self.in_pixels

    @cached_property
    def _given(self) -> GivenFeatures | None:
        return None if self.file is None else GivenFeatures(self.file, self.data.spec, self.model.device)

    def _training(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.data.train.x[rows])

    def _embedded(self, features: Features, name: str, protocol: str, rows: np.ndarray) -> Embedded:
        """`rows`: the training items that principal components are fitted to."""
        of_pool = features(self._training(rows))
        own = Projection.fit(features, of_pool, self.n)
        protocol += f"; {own.directions.shape[1]} principal components"
        return Embedded(own, name, protocol, own(self.held_out), own(self.samples), own.of(of_pool), rows, 1.0)

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
