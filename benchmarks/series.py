"""Series: the two scores of TimeGAN for three models on three sets, and forecasts of `ett`.

    python benchmarks/series.py                                       # all models on all sets, 5,000 steps or 5 minutes
    python benchmarks/series.py --sets stocks --models timegan --seeds 0 1 2
    python benchmarks/series.py --sets ett --models mdn-rnn --minutes 5
    python benchmarks/series.py --smoke

sines, stocks, energy   discriminative and predictive score, errors of autocorrelation and spectrum, on held-out blocks
                        of time; beside them training windows in the place of samples (floor), a block bootstrap, VAR(1)
ett                     CRPS and MAE of the last quarter of held-out windows, in deviations, of models that forecast;
                        beside them seasonal naive and VAR(1)

A fit ends with the first of its steps and its minutes, of one thread. A row is a fit, and a new one replaces it in the
record. `stocks`, `energy` and `ett` are read where $SIMULACRA_DATA holds them, and left out, with a line, elsewhere.

Published for TimeGAN, with windows split one by one: discriminative .011 on sines, .102 on stocks, .236 on energy;
predictive .093, .038, .273. On held-out blocks, as here, they are not the same figures: the floor says what is left to
gain.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import at_hand, conclude, earlier, parser

import simulacra as sim
import simulacra.evaluation.timegan_scores as scores
from simulacra.capabilities import Forecaster, can
from simulacra.data import Dataset
from simulacra.evaluation.forecasts import forecasts
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.temporal import temporal
from simulacra.model import Model

SCORED, FORECAST = ("sines", "stocks", "energy"), ("ett",)
MODELS = ("timegan", "mdn-rnn", "series-vae")
PUBLISHED = {
    "sines": {"discriminative": 0.011, "predictive": 0.093},
    "stocks": {"discriminative": 0.102, "predictive": 0.038},
    "energy": {"discriminative": 0.236, "predictive": 0.273},
}


def figures_of(model: Model, data: Dataset, name: str, seed: int) -> dict[str, Any]:
    """What is measured of a model on the test split, each with its interval and what stands beside it."""
    subject = Subject(model, data, "test", seed)
    found: dict[str, Measure] = forecasts(subject) if name in FORECAST else scores.timegan_scores(subject)
    if name in SCORED:
        found |= temporal(subject)
    return {key: measure.to_json() for key, measure in found.items()}


def row(name: str, kind: str, seed: int, smoke: bool, budget: Mapping[str, float]) -> dict[str, Any]:
    data = sim.data.load(name, window=8) if smoke else sim.data.load(name)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        model = sim.fit(kind, data, Path(folder) / "run", seed=seed, **budget)
        seconds = time.process_time() - begin
    own = {"seconds of one thread": seconds, "steps": model.trained_steps, "parameters": model.free_parameters()}
    return own | {"figures": figures_of(model, data, name, seed)}


def means(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Of each set and model the mean of each figure over its seeds, and the deviation between them where there are
    several; with what was published."""
    together: dict[str, list[Mapping[str, Any]]] = {}
    for key, own in rows.items():
        together.setdefault(key.rsplit(" ", 1)[0], []).append(own["figures"])
    table: dict[str, Any] = {}
    for key, each in together.items():
        published = PUBLISHED.get(key.split()[0], {}) if key.endswith(" timegan") else {}
        for figure in each[0]:
            values = [own[figure]["value"] for own in each]
            found = {"mean": float(np.mean(values)), "seeds": len(values)}
            if len(values) > 1:
                found["deviation"] = float(np.std(values, ddof=1))
            if figure in published:
                found["published"] = published[figure]
            table.setdefault(key, {})[figure] = found
    return table


def suits(kind: str, name: str) -> bool:
    """Whether a model can be measured on a set: forecasts need a model that makes some."""
    model = next(entry.model for entry in sim.models() if entry.name == kind)
    return name in SCORED or can(model, Forecaster)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    arguments.add_argument("--sets", nargs="+", default=[*SCORED, *FORECAST], choices=[*SCORED, *FORECAST])
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--steps", type=int, default=5000, help="of each fit, at most")
    arguments.add_argument("--minutes", type=float, default=5.0, help="of each fit, at most")
    arguments.add_argument("--record", default="series")
    own = arguments.parse_args()
    torch.set_num_threads(1)
    if own.smoke:
        own.sets, own.steps, scores.STEPS = ["sines"], 12, 5
    rows: dict[str, Any] = {} if own.smoke else earlier(own.record).get("rows", {})
    for name in filter(at_hand, own.sets):
        for kind in (kind for kind in own.models if suits(kind, name)):
            for seed in own.seeds:
                budget = {"steps": own.steps, "minutes": own.minutes}
                found = rows[f"{name} {kind} {seed}"] = row(name, kind, seed, own.smoke, budget)
                values = {key: round(measure["value"], 4) for key, measure in found["figures"].items()}
                print(name, kind, seed, found["steps"], "steps", json.dumps(values), flush=True)
    conclude(
        own.record,
        {"rows": rows, "mean": means(rows), "target": "at most the published figure on stocks and energy"},
        smoke=own.smoke,
        seeds=own.seeds,
        notes=f"one thread; at most {own.steps} steps and {own.minutes:g} minutes a fit",
    )


if __name__ == "__main__":
    main()
