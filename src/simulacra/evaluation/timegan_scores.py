r"""The two scores of TimeGAN, on held-out blocks of time.

    discriminative   |share right - ½| of a recurrent classifier of real and drawn windows: 0 at best, ½ at worst
    predictive       mean absolute error of a recurrent network that was trained on drawn windows and predicts, on real
                     ones, the last column a step ahead from the others; in units of [0, 1]

Yoon, Jarrett & van der Schaar 2019, "Time-series Generative Adversarial Networks", section 5. Columns are scaled to
[0, 1] by the training windows. Networks learn from training windows and samples, and are judged on windows of the held
out blocks and further samples, three times from other weights: windows drawn one by one, as the paper splits them, are
all but copies of each other. The floor is that of training windows in the place of samples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.capabilities import Sampler
from simulacra.evaluation import intervals
from simulacra.evaluation.forecasts import is_series, training_windows
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric
from simulacra.evaluation.temporal import simple_series
from simulacra.randomness import mix

SEEDS, STEPS, BATCH, RATE = 3, 400, 128, 5e-3
MOST = 2000  # windows of each kind that are learnt from
LEAST = 12  # held-out windows


@metric(needs=(Sampler,), when=is_series, held_out=True, thorough=True, least=LEAST)
def timegan_scores(subject: Subject) -> dict[str, Measure]:
    """Discriminative and predictive score over three seeds, beside a block bootstrap and VAR(1)."""
    train, real = training_windows(subject), subject.held_out
    n, rng = min(MOST, len(train)), np.random.default_rng(mix(subject.seed, "timegan"))
    low, high = train.min((0, 1)), train.max((0, 1))
    span = np.where(high > low, high - low, 1)

    def scaled(x: np.ndarray) -> Tensor:
        return torch.from_numpy(((x - low) / span).astype(np.float32))

    order = rng.permutation(len(train))
    learnt, spare = scaled(train[order[:n]]), scaled(train[order[n : 2 * n]] if len(train) >= 2 * n else train[order])
    judged, m = scaled(real), len(real)
    drawn = scaled(subject.more_samples(n + m))
    made = {"": drawn} | {name: scaled(x) for name, x in simple_series(train, n + m, rng).items()} | {"floor": spare}
    found: dict[str, Measure] = {}
    scores: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor, int], float]] = {
        "discriminative": discriminative,
        "predictive": predictive,
    }
    for name, score in scores.items():
        if name == "predictive" and learnt.shape[2] < 2:
            continue
        values = {}
        for kind, x in made.items():
            repeats = range(SEEDS if kind == "" else 1)
            values[kind] = [
                score(learnt, x[:-m] if len(x) > m else x, judged, x[-m:], mix(subject.seed, name, k)) for k in repeats
            ]
        own = np.array(values.pop(""))
        floor = values.pop("floor")[0]
        half = intervals.half_width(float(own.std(ddof=1)) / SEEDS**0.5, SEEDS - 1)
        protocol = f"{STEPS} steps, {SEEDS} seeds, {m} {subject.split} windows"
        beside = {kind: each[0] for kind, each in values.items()}
        value = float(own.mean())
        found[name] = Measure(
            value, max(0.0, value - half), value + half, floor, m, "estimate", protocol, baseline=beside
        )
    return found


class Reader(nn.Module):
    """A recurrent network with one number for each step, (N, T, inputs) -> (N, T)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.recurrent = nn.GRU(inputs, hidden, batch_first=True)
        self.last = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.recurrent(x)[0]).squeeze(-1)


def discriminative(learnt: Tensor, drawn: Tensor, judged: Tensor, others: Tensor, seed: int) -> float:
    """|share right - ½| on real windows `judged` and drawn ones `others`, of a classifier of `learnt` and `drawn`."""

    def loss(reader: Reader, rows: Tensor) -> Tensor:
        real, made = (reader(x[rows % len(x)])[:, -1] for x in (learnt, drawn))
        return F.softplus(-real).mean() + F.softplus(made).mean()

    reader = _trained(learnt.shape[2], max(8, learnt.shape[2] // 2), loss, seed)
    with torch.no_grad():
        right = ((reader(judged)[:, -1] > 0).float().mean() + (reader(others)[:, -1] < 0).float().mean()) / 2
    return abs(float(right) - 0.5)


def predictive(learnt: Tensor, drawn: Tensor, judged: Tensor, others: Tensor, seed: int) -> float:
    """The error on real windows `judged` of a predictor of `drawn` ones alone."""

    def error(reader: Reader, x: Tensor) -> Tensor:
        return (torch.sigmoid(reader(x[:, :-1, :-1])) - x[:, 1:, -1]).abs().mean()

    def loss(reader: Reader, rows: Tensor) -> Tensor:
        return error(reader, drawn[rows % len(drawn)])

    reader = _trained(drawn.shape[2] - 1, max(8, drawn.shape[2] // 2), loss, seed)
    with torch.no_grad():
        return float(error(reader, judged))


def _trained(inputs: int, hidden: int, loss: Callable[[Reader, Tensor], Tensor], seed: int) -> Reader:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed % 2**63)
        reader = Reader(inputs, hidden)
        adam = torch.optim.Adam(reader.parameters(), RATE)
        for _ in range(STEPS):
            adam.zero_grad()
            loss(reader, torch.randint(1 << 30, (BATCH,))).backward()
            adam.step()
    return reader.eval()
