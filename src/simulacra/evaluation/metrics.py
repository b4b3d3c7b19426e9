"""The metrics that every model is measured by, as far as its abilities and the data allow; the maths stand elsewhere.

likelihood       `simulacra.evaluation.likelihood`
codes            `simulacra.evaluation.representation`, `simulacra.evaluation.disentanglement`
samples          `simulacra.evaluation.fidelity`, `simulacra.evaluation.memorisation`
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from simulacra.capabilities import Bound, Classifier, Density, Encoder, Sampler
from simulacra.evaluation import disentanglement, fidelity, representation
from simulacra.evaluation.measure import Measure, interval_of_share
from simulacra.evaluation.memorisation import NEAR, near_copies, nearest_items
from simulacra.evaluation.mistakes import mistakes
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import EVAL, metric
from simulacra.randomness import mix

RESAMPLED = 50  # subsamples behind an interval, and draws of real items behind a floor
INSTALL_EVAL = "pip install 'simulacra[eval]'"

Distance = Callable[[np.ndarray, np.ndarray], float]
"""Between two sets of features, (N, d) and (M, d)."""


@metric(needs=(Density | Bound,))
def likelihood(subject: Subject) -> dict[str, Measure]:
    """Negative log-likelihood of the whole split, exact or a bound; that of a density in nats alone."""
    scored, spec = subject.score, subject.model.spec
    weighted = f", importance-weighted with K = {scored.samples}" * (subject.draws > 1)
    how = "" if scored.kind == "exact" else weighted
    grid = "log mass on the grid" if subject.data.spec.levels is not None else "log density"

    def measure(value: float, half: float, unit: str) -> Measure:
        protocol = f"negative {grid}, {unit}{how}, whole {subject.split} split"
        return Measure(value, value - half, value + half, None, scored.n, scored.kind, protocol)

    half = 1.96 * scored.standard_error
    found = {"nats": measure(scored.nats, half, "nats per item")}
    if scored.bits_per_dim is None:
        return found
    return found | {"bits_per_dim": measure(scored.bits_per_dim, float(spec.bits_per_dim(half)), "bits per dimension")}


@metric(needs=(Classifier,))
def classification_error(subject: Subject) -> Measure:
    """How often a model's own classifier is wrong."""
    wrong = mistakes(subject.model, subject.items)
    share, n = float(wrong.mean()), len(wrong)
    which = f"whole {subject.split} split"
    protocol = f"share of items whose most probable class by the model's own q(y|x) is wrong, {which}"
    return Measure(share, *interval_of_share(share, n), None, n, "estimate", protocol)


@metric(needs=(Encoder,), labels=True, packages=EVAL, install=INSTALL_EVAL)
def probes(subject: Subject) -> dict[str, Measure]:
    """How well classes are predicted from codes, and found by clustering them."""
    return representation.measures(*subject.codes, subject.split, subject.seed)


@metric(needs=(Encoder,), labels=True, packages=EVAL, install=INSTALL_EVAL, name="disentanglement")
def axes_of_codes(subject: Subject) -> dict[str, Measure]:
    """Whether each number of a code stands for one factor."""
    return disentanglement.measures(*subject.codes, subject.split, subject.seed)


@metric(needs=(Sampler,), name="fidelity")
def distances_of_samples(subject: Subject) -> dict[str, Measure]:
    """FD and MMD of samples against n held-out items; floor: of as many training items against the same."""
    features, train, n = subject.features, subject.data.train, subject.n
    real, fake = features(subject.held_out), features(subject.samples)
    rng = np.random.default_rng(mix(subject.seed, "fidelity"))
    width = fidelity.median_distance(real)
    distances: dict[str, Distance] = {
        "frechet_distance": fidelity.frechet_distance,
        "kernel_mmd": lambda a, b: fidelity.kernel_mmd(a, b, width),
    }
    training = [features(np.asarray(train.x[np.sort(rng.permutation(len(train))[:n])])) for _ in range(RESAMPLED)]
    protocol = f"{features.name}, {n} samples against {subject.which}; floor: as many training items"
    measures = {}
    for name, distance in distances.items():
        value, floor = distance(fake, real), float(np.mean([distance(items, real) for items in training]))
        measures[name] = Measure(value, *_interval(distance, fake, real, value, rng), floor, n, "estimate", protocol)
    return measures


def _interval(
    distance: Distance, a: np.ndarray, b: np.ndarray, value: float, rng: np.random.Generator
) -> tuple[float, float]:
    """95 % interval from subsamples without replacement (repeated items would bias both metrics), scaled to n."""
    half = len(a) // 2
    parts = [distance(a[rng.permutation(len(a))[:half]], b[rng.permutation(len(b))[:half]]) for _ in range(RESAMPLED)]
    spread = 1.96 * float(np.std(parts)) / math.sqrt(2)
    return value - spread, value + spread


@metric(needs=(Sampler,))
def neighbour_distance(subject: Subject) -> Measure:
    """How far samples are from the nearest training item; floor: how far held-out items are."""
    train, levels, distance = subject.data.train, subject.data.spec.levels, subject.neighbours.distance
    usual = float(np.median(nearest_items(subject.held_out, train.x, levels).distance))
    low, high = (float(edge) for edge in np.quantile(distance, [0.025, 0.975]))
    unit = "Euclidean" if levels is None else "Euclidean over pixels in [0, 1]"
    protocol = (
        f"median {unit} distance to the nearest of {len(train)} training items; floor: of {subject.which}; "
        "the interval spans 95 % of the samples"
    )
    return Measure(float(np.median(distance)), low, high, usual, subject.n, "estimate", protocol)


@metric(needs=(Sampler,), name="near_copies")
def share_of_near_copies(subject: Subject) -> Measure:
    """The share of samples that are suspiciously near to a training item."""
    levels, n = subject.data.spec.levels, subject.n
    share = near_copies(subject.samples, subject.data.train.x, subject.held_out, levels)
    protocol = (
        f"share of samples whose nearest training item is nearer, relative to the nearest of {subject.which}, "
        f"than it is for all but 1 % of those {subject.split} items"
    )
    return Measure(share, *interval_of_share(share, n), NEAR, n, "estimate", protocol)
