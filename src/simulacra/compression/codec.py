"""Arrays of items as bytes and back: a header, and the items by the chain rule or, given a bound, with bits back."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from simulacra.capabilities import Bound, Chain, Decoder, Density, Encoder, Prior
from simulacra.compression.bitsback import ByBitsBack
from simulacra.compression.container import (
    MAX_THREADS,
    Header,
    Surroundings,
    items_digest,
    model_digest,
    pack,
    unpack,
)
from simulacra.compression.contents import classes_of
from simulacra.compression.walk import ByChain, reproducibly
from simulacra.condition import Condition, ConditionLike
from simulacra.data.source import reading
from simulacra.errors import DataError, NotSupported, UsageError
from simulacra.feed import slices
from simulacra.files import read_regular, write_atomically
from simulacra.model import Model, ModelLike, as_model, evaluating
from simulacra.verbs import ItemsLike, items_for, verb

MAX_FILE = 1 << 32  # bytes
BATCH = 256  # items that are coded together; a power of two


class Scheme(Protocol):
    """A way in which the items of a model, and the fields of their condition, become bytes."""

    def nats(self, x: torch.Tensor, condition: Condition) -> torch.Tensor:
        """What it codes items at, (N,): the larger, the fewer bytes."""
        ...

    def write(self, x: np.ndarray, fields: Mapping[str, np.ndarray], batch: int) -> bytes:
        """x (N, dims) uint8 and the fields (N,), at most `batch` items together."""
        ...

    def read(self, payload: bytes, x: np.ndarray, fields: Mapping[str, np.ndarray], batch: int) -> None:
        """What `write` was given, written into x and the fields; raises DataError for what it cannot have made."""
        ...


@verb
def compress(
    model: ModelLike,
    x: ItemsLike | None = None,
    out: str | os.PathLike[str] | None = None,
    condition: ConditionLike | None = None,
    *,
    split: str = "test",
    limit: int | None = None,
) -> bytes:
    """Items as bytes, without loss: about Σ -log2 p(x | condition) bits and 31 bytes more.

    Where the model has a bound instead of p, it takes Σ -ELBO / ln 2 bits, and once what the first code costs: less
    than two bytes for each of its coordinates.

    A conditional model codes the condition with the items, uniformly. Where none is given it takes for every item the
    class under which the item is most likely; such a class is needed for decoding, and `decompress` does not return it.

    Args:
        model: an autoregressive model of data on a grid, or one with codes and a bound; or its run folder.
        x: (N, *shape) integers on the grid; or data, whose items are taken; without it those of the run.
        out: a file to write the bytes to, replaced in one step.
        condition: fields of the condition, one value for all items or one for each. Items of data have their own.
        split: of the data.
        limit: at most so many items of it, drawn by seed 0.

    Raises:
        NotSupported: the model is no chain of conditional masses, and has no codes that can be coded; the message says
            why.
        UsageError: a model with a condition that is no class, items of another shape or off the grid, classes that do
            not exist, no package `constriction`.
    """
    model = as_model(model)
    scheme_of(model)
    if not isinstance(x, np.ndarray | np.generic | torch.Tensor):
        x, condition = items_for(model, x, condition, split, limit)
    data = encode(model, x, condition)
    if out is not None:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(Path(out), data)
    return data


@verb
def decompress(model: ModelLike, data: bytes | str | os.PathLike[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What `compress` was given: x (N, *shape) uint8 and the fields of the condition, {} where none was given.

    `data` are the bytes or the file. They are decoded on the machine, or one like it, that coded them: a network whose
    sums round otherwise is another model. This is found out by a checksum, and no wrong item is ever returned.

    Raises:
        UsageError: the bytes were made with another model, or there is no such file.
        DataError: the bytes are no such file or are damaged, or the items differ from those that were coded.
    """
    x, condition, _ = decode(as_model(model), *read(data))
    return x, condition


def read(data: bytes | str | os.PathLike[str]) -> tuple[bytes, str]:
    """The bytes and what to call them; raises UsageError where there is no such file."""
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data), "these bytes"
    if not isinstance(data, str | os.PathLike) or not Path(data).is_file():
        raise UsageError(f"there is no file {data!s:.200} to decompress")
    with reading(Path(data)):
        return read_regular(Path(data), MAX_FILE), str(data)


@dataclass(frozen=True)
class Coded:
    """Items as bytes, and what these are made of, in bits.

    items:   Σ -log2 p(x | condition), or Σ -ELBO / ln 2: what `score` says, of these items.
    classes: of their condition, coded uniformly.
    header:  the bytes around the coded items.
    notes:   names, and how values were stored.
    coding:  what is left: rounding of masses, the first codes of bits-back, other draws of a bound.
    """

    data: bytes
    items: float
    classes: float
    header: float
    notes: float

    @property
    def coding(self) -> float:
        return 8 * len(self.data) - self.items - self.classes - self.header - self.notes


def encode(
    model: Model, x: Any, condition: ConditionLike | None = None, notes: Mapping[str, Any] | None = None
) -> bytes:
    """`compress`, with notes that are kept beside the items."""
    return coded(model, x, condition, notes).data


