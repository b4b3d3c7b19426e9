r"""Whether a map of classes agrees with the true one, and a segmenter that reads maps from pictures.

    pixel accuracy    Σ_k n_kk / Σ_k t_k,      t_k pixels of class k in the true maps, n_kk of them found
    class accuracy    the mean of n_kk / t_k over the classes that there are
    mean IoU          the mean of n_kk / (t_k + f_k - n_kk),   f_k pixels of class k in the maps found

all counted over all items together (Long, Shelhamer & Darrell 2015). The segmenter is a small U-Net that has learnt
from the training split's pairs of x and map, on the CPU from a constant seed, in at most 300 steps of 16 items; it sees
where a pixel lies, and of images from 48 pixels up it takes 2×2 pixels for one. Its figures do not compare with those
by another network, so that those of real items stand beside them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from simulacra.data import Dataset, DataSpec
from simulacra.evaluation.on_the_spot import Kept, fitted
from simulacra.feed import slices
from simulacra.fields import LabelMap
from simulacra.randomness import mix, some_of

STEPS, EPOCHS, BATCH, RATE = 300, 40, 16, 0.01
MOST, WIDTH, LARGEST, BY_FOUR, AT_ONCE, KEPT, VERSION = 4000, 16, 64, 48, 64, 2, 1


@dataclass(frozen=True, eq=False)
class Counted:
    """Pixels of each item and class, (n, classes): found and true, true, found."""

    hits: np.ndarray
    true: np.ndarray
    found: np.ndarray

    def total(self, rows: np.ndarray | None = None) -> Counted:
        """Of all items, (1, classes), or of R selections (R, n) of them, truths: (R, classes)."""
        rows = np.ones((1, len(self.hits)), bool) if rows is None else rows
        chosen = rows.astype(np.float64)
        return Counted(chosen @ self.hits, chosen @ self.true, chosen @ self.found)


def counted(found: np.ndarray, truth: np.ndarray, classes: int) -> Counted:
    """Of maps (n, H, W) each; true pixels beyond the classes are ignored."""
    known = (truth >= 0) & (truth < classes)
    per_item = [
        [np.bincount(of[own], minlength=classes)[:classes] for own, of in ((hit & k, t), (k, t), (k, f))]
        for hit, k, t, f in zip(found == truth, known, truth, found, strict=True)
    ]
    hits, true, others = np.array(per_item, np.float64).transpose(1, 0, 2)
    return Counted(hits, true, others)


def pixel_accuracy(total: Counted) -> np.ndarray:
    """(R,)"""
    return total.hits.sum(1) / np.maximum(total.true.sum(1), 1)


def class_accuracy(total: Counted) -> np.ndarray:
    """(R,)"""
    return _over_classes(total.hits, total.true, total.true > 0)


def mean_iou(total: Counted) -> np.ndarray:
    """(R,)"""
    return _over_classes(total.hits, total.true + total.found - total.hits, total.true > 0)


def _over_classes(hits: np.ndarray, of: np.ndarray, there: np.ndarray) -> np.ndarray:
    return (hits / np.maximum(of, 1) * there).sum(1) / np.maximum(there.sum(1), 1)


def of_each_class(total: Counted) -> list[float]:
    """n_kk / t_k of all items; nan of a class that there is not."""
    return [float(hit / t) if t else float("nan") for hit, t in zip(total.hits[0], total.true[0], strict=True)]


FIGURES: dict[str, tuple[Callable[[Counted], np.ndarray], str]] = {
    "map_accuracy": (pixel_accuracy, "share of pixels of the right class"),
    "map_class_accuracy": (class_accuracy, "share of pixels of the right class, the mean over classes"),
    "map_iou": (mean_iou, "intersection over union, the mean over classes"),
}


class Network(nn.Module):
    """x (N, C, H, W) on the grid -> logits (N, classes, h, w) of a map."""

    def __init__(self, spec: DataSpec, own: LabelMap) -> None:
        super().__init__()
        self.spec, self.size, largest = spec, own.shape, max(spec.shape[1:])
        self.factor = -(-largest // LARGEST)
        self.fold = 2 if largest // self.factor >= BY_FOUR else 1
        inputs, w = spec.shape[0] * self.fold**2 + 2, WIDTH
        self.down = nn.ModuleList([_block(inputs, w), _block(w, 2 * w), _block(2 * w, 4 * w)])
        self.up = nn.ModuleList([_block(6 * w, 2 * w), _block(3 * w, w)])
        self.last = nn.Conv2d(w, own.classes * self.fold**2, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.spec.centred(x)
        h = nn.functional.avg_pool2d(h, self.factor, ceil_mode=True) if self.factor > 1 else h
        height, width = h.shape[2:]
        h = nn.functional.pad(h, (0, -width % self.fold, 0, -height % self.fold), mode="replicate")
        h = nn.functional.pixel_unshuffle(h, self.fold)
        rows, columns = (torch.linspace(-1, 1, side) for side in h.shape[2:])
        places = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(len(h), -1, -1, -1)
        fine = self.down[0](torch.cat([h, places], 1))
        middle = self.down[1](nn.functional.max_pool2d(fine, 2, ceil_mode=True))
        coarse = self.down[2](nn.functional.max_pool2d(middle, 2, ceil_mode=True))
        middle = self.up[0](torch.cat([middle, _sized(coarse, middle.shape[2:])], 1))
        fine = self.up[1](torch.cat([fine, _sized(middle, fine.shape[2:])], 1))
        logits = nn.functional.pixel_shuffle(self.last(fine), self.fold)[..., :height, :width]
        return _sized(logits, self.size)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 1, 1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, 1, 1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _sized(h: Tensor, size: tuple[int, ...]) -> Tensor:
    return h if h.shape[2:] == size else nn.functional.interpolate(h, size, mode="nearest")


@dataclass(frozen=True, eq=False)
class Segmenter:
    """Items (n, *shape) -> maps (n, H, W) of their most probable classes. protocol: how it was made."""

    network: Network
    protocol: str

    @torch.no_grad()
    def __call__(self, x: np.ndarray) -> np.ndarray:
        parts = (torch.from_numpy(np.array(x[part])) for part in slices(len(x), AT_ONCE))
        return np.concatenate([self.network(part).argmax(1).numpy() for part in parts])


_kept = Kept[Network](KEPT)


def segmenter(data: Dataset, name: str) -> Segmenter:
    """That of the field `name` of a data set, from its training split."""
    own = data.spec.condition[name]
    assert isinstance(own, LabelMap)
    rows = some_of(len(data.train), MOST, "segmenter")
    settings = [
        VERSION,
        STEPS,
        EPOCHS,
        BATCH,
        RATE,
        WIDTH,
        LARGEST,
        len(rows),
        data.fingerprint,
        name,
        torch.__version__,
    ]
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    network, steps = _kept(
        key,
        lambda: trained(data.spec, own, np.asarray(data.train.x[rows]), np.asarray(data.train.field(name)[rows])),
    )
    return Segmenter(network, f"segmenter@{key[:8]}, a small U-Net, {steps} steps on {len(rows)} training pairs")


def trained(spec: DataSpec, own: LabelMap, x: np.ndarray, maps: np.ndarray) -> tuple[Network, int]:
    """A network that has learnt the maps (n, H, W) of items x (n, *shape), and its steps."""
    steps = max(1, min(STEPS, EPOCHS * -(-len(x) // BATCH)))
    order = np.random.default_rng(mix("segmenter", "order"))

    def loss(network: Network, rows: np.ndarray) -> Tensor:
        target = torch.from_numpy(maps[rows].astype(np.int64))
        target[(target < 0) | (target >= own.classes)] = -1
        return nn.functional.cross_entropy(network(torch.from_numpy(x[rows])), target, ignore_index=-1)

    batches = (order.integers(len(x), size=BATCH) for _ in range(steps))
    return fitted("segmenter", partial(Network, spec, own), loss, batches, steps, RATE), steps
