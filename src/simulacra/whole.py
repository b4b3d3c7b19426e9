r"""The whole batch, seen from a part of it: how a batch is shared out changes neither noise nor means.

    noise   ε_i of item i is row i of what is drawn once for all N items,
    means   m = Σ_r n_r/N m_r over the processes r, with gradients ∂L/∂m_r = n_r/N Σ_q ∂L_q/∂m.

A batch has parts where processes share it, and where it is taken in several turns (`accumulate`). A loss that draws by
`drawn`, and averages by `mean` whatever it does not leave to the loop, is the same function of the batch however
processes share it. Every part draws the noise of the whole batch and takes its rows. Means are over the parts that are
computed at the same time, one by each process: what is taken in turns never meets.

Without parts, and in everything but a loss, all of this is the identity and noise comes from torch's own generators.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Generator, Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

Draw = Callable[[int, Generator | None], Tensor]
"""(n, generator) -> n rows of noise (n, ...); the generator is on the device of the noise, None is torch's own."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the items of a batch.

    rows:    which ones: a slice of all N, or their numbers.
    total:   N.
    seed:    of the noise of the whole batch.
    sizes:   items of the parts that are computed at the same time, by process.
    rank:    the process that this part is of.
    add_up:  the sum of a tensor over the processes, without gradients.
    column:  a column of the condition, of all N items.
    """

    rows: slice | Tensor
    total: int
    seed: int
    sizes: tuple[int, ...]
    rank: int
    add_up: Callable[[Tensor], Tensor]
    column: Callable[[str], Tensor]
    generators: dict[torch.device, Generator] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows) if isinstance(self.rows, Tensor) else self.rows.stop - self.rows.start

    @property
    def weight(self) -> float:
        """n_r/N, of the items that are computed at the same time."""
        return self.sizes[self.rank] / sum(self.sizes)

    def generator(self, device: torch.device) -> Generator:
        """That of the noise of the whole batch, the same one in every draw of this part."""
        if device not in self.generators:
            self.generators[device] = Generator(device).manual_seed(self.seed)
        return self.generators[device]


_PART: ContextVar[Part | None] = ContextVar("part", default=None)


@contextlib.contextmanager
def seen_from(part: Part | None) -> Iterator[None]:
    """Within the context a loss is computed on this part of a batch; None: on all of it."""
    token = _PART.set(part)
    try:
        yield
    finally:
        _PART.reset(token)


def shared() -> bool:
    """Whether several processes compute on one batch at this moment."""
    part = _PART.get()
    return part is not None and len(part.sizes) > 1


# Noise


def drawn(n: int, draw: Draw, device: torch.device, generator: Generator | None = None) -> Tensor:
    """n rows of noise: `draw(n, generator)`, or on a part of a batch its rows of what is drawn for the whole.

    n is a multiple of the items, which are repeated as a whole: (K · items, ...). Any other number of rows is of no
    items, and each process draws its own. Whoever gives a generator has all rows of it.
    """
    part = _PART.get()
    if part is None or generator is not None or n % len(part):
        return draw(n, generator)
    times = n // len(part)
    everything = draw(times * part.total, part.generator(device))
    return everything.unflatten(0, (times, part.total))[:, part.rows].flatten(0, 1)


def placed(own: Tensor) -> Tensor:
    """What is known of each row of noise, (n, ...), at its place in the whole batch; 0 in the rows of other parts.

    For a `Draw` that depends on more than a number of rows: its noise then is that of the whole batch as long as what
    is known of other rows does not change how much of it there is.
    """
    part = _PART.get()
    if part is None or len(own) % len(part):
        return own
    times, rest = len(own) // len(part), own.shape[1:]
    everything = own.new_zeros(times, part.total, *rest)
    everything[:, part.rows] = own.view(times, len(part), *rest)
    return everything.flatten(0, 1)


def normal(shape: tuple[int, ...] | torch.Size, like: Tensor, generator: Generator | None = None) -> Tensor:
    """Standard normal noise of this shape, items first, on the device and in the precision of `like`."""
    return drawn(
        shape[0],
        lambda n, own: torch.randn((n, *shape[1:]), generator=own, device=like.device, dtype=like.dtype),
        like.device,
        generator,
    )


def uniform(shape: tuple[int, ...] | torch.Size, like: Tensor, generator: Generator | None = None) -> Tensor:
    """Noise in [0, 1) of this shape, items first, on the device and in the precision of `like`."""
    return drawn(
        shape[0],
        lambda n, own: torch.rand((n, *shape[1:]), generator=own, device=like.device, dtype=like.dtype),
        like.device,
        generator,
    )


def common(device: torch.device) -> Generator | None:
    """The generator of what is drawn once for a batch, and the same for all of its parts; None is torch's own."""
    part = _PART.get()
    return None if part is None else part.generator(device)


