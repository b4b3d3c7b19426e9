"""How the items of a turn are shared out: by the processes, and one after the other where a batch is taken in parts."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from simulacra.randomness import mix
from simulacra.training.options import Options
from simulacra.training.runtime import Runtime
from simulacra.turns import Turn
from simulacra.whole import Part


def shared_out(turn: Turn, options: Options, runtime: Runtime, *purpose: int) -> Iterator[tuple[slice, Part | None]]:
    """The parts of the items of this process in which a loss is taken, and what each is of the whole batch.

    None where a part is all there is. The noise of the batch follows from the seed and from what it is for.
    """
    if runtime.world == 1 and min(len(turn), options.accumulate) == 1:
        yield slice(0, len(turn)), None
        return
    batch = len(turn) if runtime.world == 1 else options.batch
    shares = runtime.shares(batch)
    begin = shares[runtime.rank].start
    together = [_parts(share.stop - share.start, options.accumulate) for share in shares]
    column = functools.cache(functools.partial(_column, turn, shares[runtime.rank], batch, runtime))
    for number, own in enumerate(together[runtime.rank]):
        sizes = tuple(parts[number].stop - parts[number].start for parts in together)
        rows = slice(begin + own.start, begin + own.stop)
        yield own, Part(rows, batch, mix(options.seed, *purpose, 0), sizes, runtime.rank, runtime.add_up, column)


def _column(turn: Turn, share: slice, batch: int, runtime: Runtime, name: str) -> Tensor:
    """A column of the condition of all items of the batch."""
    own = turn.condition[name]
    if runtime.world == 1:
        return own
    everything = torch.zeros((batch, *own.shape[1:]), dtype=own.dtype, device=own.device)
    everything[share] = own
    return runtime.add_up(everything)


def _parts(n: int, count: int) -> list[slice]:
    """n items in so many parts, which differ by one item at most; in n where n is less."""
    count = min(n, count)
    ends = [n * i // count for i in range(count + 1)]
    return [slice(begin, end) for begin, end in itertools.pairwise(ends)]
