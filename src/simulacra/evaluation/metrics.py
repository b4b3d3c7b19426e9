"""The metrics that every model is measured by, as far as its abilities and the data allow; the maths stand elsewhere.

likelihood       `simulacra.evaluation.likelihood`
codes            `simulacra.evaluation.aggregate`, `simulacra.evaluation.representation`,
                 `simulacra.evaluation.disentanglement`
samples          `simulacra.evaluation.fidelity`, `simulacra.evaluation.memorisation`
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from simulacra.capabilities import Bound, Classifier, Density, Encoder, Prior, Quantised, Sampler, can
from simulacra.evaluation import disentanglement, fidelity, intervals, representation
from simulacra.evaluation.aggregate import COMPARED, FEWEST, aggregate
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.memorisation import near_copies, near_share, nearest_items
from simulacra.evaluation.mistakes import mistakes
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import EVAL, metric
from simulacra.randomness import mix, some_of

DRAWN = 50  # draws of real items behind a floor
ANCHORS = 5  # draws of independent pixels behind a position
INSTALL_EVAL = "pip install 'simulacra[eval]'"

Distance = Callable[[np.ndarray, np.ndarray], float]
"""Between two sets of features, (N, d) and (M, d)."""

FEWEST_COMPARED = 4  # items, of whose halves there is a covariance


@metric(needs=(Density | Bound,))
def likelihood(subject: Subject) -> dict[str, Measure]:
    """Negative log-likelihood of the whole split, exact or a bound; that of a density in nats alone."""
    scored, spec = subject.score, subject.model.spec
    weighted = f", importance-weighted with K = {scored.samples}" * (subject.draws > 1)
    how = "" if scored.kind == "exact" else weighted
    grid = "log mass on the grid" if subject.data.spec.levels is not None else "log density"

    def measure(value: float, half: float, unit: str) -> Measure:
        protocol = f"negative {grid}, {unit}{how}, whole {subject.split} split"
        return Measure(value, value - half, value + half, None, scored.n, scored.kind, protocol, scored.warning)

    half = intervals.half_width(scored.standard_error, max(1, scored.n - 1))
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
    return Measure(share, *intervals.of_share(share, n), None, n, "estimate", protocol)


@metric(needs=(Encoder,), labels=True, packages=EVAL, install=INSTALL_EVAL, held_out=True)
def probes(subject: Subject) -> dict[str, Measure]:
    """How well classes are predicted from codes, and found by clustering them."""
    return representation.measures(*subject.codes, subject.split, subject.seed)


@metric(needs=(Encoder,), labels=True, packages=EVAL, install=INSTALL_EVAL, name="disentanglement", held_out=True)
def axes_of_codes(subject: Subject) -> dict[str, Measure]:
    """Whether each number of a code stands for one factor."""
    return disentanglement.measures(*subject.codes, subject.split, subject.seed)


@metric(needs=(Encoder, Prior), name="aggregate_gap")
def gap_of_codes(subject: Subject) -> dict[str, Measure]:
    """How far the codes of the items, all together, are from the prior. A codebook's prior is fitted to its codes."""
    of = len(subject.items)
    index = some_of(of, COMPARED, subject.seed, "aggregate")
    if can(subject.model, Quantised) or len(index) < FEWEST:
        return {}
    found = aggregate(subject.model, subject.items, index, subject.seed)
    protocol = (
        f"KL(q(z) || p(z)), nats, of {found.how}, from a draw of q(z|x) of {len(index)} of {of} {subject.split} items "
        "and as many of the prior; floor: of two such sets of draws of the prior; "
        "interval: of the mean over fresh items and draws"
    )
    figures = found.gap, found.low, found.high, found.floor
    return {"aggregate_gap": Measure(*figures, len(index), "estimate", protocol, found.warning)}


