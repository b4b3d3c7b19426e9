r"""Features that are learnt on the spot: the last layer but one of a small classifier of the data set's own classes.

    x -> φ(x) (N, 64) -> log q(y | x) of every field of classes,  or of four turns of x where there are no classes

It learns from two thirds of the training split, at most 20,000 items, and of the others nothing: on those its accuracy
is counted, and they stand for real items where a floor is made. What it has learnt by heart looks to it unlike fresh
items, so that a floor of its own training items would be too high. It takes at most 800 steps of 64 items, whatever the
size of the set; images larger than 32 pixels are averaged down, and sound is read as its spectrogram. Of a clip four
evenly spaced frames are seen, each with what changes until the next one; the clip is their mean. Self-supervision by
turns: Gidaris et al. 2018.

It is made on the CPU from a constant seed, so that one machine makes the same features for every model; the figures of
two machines compare within rounding, those of two data sets never.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from simulacra.data import ClassLabel, Dataset, DataSpec, Split
from simulacra.evaluation.on_the_spot import Kept, fitted
from simulacra.feed import slices
from simulacra.fields import Sound
from simulacra.nn import Spectrum
from simulacra.randomness import mix

MOST = 20_000  # items that it learns from
STEPS, EPOCHS, BATCH, RATE, DECAY = 800, 20, 64, 0.01, 0.02
WIDTH, LARGEST = 64, 32
MOMENTS = 32  # of a second of sound
SEEN = 4  # frames of a clip
AT_ONCE, KEPT = 256, 4
UNLABELLED = -1
TURNS = "turns"  # the name of the field that is made where there is none
VERSION = 1  # of all this; part of the name of the features


class Network(nn.Module):
    """x (N, *shape) on the grid -> φ (N, 64); `heads` has the logits of each field."""

    def __init__(self, spec: DataSpec, classes: Mapping[str, int]) -> None:
        super().__init__()
        self.spec = spec
        convolved = spec.is_image or spec.is_video or isinstance(spec.x, Sound)
        self.body = _heard(spec.x) if isinstance(spec.x, Sound) else _seen(spec)
        self.last = nn.Linear(4 * WIDTH if convolved else WIDTH, WIDTH)
        self.heads = nn.ModuleDict({f"of_{name}": nn.Linear(WIDTH, count) for name, count in classes.items()})

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(self.spec.centred(x)))

    def logits(self, features: Tensor) -> dict[str, Tensor]:
        """Of every field, (N, classes)."""
        active = nn.functional.relu(features)
        return {name.removeprefix("of_"): head(active) for name, head in self.heads.items()}


def _seen(spec: DataSpec) -> nn.Module:
    if spec.is_video:
        return Moments(spec.shape)
    return _convolutions(spec.shape[0], spec.shape[1:]) if spec.is_image else _dense(spec.dims)


class Moments(nn.Module):
    """x (N, T, C, H, W) -> (N, 4 · 64): the mean over some frames, each seen with its difference from the next."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        steps, channels, *sides = shape
        seen = min(SEEN, steps)
        self.places = [(2 * k + 1) * steps // (2 * seen) for k in range(seen)]
        self.following = [min(place + 1, steps - 1) for place in self.places]
        self.frame = _convolutions(2 * channels, tuple(sides))

    def forward(self, x: Tensor) -> Tensor:
        now = x[:, self.places]
        pairs = torch.cat([now, x[:, self.following] - now], dim=2)
        return self.frame(pairs.flatten(0, 1)).unflatten(0, pairs.shape[:2]).mean(1)


def _heard(of: Sound) -> nn.Sequential:
    """Its spectrogram, standardised and brought to 32 pitches and at most 32 moments, as an image."""
    sides = (LARGEST, min(LARGEST, max(4, round(of.seconds * MOMENTS))))
    image = (Spectrum(of.rate), nn.BatchNorm2d(1), nn.AdaptiveAvgPool2d(sides))
    return nn.Sequential(*image, _convolutions(1, sides))


def _convolutions(channels: int, sides: tuple[int, ...]) -> nn.Sequential:
    factor = -(-max(sides) // LARGEST)
    height, width = (-(-side // factor) for side in sides)
    large, halves = min(height, width) >= 16, min(height, width) >= 4
    first = nn.Conv2d(channels, 16, 5, 2, 2) if large else nn.Conv2d(channels, 16, 3, 1, 1)
    return nn.Sequential(
        nn.Identity() if factor == 1 else nn.AdaptiveAvgPool2d((height, width)),
        *(first, nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, 1, 1), nn.BatchNorm2d(32), nn.ReLU()),
        nn.MaxPool2d(2) if halves else nn.Identity(),
        *(nn.Conv2d(32, WIDTH, 3, 1, 1), nn.BatchNorm2d(WIDTH), nn.ReLU()),
        *(nn.AdaptiveMaxPool2d(2), nn.Flatten()),
    )


def _dense(dims: int) -> nn.Sequential:
    """Of standardised numbers: vectors have units of their own."""
    first = nn.BatchNorm1d(dims, affine=False)
    return nn.Sequential(
        nn.Flatten(), first, nn.Linear(dims, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH), nn.ReLU()
    )


@dataclass(frozen=True, eq=False)
class Learned:
    """A classifier and its features.

    Attributes:
        network: on the CPU, in evaluation mode.
        name: of the features, with a hash of what they depend on.
        accuracy: of each field, on the items of the training split that it has not learnt from.
        kept: the numbers of these items.
        learnt: how many items it has learnt from.
        steps: taken.
    """

    network: Network
    name: str
    accuracy: Mapping[str, float]
    kept: np.ndarray
    learnt: int
    steps: int

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, *shape) -> (N, 64) float64"""
        return features_of(self.network, x)

    def classes(self, x: np.ndarray, field: str) -> np.ndarray:
        """The most probable class of each item, (N,)."""
        return predicted(self.network, x)[field]

    @property
    def protocol(self) -> str:
        """How they were made, and what they know."""
        known = ", ".join(f"{100 * share:.3g} % of {name}" for name, share in self.accuracy.items())
        return (
            f"{self.name}: a classifier of 64 features, {self.steps} steps on {self.learnt} training items; "
            f"right on {len(self.kept)} others: {known}"
        )


def targets_of(spec: DataSpec) -> dict[str, int]:
    """Classes by field that a classifier of such data learns; {} where there is nothing to learn."""
    fields = spec.condition.items()
    found = {name: own.count for name, own in fields if isinstance(own, ClassLabel) and own.count > 1}
    return found or ({TURNS: 4} if spec.is_image else {})


def learned(data: Dataset) -> Learned | None:
    """The classifier of a data set's training split; None where it has neither classes nor images, or too few items."""
    classes = targets_of(data.spec)
    learnt, kept = _parts(len(data.train))
    if not classes or not len(kept):
        return None
    network, steps, key = trained_once(data.spec, *_items(data.train, learnt, classes), classes)
    x, truth = _items(data.train, kept, classes)
    found = predicted(network, x)
    accuracy = {name: share_right(found[name], truth[name]) for name in classes}
    return Learned(network, f"learned@{key[:8]}", accuracy, kept, len(learnt), steps)


_kept = Kept[Network](KEPT)


def trained_once(
    spec: DataSpec, x: np.ndarray, labels: Mapping[str, np.ndarray], classes: Mapping[str, int]
) -> tuple[Network, int, str]:
    """`trained`, and a hash of all that the network depends on; one that was made of the same before is the same."""
    content = hashlib.sha256(np.ascontiguousarray(x).tobytes() + b"".join(own.tobytes() for own in labels.values()))
    settings = [VERSION, STEPS, EPOCHS, BATCH, RATE, DECAY, spec.to_json()["x"], classes, torch.__version__]
    settings += [SEEN] * spec.is_video
    content.update(json.dumps(settings, sort_keys=True).encode())
    key = content.hexdigest()
    return *_kept(key, lambda: trained(spec, x, labels, classes)), key


def share_right(found: np.ndarray, truth: np.ndarray) -> float:
    """The share of items, of those whose class is known, that are given their class."""
    known = truth != UNLABELLED
    return float((found == truth)[known].mean()) if known.any() else float("nan")


def _parts(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the items that are learnt from, and of at most 10,000 others."""
    order = np.random.default_rng(mix("learned features")).permutation(n)
    kept = order[: n // 3]
    return np.sort(order[n // 3 :][:MOST]), np.sort(kept[: MOST // 2])


def _items(split: Split, index: np.ndarray, classes: Mapping[str, int]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    x = np.asarray(split.x[index])
    if TURNS not in classes:
        return x, {name: np.asarray(split.field(name)[index]) for name in classes}
    turns = np.arange(len(x)) % 4
    return np.stack([turned(item, int(k)) for item, k in zip(x, turns, strict=True)]), {TURNS: turns}


def turned(x: np.ndarray, k: int) -> np.ndarray:
    """One image (C, H, W) by k quarters; of one that is no square k says which of its two sides are flipped."""
    if x.shape[-1] == x.shape[-2]:
        return np.rot90(x, k, (-2, -1))
    x = x[..., ::-1, :] if k & 1 else x
    return x[..., ::-1] if k & 2 else x


def trained(
    spec: DataSpec, x: np.ndarray, labels: Mapping[str, np.ndarray], classes: Mapping[str, int], steps: int = STEPS
) -> tuple[Network, int]:
    """A network that has learnt the classes (N,) of items x (N, *shape), and the steps that it took.

    Labels -1 are not known.
    """
    steps = max(1, min(steps, EPOCHS * -(-len(x) // BATCH)))
    tensors = {name: torch.from_numpy(np.asarray(label, np.int64)) for name, label in labels.items()}

    def loss(network: Network, rows: np.ndarray) -> Tensor:
        logits = network.logits(network(torch.from_numpy(np.array(x[rows]))))
        return torch.stack([_cross_entropy(logits[name], tensors[name][rows]) for name in classes]).sum()

    build = partial(Network, spec, classes)
    return fitted("learned features", build, loss, _passes(len(x)), steps, RATE, DECAY), steps


def _passes(n: int) -> Iterator[np.ndarray]:
    """The numbers of the items in batches, all of them in one order, then in another."""
    order, waiting = np.random.default_rng(mix("learned features", "order")), np.empty(0, np.int64)
    while True:
        if len(waiting) < min(BATCH, n):
            waiting = order.permutation(n)
        yield waiting[:BATCH]
        waiting = waiting[BATCH:]


def _cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """The mean over items whose class is known, 0 where none is."""
    total = nn.functional.cross_entropy(logits, label, ignore_index=UNLABELLED, reduction="sum")
    return total / (label != UNLABELLED).sum().clamp(min=1)


def features_of(network: Network, x: np.ndarray) -> np.ndarray:
    """(N, *shape) -> (N, 64) float64"""
    return np.concatenate([features.double().numpy() for features in _forward(network, x)])


def predicted(network: Network, x: np.ndarray) -> dict[str, np.ndarray]:
    """The most probable class (N,) of each field."""
    return {name: found.argmax(1) for name, found in logits_of(network, x).items()}


def logits_of(network: Network, x: np.ndarray) -> dict[str, np.ndarray]:
    """The logits of each field, (N, classes) float64."""
    found = [network.logits(features) for features in _forward(network, x)]
    return {name: torch.cat([each[name] for each in found]).double().numpy() for name in found[0]}


@torch.no_grad()
def _forward(network: Network, x: np.ndarray) -> list[Tensor]:
    steps = x.shape[1] if network.spec.is_video else 1
    parts = (np.array(x[part]) for part in slices(len(x), max(1, AT_ONCE // steps)))
    return [network(torch.from_numpy(part)) for part in parts]
