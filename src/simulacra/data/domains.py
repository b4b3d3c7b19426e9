"""Fields of one kind as the domains of one set: a drawing in two styles as two sets of drawings, without pairs.

    training         each item in one domain alone, so that nobody can learn which drawing goes with which
    valid, test      each item in every domain, beside the hidden pair: the same item in all of them

Which domain an item is shown in is a function of its values, not of its place. Items that share a value in any domain
are shown in the same one: none occurs in two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulacra.data.splits import digests

DOMAIN, PAIR = "domain", "pair"
AT_ONCE = 1024  # items that are digested at a time


def dealt(fields: Sequence[np.ndarray]) -> np.ndarray:
    """Values of K fields, (N, ...) each -> the domain of each item, (N,): as many of each as groups of items allow."""
    digest = np.stack([_digests(values) for values in fields])
    _, value = np.unique(digest, return_inverse=True)
    value = value.reshape(digest.shape)
    group, before = np.arange(len(fields[0])), None
    while before is None or not np.array_equal(group, before):
        before, least = group, np.full(value.max(initial=-1) + 1, len(group))
        np.minimum.at(least, value, np.broadcast_to(group, value.shape))
        group = least[value].min(0)
    first = np.full(len(group), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(first, group, digest.min(0))
    _, place = np.unique(first[group], return_inverse=True)
    return (place % len(fields)).astype(np.int64)


def one_each(fields: Sequence[np.ndarray], domain: np.ndarray) -> np.ndarray:
    """The value of each item in its domain, (N, ...)."""
    shown = np.empty_like(fields[0])
    for number, values in enumerate(fields):
        shown[domain == number] = values[domain == number]
    return shown


def every(fields: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All items in all K domains: the numbers of the items (K·N,), their domains, their values (K·N, ...), and their
    values in every domain (K·N, K, ...)."""
    n, count = len(fields[0]), len(fields)
    pair = np.stack([np.asarray(values) for values in fields], axis=1)
    index, domain = np.repeat(np.arange(n), count), np.tile(np.arange(count, dtype=np.int64), n)
    return index, domain, pair[index, domain], pair[index]


def _digests(values: np.ndarray) -> np.ndarray:
    parts = [digests(values[start : start + AT_ONCE]) for start in range(0, len(values), AT_ONCE)]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)