@contextlib.contextmanager
def rows_of(items: Tensor) -> Iterator[None]:
    """Within the context noise has one row for each of these items (R,), numbers from 0 to N - 1 that may occur often.

    For a loss that takes some items several times and others once: it gives the rows of the whole batch and draws for
    those of them that are of its own items, in the same order.
    """
    part = _PART.get()
    if part is None:
        yield
        return
    assert isinstance(part.rows, slice), "rows of rows have no meaning"
    own = ((items >= part.rows.start) & (items < part.rows.stop)).nonzero().flatten()
    with seen_from(replace(part, rows=own, total=len(items))):
        yield


# The other items


def numbers(n: int, device: torch.device) -> tuple[Tensor, int]:
    """The numbers (n,) of the items of a loss within their batch, and N: all of them, 0 to n - 1, without parts."""
    part = _PART.get()
    begin = part.rows.start if part is not None and isinstance(part.rows, slice) else 0
    return torch.arange(begin, begin + n, device=device), n if part is None else part.total


def column(name: str, own: Tensor) -> Tensor:
    """A column of the condition of the whole batch, (N, ...); `own` is that of the items of the loss."""
    part = _PART.get()
    return own if part is None else part.column(name)


def mean(own: Tensor) -> Tensor:
    """The mean over the items of all processes, of a mean over the items of this one; differentiable, to any order."""
    part = _PART.get()
    if part is None or len(part.sizes) == 1:
        return own
    return _added(part.weight * own, part.add_up)


def gathered(own: Tensor) -> Tensor:
    """Rows of the items of this process (n, ...) -> those of all processes in the order of the batch; differentiable.

    In training by several turns these are the items of one turn.
    """
    part = _PART.get()
    if part is None or len(part.sizes) == 1:
        return own
    assert len(own) == part.sizes[part.rank], "only rows of the items of a loss can be gathered"
    before, after = sum(part.sizes[: part.rank]), sum(part.sizes[part.rank + 1 :])
    rest = own.shape[1:]
    return _added(torch.cat([own.new_zeros(before, *rest), own, own.new_zeros(after, *rest)]), part.add_up)


def own(everything: Tensor) -> Tensor:
    """Of what is known of each row of `gathered`, that of the items of this process; differentiable."""
    part = _PART.get()
    if part is None or len(part.sizes) == 1:
        return everything
    before = sum(part.sizes[: part.rank])
    return everything[before : before + part.sizes[part.rank]]


def _added(value: Tensor, add_up: Callable[[Tensor], Tensor]) -> Tensor:
    return cast(Tensor, _Added.apply(value, add_up))


class _Added(Function):
    """Σ_r v_r over the processes. Its gradient is the sum of all gradients: it is its own adjoint."""

    @staticmethod
    def forward(ctx: FunctionCtx, value: Tensor, add_up: Callable[[Tensor], Tensor]) -> Tensor:
        cast(Any, ctx).add_up = add_up
        return add_up(value.contiguous())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _added(gradients[0], ctx.add_up), None
