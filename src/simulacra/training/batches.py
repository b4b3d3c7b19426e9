"""The order of the items: a pure function of (seed, draw), so that to resume takes one integer.

The training split is read as an endless sequence of shuffled epochs; draw d is its d-th run of `batch` items. Nothing
is dropped, and every rank of a distributed run computes the same sequence and takes its own share of each draw.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simulacra.data import DataSpec, Split
from simulacra.feed import Items, feed, in_order
from simulacra.training.runtime import Runtime


class Batches:
    """`batches[d]`: this rank's share of the items of draw d."""

    def __init__(self, split: Split, spec: DataSpec, batch: int, seed: int, runtime: Runtime) -> None:
        self.split, self.spec, self.batch, self.seed, self.device = split, spec, batch, seed, runtime.device
        self.share = slice(runtime.rank * batch // runtime.world, (runtime.rank + 1) * batch // runtime.world)
        self._orders: dict[int, np.ndarray] = {}

    def __getitem__(self, draw: int) -> Items:
        return feed(self.split, self.indices(draw)[self.share], self.spec, self.device)

    def once(self) -> Iterator[Items]:
        """Every item of the split once, in its order, whatever the rank."""
        return in_order(self.split, self.spec, self.device, self.batch)

    def indices(self, draw: int) -> np.ndarray:
        """All items of draw d, over all ranks."""
        positions = np.arange(draw * self.batch, (draw + 1) * self.batch)
        epochs, offsets = np.divmod(positions, len(self.split))
        return np.concatenate([self._order(epoch)[offsets[epochs == epoch]] for epoch in np.unique(epochs)])

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            self._orders = {e: order for e, order in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = np.random.default_rng((self.seed, epoch)).permutation(len(self.split))
        return self._orders[epoch]
