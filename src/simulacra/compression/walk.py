"""Coding by the chain rule, at -log2 p(x) bits: a walk along the chain that writer and reader both take, with the same
steps, in the same company, on the same machine.

A reader can follow only if every mass comes out the same to the last bit, and floating-point sums depend on how they
are arranged: one part in 10^6 is enough to lose the thread within a few symbols. So both take the steps of the model,
never its parallel pass, in batches of one size (the last is filled up with blanks), with the same number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from simulacra.capabilities import Chain
from simulacra.compression.coder import Code, Reader, Writer, masses_of, uniform
from simulacra.compression.contents import classes_of
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.feed import slices
from simulacra.progress import advance


class ChainModel(Chain, Protocol):
    """A model that is a chain."""

    spec: DataSpec

    @property
    def device(self) -> torch.device: ...


class ByChain:
    """Items of a chain <-> bytes."""

    def __init__(self, model: ChainModel) -> None:
        self.model = model

    def nats(self, x: Tensor, condition: Condition) -> Tensor:
        """log p(x | condition), (N,)."""
        return self.model.log_each(x, condition).flatten(1).sum(1)

    def write(self, x: np.ndarray, fields: Mapping[str, np.ndarray], batch: int) -> bytes:
        """x (N, dims) uint8 and the fields (N,), `batch` items at a time."""
        writer = Writer()
        walk(self.model, x, fields, batch, writer)
        return writer.bytes()

    def read(self, payload: bytes, x: np.ndarray, fields: Mapping[str, np.ndarray], batch: int) -> None:
        """What `write` was given, written into x and the fields."""
        walk(self.model, x, fields, batch, Reader(payload))


def walk(model: ChainModel, x: np.ndarray, fields: Mapping[str, np.ndarray], batch: int, code: Code) -> None:
    """Code the fields of the condition, uniformly, and all coordinates of the items, a batch at a time.

    x (N, dims) uint8 and the fields (N,) are overwritten with what `code` returns: itself, or what was found out.
    """
    for part in slices(len(x), batch):
        for name, label in classes_of(model.spec).items():
            if label.count > 1:
                fields[name][part] = code(uniform(label.count, len(x[part])), fields[name][part])
        condition = {name: _filled_up(values[part], batch, model.device) for name, values in fields.items()}
        for done in _walk_batch(model, x[part], Condition(condition), batch, code):
            advance(part.start * x.shape[1] + done, x.size)


def _walk_batch(model: ChainModel, x: np.ndarray, condition: Condition, batch: int, code: Code) -> Iterator[int]:
    """Yields how many coordinates are coded, one after the other."""
    steps = model.steps(batch, condition)
    for done, place in enumerate(model.order().tolist(), 1):
        x[:, place] = code(masses_of(steps.conditional(), len(x)), x[:, place])
        steps.append(_filled_up(x[:, place], batch, model.device))
        yield len(x) * done


def _filled_up(values: np.ndarray, batch: int, device: torch.device) -> Tensor:
    whole = np.zeros(batch, values.dtype)
    whole[: len(values)] = values
    return torch.from_numpy(whole).to(device)


@contextmanager
def reproducibly(threads: int) -> Iterator[None]:
    """So many threads, and no kernel that is chosen by its speed or adds in an order of its own, within the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        cudnn = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with torch.no_grad(), cudnn:
            yield
    finally:
        torch.set_num_threads(before)
