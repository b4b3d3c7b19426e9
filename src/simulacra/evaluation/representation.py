r"""What codes are good for: the class of an item predicted from its code, or found without any label.

linear probe   multinomial logistic regression on standardised codes
k-NN probe     the majority among the 5 nearest training items, by the Euclidean distance of codes
clustering     k-means with as many clusters as classes, matched one to one to classes so that most items agree

All three learn from training items and are judged on others. Beside each stands what the leading principal components
of the pixels score in the place of the codes, as many as a code has numbers: a code that does not beat them has learnt
nothing that a rotation of the pixels does not know.

k-NN and k-means take codes as they are: a dimension that carries nothing has next to no variance, and standardising
would make noise of it that is as loud as everything else.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from simulacra.capabilities import Encoder, need
from simulacra.data import Dataset, Split
from simulacra.errors import UsageError
from simulacra.evaluation import intervals
from simulacra.evaluation.logistic import standardised_regression
from simulacra.evaluation.measure import Measure
from simulacra.feed import at_once, numbered
from simulacra.model import Model, evaluating
from simulacra.randomness import mix, some_of

TRAIN, TEST = 5000, 2000  # items at most
NEIGHBOURS = 5
RESTARTS = 5
NUMBERS = 256  # of a code; of larger ones the leading principal components are taken
PIXEL_COMPONENTS = 64  # behind the k-means of the pixels

Probe = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Codes (N, D) and classes (N,) of training items, codes (M, D) of others -> their classes (M,)."""


@dataclass(frozen=True)
class Encoded:
    """Some items of a split.

    codes:       (N, D).
    description: what the codes are, for a protocol.
    pixels:      (N, ...), their principal components, the leading ones first.
    fields:      labels (N,), by name.
    of:          how many items the split has.
    """

    codes: np.ndarray
    description: str
    pixels: np.ndarray
    fields: Mapping[str, np.ndarray]
    of: int

    @property
    def components(self) -> np.ndarray:
        """As many principal components of the pixels as a code has numbers, or as there are."""
        return self.pixels[:, : self.codes.shape[1]]


@contextmanager
def extra() -> Iterator[None]:
    """Around an import of what the extra `eval` installs: says so where it is missing."""
    try:
        yield
    except ImportError:
        raise UsageError("judging codes needs scikit-learn and SciPy: pip install 'simulacra[eval]'") from None


def varying(part: Encoded, fields: Iterable[str]) -> list[str]:
    """Those of the fields that have more than one value here."""
    return [name for name in fields if len(np.unique(part.fields[name])) > 1]


def encoded(model: Model, data: Dataset, split: str, fields: Sequence[str], seed: int = 0) -> tuple[Encoded, Encoded]:
    """Training items, and items of a split to judge on: drawn where there are too many; codes are means of q(z|x).

    `fields` are class labels that the encoder is not conditioned on.
    """
    with extra():
        from sklearn.decomposition import PCA
    parts = [data.train, data.split(split)]
    purpose = (seed, "items to judge codes on")
    chosen = [some_of(len(part), most, *purpose) for part, most in zip(parts, (TRAIN, TEST), strict=True)]
    codes = [_codes(model, part, indices) for part, indices in zip(parts, chosen, strict=True)]
    description = f"the {codes[0].shape[1]} numbers of a mean code"
    if codes[0].shape[1] > NUMBERS:
        description = f"{NUMBERS} principal components of {description}"
        smaller = PCA(min(NUMBERS, len(codes[0])), svd_solver="randomized", random_state=0).fit(codes[0])
        codes = [smaller.transform(part) for part in codes]
    codes = [part.astype(np.float64) for part in codes]
    pixels = [part.x[indices].reshape(len(indices), -1) for part, indices in zip(parts, chosen, strict=True)]
    count = min(max(codes[0].shape[1], PIXEL_COMPONENTS), *pixels[0].shape)
    components = PCA(count, svd_solver="randomized", random_state=0).fit(pixels[0])
    labels = [{name: part.field(name)[rows] for name in fields} for part, rows in zip(parts, chosen, strict=True)]
    train, test = (
        Encoded(z, description, components.transform(x), own, len(part))
        for z, x, own, part in zip(codes, pixels, labels, parts, strict=True)
    )
    return train, test


