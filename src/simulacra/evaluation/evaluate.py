"""`evaluate`: every metric that a model's abilities allow, each with its n, interval, floor and protocol."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from simulacra.capabilities import Classifier, Encoder, Sampler, can
from simulacra.data import Dataset, as_dataset
from simulacra.evaluation import disentanglement, fidelity, representation
from simulacra.evaluation.likelihood import has_likelihood, score
from simulacra.evaluation.measure import Measure, interval_of_share
from simulacra.evaluation.memorisation import NEAR, Neighbours, near_copies, nearest_items
from simulacra.evaluation.mistakes import mistakes
from simulacra.model import Model, as_model, evaluating
from simulacra.randomness import generator, mix

LARGEST = 2000  # samples and held-out items compared
RESAMPLED = 50  # bootstrap replicates behind an interval, and draws of real items behind a floor
DRAWN_AT_ONCE = 250


@dataclass(frozen=True)
class Evaluation:
    """All metrics, and what the pictures of a report need: the samples and their nearest training items."""

    measures: dict[str, Measure]
    samples: np.ndarray | None
    neighbours: Neighbours | None


def evaluate(
    model: Model | str | Path, data: Dataset | str | Path, split: str = "test", seed: int = 0, samples: int = 1
) -> dict[str, Measure]:
    """Every metric that the model's abilities allow, by name.

    The mathematics stand in `simulacra.evaluation.fidelity` for samples, and in `representation` and `disentanglement`
    for codes of items whose class or factors are known; those need the extra `eval` and are left out without it.
    `samples` is the number of draws in the importance-weighted bound of a latent-variable model.
    Raises UsageError for data of another shape or grid.
    """
    return evaluate_fully(as_model(model), as_dataset(data), split, seed, samples).measures


def evaluate_fully(model: Model, data: Dataset, split: str = "test", seed: int = 0, samples: int = 1) -> Evaluation:
    """`evaluate`, with the samples that were drawn for it."""
    model.spec.expect(data.spec, data.name)
    measures = _likelihood(model, data, split, seed, samples) if has_likelihood(model) else {}
    measures |= _of_classes(model, data, split) | _of_codes(model, data, split, seed)
    if not can(model, Sampler):
        return Evaluation(measures, None, None)
    n = min(LARGEST, len(data.split(split)), len(data.train))
    drawn = draw(model, data, split, n, seed)
    neighbours = nearest_items(drawn, data.train.x, data.spec.levels)
    measures |= _fidelity(drawn, data, split, n, seed) | _memorisation(drawn, neighbours, data, split)
    return Evaluation(measures, drawn, neighbours)


def _likelihood(model: Model, data: Dataset, split: str, seed: int, samples: int) -> dict[str, Measure]:
    scored = score(model, data, split, samples, seed=seed)
    how = "" if scored.kind == "exact" else f", importance-weighted with K = {scored.samples}" * (samples > 1)
    grid = "log mass on the grid" if data.spec.levels is not None else "log density"

    def measure(value: float, half: float, unit: str) -> Measure:
        protocol = f"negative {grid}, {unit}{how}, whole {split} split"
        return Measure(value, value - half, value + half, None, scored.n, scored.kind, protocol)

    half = 1.96 * scored.standard_error
    bits = float(model.spec.bits_per_dim(half))
    return {
        "nats": measure(scored.nats, half, "nats per item"),
        "bits_per_dim": measure(scored.bits_per_dim, bits, "bits per dimension"),
    }


def _of_classes(model: Model, data: Dataset, split: str) -> dict[str, Measure]:
    """How often a model's own classifier is wrong."""
    if not can(model, Classifier):
        return {}
    wrong = mistakes(model, data.split(split))
    share, n = float(wrong.mean()), len(wrong)
    protocol = f"share of items whose most probable class by the model's own q(y|x) is wrong, whole {split} split"
    return {"classification_error": Measure(share, *interval_of_share(share, n), None, n, "estimate", protocol)}


def _of_codes(model: Model, data: Dataset, split: str, seed: int) -> dict[str, Measure]:
    """What codes tell of the fields that the encoder was not told."""
    if not _codes_can_be_asked(model, data) or not representation.available():
        return {}
    train, test = representation.encoded(model, data, split, seed)
    told = representation.measures(train, test, split, seed)
    return told | disentanglement.measures(train, test, split, seed)


