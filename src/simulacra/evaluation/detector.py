r"""A detector of the objects of a scene, which has learnt from the training split's pictures and lists of objects.

    x -> of each cell of 4×4 pixels:  P(the middle of an object lies in it), its classes, its box (x0, y0, x1, y1)

Found is an object where the probability is above one half and the largest of the 3×3 cells around. It is a small
convolutional network made on the CPU from a constant seed, in at most 800 steps of 64 pictures; such of more than 32
pixels are averaged down. Objects as points: Zhou, Wang & Krähenbühl 2019.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from simulacra.data import Dataset, DataSpec
from simulacra.evaluation.on_the_spot import Kept, fitted
from simulacra.feed import slices
from simulacra.fields import ClassLabel, Field, Many, Real, Record
from simulacra.randomness import mix, some_of

STEPS, EPOCHS, BATCH, RATE = 800, 20, 64, 0.01
MOST, WIDTH, LARGEST, STRIDE, AT_ONCE, KEPT, VERSION = 20_000, 64, 32, 4, 128, 2, 1
BOX = "box"
OF_BOX = 5.0  # weight of the error of a box, in shares of the sides


@dataclass(frozen=True)
class Objects:
    """The list `name` of a data set: its objects' classes by attribute, and a box each."""

    name: str
    attributes: Mapping[str, ClassLabel]

    @classmethod
    def of(cls, fields: Mapping[str, Field]) -> Objects | None:
        """The first list of objects with a box and classes; None where there is none."""
        for name, own in fields.items():
            inner = own.field.fields if isinstance(own, Many) and isinstance(own.field, Record) else {}
            attributes = {key: leaf for key, leaf in inner.items() if isinstance(leaf, ClassLabel)}
            if attributes and inner.get(BOX) == Real((4,)):
                return cls(name, attributes)
        return None

    @property
    def columns(self) -> list[str]:
        return [f"{self.name}.{key}" for key in ("mask", BOX, *self.attributes)]


@dataclass(frozen=True, eq=False)
class Scene:
    """m objects: their classes (m,) by attribute, and boxes (m, 4) in shares of the sides."""

    classes: Mapping[str, np.ndarray]
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)


def scenes_of(objects: Objects, columns: Mapping[str, np.ndarray]) -> list[Scene]:
    """What the columns (n, most, ...) of a list of objects say of each item."""
    mask, boxes = columns[f"{objects.name}.mask"], columns[f"{objects.name}.{BOX}"]
    classes = {key: columns[f"{objects.name}.{key}"] for key in objects.attributes}
    return [
        Scene({key: values[i][there] for key, values in classes.items()}, boxes[i][there])
        for i, there in enumerate(mask)
    ]