def coded(
    model: Model, x: Any, condition: ConditionLike | None = None, notes: Mapping[str, Any] | None = None
) -> Coded:
    """`encode`, with an account of the bits."""
    scheme, x = scheme_of(model), on_grid(model, x)
    labelled = bool(condition)
    with evaluating(model):
        fields = _known_fields(model, condition, len(x)) if labelled else _likeliest_fields(model, scheme, x)
        batch = min(BATCH, 1 << (len(x) - 1).bit_length())
        threads = min(torch.get_num_threads(), MAX_THREADS)
        with reproducibly(threads):
            payload = scheme.write(x.reshape(len(x), -1).copy(), fields, batch)
        nats = float(_nats(model, scheme, x, fields).sum())
    header = Header(
        model=model_digest(model),
        items=items_digest(x, fields),
        n=len(x),
        shape=model.spec.shape,
        levels=model.spec.grid_levels,
        batch=batch,
        surroundings=Surroundings.here(model.device, threads),
        labelled=labelled,
        notes=notes or {},
    )
    data, plain = pack(header, payload), pack(replace(header, notes={}), b"")
    classes = len(x) * sum(math.log2(label.count) for label in classes_of(model.spec).values())
    named = 8.0 * (len(data) - len(payload) - len(plain))
    return Coded(data, nats / math.log(2), classes, 8.0 * len(plain), named)


def decode(model: Model, data: bytes, name: str) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, Any]]:
    """The items, the condition where one was given, and the notes of bytes called `name`; errors as in `decompress`."""
    scheme, (header, payload) = scheme_of(model), unpack(data, name)
    if header.model != (own := model_digest(model)):
        raise UsageError(
            f"{name} ({header.describe()}) was made with model {header.model.hex()}, and this is model {own.hex()}; "
            "give the run that it was made with"
        )
    if (header.shape, header.levels) != (model.spec.shape, model.spec.grid_levels) or header.batch > BATCH:
        raise DataError(
            f"{name} is malformed: it holds {header.describe()}, and its model is for {model.spec.describe()}"
        )
    try:
        x = np.zeros((header.n, model.spec.dims), np.uint8)
        fields = {field: np.zeros(header.n, np.int64) for field in model.spec.condition}
    except MemoryError:
        raise DataError(f"{name} claims {header.describe()}, and there is no memory for so many") from None
    around = header.surroundings
    here = Surroundings.here(model.device, around.threads)
    try:
        with evaluating(model), reproducibly(max(1, around.threads)):
            scheme.read(payload, x, fields, header.batch)
        right = items_digest(x, fields) == header.items
    except DataError:
        right = False
    if not right:
        raise DataError(
            f"{name} cannot be decoded here: the items differ from those that were coded, and nothing is written. "
            f"It was made by {around.describe()}; this is {here.describe()}, and its sums round otherwise"
        )
    return x.reshape(header.n, *model.spec.shape), fields if header.labelled else {}, dict(header.notes)


def scheme_of(model: Model) -> Scheme:
    """How items of this model are coded; raises NotSupported, or UsageError, with the reason where they cannot be."""
    classes_of(model.spec)
    if model.spec.levels is None:
        why = "its data are continuous: they have densities, and only masses can be coded"
    elif isinstance(model, Chain):
        return ByChain(model)
    elif isinstance(model, Density):
        why = "its density is not a product of conditionals, so there is nothing to code one value after the other"
    elif not isinstance(model, Bound):
        why = "it assigns no probability to an item, and a code is as long as -log2 p"
    elif isinstance(model, Encoder) and isinstance(model, Prior) and isinstance(model, Decoder):
        try:
            with evaluating(model):
                return ByBitsBack(model)
        except NotSupported as reason:
            why = str(reason)
    else:
        why = "its likelihood is a bound, and it has no codes by which one could code at it"
    raise NotSupported(
        f"{model.name} cannot compress: {why}; on data with levels, gated-pixelcnn can, and vae with a gaussian prior"
    )


def on_grid(model: Model, x: Any) -> np.ndarray:
    """x as (N, *shape) uint8; raises UsageError for another shape, for no items and for values off the model's grid."""
    spec, values = model.spec, np.asarray(x.cpu() if isinstance(x, torch.Tensor) else x)
    if values.shape[1:] != spec.shape or values.ndim == 0:
        raise UsageError(f"the model is for items of shape {spec.shape}, not for an array of shape {values.shape}")
    if not len(values):
        raise UsageError("there are no items to compress")
    if values.dtype.kind not in "biu":
        raise UsageError(f"the model is for {spec.describe()}: integers are needed, not {values.dtype}")
    if values.min() < 0 or values.max() >= spec.grid_levels:
        reach = f"{values.min()} to {values.max()}"
        raise UsageError(
            f"the model is for the levels 0 to {spec.grid_levels - 1}, and these values reach from {reach}"
        )
    return np.ascontiguousarray(values, np.uint8)


def _known_fields(model: Model, condition: ConditionLike | None, n: int) -> dict[str, np.ndarray]:
    return {name: values.cpu().numpy().copy() for name, values in model.conditioned(condition, n).items()}


def _likeliest_fields(model: Model, scheme: Scheme, x: np.ndarray) -> dict[str, np.ndarray]:
    """For every item the classes y under which it is most likely, (N,) each; {} for an unconditional model."""
    labels, best = classes_of(model.spec), np.full(len(x), -np.inf)
    fields = {name: np.zeros(len(x), np.int64) for name in labels}
    if not labels:
        return fields
    for classes in itertools.product(*(range(label.count) for label in labels.values())):
        condition = dict(zip(labels, classes, strict=True))
        likely = -_nats(model, scheme, x, {name: np.full(len(x), number) for name, number in condition.items()})
        for name in labels:
            fields[name][likely > best] = condition[name]
        best = np.maximum(best, likely)
    return fields


def _nats(model: Model, scheme: Scheme, x: np.ndarray, fields: Mapping[str, np.ndarray]) -> np.ndarray:
    """-log p of every item, or the bound that is coded at, (N,) float64."""
    found = []
    for part in slices(len(x), BATCH):
        condition = model.conditioned({name: values[part] for name, values in fields.items()}, part.stop - part.start)
        found.append(-scheme.nats(torch.from_numpy(x[part]).to(model.device), condition))
    return torch.cat(found).cpu().double().numpy()
