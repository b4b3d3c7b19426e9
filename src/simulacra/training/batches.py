"""The order of the items: a pure function of (seed, draw), so that to resume takes one integer.

The training split is read as an endless sequence of shuffled epochs; draw d is its d-th run of `batch` items. Nothing
is dropped, and every rank of a distributed run computes the same sequence and takes its own share of each draw.

Where most labels are hidden, the items with a label and those without are two such sequences, and take turns in a draw:
half of every draw, and of every rank's share of it, has labels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simulacra.data import DataSpec, Split
from simulacra.data.hidden import HIDDEN
from simulacra.feed import Items, feed, in_order
from simulacra.training.runtime import Runtime


class Batches:
    """`batches[d]`: this rank's share of the items of draw d."""

    def __init__(self, split: Split, spec: DataSpec, batch: int, seed: int, runtime: Runtime) -> None:
        self.split, self.spec, self.batch, self.seed, self.device = split, spec, batch, seed, runtime.device
        self.share = slice(runtime.rank * batch // runtime.world, (runtime.rank + 1) * batch // runtime.world)
        self.streams = _streams(split, spec, seed)

    def __getitem__(self, draw: int) -> Items:
        return feed(self.split, self.indices(draw)[self.share], self.spec, self.device)

    def once(self) -> Iterator[Items]:
        """Every item of the split once, in its order, whatever the rank."""
        return in_order(self.split, self.spec, self.device, self.batch)

    def indices(self, draw: int) -> np.ndarray:
        """All items of draw d, over all ranks; the sequences take turns."""
        together = np.empty(self.batch, np.int64)
        for number, stream in enumerate(self.streams):
            own = together[number :: len(self.streams)]
            own[:] = stream.run(draw, len(own))
        return together


class Shuffled:
    """An endless sequence of shuffled epochs over some items of a split."""

    def __init__(self, items: np.ndarray, seed: tuple[int, ...]) -> None:
        self.items, self.seed = items, seed
        self._orders: dict[int, np.ndarray] = {}

    def run(self, draw: int, length: int) -> np.ndarray:
        """The draw-th run of so many items, (length,) indices into the split."""
        positions = np.arange(draw * length, (draw + 1) * length)
        epochs, offsets = np.divmod(positions, len(self.items))
        return np.concatenate([self._order(epoch)[offsets[epochs == epoch]] for epoch in np.unique(epochs)])

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            self._orders = {e: order for e, order in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = self.items[np.random.default_rng((*self.seed, epoch)).permutation(len(self.items))]
        return self._orders[epoch]


def _streams(split: Split, spec: DataSpec, seed: int) -> list[Shuffled]:
    told = np.ones(len(split), bool)
    for field in spec.condition:
        told &= split.field(field) != HIDDEN
    if told.all() or not told.any():
        return [Shuffled(np.arange(len(split)), (seed,))]
    return [Shuffled(np.flatnonzero(told), (seed,)), Shuffled(np.flatnonzero(~told), (seed, 1))]
