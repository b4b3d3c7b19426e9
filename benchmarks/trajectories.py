"""Where people go on ETH/UCY: every scene left out once, 8 steps seen and 12 forecast; metres, under every rule.

    python benchmarks/trajectories.py                                   # social-gan on all five scenes, seed 0
    python benchmarks/trajectories.py --scenes eth zara1 --seeds 1 2    # two of them with two seeds more
    python benchmarks/trajectories.py --model recurrent-mixture --record trajectories_mixture
    python benchmarks/trajectories.py --model none --record trajectories_straight

ADE and FDE of one forecast, of the best of 20 by scene and by person, collisions; beside them constant velocity with
and without noise. The figures that end in `_together` leave out scenes of one person, as the loader of Social GAN does.
A density has its nats besides, of a person's 12 steps. One fit takes 5 minutes of one thread; `none` fits nothing and
measures constant velocity alone. A row is a fit, and a new one replaces it in the record. Needs the set `eth-ucy`.

Published, in metres, best of 20 by scene (mean of five): Social GAN .58/1.18, its released weights .48/.96; constant
velocity, one forecast, .52/1.14.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import conclude, earlier, parser

import simulacra as sim
from simulacra.capabilities import Density, can
from simulacra.data import Dataset
from simulacra.data.collected.eth_ucy import TEST
from simulacra.data.walks import PREDICTED
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.trajectories import DRAWS, displacement
from simulacra.model import Model

RULES = ("k1", f"best_of_{DRAWS}_by_scene", f"best_of_{DRAWS}_by_person")
NO_MODEL = "none"


def figures_of(model: Model, data: Dataset, seed: int) -> dict[str, float]:
    """All that is measured of a model on the test split, with its baselines, by name."""
    mask = np.asarray(data.test.field("past.mask"))
    together = replace(data, test=data.test.rows(np.flatnonzero(mask.sum(1) > 1)), order=None)
    found: dict[str, float] = {"scenes": len(mask), "people": int(mask.sum())}
    for ending, own in (("", data), ("_together", together)):
        for name, measure in displacement(Subject(model, own, "test", seed)).items():
            found[f"{name}{ending}"] = measure.value
            found |= {f"{name}{ending}, {beside}": value for beside, value in measure.beside.items()}
    if can(model, Density):
        score = sim.score(model, data, "test")
        found["nats of a person's steps"] = score.nats * len(mask) / int(mask.sum())
        found["nats of a step"] = found["nats of a person's steps"] / PREDICTED
    return found


def row(name: str, scene: str, seed: int, minutes: float, given: Mapping[str, Any]) -> dict[str, Any]:
    data = sim.data.load(f"eth-ucy:test={scene}")
    if name == NO_MODEL:
        own = sim.data.DataSpec(data.spec.x, data.spec.condition)
        model = next(entry for entry in sim.models() if entry.name == "social-gan").build(own, hidden=1).eval()
        found = figures_of(model, data, seed)
        kept = {key: value for key, value in found.items() if ", constant" in key or key in ("scenes", "people")}
        return {"figures": kept}
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        out = Path(folder) / "run"
        model = sim.fit(name, data, out, condition="past", minutes=minutes, seed=seed, **given)
        seconds = time.process_time() - begin
    steps = model.trained_steps
    return {"seconds of one thread": seconds, "steps": steps, "figures": figures_of(model, data, seed)}


def means(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Over the five scenes, each the mean over its seeds."""
    by_scene: dict[str, list[Mapping[str, float]]] = {}
    for key, own in rows.items():
        by_scene.setdefault(key.split()[0], []).append(own["figures"])
    if set(by_scene) != set(TEST):
        return {}
    names = [name for name in next(iter(by_scene.values()))[0] if name not in ("scenes", "people")]
    return {
        name: float(np.mean([np.mean([own[name] for own in each]) for each in by_scene.values()])) for name in names
    }


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="social-gan", help=f"to fit; {NO_MODEL}: constant velocity alone")
    arguments.add_argument("--scenes", nargs="+", default=list(TEST), choices=list(TEST))
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--minutes", type=float, default=5.0, help="of each fit")
    arguments.add_argument("--given", type=json.loads, default={}, help="arguments of the model: '{\"hidden\": 32}'")
    arguments.add_argument("--record", default="trajectories")
    own = arguments.parse_args()
    torch.set_num_threads(1)
    scenes = own.scenes[:1] if own.smoke else own.scenes
    rows: dict[str, Any] = {} if own.smoke else earlier(own.record).get("rows", {})
    for seed in own.seeds:
        for scene in scenes:
            minutes = 0.1 if own.smoke else own.minutes
            rows[f"{scene} {own.model} {seed}"] = row(own.model, scene, seed, minutes, own.given)
            print(scene, seed, json.dumps(rows[f"{scene} {own.model} {seed}"]["figures"]), flush=True)
    conclude(
        own.record,
        {"rows": rows, "mean": means(rows), "target": "best of 20 by scene <= .48/.96 and k = 1 <= .52/1.14"},
        smoke=own.smoke,
        seeds=own.seeds,
        notes=f"{own.model}; one thread; {own.minutes:g} minutes a fit",
    )


if __name__ == "__main__":
    main()
