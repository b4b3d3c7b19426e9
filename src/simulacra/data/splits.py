"""Which item goes where: a pure function of the items' bytes and a stored seed, never of their order.

Every item has a 64-bit digest under the seed. Items of equal digest are a group, and so are siblings: items that share
a person, a base emoji or a source picture, directly or over others. The groups, in the order of their least digests,
fill test, then valid, then train. So shuffling or renaming the files changes nothing, and neither an exact duplicate
nor a sibling ever lies on both sides of a split that is drawn. (Two different items that share a digest, 3 in 10^8 for
a million items, would only be kept together needlessly.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from simulacra.errors import DataError
from simulacra.terminal import number_of

SPLIT_SEED = 0
SPLITS = ("train", "valid", "test")


class TooFew(DataError):
    """Too few distinct items for all splits."""


@dataclass(frozen=True)
class Fractions:
    """The share of the "train" part of a source that is drawn for a split it does not come with."""

    valid: float = 0.1
    test: float = 0.1


def digests(x: np.ndarray) -> np.ndarray:
    """x (n, ...) -> (n,) uint64, the keyed BLAKE2b of each item's bytes."""
    key = SPLIT_SEED.to_bytes(8, "little")
    size = x[0].nbytes if len(x) else 1
    view = memoryview(x.tobytes())
    joined = b"".join(blake2b(view[i : i + size], digest_size=8, key=key).digest() for i in range(0, len(view), size))
    return np.frombuffer(joined, "<u8").astype(np.uint64)


def sort_key(values: np.ndarray) -> np.ndarray:
    """One number for each value of a field, (n, ...) -> (n,), by which equal items are ordered."""
    return values if values.ndim == 1 else digests(values)


def groups(digest: np.ndarray, siblings: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) the least digest of each item's group: those that share their digest or a key, directly or over others.

    siblings: keys (n,); items of equal key are siblings.
    """
    found, members = digest, [np.unique(key, return_inverse=True)[1] for key in (digest, *siblings)]
    while siblings:
        before = found
        for own in members:
            least = np.full(len(digest), np.iinfo(np.uint64).max, np.uint64)
            np.minimum.at(least, own, found)
            found = least[own]
        if (found == before).all():
            break
    return found


def draw(
    parts: Mapping[str, np.ndarray],
    digest: np.ndarray,
    fields: Sequence[np.ndarray],
    fractions: Fractions,
    siblings: Sequence[np.ndarray] = (),
) -> dict[str, np.ndarray]:
    """The indices of the items of train, valid and test, in the order in which they are stored.

    parts: the indices of each part that the source comes with; `digest` and each of `fields`, (N,) over all of them:
    the labels, or the digests of a field whose values are arrays (`sort_key`). siblings: as in `groups`.
    Official valid and test parts stay as they are; what is missing is drawn from "train" by the fractions, to within
    one group. Raises TooFew when "train" is missing or has too few distinct items for all splits.
    """
    missing = [name for name in ("test", "valid") if name not in parts]
    pool = parts.get("train", np.empty(0, np.int64))
    if not missing and len(pool):
        return {name: parts[name] for name in SPLITS}

    # Equal items differ in nothing but their fields, so ordering by these too leaves no trace of the files' order.
    group = groups(digest[pool], [key[pool] for key in siblings])
    order = np.lexsort((*(values[pool] for values in fields), digest[pool], group))
    pool, (_, counts) = pool[order], np.unique(group, return_counts=True)
    if len(counts) <= len(missing):
        needed = len(missing) + 1
        if siblings:
            found = f"{number_of(len(pool), 'training item')} in {number_of(len(counts), 'group')} of siblings"
            raise TooFew(f"{found} cannot be split: at least {needed} are needed, or folders train/ valid/ test/")
        found = number_of(len(counts), "distinct training item")
        raise TooFew(f"{found} cannot be split: at least {needed} are needed")

    targets = [round(getattr(fractions, name) * len(pool)) for name in missing]
    pool, counts = _large_groups_last(pool, counts, limit=max(1, min(targets)))
    ends = _boundaries(counts, targets)
    drawn = dict(zip([*missing, "train"], np.split(pool, ends), strict=True))
    return {name: drawn[name] if name in drawn else parts[name] for name in SPLITS}


def undivided(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`draw` without a draw, for items that are looked at and not learnt from: without official test items all of
    "train" are such, in their order, be it one."""
    none = np.empty(0, np.int64)
    parts = parts if "test" in parts else {**parts, "train": none, "test": parts.get("train", none)}
    return {name: parts.get(name, none) for name in SPLITS}


def _large_groups_last(pool: np.ndarray, counts: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Groups larger than a split that is drawn (half the images blank, say) go to the end, which is train."""
    large = counts > limit
    order = np.argsort(large, kind="stable")
    return pool[np.argsort(np.repeat(large, counts), kind="stable")], counts[order]


def _boundaries(counts: np.ndarray, targets: list[int]) -> list[int]:
    """Where to cut the items: at the ends of groups, nearest above the targets, each piece at least one group."""
    ends = np.cumsum(counts)
    cuts: list[int] = []
    for i, target in enumerate(np.cumsum(targets)):
        first = cuts[-1] + 1 if cuts else 0
        last = len(counts) - 1 - (len(targets) - i)  # leaves a group for every piece still to come
        cuts.append(min(max(int(np.searchsorted(ends, target)), first), last))
    return [int(ends[cut]) for cut in cuts]
