r"""Codes z as integers, so that they can be pushed and popped like the levels of a pixel.

A prior with a density divides the line of every coordinate into 16^4 cells of the same mass. A cell is coded in four
digits, which sixteenth of the line, which sixteenth of that, and so on: a posterior then needs tables of sixteen masses
and not of 65,536. What a decoder reads for a cell is its median under the prior. The rate is therefore exactly that of
a model with these codes; it is the bound of the model itself as far as cells are narrower than posteriors, which they
are by two orders of magnitude, but for the outermost.

Townsend et al. 2019, "Practical Lossless Compression with Latent Variables using Bits Back Coding": discretisation with
the largest entropy under the prior.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from simulacra.compression.coder import integer_masses
from simulacra.compression.stack import Stack
from simulacra.distributions import (
    Ancestral,
    BinaryCode,
    CorrelatedGaussian,
    Distribution,
    Factorised,
    OneHotCode,
    Peaked,
)


class Cells(ABC):
    """The cells of codes with `numbers` coordinates, base^digits for each; n codes are cells (n, numbers).

    Attributes:
        posteriors: the distributions q whose masses in the cells are known.
    """

    posteriors: ClassVar[tuple[type[Distribution], ...]]

    def __init__(self, numbers: int, base: int, digits: int) -> None:
        self.numbers, self.base, self.digits = numbers, base, digits

    @abstractmethod
    def masses(self, q: Distribution, before: Tensor, digit: int) -> Tensor:
        """What q (in double precision) gives to a digit, after those `before` it (n, numbers): (n, numbers, base)."""

    @abstractmethod
    def codes(self, cells: np.ndarray) -> Tensor:
        """What a decoder reads, (n, numbers, ...) in single precision on the CPU."""

    @property
    def bits(self) -> int:
        """Of a code under the prior; a posterior takes fewer on average."""
        return math.ceil(self.numbers * self.digits * math.log2(self.base))

    def pop(self, stack: Stack, q: Distribution) -> np.ndarray:
        """One code of every item of q, (n, numbers)."""
        q, cells = q.precise(), np.zeros((len(q.mean), self.numbers), np.int64)
        for digit in range(self.digits):
            cells = self.base * cells + stack.pop(self._table(q, cells, digit)).reshape(cells.shape)
        return cells

    def push(self, stack: Stack, q: Distribution, cells: np.ndarray) -> None:
        """The reverse of `pop`."""
        q = q.precise()
        for digit in reversed(range(self.digits)):
            before, last = np.divmod(cells, self.base)
            stack.push(self._table(q, before, digit), last.reshape(-1))
            cells = before

    def _table(self, q: Distribution, before: np.ndarray, digit: int) -> np.ndarray:
        return integer_masses(self.masses(q, torch.from_numpy(before), digit).reshape(-1, self.base).numpy())


class EqualCells(Cells):
    """Cells of equal mass under a prior p with densities, (n, numbers)."""

    posteriors = (Peaked, Ancestral)

    def __init__(self, p: Peaked) -> None:
        super().__init__(p.mean.shape[1], base=16, digits=4)
        self.p = p.precise()

    def masses(self, q: Distribution, before: Tensor, digit: int) -> Tensor:
        assert isinstance(q, Peaked)
        inner = torch.arange(self.base + 1, dtype=torch.float64)
        shares = (self.base * before.unsqueeze(-1) + inner) / self.base ** (digit + 1)
        edges = self.p[..., None].quantile(shares).view(*q.mean.shape, -1)
        return q[..., None].log_mass(edges[..., :-1], edges[..., 1:]).softmax(-1)

    def codes(self, cells: np.ndarray) -> Tensor:
        return self.p.quantile((torch.from_numpy(cells) + 0.5) / self.base**self.digits).float()

    def of(self, columns: slice) -> EqualCells:
        """The cells of some of the coordinates."""
        return EqualCells(self.p[:, columns])


class Bits(Cells):
    """Codes of 0 and 1."""

    posteriors = (BinaryCode,)

    def __init__(self, numbers: int) -> None:
        super().__init__(numbers, base=2, digits=1)

    def masses(self, q: Distribution, before: Tensor, digit: int) -> Tensor:
        return torch.stack((1 - q.mean, q.mean), dim=-1)

    def codes(self, cells: np.ndarray) -> Tensor:
        return torch.from_numpy(cells).float()


class OneHots(Cells):
    """Codes that are one-hot in every coordinate."""

    posteriors = (OneHotCode,)

    def __init__(self, numbers: int, categories: int) -> None:
        super().__init__(numbers, base=categories, digits=1)

    def masses(self, q: Distribution, before: Tensor, digit: int) -> Tensor:
        return q.mean

    def codes(self, cells: np.ndarray) -> Tensor:
        return F.one_hot(torch.from_numpy(cells), self.base).float()


def cells_of(p: Distribution) -> Cells | None:
    """The cells of codes with this prior; None where their coordinates depend on each other, and not as a chain."""
    if isinstance(p, Peaked | CorrelatedGaussian):
        return EqualCells(p if isinstance(p, Peaked) else p.marginals)
    if isinstance(p, BinaryCode):
        return Bits(p.mean.shape[1])
    return OneHots(*p.mean.shape[1:]) if isinstance(p, OneHotCode) else None


def coded(p: Distribution) -> Distribution:
    """A prior in the form in which codes are popped by it: a chain, where coordinates depend on those before them."""
    return p.chain() if isinstance(p, CorrelatedGaussian) else p


def pop_code(stack: Stack, cells: Cells, q: Distribution) -> np.ndarray:
    """One code of every item of q, (n, numbers); of one in layers, one layer after the other."""
    if not isinstance(q, Ancestral):
        return cells.pop(stack, q)
    found: list[np.ndarray] = []

    def visit(part: Cells, layer: Factorised, columns: slice) -> np.ndarray:
        found.append(part.pop(stack, layer))
        return found[-1]

    _walk(cells, q, visit)
    return np.concatenate(found, axis=1)


def push_code(stack: Stack, cells: Cells, q: Distribution, code: np.ndarray) -> None:
    """The reverse of `pop_code`: the layers are gone through from the first, and pushed from the last."""
    if not isinstance(q, Ancestral):
        cells.push(stack, q, code)
        return
    layers: list[tuple[Cells, Factorised, np.ndarray]] = []

    def visit(part: Cells, layer: Factorised, columns: slice) -> np.ndarray:
        layers.append((part, layer, code[:, columns]))
        return code[:, columns]

    _walk(cells, q, visit)
    for part, layer, cell in reversed(layers):
        part.push(stack, layer, cell)


def _walk(cells: Cells, q: Ancestral, visit: Callable[[Cells, Factorised, slice], np.ndarray]) -> None:
    """Through the layers of q, each at the code that `visit` returns for it."""
    assert isinstance(cells, EqualCells)
    used = 0

    def choose(layer: Factorised) -> Tensor:
        nonlocal used
        columns = slice(used, used + layer.mean[0].numel())
        part, used = cells.of(columns), columns.stop
        return part.codes(visit(part, layer, columns)).view_as(layer.mean).to(layer.mean.device)

    q.walk(q.context, choose)
