r"""Whether conditional samples are of the class that they were drawn under, and as diverse within it as real items are.

    agreement    share of samples to which a classifier of the training split gives the class of their condition
    recall       share of real items of a class that lie in the ball of a sample of that class (`neighbourhoods`)

The classifier errs on real items too: its share there is the ceiling. A model that draws one perfect item of each class
agrees with all conditions, and has no recall.
"""

from __future__ import annotations

import numpy as np

from simulacra.evaluation import intervals
from simulacra.evaluation.neighbourhoods import PAIRS, Distances, K

LEAST = K + 2  # items of a class, on average, of which there is a recall


def recall_within(
    distances: Distances, classes: np.ndarray, rows: np.ndarray | None = None
) -> tuple[float, dict[int, float]]:
    """Recall of real items i, each among samples of its class (n,): of all, and of the items of each class.

    rows: (n,) truths, of these items and samples alone. A class of one item has none.
    """
    rows, found, sizes = np.arange(len(classes)) if rows is None else np.flatnonzero(rows), {}, []
    for value in np.unique(classes[rows]):
        own = rows[classes[rows] == value]
        if len(own) > 1:
            found[int(value)] = float(distances.rows(own).figures()[1])
            sizes.append(len(own))
    return float(np.average(list(found.values()), weights=sizes)) if found else 0.0, found


def with_interval(
    distances: Distances, classes: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, float, dict[int, float]]:
    """The recall of all with its interval, from halves of the items, and that of each class."""
    value, each = recall_within(distances, classes)
    halves = intervals.some_halves(len(classes), PAIRS, rng)
    one, other = (np.array([recall_within(distances, classes, rows)[0] for rows in of]) for of in (halves, ~halves))
    low, high = intervals.about(value, float(np.sqrt(np.square(one - other).mean()) / 2), PAIRS)
    least, most = intervals.of_share(value, len(classes))
    return value, max(0.0, min(low, least)), min(1.0, max(high, most)), each