def _codes_can_be_asked(model: Model, data: Dataset) -> bool:
    return can(model, Encoder) and not set(data.spec.condition) <= set(model.spec.condition)


def codes_unjudged(model: Model, data: Dataset) -> bool:
    """Whether codes could have been judged and were not, for want of the extra `eval`."""
    return _codes_can_be_asked(model, data) and not representation.available()


def draw(model: Model, data: Dataset, split: str, n: int, seed: int) -> np.ndarray:
    """n samples on the grid; a conditional model is given the labels of the held-out items, so that classes match."""
    assert isinstance(model, Sampler)
    labels = {name: torch.from_numpy(np.array(data.split(split).field(name)[:n])) for name in model.spec.condition}
    drawn = []
    for start in range(0, n, DRAWN_AT_ONCE):
        part = slice(start, min(start + DRAWN_AT_ONCE, n))
        noise = generator(model.device, seed, "evaluate", start)
        given = {name: values[part] for name, values in labels.items()}
        with evaluating(model):
            drawn.append(model.sample(part.stop - start, given, generator=noise).cpu().numpy())
    return np.concatenate(drawn)


def _fidelity(drawn: np.ndarray, data: Dataset, split: str, n: int, seed: int) -> dict[str, Measure]:
    """FD and MMD of samples against n held-out items; floor: of as many training items against the same."""
    features = fidelity.PixelPCA.fit(data.train.x, data.spec.levels, fidelity.components_for(n, data.spec.dims))
    real, fake = features(np.asarray(data.split(split).x[:n])), features(drawn)
    rng = np.random.default_rng(mix(seed, "fidelity"))
    width = fidelity.median_distance(real)
    metrics: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "frechet_distance": fidelity.frechet_distance,
        "kernel_mmd": lambda a, b: fidelity.kernel_mmd(a, b, width),
    }
    training = [
        features(np.asarray(data.train.x[np.sort(rng.permutation(len(data.train))[:n])])) for _ in range(RESAMPLED)
    ]
    measures = {}
    for name, metric in metrics.items():
        value, floor = metric(fake, real), float(np.mean([metric(items, real) for items in training]))
        low, high = _interval(metric, fake, real, value, rng)
        protocol = f"{features.name}, {n} samples against the first {n} {split} items; floor: as many training items"
        measures[name] = Measure(value, low, high, floor, n, "estimate", protocol)
    return measures


def _interval(
    metric: Callable[[np.ndarray, np.ndarray], float],
    a: np.ndarray,
    b: np.ndarray,
    value: float,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """95 % interval from subsamples without replacement (repeated items would bias both metrics), scaled to n."""
    half = len(a) // 2
    parts = [metric(a[rng.permutation(len(a))[:half]], b[rng.permutation(len(b))[:half]]) for _ in range(RESAMPLED)]
    spread = 1.96 * float(np.std(parts)) / math.sqrt(2)
    return value - spread, value + spread


def _memorisation(drawn: np.ndarray, nearest: Neighbours, data: Dataset, split: str) -> dict[str, Measure]:
    n, levels = len(drawn), data.spec.levels
    held_out = np.asarray(data.split(split).x[:n])
    usual = float(np.median(nearest_items(held_out, data.train.x, levels).distance))
    share = near_copies(drawn, data.train.x, held_out, levels)
    low, high = np.quantile(nearest.distance, [0.025, 0.975])
    unit = "Euclidean" if levels is None else "Euclidean over pixels in [0, 1]"
    distance = f"median {unit} distance to the nearest of {len(data.train)} training items; floor: of {split} items"
    copies = f"share of samples whose nearest training item is nearer, relative to the nearest of {n} {split} items, "
    copies += f"than it is for all but 1 % of those {split} items"
    return {
        "neighbour_distance": Measure(
            float(np.median(nearest.distance)),
            float(low),
            float(high),
            usual,
            n,
            "estimate",
            f"{distance}; the interval spans 95 % of the samples",
        ),
        "near_copies": Measure(share, *interval_of_share(share, n), NEAR, n, "estimate", copies),
    }
