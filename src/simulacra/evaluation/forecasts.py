r"""How far forecasts are from what came, in deviations of each column over the training windows.

    CRPS(F, y) = E|X - y| - ½ E|X - X'|,   X, X' ~ F          0 for a certain and right forecast

The mean over steps and columns; of n draws both expectations are estimated without bias. Gneiting & Raftery 2007,
"Strictly Proper Scoring Rules, Prediction, and Estimation", eq. 21. MAE is that of the median of the draws. The last
quarter of each held-out window is forecast from what is before. Beside them stand

    seasonal naive   the value a season before, whose length, and whose Gaussian errors step by step, training windows
                     choose; a season of one step is the last value
    VAR(1)           the linear model; see `vector_autoregression`
"""

from __future__ import annotations

import math

import numpy as np
import torch

from simulacra.capabilities import Forecaster
from simulacra.evaluation import intervals
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.overlap import independent
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric
from simulacra.evaluation.vector_autoregression import VectorAutoregression
from simulacra.feed import feed
from simulacra.fields import Real
from simulacra.model import evaluating
from simulacra.randomness import generator, some_of

DRAWS, MOST, AT_FIRST, AT_ONCE = 100, 500, 100, 2048
FITTED = 20_000  # training windows that a baseline is fitted to


def is_series(subject: Subject) -> bool:
    own = subject.model.spec.x
    return isinstance(own, Real) and len(own.shape) == 2 and own.shape[0] >= 4


@metric(needs=(Forecaster,), when=is_series, held_out=True, name="forecast")
def forecasts(subject: Subject) -> dict[str, Measure]:
    """CRPS and MAE of the last quarter of the windows, beside seasonal naive and VAR(1)."""
    most = AT_FIRST if subject.quick else MOST
    numbers = some_of(len(subject.items), most, subject.seed, "forecast")
    x, train = np.asarray(subject.items.x[numbers]), training_windows(subject)
    steps = max(1, x.shape[1] // 4)
    past, truth = x[:, :-steps], x[:, -steps:]
    scale = deviations(train)
    draws = _draws(subject, numbers, past, steps)
    errors = {
        "crps": crps(draws, truth) / scale,
        "mae": np.abs(np.median(draws, axis=1) - truth) / scale,
    }
    naive, linear = SeasonalNaive(train, steps), VectorAutoregression.of(train)
    given = {"seasonal naive": naive.forecast(past), "VAR(1)": linear.forecast(past[:, -1], steps)}
    beside = {
        "crps": {name: float((gaussian_crps(*own, truth) / scale).mean()) for name, own in given.items()},
        "mae": {name: float((np.abs(own[0] - truth) / scale).mean()) for name, own in given.items()},
    }
    count = min(float(len(x)), independent(subject.items.x))
    how = f"{steps} of {x.shape[1]} steps from those before, {len(x)} {subject.split} windows, {DRAWS} draws, in "
    protocol = f"{how}deviations of the columns; season of {naive.season}"
    return {name: _measure(each, count, protocol, beside[name]) for name, each in errors.items()}


def _measure(errors: np.ndarray, count: float, protocol: str, baseline: dict[str, float]) -> Measure:
    """Of errors (N, K, D) of windows that count as so many independent ones."""
    each = errors.mean((1, 2))
    error = float(each.std(ddof=1)) / math.sqrt(count) if len(each) > 1 else math.nan
    half, value = intervals.half_width(error, max(1, int(count) - 1)), float(each.mean())
    return Measure(value, value - half, value + half, None, len(each), "estimate", protocol, baseline=baseline)


def training_windows(subject: Subject) -> np.ndarray:
    """(n, T, D), at most so many as a linear model needs."""
    train = subject.data.train
    return np.asarray(train.x[some_of(len(train), FITTED, subject.seed, "baseline")])


def deviations(train: np.ndarray) -> np.ndarray:
    """(D,) of each column over all windows and steps; 1 for a column that is constant."""
    found = train.reshape(-1, train.shape[2]).astype(np.float64).std(0)
    return np.where(found > 0, found, 1.0)


def _draws(subject: Subject, numbers: np.ndarray, past: np.ndarray, steps: int) -> np.ndarray:
    """(N, DRAWS, K, D)."""
    model, found = subject.model, []
    each = max(1, AT_ONCE // DRAWS)
    for start in range(0, len(past), each):
        rows = numbers[start : start + each]
        _, given = feed(subject.items, rows, model.spec, model.device)
        again = torch.arange(len(rows), device=model.device).repeat_interleave(DRAWS)
        some = torch.from_numpy(past[start : start + each]).to(model.device)[again]
        noise = generator(model.device, subject.seed, "forecast", start)
        with evaluating(model):
            future = model.forecast(some, steps, given.rows(again), noise)  # pyright: ignore[reportCallIssue]
        found.append(future.cpu().numpy().reshape(len(rows), DRAWS, *future.shape[1:]))
    return np.concatenate(found)


def crps(draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Draws (N, n, ...), n >= 2, and what came (N, ...) -> (N, ...), without bias.

    Σ_ij |x_i - x_j| of ordered draws is 2 Σ_i (2 i - n - 1) x_i, i = 1 ... n.
    """
    n = draws.shape[1]
    ordered = np.sort(draws.astype(np.float64), axis=1)
    weights = 2.0 * np.arange(1, n + 1) - n - 1
    apart = 2 * np.moveaxis(ordered, 1, -1) @ weights / (n * (n - 1))
    return np.abs(ordered - truth[:, None]).mean(1) - apart / 2


def gaussian_crps(mean: np.ndarray, deviation: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """σ (z (2Φ(z) - 1) + 2φ(z) - 1/√π) with z = (y - μ)/σ; |y - μ| where σ is 0."""
    sure = np.broadcast_to(deviation <= 0, truth.shape)
    scale = np.where(sure, 1.0, deviation)
    z = (truth - mean) / scale
    erf = torch.erf(torch.from_numpy(np.ascontiguousarray(z / math.sqrt(2)))).numpy()
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return np.where(sure, np.abs(truth - mean), scale * (z * erf + 2 * density - 1 / math.sqrt(math.pi)))


class SeasonalNaive:
    """The value `season` steps before, that with the least error of training windows; errors are N(0, σ²) by step."""

    def __init__(self, train: np.ndarray, steps: int) -> None:
        past, truth, scale = train[:, :-steps], train[:, -steps:], deviations(train)
        errors = [(np.abs(repeated(past, 1 + k, steps) - truth) / scale).mean() for k in range(past.shape[1])]
        self.season = 1 + int(np.argmin(errors))
        left = (repeated(past, self.season, steps) - truth).astype(np.float64)
        self.deviation, self.steps = np.sqrt(np.square(left).mean(0)), steps

    def forecast(self, past: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pasts (N, P, D) -> means (N, K, D), and deviations (K, D)."""
        return repeated(past, self.season, self.steps).astype(np.float64), self.deviation


def repeated(past: np.ndarray, season: int, steps: int) -> np.ndarray:
    """The last `season` steps of pasts (N, P, D) again and again, (N, steps, D)."""
    length = past.shape[1]
    return past[:, length - season + np.arange(steps) % season]
