r"""Coding by a latent variable z, at about -ELBO / ln 2 bits an item: what a model with a bound can do.

The sender is free to choose z, and draws it by bits that are to be sent anyway:

    pop  z with q(z|x)      -log2 q(z|x) bits fewer
    push x with p(x|z)      -log2 p(x|z) bits more
    push z with p(z)        -log2 p(z) bits more:       -ELBO / ln 2 on average.

The receiver pops z, pops x, and pushes z with q(z|x): there are the bits again. What the first item pops is not paid
for by any before it, so once -log2 q(z|x) bits are lost. To let many items pop at once, a batch is as large as what
lies on the stack can pay for. Its size is pushed after it; those of the first are small.

Townsend et al. 2019, "Practical Lossless Compression with Latent Variables using Bits Back Coding".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from simulacra.capabilities import Bound, Decoder, Encoder, Prior
from simulacra.compression.cells import Cells, cells_of, coded, pop_code, push_code
from simulacra.compression.coder import masses_of, uniform
from simulacra.compression.contents import classes_of
from simulacra.compression.stack import Stack
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.distributions import Distribution, GridDistribution
from simulacra.errors import NotSupported
from simulacra.progress import advance

TABLE = 1 << 20  # masses of levels at a time,
CELLS = 1 << 17  # and coordinates of codes: memory stays flat in the batch


class CodeModel(Bound, Encoder, Decoder, Prior, Protocol):
    """A model with codes and a bound."""

    spec: DataSpec

    @property
    def device(self) -> torch.device: ...


class ByBitsBack:
    """Items of a model with codes <-> bytes; raises NotSupported, with the reason, where codes cannot be coded."""

    def __init__(self, model: CodeModel) -> None:
        self.model, self.labels = model, {name: label.count for name, label in classes_of(model.spec).items()}
        condition = self._condition({name: np.zeros(1, np.int64) for name in self.labels})
        p, q = model.prior(1, condition), model.encode(self._items(np.zeros((1, model.spec.dims), np.uint8)), condition)
        self.cells = _cells(p)
        if not isinstance(q, self.cells.posteriors):
            raise NotSupported(f"its encoder returns a {type(q).__name__}, from which no bits can be taken")
        x = model.decode(self._codes(self.cells, np.zeros((1, self.cells.numbers), np.int64)), condition)
        if not isinstance(x, GridDistribution):
            raise NotSupported(f"its decoder returns a {type(x).__name__}, which has no mass for each value")

    def nats(self, x: Tensor, condition: Condition) -> Tensor:
        """The ELBO, (N,), always with the same noise."""
        with torch.random.fork_rng([x.device] if x.device.type == "cuda" else []):
            torch.manual_seed(0)
            return self.model.elbo(x, condition)

    def write(self, x: np.ndarray, fields: Mapping[str, np.ndarray], batch: int) -> bytes:
        """x (N, dims) uint8 and the fields (N,); at most `batch` items at a time."""
        stack, done, most = Stack(), 0, self._most(batch)
        while done < len(x):
            size = max(1, min(stack.spare // self.cells.bits, most, len(x) - done))
            part = slice(done, done + size)
            self._push(stack, x[part], {name: values[part] for name, values in fields.items()})
            done += size
            _push_any(stack, np.array([size - 1]), min(most, done))
            advance(done, len(x))
        return stack.bytes()

    def read(self, payload: bytes, x: np.ndarray, fields: Mapping[str, np.ndarray], batch: int) -> None:
        """What `write` was given, written into x and the fields, from the last batch to the first.

        Raises DataError unless the bits that were there before the first batch come out at the end.
        """
        stack, left, most = Stack(payload), len(x), self._most(batch)
        while left:
            size = 1 + int(_pop_any(stack, 1, min(most, left))[0])
            part = slice(left - size, left)
            self._pop(stack, x[part], {name: values[part] for name, values in fields.items()})
            left -= size
            advance(len(x) - left, len(x))
        stack.expect_ground()

    def _most(self, batch: int) -> int:
        return max(1, min(batch, CELLS // self.cells.numbers))

    def _push(self, stack: Stack, x: np.ndarray, fields: Mapping[str, np.ndarray]) -> None:
        condition = self._condition(fields)
        prior = self.model.prior(len(x), condition)
        cells = _cells(prior)
        code = pop_code(stack, cells, self.model.encode(self._items(x), condition))
        _push_items(stack, self.model.decode(self._codes(cells, code), condition), x)
        push_code(stack, cells, coded(prior), code)
        for name, count in self.labels.items():
            _push_any(stack, fields[name], count)

    def _pop(self, stack: Stack, x: np.ndarray, fields: Mapping[str, np.ndarray]) -> None:
        """The reverse of `_push`; x and the fields are overwritten."""
        for name, count in reversed(self.labels.items()):
            fields[name][:] = _pop_any(stack, len(x), count)
        condition = self._condition(fields)
        prior = self.model.prior(len(x), condition)
        cells = _cells(prior)
        code = pop_code(stack, cells, coded(prior))
        _pop_items(stack, self.model.decode(self._codes(cells, code), condition), x)
        push_code(stack, cells, self.model.encode(self._items(x), condition), code)

    def _condition(self, fields: Mapping[str, np.ndarray]) -> Condition:
        return Condition({name: torch.from_numpy(values) for name, values in fields.items()}).to(self.model.device)

    def _items(self, x: np.ndarray) -> Tensor:
        return torch.from_numpy(x).view(-1, *self.model.spec.shape).to(self.model.device)

    def _codes(self, cells: Cells, code: np.ndarray) -> Tensor:
        return cells.codes(code).to(self.model.device)


def _cells(p: Distribution) -> Cells:
    cells = cells_of(p)
    if cells is None:
        raise NotSupported(
            "its prior is no chain of the coordinates of a code, and bits-back coding takes one after the other"
        )
    return cells


def _parts(p: Distribution, x: np.ndarray) -> list[tuple[GridDistribution, np.ndarray]]:
    """p and x (n, dims), a few items at a time."""
    assert isinstance(p, GridDistribution)
    few = max(1, TABLE // (x.shape[1] * p.levels))
    return [(p[i : i + few], x[i : i + few]) for i in range(0, len(x), few)]


def _push_items(stack: Stack, p: Distribution, x: np.ndarray) -> None:
    for some, part in _parts(p, x):
        stack.push(masses_of(some, len(part)), part.reshape(-1))


def _pop_items(stack: Stack, p: Distribution, x: np.ndarray) -> None:
    """The reverse of `_push_items`; x is overwritten."""
    for some, part in reversed(_parts(p, x)):
        part[:] = stack.pop(masses_of(some, len(part))).reshape(part.shape)


def _push_any(stack: Stack, values: np.ndarray, count: int) -> None:
    """values (n,) out of so many, all of them as likely."""
    if count > 1:
        stack.push(uniform(count, len(values)), values)


def _pop_any(stack: Stack, n: int, count: int) -> np.ndarray:
    return stack.pop(uniform(count, n)) if count > 1 else np.zeros(n, np.int64)