class Network(nn.Module):
    """x (N, C, H, W) on the grid -> (N, 1 + 4 + classes, rows, columns) of cells."""

    def __init__(self, spec: DataSpec, objects: Objects) -> None:
        super().__init__()
        self.spec, self.factor = spec, -(-max(spec.shape[1:]) // LARGEST)
        counts = [leaf.count for leaf in objects.attributes.values()]
        self.sizes = [1, 4, *counts]
        self.body = nn.Sequential(
            *_layer(spec.shape[0], WIDTH // 2, 5, 2),
            *_layer(WIDTH // 2, WIDTH, 3, 1),
            nn.MaxPool2d(2, ceil_mode=True),
            *_layer(WIDTH, 2 * WIDTH, 3, 1),
            *_layer(2 * WIDTH, WIDTH, 3, 1),
            nn.Conv2d(WIDTH, sum(self.sizes), 1),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Logits of an object (N, h, w, 1), its box (N, h, w, 4), logits of each attribute (N, h, w, classes)."""
        h = self.spec.centred(x)
        h = nn.functional.avg_pool2d(h, self.factor, ceil_mode=True) if self.factor > 1 else h
        found = self.body(h).movedim(1, -1)
        there, apart, *classes = found.split(self.sizes, -1)
        middles = torch.stack(torch.meshgrid(*map(_middles, there.shape[1:3]), indexing="ij")[::-1], -1)
        return [there, torch.cat([middles, middles], -1) + apart, *classes]


def _layer(inputs: int, outputs: int, side: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


def _middles(cells: int) -> Tensor:
    return (torch.arange(cells) + 0.5) / cells


@dataclass(frozen=True, eq=False)
class Detector:
    """Items (n, *shape) -> the objects found on each. protocol: how it was made."""

    network: Network
    objects: Objects
    protocol: str

    @torch.no_grad()
    def __call__(self, x: np.ndarray) -> list[Scene]:
        return [scene for part in slices(len(x), AT_ONCE) for scene in self._of(torch.from_numpy(np.array(x[part])))]

    def _of(self, x: Tensor) -> list[Scene]:
        there, boxes, *classes = self.network(x)
        best = nn.functional.max_pool2d(there.movedim(-1, 1), 3, 1, 1).movedim(1, -1)
        peaks = ((there > 0) & (there == best))[..., 0].numpy()
        named = {key: own.argmax(-1).numpy() for key, own in zip(self.objects.attributes, classes, strict=True)}
        return [
            Scene({key: own[i][peak] for key, own in named.items()}, boxes[i].numpy()[peak])
            for i, peak in enumerate(peaks)
        ]


_kept = Kept[Network](KEPT)


def detector(data: Dataset, objects: Objects) -> Detector:
    """That of a data set, from its training split."""
    rows = some_of(len(data.train), MOST, "detector")
    settings = [VERSION, STEPS, EPOCHS, BATCH, RATE, WIDTH, LARGEST, len(rows), data.fingerprint, objects.name]
    key = hashlib.sha256(json.dumps([*settings, torch.__version__]).encode()).hexdigest()

    def make() -> tuple[Network, int]:
        columns = {name: np.asarray(data.train.field(name)[rows]) for name in objects.columns}
        return trained(data.spec, objects, np.asarray(data.train.x[rows]), columns)

    network, steps = _kept(key, make)
    return Detector(network, objects, f"detector@{key[:8]}, {steps} steps on {len(rows)} training scenes")


def trained(spec: DataSpec, objects: Objects, x: np.ndarray, columns: Mapping[str, np.ndarray]) -> tuple[Network, int]:
    """A network that has learnt the objects of items x (n, *shape), and its steps."""
    steps = max(1, min(STEPS, EPOCHS * -(-len(x) // BATCH)))
    order = np.random.default_rng(mix("detector", "order"))

    def loss(network: Network, rows: np.ndarray) -> Tensor:
        batch = {name: torch.from_numpy(own[rows]) for name, own in columns.items()}
        return _loss(objects, network(torch.from_numpy(x[rows])), batch)

    batches = (order.integers(len(x), size=BATCH) for _ in range(steps))
    return fitted("detector", partial(Network, spec, objects), loss, batches, steps, RATE), steps


def _loss(objects: Objects, outputs: list[Tensor], batch: Mapping[str, Tensor]) -> Tensor:
    """Cross-entropies of cells and of classes, and the absolute error of boxes, each where there is an object."""
    there, boxes, *classes = outputs
    rows, columns = there.shape[1:3]
    item, place = batch[f"{objects.name}.mask"].nonzero(as_tuple=True)
    true = batch[f"{objects.name}.{BOX}"][item, place]
    row = ((true[:, 1] + true[:, 3]) / 2 * rows).long().clamp(0, rows - 1)
    column = ((true[:, 0] + true[:, 2]) / 2 * columns).long().clamp(0, columns - 1)
    target = torch.zeros_like(there)
    target[item, row, column] = 1
    count = max(1, len(item))
    loss = nn.functional.binary_cross_entropy_with_logits(there, target, reduction="sum") / count
    loss = loss + OF_BOX * (boxes[item, row, column] - true).abs().sum() / count
    for key, own in zip(objects.attributes, classes, strict=True):
        label = batch[f"{objects.name}.{key}"][item, place]
        loss = loss + nn.functional.cross_entropy(own[item, row, column], label, reduction="sum") / count
    return loss
