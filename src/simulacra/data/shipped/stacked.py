"""Stacked digits: three real digits as the channels of a colour image, which has 10³ modes.

The benchmark of modes that a model loses (Metz et al. 2017, Srivastava et al. 2017). Each channel has a class drawn
uniformly, and of that class an item drawn uniformly; those of a split come from the same split of the set below, so
that no digit is on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from simulacra.data.cache import cached
from simulacra.data.dataset import Split
from simulacra.data.mnist import mnist_source
from simulacra.data.modes import Channels
from simulacra.data.shipped import digits_source
from simulacra.data.source import Batch, Source
from simulacra.fields import ClassLabel

SEED, TOGETHER = 1, 1000
CHANNELS = ("red", "green", "blue")
MODES = Channels(CHANNELS, 10)
COUNTS = {"train": 20_000, "valid": 2_000, "test": 2_000}
COUNTS_OF_MNIST = {"train": 50_000, "valid": 5_000, "test": 10_000}


def stacked_digits_source() -> Source:
    """24,000 images of three of the package's digits, 3×8×8 on 17 levels; the class of each channel is a field."""
    return _stacked("stacked-digits", digits_source, COUNTS)


def stacked_mnist_source() -> Source:
    """65,000 images of three digits of MNIST, 3×28×28 on 256 levels; raises DataError where MNIST is not there."""
    return _stacked("stacked-mnist", mnist_source, COUNTS_OF_MNIST)


def _stacked(name: str, below: Callable[[], Source], counts: Mapping[str, int]) -> Source:
    source = below()

    def batches() -> Iterator[Batch]:
        single = cached(source)
        # The legacy generator, because NumPy promises its stream for ever; that of `default_rng` may change.
        random = np.random.RandomState(SEED)
        for part, count in counts.items():
            for start in range(0, count, TOGETHER):
                yield _drawn(single.split(part), part, min(TOGETHER, count - start), random)

    card = source.card
    return Source(
        name=name,
        card=replace(
            card,
            title=f"three digits as the channels of an image, of {card.title}",
            reference=f"Metz et al., Unrolled generative adversarial networks, ICLR 2017; {card.reference}",
        ),
        count=sum(counts.values()),
        batches=batches,
        files=source.files,
        options=(f"seed={SEED}", *(f"{part}={count}" for part, count in counts.items())),
        levels=source.levels,
        fields={field: ClassLabel(MODES.classes) for field in CHANNELS},
    )


def _drawn(single: Split, part: str, n: int, random: np.random.RandomState) -> Batch:
    """n stacked items of one part."""
    label = np.asarray(single.field("label"))
    classes = random.randint(MODES.classes, size=(n, len(CHANNELS)))
    items = np.empty_like(classes)
    for value in range(MODES.classes):
        of, meant = np.flatnonzero(label == value), classes == value
        items[meant] = of[random.randint(len(of), size=int(meant.sum()))]
    x = np.asarray(single.x)[items.reshape(-1)].reshape(n, len(CHANNELS), *single.x.shape[2:])
    return Batch(part, x, {field: classes[:, c].astype(np.int64) for c, field in enumerate(CHANNELS)})
