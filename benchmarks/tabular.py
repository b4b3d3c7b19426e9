"""RNADE on continuous data: the shipped point sets and a real table, beside a Gaussian with a full covariance.

The table is scikit-learn's copy of the Wisconsin breast cancer data (569 rows of 30 real numbers), standardised by its
training rows; the Gaussian is the maximum-likelihood one with the covariance shrunk by as much as suits the validation
rows. `nats` are negative log-densities of the test rows, lower is better. About four minutes on two cores:

    python benchmarks/tabular.py
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from record import conclude, parser
from sklearn.datasets import load_breast_cancer

import simulacra as sim


def main() -> None:
    smoke = parser(__doc__).parse_args().smoke
    sets = {"ring": sim.data.load("ring"), "grid": sim.data.load("grid"), "breast-cancer": breast_cancer()}
    figures: dict[str, Any] = {}
    for name, data in sets.items():
        with tempfile.TemporaryDirectory() as folder:
            model = sim.fit("rnade", data, Path(folder) / "run", **({"steps": 50} if smoke else {}))
        score = sim.score(model, data)
        mean, error = gaussian(data)
        figures[name] = {
            "rnade": {"nats": score.nats, "standard_error": score.standard_error},
            "gaussian": {"nats": mean, "standard_error": error},
            "dims": data.spec.dims,
            "n": score.n,
        }
        print(name, figures[name], flush=True)
    fingerprints = {name: data.fingerprint for name, data in sets.items()}
    conclude("tabular", figures, smoke=smoke, data={"split": "test", "fingerprints": fingerprints}, seeds=[0])


def breast_cancer() -> sim.data.Dataset:
    x = load_breast_cancer().data
    rows = sim.data.from_arrays(x.astype(np.float32), name="breast-cancer")
    return sim.data.from_arrays(((x - rows.train.x.mean(0)) / rows.train.x.std(0)).astype(np.float32), name=rows.name)


def gaussian(data: sim.data.Dataset) -> tuple[float, float]:
    """Mean and standard error of the negative log-density of the test rows."""
    train, valid, test = (np.asarray(split.x, np.float64) for split in data.splits)
    mean, covariance = train.mean(0), np.cov(train.T)
    shrunk = [(1 - a) * covariance + a * np.diag(np.diag(covariance)) for a in (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)]
    best = min(shrunk, key=lambda c: negative_log_density(valid, mean, c).mean())
    nats = negative_log_density(test, mean, best)
    return float(nats.mean()), float(nats.std(ddof=1) / math.sqrt(len(nats)))


def negative_log_density(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    root = np.linalg.cholesky(covariance)
    z = np.linalg.solve(root, (x - mean).T)
    return 0.5 * (z**2).sum(0) + np.log(np.diag(root)).sum() + 0.5 * x.shape[1] * math.log(2 * math.pi)


if __name__ == "__main__":
    main()
