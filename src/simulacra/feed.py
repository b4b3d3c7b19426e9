"""From a split on disk, or items in memory, to tensors for a model: only the rows that are needed are read.

How many items a verb computes at a time (`at_once`) is a matter of speed and memory alone. Noise is keyed by *blocks*
of a constant size: block b of a verb takes all its noise from a generator of (seed, verb, b), so that neither the batch
nor the device's memory nor how items are shared out changes a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data import DataSpec, Split
from simulacra.derived import Derived
from simulacra.errors import UsageError
from simulacra.fields import PADDING, ClassLabel, Field, Levels, Sound, each_leaf
from simulacra.model import Model
from simulacra.progress import counted
from simulacra.randomness import some_of

Items = tuple[Tensor, Condition]
BLOCK = 64  # items of a split whose codes are drawn with the noise of one generator
FEWEST_HEARD, SAMPLES = 100, 1 << 19
CONVOLVED, OTHERS = BLOCK, 4 * BLOCK  # items at a time; multiples of a block, so that a batch consists of whole ones


def at_once(model: Model) -> int:
    """How many items a verb computes at a time, which changes no result.

    64 on a CPU for images that a network of convolutions reads: its activations then fit the cache, and an item takes
    half the time that it takes among 250. 256 for all other models, and on every other device.
    """
    convolves = any(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in model.modules())
    return CONVOLVED if model.spec.is_image and convolves and model.device.type == "cpu" else OTHERS


def enough(spec: DataSpec, most: int) -> int:
    """How many items a figure is made of, `most` at most: of sound, whose items are long, half a million samples, and
    100 items at least."""
    return min(most, max(FEWEST_HEARD, SAMPLES // spec.dims)) if isinstance(spec.x, Sound) else most


def slices(n: int, size: int) -> Iterator[slice]:
    """0..n in pieces of `size`, the last of which may be smaller."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


Change = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
"""Of arrays (n, ...) by the names of their columns, those of x under ""."""


def feed(
    split: Split,
    indices: np.ndarray | slice,
    spec: DataSpec,
    device: torch.device,
    change: Change | None = None,
    unlabelled: bool = False,
) -> Items:
    """x (n, *shape) and the condition that `spec` asks for, on the device.

    What is stored is read and may be changed, by an augmentation; what is derived of x is derived after that.
    Raises UsageError for data of another shape or grid, or without a field of the condition; and for an item without a
    label (-1), unless these are `unlabelled` ones too, as a model that learns from them wants them.
    """
    arrays = {"": np.array(split.x[indices])} | _stored(split, indices, spec, unlabelled)
    check_items(arrays[""], spec)
    arrays = arrays if change is None else change(arrays)
    x, numbers = arrays.pop(""), np.arange(len(split))[indices]
    for name, field in derived(split, spec).items():
        arrays[name] = field.by.derive(x, numbers, spec.x)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    return torch.from_numpy(np.ascontiguousarray(x)).to(device), Condition(tensors).to(device)


def derived(split: Split, spec: DataSpec) -> dict[str, Derived]:
    """The fields of the condition that are made of x, because the split has none of the name."""
    fields = spec.condition.items()
    return {name: field for name, field in fields if isinstance(field, Derived) and name not in split.condition}


def check_items(x: np.ndarray, spec: DataSpec) -> None:
    """Raise UsageError unless x (n, *shape) is what a model of this spec is for."""
    if x.shape[1:] != spec.shape:
        raise UsageError(f"the model is for items of shape {spec.shape}, these have shape {x.shape[1:]}")
    if (x.dtype.kind == "f") != (spec.levels is None):
        raise UsageError(f"the model is for {spec.describe()}, these data are {x.dtype}")
    if spec.levels is not None and len(x) and int(x.max()) >= spec.levels:
        raise UsageError(f"the model is for {spec.levels} levels, but these data reach {int(x.max())}")


