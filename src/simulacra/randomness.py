"""Seeds for everything that is random, each a pure function of what it is for.

No state of a generator is ever saved: the noise of a training step follows from (seed, step), that of a score from
(seed, "score"), and so on, so that to repeat or resume takes integers that are known anyway.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from simulacra.errors import UsageError

if TYPE_CHECKING:  # data sets are read without torch
    import torch

_GOLDEN = 0x9E3779B97F4A7C15


def mix(*parts: int | str) -> int:
    """A 63-bit seed from several parts; neighbouring parts give unrelated seeds (the finaliser of splitmix64)."""
    mixed = 0
    for part in parts:
        mixed = (mixed ^ (part if isinstance(part, int) else zlib.crc32(part.encode()))) + _GOLDEN
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) % (1 << 64)
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) % (1 << 64)
        mixed ^= mixed >> 31
    return mixed >> 1


def uniforms(index: np.ndarray, count: int, *parts: int | str) -> np.ndarray:
    """Numbers in [0, 1), (n, count) float64: row i follows from the parts and index[i] alone, whatever the other rows.

    index: (n,) integers >= 0. The seed of the parts is mixed with index[i] and with the column, each by splitmix64.
    """
    mixed = np.full((len(index), 1), mix(*parts), np.uint64)
    for part in (index.astype(np.uint64)[:, None], np.arange(count, dtype=np.uint64)[None, :]):
        mixed = (mixed ^ part) + np.uint64(_GOLDEN)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)) * 2.0**-53


def seed_everything(*parts: int | str) -> None:
    """Seed torch for a purpose, such as (seed, "score"); devices that are not in use yet are left alone.

    The same as torch.manual_seed, which spends 0.1 ms a call on a message for devices that are not there.
    """
    import torch

    seed = mix(*parts)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


def generator(device: torch.device, *parts: int | str) -> torch.Generator:
    """A generator of its own for a purpose."""
    import torch

    return torch.Generator(device).manual_seed(mix(*parts))


def some_of(n: int, most: int | None, *parts: int | str) -> np.ndarray:
    """The numbers of at most `most` of n items, rising: all of them where there are no more, else drawn for a purpose.

    The first items of a split are no sample of it, because splits may be sorted. Raises UsageError for most < 1.
    """
    if most is not None and most < 1:
        raise UsageError(f"at least one item is needed, not {most}")
    if most is None or most >= n:
        return np.arange(n)
    return np.sort(np.random.default_rng(mix(*parts)).permutation(n)[:most])
