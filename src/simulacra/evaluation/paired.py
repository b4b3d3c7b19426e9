r"""Samples of p(x | c) under the conditions of held-out items, with all that their figures are to be read beside.

    baseline    trivial predictions from the same condition (`simulacra.evaluation.baselines`)
    control     samples under the conditions of *other* held-out items, compared with the item's own truth: what a model
                that ignores its condition scores. The others are one cycle through the items, drawn by the seed
    ceiling     the real item in the place of the sample: the most that a judge allows

A model is worth what its figure has above baseline and control, as a share of what the ceiling has above them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from simulacra.capabilities import Chain, can
from simulacra.data import Split
from simulacra.evaluation import baselines, intervals
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.subject import Subject
from simulacra.feed import feed, slices
from simulacra.fields import Levels
from simulacra.randomness import mix, some_of

CONTROLLED, CONTROLLED_AT_FIRST = 500, 100  # items of the control, and in a quick look
NEIGHBOURS = 20  # nearest training items, whose votes are counted
AT_ONCE = 500  # conditions whose features are compared
REPEATED, REPEATED_AT_FIRST = 200, 40  # items with several samples each; half of that pixel by pixel
EACH, EACH_AT_FIRST = 20, 5

Rows = np.ndarray
"""The places (m,) of items among the n held-out ones."""
Figure = Callable[[np.ndarray, Rows], np.ndarray]
"""Items (m, *shape) in the place of the truths of these rows -> what each scores, (m,), or several figures (m, F)."""


@dataclass(frozen=True, eq=False)
class Scores:
    """What items score, one figure (n,) each, or several (n, F); nan where a figure says nothing of an item.

    samples: under the conditions of n items. baseline: of trivial predictions in their place, by name. control: of m
    samples under other conditions, in the place of the items `rows` (m,). truth: of the items themselves.
    """

    samples: np.ndarray
    baseline: Mapping[str, np.ndarray]
    control: np.ndarray
    rows: Rows
    truth: np.ndarray

    def of(self, column: int, only: np.ndarray | None = None) -> Scores:
        """One figure of several, of the items alone that are true in `only` (n,)."""
        only = np.ones(len(self.samples), bool) if only is None else only

        def chosen(values: np.ndarray, there: np.ndarray) -> np.ndarray:
            return np.where(there, values[:, column], np.nan)

        baseline = {name: chosen(values, only) for name, values in self.baseline.items()}
        control = chosen(self.control, only[self.rows])
        return Scores(chosen(self.samples, only), baseline, control, self.rows, chosen(self.truth, only))

    @property
    def n(self) -> int:
        """Items of which the figure says something."""
        return int(np.isfinite(self.samples).sum())

    def measure(self, protocol: str, ceiling: float | None = None, share: bool = False) -> Measure:
        """Their means; of one figure, for at least one item.

        ceiling: None for what the truths score. share: whether the figure is 0 or 1 of each item.
        """
        value, low, high = mean_of(self.samples, share)
        return Measure(
            *(value, low, high, None, self.n, "estimate", protocol),
            baseline={name: mean_of(values)[0] for name, values in self.baseline.items()},
            control=mean_of(self.control)[0] if np.isfinite(self.control).any() else None,
            ceiling=mean_of(self.truth)[0] if ceiling is None else ceiling,
        )


class Paired:
    """Held-out items and samples under their conditions, the i-th of both together."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.spec = subject, subject.model.spec

    @property
    def n(self) -> int:
        return self.subject.n

    @property
    def everything(self) -> Rows:
        return np.arange(self.n)

    @property
    def truth(self) -> np.ndarray:
        return self.subject.held_out

    @property
    def samples(self) -> np.ndarray:
        return self.subject.samples

    @cached_property
    def condition(self) -> dict[str, np.ndarray]:
        """The columns (n, ...) of the condition of the held-out items."""
        return self._columns(self.subject.items, self.subject.index)

    def _columns(self, split: Split, index: np.ndarray) -> dict[str, np.ndarray]:
        _, condition = feed(split, index, self.spec, torch.device("cpu"), unlabelled=True)
        return {name: tensor.numpy() for name, tensor in condition.items()}

    # Baselines

    @cached_property
    def trivial(self) -> dict[str, np.ndarray]:
        """Trivial predictions (n, *shape) by name."""
        train, x = self.subject.data.train, self.spec.x
        rng = np.random.default_rng(mix(self.subject.seed, "trivial predictions"))
        mean = baselines.mean_item(x, np.asarray(train.x[self.subject.pool]))
        return self._of_pictures() | {
            "mean": np.broadcast_to(mean, self.truth.shape),
            "nearest": np.asarray(train.x[self.neighbours[:, 0]]),
            "random": np.asarray(train.x[rng.integers(len(train), size=self.n)]),
        }

    def _of_pictures(self) -> dict[str, np.ndarray]:
        """Copies of the pictures of the condition; of several of one kind that of the first."""
        found: dict[str, np.ndarray] = {}
        for name, field in baselines.pictures(self.spec).items():
            copy = baselines.copied(self.spec.x, field, self.condition[name])
            if copy is None:
                continue
            found.setdefault("copy", copy)
            if self.condition[name].shape[2:] != copy.shape[2:]:
                smooth = baselines.copied(self.spec.x, field, self.condition[name], smooth=True)
                found.setdefault("bicubic", copy if smooth is None else smooth)
        for name, field in baselines.maps(self.spec).items():
            if baselines.is_picture(self.spec.x):
                own = self.condition[name]
                found.setdefault("colour", baselines.of_classes(self.spec.x, field.classes, self._with_map(name), own))
        return found

    def _with_map(self, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        train, pool = self.subject.data.train, self.subject.pool
        for part in slices(len(pool), AT_ONCE):
            yield np.asarray(train.x[pool[part]]), np.asarray(train.field(name)[pool[part]])

    @cached_property
    def neighbours(self) -> np.ndarray:
        """The numbers (n, 20) of the training items with the nearest conditions, nearest first; of few as many."""
        train, pool, fields = self.subject.data.train, self.subject.pool, self.spec.condition
        parts = (pool[part] for part in slices(len(pool), AT_ONCE))
        chunks = (baselines.features(fields, self._columns(train, part)) for part in parts)
        return pool[baselines.nearest(baselines.features(fields, self.condition), chunks, NEIGHBOURS)]

    # Further samples

    @cached_property
    def control(self) -> tuple[Rows, np.ndarray]:
        """Some rows (m,), and samples (m, *shape) under the conditions of others of them."""
        subject = self.subject
        rows = some_of(self.n, CONTROLLED_AT_FIRST if subject.quick else CONTROLLED, subject.seed, "control")
        others = subject.index[rows[next_in_cycle(len(rows), mix(subject.seed, "control"))]]
        return rows, subject.samples_under(others, "control")

    @cached_property
    def several(self) -> tuple[Rows, np.ndarray]:
        """Rows (m,) of some items, and 20 samples under each one's condition, (m, 20, *shape); 5 in a quick look."""
        subject = self.subject
        most, each = (REPEATED_AT_FIRST, EACH_AT_FIRST) if subject.quick else (REPEATED, EACH)
        rows = some_of(self.n, most // 2 if can(subject.model, Chain) else most, subject.seed, "several samples")
        drawn = subject.samples_under(subject.index[rows].repeat(each), "several samples")
        return rows, drawn.reshape(len(rows), each, *drawn.shape[1:])

    # Figures

    def scores(self, figure: Figure) -> Scores:
        """What samples score, beside baselines, control and truths."""
        rows, other = self.control
        return Scores(
            figure(self.samples, self.everything),
            {name: figure(x, self.everything) for name, x in self.trivial.items()},
            figure(other, rows),
            rows,
            figure(self.truth, self.everything),
        )

    def measure(self, figure: Figure, protocol: str, ceiling: float | None = None, share: bool = False) -> Measure:
        """The mean of a figure over the samples, with baselines, control and ceiling; see `Scores.measure`."""
        return self.scores(figure).measure(f"{protocol}; {self.which}", ceiling, share)

    @property
    def which(self) -> str:
        """Which items and samples these are, for a protocol."""
        return (
            f"{self.n} samples under the conditions of {self.subject.which}; baselines from the same conditions and "
            f"{len(self.subject.pool)} training items; control: under the conditions of others, {len(self.control[0])}"
        )

    @property
    def unit(self) -> float:
        """The range of x: levels - 1, or of real numbers that of the training items."""
        if isinstance(self.spec.x, Levels):
            return float(self.spec.x.levels - 1)
        items = np.asarray(self.subject.data.train.x[self.subject.pool])
        return float(items.max() - items.min()) or 1.0


def next_in_cycle(n: int, seed: int) -> np.ndarray:
    """A permutation (n,) of n items that is one cycle, so that none stays in its place where n > 1."""
    order = np.random.default_rng(seed).permutation(n)
    found = np.empty(n, np.int64)
    found[order] = np.roll(order, 1)
    return found


def mean_of(values: np.ndarray, share: bool = False) -> tuple[float, float, float]:
    """The mean of values (n,) that are no nan, and its 95 % interval; of shares, values 0 or 1, the exact one."""
    values = values[np.isfinite(values)]
    value, n = float(values.mean()), len(values)
    if share:
        return value, *intervals.of_share(value, n)
    if n < 2:
        return value, value, value
    return value, *intervals.about(value, float(values.std(ddof=1)) / n**0.5, n - 1)