def _stored(split: Split, indices: np.ndarray | slice, spec: DataSpec, unlabelled: bool) -> dict[str, np.ndarray]:
    """The columns of the condition that the split has."""
    columns, made = {}, derived(split, spec)
    for name, field in ((name, field) for name, field in spec.condition.items() if name not in made):
        if split.condition and (lacking := field.columns(name).keys() - split.condition.keys()):
            own = ", ".join(dict.fromkeys(key.partition(".")[0] for key in split.condition))
            what = repr(name) if name not in own.split(", ") else f"{min(lacking)!r}"
            raise UsageError(
                f"the model is conditioned on {what}, which these {split.name} items have not; they have {own}: name "
                "data that have it"
            )
        for key, column in field.columns(name).items():
            columns[key] = np.array(split.field(key)[indices])
            if columns[key].shape[1:] != column.shape:
                raise UsageError(
                    f"the model knows {key!r} of shape {column.shape}; these {split.name} items have it of "
                    f"{columns[key].shape[1:]}: name data that have it as {field.describe()}"
                )
        _check_values(name, field, columns, unlabelled)
    return columns


def _check_values(name: str, field: Field, columns: dict[str, np.ndarray], unlabelled: bool) -> None:
    """Raise UsageError for values beyond those that the model knows."""
    for key, leaf in each_leaf(name, field.own if isinstance(field, Derived) else field):
        wrong, hidden = leaf.wrong(columns[key]), (columns[key] == PADDING) & isinstance(leaf, ClassLabel)
        if hidden.any() and not unlabelled:
            raise UsageError(f"{key} -1 does not exist: items without a label are for training alone")
        if (wrong := wrong & ~hidden).any():
            value = columns[key][wrong].flat[0]
            raise UsageError(f"the model knows {leaf.describe()} of {key!r}, and these data have the value {value}")


def in_order(
    split: Split, spec: DataSpec, device: torch.device, batch: int, limit: int | None = None
) -> Iterator[Items]:
    """The items of a split, or its first `limit`, in batches and in order; the last batch may be smaller.

    Raises UsageError, when the first batch is read, for a batch or limit below one item.
    """
    for least in (batch, limit):
        if least is not None and least < 1:
            raise UsageError(f"at least one item is needed, not {least}")
    n = len(split) if limit is None else min(limit, len(split))
    for part in counted(slices(n, batch), n):
        yield feed(split, part, spec, device)


def shown(model: Model, split: Split, n: int, each: int = 1) -> Condition:
    """A condition for n items to look at: all classes in turn, or where there is more than classes that of items of the
    split, drawn by a constant seed, `each` times one after the other, in turn where it has fewer."""
    return shown_of(model, split, n, each)[1]


def shown_of(model: Model, split: Split, n: int, each: int = 1) -> tuple[Tensor | None, Condition]:
    """The same behind the items (n, *shape) that it is of; None of classes in turn."""
    if all(isinstance(field, ClassLabel) for field in model.spec.condition.values()):
        return None, model.every_class(n)
    count = -(-n // each)
    index = np.resize(some_of(len(split), count, "shown"), count).repeat(each)[:n]
    return feed(split, index, model.spec, model.device)


def drawn(split: Split, n: int, model: Model, seed: int) -> Items:
    """Some items of a split to look at, n or all that there are, drawn by the seed; raises UsageError for n < 1."""
    return feed(split, some_of(len(split), n, seed, "shown"), model.spec, model.device)


def numbered(split: Split, index: np.ndarray, spec: DataSpec, device: torch.device, batch: int) -> Iterator[Items]:
    """The items of a split with the numbers `index` (n,), in batches; the last batch may be smaller."""
    for part in counted(slices(len(index), batch), len(index)):
        yield feed(split, index[part], spec, device)


def as_items(x: Tensor | np.ndarray, spec: DataSpec, device: torch.device) -> Tensor:
    """Items (N, *shape) that somebody gives, on the device; raises UsageError for another shape or off the grid."""
    x = as_tensor(x)
    if not len(x) or x.shape[1:] != spec.shape:
        raise UsageError(f"the model is for items of shape {spec.shape}, (N, *shape), not {tuple(x.shape)}")
    if not isinstance(spec.x, Levels):
        return x.to(device, torch.float32)
    if x.is_floating_point() or int(x.min()) < 0 or int(x.max()) >= spec.grid_levels:
        raise UsageError(f"the model is for integers 0 to {spec.grid_levels - 1}; these items are off this grid")
    return x.to(device, torch.uint8)


def as_tensor(values: Tensor | np.ndarray) -> Tensor:
    """A tensor; arrays are copied, because those of a data set are read-only, which torch warns of."""
    return values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
