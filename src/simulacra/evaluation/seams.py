r"""Whether a border can be seen between the part of a picture that was given and the part that was made.

    accuracy = P(a critic is right whether a crop is of a sample or of a real item);   1/2 of equal distributions

Crops are squares whose middle lies on the border; those of the real items lie in the same places. The critic, a small
convolutional network that also sees on which side of the border a pixel lies, learns from the crops of half of the
held-out items, on the CPU from a constant seed, in at most 250 steps, and judges those of the other half. An item and
the sample under its condition are on the same side of that split, so that nothing that was given tells them apart.

What a critic of this size can see is measured beside it: parts of two real items that are put together (control), and
trivial predictions into which the given part is put (baselines). Made parts that are poor are found too, whether or not
their border is; so crops that lie within what was made, where there are such, are judged by a critic of their own. Of
loose parts nobody knows where they belong: there the lines of their grid are the border.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from simulacra.capabilities import Sampler
from simulacra.data import DataSpec
from simulacra.derived import Derived, Parts
from simulacra.evaluation import baselines, intervals
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.on_the_spot import fitted
from simulacra.evaluation.paired import Paired, mean_of, next_in_cycle
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric
from simulacra.feed import slices
from simulacra.randomness import mix

STEPS, EPOCHS, BATCH, RATE, WIDTH = 250, 30, 32, 0.01, 8
SMALLEST, LARGEST = 4, 8  # sides of a crop
PLACES = 8  # crops of an item
FEWEST = 16  # items
AT_ONCE = 2000


def side_of(height: int, width: int) -> int:
    """The side of a crop: about a fourth of that of the image, an even number from 4 to 8."""
    return min(max(2 * round(min(height, width) / 8), SMALLEST), LARGEST)


def on_border(inside: np.ndarray, side: int) -> np.ndarray:
    """Crops whose middle 2×2 pixels are of both kinds: `inside` (n, H, W) -> truths (n, H - side + 1, W - side + 1) by
    their first row and column."""
    first, (rows, columns) = side // 2 - 1, (length - side + 1 for length in inside.shape[1:])
    down = inside[:, first : first + rows].astype(np.int8) + inside[:, first + 1 : first + 1 + rows]
    middle = down[..., first : first + columns] + down[..., first + 1 : first + 1 + columns]
    return np.logical_and(middle > 0, middle < 4)


def off_border(inside: np.ndarray, side: int) -> np.ndarray:
    """Crops of which no pixel is `inside`, (n, H - side + 1, W - side + 1)."""
    windows = np.lib.stride_tricks.sliding_window_view(inside, (side, side), (1, 2))
    return np.logical_not(np.any(windows, axis=(-2, -1)))


@dataclass(frozen=True, eq=False)
class Places:
    """Where crops are cut: m of them, `each` of one item; rows and columns of their first pixel."""

    item: np.ndarray
    row: np.ndarray
    column: np.ndarray
    side: int
    each: int

    @classmethod
    def drawn(cls, allowed: np.ndarray, side: int, rng: np.random.Generator, each: int = PLACES) -> Places:
        """Of every item with any allowed (n, R, C) place so many of these, with repetitions."""
        items = np.flatnonzero(allowed.any((1, 2)))
        chosen = [rng.choice(np.flatnonzero(allowed[item]), each) for item in items]
        flat = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
        return cls(items.repeat(each), *np.divmod(flat, allowed.shape[2]), side, each)

    def __len__(self) -> int:
        """Items."""
        return len(self.item) // self.each

    def cut(self, x: np.ndarray) -> np.ndarray:
        """Crops (m, C, side, side) of images (n, C, H, W)."""
        windows = np.lib.stride_tricks.sliding_window_view(x, (self.side, self.side), (2, 3))
        return windows[self.item, :, self.row, self.column]


class Network(nn.Module):
    """Crops (N, C, s, s) on the grid, and which pixels were given (N, 1, s, s), truths -> logits of "real" (N,)."""

    def __init__(self, spec: DataSpec, side: int) -> None:
        super().__init__()
        self.spec, w = spec, WIDTH
        self.body = nn.Sequential(
            *(nn.Conv2d(spec.shape[0] + 1, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU()),
            *(nn.Conv2d(w, 3 * w, 4, 2, 1), nn.BatchNorm2d(3 * w), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(3 * w * (side // 2) ** 2, 8 * w), nn.BatchNorm1d(8 * w), nn.ReLU(), nn.Linear(8 * w, 1)),
        )

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        return self.body(torch.cat([self.spec.centred(x), 2.0 * inside - 1.0], 1))[:, 0]


@dataclass(frozen=True)
class Seen:
    """value, low, high: how often the critic is right, with its interval; n: items that it judged."""

    value: float
    low: float
    high: float
    n: int


def seen(
    spec: DataSpec,
    real: np.ndarray,
    fake: np.ndarray,
    inside: np.ndarray,
    places: Places,
    rng: np.random.Generator,
) -> Seen:
    """How often a critic is right about crops of real items and samples (n, C, H, W), the i-th of both under one
    condition, of which `inside` (n, H, W) was given; from at least 4 items with places."""
    each = np.arange(len(places) * places.each).reshape(len(places), places.each)[rng.permutation(len(places))]
    learnt, judged = (part.reshape(-1) for part in (each[: len(each) // 2], each[len(each) // 2 :]))
    crops = [places.cut(x) for x in (real, fake)]
    given = places.cut(inside[:, None])

    def logits(network: Network, rows: np.ndarray) -> list[Tensor]:
        """Of the real crops, and of those of samples, in one batch."""
        own = torch.from_numpy(given[rows]).repeat(2, 1, 1, 1)
        x = torch.from_numpy(np.concatenate([crop[rows] for crop in crops]))
        return list(network(x, own).chunk(2))

    def loss(network: Network, rows: np.ndarray) -> Tensor:
        of_real, of_fake = logits(network, learnt[rows])
        return nn.functional.softplus(-of_real).mean() + nn.functional.softplus(of_fake).mean()

    steps = max(1, min(STEPS, EPOCHS * -(-len(learnt) // BATCH)))
    batches = (rng.integers(len(learnt), size=min(BATCH, len(learnt))) for _ in range(steps))
    network = fitted("seams", partial(Network, spec, places.side), loss, batches, steps, RATE)
    with torch.no_grad():
        parts = [logits(network, judged[part]) for part in slices(len(judged), AT_ONCE)]
    right = torch.cat([((real > 0).double() + (fake <= 0).double()) / 2 for real, fake in parts]).numpy()
    return _of_items(right.reshape(-1, places.each).mean(1))


def _of_items(right: np.ndarray) -> Seen:
    """From how often it is right about each item, (n,): crops of one item are not independent."""
    value, low, high = mean_of(right)
    if value in (0.0, 1.0):  # where all items agree their spread says nothing
        low, high = intervals.of_share(value, len(right))
    return Seen(value, max(0.0, low), min(1.0, high), len(right))


# The figure


def with_holes(subject: Subject) -> dict[str, Derived]:
    """The fields of the condition that are parts of x: of pictures with holes."""
    fields, spec = subject.model.spec.condition.items(), subject.model.spec
    if not spec.is_image or min(spec.shape[1:]) < SMALLEST:
        return {}
    derived = {name: own for name, own in fields if isinstance(own, Derived)}
    empty = {name: torch.zeros(1, *own.columns(name)[name].shape) for name, own in derived.items()}
    return {name: own for name, own in derived.items() if own.by.known(empty[name]) is not None}


def loose(field: Derived) -> Parts | None:
    """The derivation of parts that do not lie where they belong; None of all others."""
    return field.by if isinstance(field.by, Parts) and field.by.loose else None


def given_part(field: Derived, value: np.ndarray) -> np.ndarray:
    """Which pixels of x were given, (n, H, W) truths; of loose parts every other cell of the grid, whose lines are then
    all borders."""
    parts = loose(field)
    if parts is not None:
        cell = parts.cells(value.shape[2], value.shape[3])
        chequered = (cell // parts.grid + cell % parts.grid) % 2 == 0
        return np.broadcast_to(chequered, (len(value), *chequered.shape))
    there = baselines.known(field, value)
    assert there is not None
    return there[:, 0]


@metric(
    needs=(Sampler,),
    name="seams",
    least=FEWEST,
    thorough=True,
    held_out=True,
    when=lambda subject: bool(with_holes(subject)),
)
def seams(subject: Subject) -> dict[str, Measure]:
    """Of a model that completes parts of a picture: whether a critic sees the border of what was given."""
    found: dict[str, Measure] = {}
    for name, field in with_holes(subject).items():
        measure = _measure(subject, name, field)
        if measure is not None:
            found["seams" + f"_{name}" * (len(with_holes(subject)) > 1)] = measure
    return found


def _measure(subject: Subject, name: str, field: Derived) -> Measure | None:
    """None where too few items have a border."""
    paired, spec = subject.shared(Paired), subject.model.spec
    truth, inside = paired.truth, given_part(field, paired.condition[name])
    side = side_of(*spec.shape[1:])

    def judged(x: np.ndarray, allowed: np.ndarray) -> Seen | None:
        rng = np.random.default_rng(mix(subject.seed, "seams", name))
        places = Places.drawn(allowed, side, rng)
        return seen(spec, truth, x, inside, places, rng) if len(places) >= FEWEST else None

    border = on_border(inside, side)
    own = judged(paired.samples, border)
    if own is None:
        return None
    beside = {key: judged(x, border) for key, x in _beside(subject, inside, field).items()}
    shares = {key: each.value for key, each in beside.items() if each is not None}
    alone = None if loose(field) is not None else judged(paired.samples, off_border(inside, side))
    where = "on lines between parts" if loose(field) else "on the border of what was given"
    protocol = (
        f"share of crops that a critic takes for what they are: {side}×{side} pixels, {PLACES} of each item, {where}, "
        f"of samples and of the real items in the same places; learnt from the others of {paired.n} items; "
        "floor and ceiling: chance; control: parts of two real items put together; baselines: with the given part put "
        f"in; {subject.which}"
    )
    return Measure(
        *(own.value, own.low, own.high, 0.5, own.n, "estimate", protocol),
        ceiling=0.5,
        note=None if alone is None else f"of crops within what was made {_shown(alone)}",
        control=shares.pop("control", None),
        baseline=shares,
    )


def _shown(share: Seen) -> str:
    return f"{share.value:.3g} ({share.low:.3g} to {share.high:.3g})"


def _beside(subject: Subject, inside: np.ndarray, field: Derived) -> dict[str, np.ndarray]:
    """What has bad seams, or might have some, (n, *shape) by name."""
    paired, given = subject.shared(Paired), inside[:, None]
    others = paired.truth[next_in_cycle(paired.n, mix(subject.seed, "seams of two"))]
    found = {"control": np.where(given, paired.truth, others)}
    trivial = {name: paired.trivial[name] for name in ("copy", "nearest") if name in paired.trivial}
    if loose(field) is not None:
        return found | trivial
    return found | {name: np.where(given, paired.truth, x) for name, x in trivial.items()}
