r"""Whether drawn series move in time as real ones do.

    autocorrelation   root mean square over lags 1 ... L and columns of r_k(samples) - r_k(held out),
                      r_k = Σ_t,n (x_t - m)(x_{t+k} - m) / Σ_t,n (x_t - m)², m and the sums over all windows
    spectrum          ½ Σ_f |p(f) - q(f)|, the mean over columns: the total variation distance of the power of windows
                      over frequencies f > 0, as shares

Both are 0 for the same process and at most 2 and 1. As the floor stand training windows in the place of samples; beside
them stand two ways to make series without learning: windows put together of training blocks (a block bootstrap), and
VAR(1).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from simulacra.capabilities import Sampler
from simulacra.evaluation import intervals
from simulacra.evaluation.forecasts import is_series, training_windows
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.overlap import independent
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric
from simulacra.evaluation.vector_autoregression import VectorAutoregression
from simulacra.randomness import mix

BLOCKS = 3  # of which a window of the bootstrap is made


@metric(needs=(Sampler,), when=is_series, held_out=True, least=4)
def temporal(subject: Subject) -> dict[str, Measure]:
    """Errors of the autocorrelation and of the spectrum, beside a block bootstrap and VAR(1)."""
    real, drawn = subject.held_out, subject.samples
    train = training_windows(subject)
    rng = np.random.default_rng(mix(subject.seed, "temporal"))
    beside = simple_series(train, len(real), rng)
    floor = train[rng.permutation(len(train))[: len(real)]]
    count = min(float(len(real)), independent(subject.items.x))
    distances = {"autocorrelation": autocorrelation_error, "spectrum": spectrum_error}
    return {
        name: _measure(distance, drawn, real, floor, beside, count, f"{len(real)} {subject.split} windows", rng)
        for name, distance in distances.items()
    }


Distance = Callable[[np.ndarray, np.ndarray], float]
"""(windows (N, T, D), windows (M, T, D)) -> how far apart"""


def _measure(
    distance: Distance,
    drawn: np.ndarray,
    real: np.ndarray,
    floor: np.ndarray,
    beside: dict[str, np.ndarray],
    count: float,
    protocol: str,
    rng: np.random.Generator,
) -> Measure:
    value = distance(drawn, real)
    halves = intervals.some_halves(len(real), 20, rng)
    apart = [distance(drawn[half], real[half]) - distance(drawn[~half], real[~half]) for half in halves]
    error = math.sqrt(float(np.square(apart).mean())) / 2 * math.sqrt(len(real) / count)
    half = intervals.half_width(error, max(1, int(count) - 1))
    baseline = {name: distance(x, real) for name, x in beside.items()}
    low, high = max(0.0, value - half), value + half
    return Measure(value, low, high, distance(floor, real), len(real), "estimate", protocol, baseline=baseline)


def simple_series(train: np.ndarray, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """n windows (n, T, D) each of a block bootstrap and of VAR(1), made of training windows."""
    first = train[rng.integers(0, len(train), n), 0]
    linear = VectorAutoregression.of(train).simulate(first, train.shape[1], rng)
    return {"block bootstrap": block_bootstrap(train, n, rng), "VAR(1)": linear}


def block_bootstrap(train: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Windows (n, T, D) put together of a third of one training window, a third of another, and of a last one.

    Künsch 1989, "The Jackknife and the Bootstrap for General Stationary Observations".
    """
    length = train.shape[1]
    size = -(-length // BLOCKS)
    pieces = []
    for begin in range(0, length, size):
        steps = min(size, length - begin)
        at = rng.integers(0, length - steps + 1, n)[:, None] + np.arange(steps)
        pieces.append(train[rng.integers(0, len(train), n)[:, None], at])
    return np.concatenate(pieces, axis=1)


def autocorrelation(x: np.ndarray) -> np.ndarray:
    """Windows (N, T, D) -> (T // 2, D), r_1 ... r_{T//2}; 0 for a constant column."""
    centred = x.astype(np.float64) - x.mean((0, 1), dtype=np.float64)
    length = x.shape[1]
    power = np.square(centred).mean((0, 1))
    lags = range(1, length // 2 + 1)
    products = np.stack([(centred[:, lag:] * centred[:, : length - lag]).mean((0, 1)) for lag in lags])
    return np.divide(products, power, out=np.zeros_like(products), where=power > 0)


def autocorrelation_error(drawn: np.ndarray, real: np.ndarray) -> float:
    return math.sqrt(float(np.square(autocorrelation(drawn) - autocorrelation(real)).mean()))


def spectrum(x: np.ndarray) -> np.ndarray:
    """Windows (N, T, D) -> (T // 2, D): the mean power over the frequencies 1/T, 2/T, ..., as shares of the sum."""
    centred = x.astype(np.float64) - x.mean(1, keepdims=True, dtype=np.float64)
    power = np.square(np.abs(np.fft.rfft(centred, axis=1)[:, 1:])).mean(0)
    total = power.sum(0)
    return np.divide(power, total, out=np.full_like(power, 1 / len(power)), where=total > 0)


def spectrum_error(drawn: np.ndarray, real: np.ndarray) -> float:
    return float(np.abs(spectrum(drawn) - spectrum(real)).sum(0).mean() / 2)