def measures(train: Encoded, test: Encoded, split: str, seed: int = 0) -> dict[str, Measure]:
    """Errors of the probes and accuracy of the clustering for each field that varies, by name."""
    found, fields = {}, varying(train, train.fields)
    for field in fields:
        suffix = f"_{field}" if len(fields) > 1 else ""
        found |= {f"{name}{suffix}": measure for name, measure in _of_field(train, test, field, split, seed).items()}
    return found


def _of_field(train: Encoded, test: Encoded, field: str, split: str, seed: int) -> dict[str, Measure]:
    y, truth = train.fields[field], test.fields[field]
    k = len(np.unique(y))

    def wrong(probe: Probe, a: np.ndarray, b: np.ndarray) -> float:
        return float((probe(a, y, b) != truth).mean())

    def measure(value: float, floor: float, what: str, beside: str) -> Measure:
        n = len(truth)
        items = f"{len(y)} of {train.of} training items, judged on {n} of {test.of} {split} items"
        protocol = f"{what}, {items}; {beside}; interval: over the judged items, of what was learnt from these"
        return Measure(value, *intervals.of_share(value, n), floor, n, "estimate", protocol)

    means = f"of {field} from {train.description}"
    same = f"floor: from {train.components.shape[1]} principal components of the pixels"

    def clusters(a: np.ndarray, y: np.ndarray, b: np.ndarray) -> np.ndarray:
        return cluster(a, y, b, seed)

    return {
        "linear_probe_error": measure(
            wrong(linear_probe, train.codes, test.codes),
            wrong(linear_probe, train.components, test.components),
            f"error of a logistic regression {means}, standardised",
            same,
        ),
        "knn_probe_error": measure(
            wrong(nearest_neighbours, train.codes, test.codes),
            wrong(nearest_neighbours, train.components, test.components),
            f"error of {NEIGHBOURS} nearest neighbours {means}",
            same,
        ),
        "clustering_accuracy": measure(
            1 - wrong(clusters, train.codes, test.codes),
            1 - wrong(clusters, train.pixels[:, :PIXEL_COMPONENTS], test.pixels[:, :PIXEL_COMPONENTS]),
            f"accuracy of k-means, {k} clusters matched to the classes {means}, the best of {RESTARTS} starts",
            f"floor: k-means of the pixels' leading {min(PIXEL_COMPONENTS, train.pixels.shape[1])} components",
        ),
    }


def linear_probe(train: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Multinomial logistic regression on standardised codes, with the usual penalty of 1/2 |W|²."""
    classes, index = np.unique(y, return_inverse=True)
    return classes[standardised_regression(train, index, len(classes))(test).argmax(1).numpy()]


def nearest_neighbours(train: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The majority among the nearest training items."""
    with extra():
        from sklearn.neighbors import KNeighborsClassifier
    return KNeighborsClassifier(min(NEIGHBOURS, len(train))).fit(train, y).predict(test)


def cluster(train: np.ndarray, y: np.ndarray, test: np.ndarray, seed: int = 0) -> np.ndarray:
    """k-means on training codes, each cluster given the class of a matching in which most training items agree.

    The matching is one to one (the Hungarian method), so that no class can be two clusters; Xie et al. 2016,
    "Unsupervised Deep Embedding for Clustering Analysis", eq. 10. The clusters are made without knowing any class.
    """
    with extra():
        from scipy.optimize import linear_sum_assignment
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning
    classes, index = np.unique(y, return_inverse=True)
    starts = [mix(seed, "clusters", i) % 2**32 for i in range(RESTARTS)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of equal codes, which make fewer clusters
        tried = [KMeans(len(classes), random_state=start).fit(train) for start in starts]
    means = max(tried, key=lambda each: each.score(train))
    agreed = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(agreed, (means.predict(train), index), 1)
    _, name = linear_sum_assignment(agreed, maximize=True)
    return classes[name[means.predict(test)]]


def _codes(model: Model, split: Split, index: np.ndarray) -> np.ndarray:
    """The means of q(z|x), (n, D)."""
    encoder, batches = need(model, Encoder), numbered(split, index, model.spec, model.device, at_once(model))
    with evaluating(model):
        means = [encoder.encode(x, condition).mean.flatten(1).cpu() for x, condition in batches]
    return torch.cat(means).numpy()