@metric(needs=(Sampler,), name="fidelity", least=FEWEST_COMPARED)
def distances_of_samples(subject: Subject) -> dict[str, Measure]:
    """FD and MMD of samples against n held-out items; floor: of as many training items against the same.

    Sample i stands under the condition of item i, so that both are in the same half where an interval is made.
    """
    features, n = subject.features, subject.n
    real, fake = features(subject.held_out), features(subject.samples)
    rng, width = np.random.default_rng(mix(subject.seed, "fidelity")), fidelity.median_distance(real)
    training = _training_features(subject, rng)
    distances: dict[str, tuple[Distance, intervals.Spread]] = {
        "frechet_distance": (
            fidelity.frechet_distance,
            intervals.spread(lambda rows: fidelity.frechet_distances(fake, real, rows), n, rng),
        ),
        "kernel_mmd": (
            lambda a, b: fidelity.kernel_mmd(a, b, width),
            fidelity.kernel_mmd_spread(fake, real, width),
        ),
    }
    measures = {}
    for name, (distance, spread) in distances.items():
        value, floors = distance(fake, real), [distance(items, real) for items in training]
        low, high = intervals.of_distance(value, spread)
        floor, protocol = float(np.mean(floors)) if floors else None, _protocol_of_samples(subject)
        measures[name] = Measure(value, low, high, floor, n, "estimate", protocol)
        if name == "frechet_distance" and floors:
            measures |= _position(subject, measures[name], real, floors)
    return measures


def _training_features(subject: Subject, rng: np.random.Generator) -> list[np.ndarray]:
    """Of n training items, drawn again and again; of none where these are measured themselves."""
    if subject.split == "train":
        return []
    train = subject.data.train.x
    drawn = (np.sort(rng.permutation(len(train))[: subject.n]) for _ in range(DRAWN))
    return [subject.features(np.asarray(train[rows])) for rows in drawn]


def _protocol_of_samples(subject: Subject) -> str:
    own = subject.split == "train"
    floor = "no floor, since no items are left to compare these with" if own else "floor: as many training items"
    return (
        f"{subject.features.name}, {subject.n} samples against {subject.which}; {floor}; "
        "interval: of the mean over fresh samples and items, as many as these"
    )


def _position(subject: Subject, distance: Measure, real: np.ndarray, floors: list[float]) -> dict[str, Measure]:
    """FD between its floor (0) and independent pixels (1); none where real pixels are as good as independent."""
    train, n = subject.data.train.x, subject.n
    drawn = (fidelity.independent_pixels(train, n, mix(subject.seed, "position", k)) for k in range(ANCHORS))
    far = float(np.mean([fidelity.frechet_distance(subject.features(x), real) for x in drawn]))
    near = float(np.mean(floors))
    if far - near < 3 * float(np.std(floors)):
        return {}
    value, low, high = ((each - near) / (far - near) for each in (distance.value, distance.low, distance.high))
    protocol = (
        f"(FD - {near:.4g}) / ({far:.4g} - {near:.4g}): 0 for real items (the floor of FD), 1 for independent pixels, "
        f"each drawn from its values in the training split; {n} of each, against the same items as FD"
    )
    return {"frechet_position": Measure(value, low, high, 0.0, n, "estimate", protocol)}


@metric(needs=(Sampler,))
def neighbour_distance(subject: Subject) -> Measure:
    """How far samples are from the nearest training item; floor: how far held-out items are."""
    train, levels, distance = subject.data.train, subject.data.spec.levels, subject.neighbours.distance
    unit = "Euclidean" if levels is None else "Euclidean over pixels in [0, 1]"
    protocol, floor = f"median {unit} distance to the nearest of {len(train)} training items", None
    if subject.split != "train":
        floor = float(np.median(nearest_items(subject.held_out, train.x, levels).distance))
        protocol += f"; floor: of {subject.which}"
    low, high = intervals.of_median(distance)
    return Measure(float(np.median(distance)), low, high, floor, subject.n, "estimate", protocol)


@metric(needs=(Sampler,), name="near_copies", held_out=True)
def share_of_near_copies(subject: Subject) -> Measure:
    """The share of samples that are suspiciously near to a training item."""
    levels, n = subject.data.spec.levels, subject.n
    share = near_copies(subject.samples, subject.data.train.x, subject.held_out, levels)
    usual = near_share(n)
    protocol = (
        f"share of samples whose nearest training item is nearer, relative to the nearest of {subject.which}, "
        f"than a threshold below which {usual:.2g} of fresh real items lie on average; interval: for this threshold"
    )
    return Measure(share, *intervals.of_share(share, n), usual, n, "estimate", protocol)
