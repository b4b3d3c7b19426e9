"""The order of the items: a pure function of (seed, draw), so that to resume takes one integer.

The training split is read as an endless sequence of shuffled epochs; draw d is its d-th run of `batch` items. Nothing
is dropped, and every rank of a distributed run computes the same sequence and takes its own share of each draw.

Where most labels are hidden, the items with a label and those without are two such sequences, and take turns: half of
every draw, and of every rank's share of it, has labels. So do the classes of a model that is `stratified`: a draw lacks
no class, as long as it has an item for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from simulacra.condition import Condition
from simulacra.data import DataSpec, Split
from simulacra.data.hidden import HIDDEN
from simulacra.feed import feed, in_order
from simulacra.fields import ClassLabel
from simulacra.randomness import uniforms
from simulacra.training.augmentation import Augmentation, augmented, numbers_of, refuse_unless_images
from simulacra.training.runtime import Runtime
from simulacra.turns import Items

HOST = torch.device("cpu")
SEEDS = 1 << 64


class Batches:
    """`batches[d]`: this rank's share of the items of draw d, augmented, and their condition."""

    def __init__(
        self,
        split: Split,
        spec: DataSpec,
        batch: int,
        seed: int,
        runtime: Runtime,
        augment: Sequence[Augmentation] = (),
        stratified: bool = False,
    ) -> None:
        refuse_unless_images(augment, spec)
        self.split, self.spec, self.batch, self.seed, self.device = split, spec, batch, seed, runtime.device
        self.share = runtime.shares(batch)[runtime.rank]
        self.streams = [Shuffled(items, own) for items, own in _streams(split, spec, seed, stratified)]
        self.augment = tuple(augment)

    def __getitem__(self, draw: int) -> Items:
        indices, epochs = (values[self.share] for values in self.places(draw))
        change = partial(self._augmented, indices, epochs) if self.augment else None
        x, condition = feed(self.split, indices, self.spec, HOST, change, unlabelled=True)
        return self._moved(x), Condition({name: self._moved(values) for name, values in condition.items()})

    def once(self) -> Iterator[Items]:
        """Every item of the split once, in its order and as it is, whatever the rank."""
        yield from in_order(self.split, self.spec, self.device, self.batch)

    def indices(self, draw: int) -> np.ndarray:
        """All items of draw d, over all ranks, (batch,)."""
        return self.places(draw)[0]

    def places(self, draw: int) -> tuple[np.ndarray, np.ndarray]:
        """The items of draw d and the epoch of each, (batch,) twice; the sequences take turns."""
        items, epochs = np.empty(self.batch, np.int64), np.empty(self.batch, np.int64)
        turns, numbers = np.divmod(np.arange(draw * self.batch, (draw + 1) * self.batch), len(self.streams))
        for number, stream in enumerate(self.streams):
            own = numbers == number
            items[own], epochs[own] = stream.at(turns[own])
        return items, epochs

    def _augmented(
        self, indices: np.ndarray, epochs: np.ndarray, arrays: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        noise = np.empty((len(indices), numbers_of(self.augment)))
        for epoch in np.unique(epochs):
            own = epochs == epoch
            noise[own] = uniforms(indices[own], noise.shape[1], self.seed, "augment", int(epoch))
        return augmented(self.augment, arrays, (self.spec.shape[-2], self.spec.shape[-1]), noise)

    def _moved(self, tensor: Tensor) -> Tensor:
        """To the device; to a GPU from pinned memory, so that nobody waits for the copy."""
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)


class Shuffled:
    """An endless sequence of shuffled epochs over some items of a split."""

    def __init__(self, items: np.ndarray, seed: tuple[int, ...]) -> None:
        self.items, self.seed = items, tuple(part % SEEDS for part in seed)  # a seed may be negative, NumPy's may not
        self._orders: dict[int, np.ndarray] = {}

    def at(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The items at these positions (n,): indices into the split, and the epoch of each."""
        items = np.empty(len(positions), np.int64)
        epochs, offsets = np.divmod(positions, len(self.items))
        for epoch in np.unique(epochs):
            items[epochs == epoch] = self._order(epoch)[offsets[epochs == epoch]]
        return items, epochs

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            self._orders = {e: order for e, order in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = self.items[np.random.default_rng((*self.seed, epoch)).permutation(len(self.items))]
        return self._orders[epoch]


def _streams(split: Split, spec: DataSpec, seed: int, stratified: bool) -> Iterator[tuple[np.ndarray, tuple[int, ...]]]:
    """The items of each sequence, and its seed."""
    labels = [split.field(name) for name, field in spec.condition.items() if isinstance(field, ClassLabel)]
    known = np.logical_and.reduce([values != HIDDEN for values in labels]) if labels else np.ones(len(split), bool)
    if known.any() and not known.all():  # only labels can be hidden
        yield np.flatnonzero(known), (seed,)
        yield np.flatnonzero(~known), (seed, 1)
    elif stratified and len(labels) == 1 and known.all():
        for number in np.unique(labels[0]):
            yield np.flatnonzero(labels[0] == number), (seed, int(number))
    else:
        yield np.arange(len(split)), (seed,)
