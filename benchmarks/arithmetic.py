"""Arithmetic of concepts on `avatars`, drawn faces of which smile, glasses and beard are known exactly.

Each equation is `simulacra arithmetic`: a concept is the mean of the codes of eight draws that a linear classifier
takes for it, and each of the eight codes of the first concept is moved by the difference of the other two. A
convolutional classifier, which did not choose the draws, counts

reached   share of the moved codes whose items have all attributes that are wanted, over the seeds
unmoved   the same of the codes as they were
control   the same of steps as long in random directions, eight for each code
ceiling   share of real held-out items whose attributes it says rightly

with 95 % intervals of the first three. The codes of one seed share their difference, so that an interval is too small
where one difference is good and another bad: `by_seed` has the share of each, and `by_attribute` that of each attribute
by itself. An equation with a concept that fewer than three of 2,000 draws show has the reason in the place of figures.
`position` says how good the generator is: its Fréchet distance between real items, 0, and independent pixels, 1.

    python benchmarks/arithmetic.py [--models dcgan] [--minutes 5] [--picture FILE.png]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from record import conclude, parser

import simulacra as sim
from simulacra.errors import UsageError
from simulacra.evaluation import intervals
from simulacra.evaluation.learned import learned
from simulacra.exploration.arithmetic import CONTROLS, Arithmetic
from simulacra.model import Model
from simulacra.pictures import rows_picture, save_image

SIDE, SEEDS = 32, (0, 1, 2, 3)
PLAIN = "smiling:no+glasses:no+beard:no"
EQUATIONS = {  # start, with, without
    "smile": (PLAIN, "smiling:yes+glasses:no", "smiling:no+glasses:no"),
    "glasses": (PLAIN, "glasses:yes+smiling:no", "glasses:no+smiling:no"),
    "beard": (PLAIN, "beard:yes+glasses:no", "beard:no+glasses:no"),
    "smile, of faces with glasses": ("smiling:no+glasses:yes", "smiling:yes+glasses:no", "smiling:no+glasses:no"),
    "glasses, of smiling faces": ("smiling:yes+glasses:no", "smiling:no+glasses:yes", "smiling:no+glasses:no"),
    "smile, of bearded faces": ("smiling:no+beard:yes", "smiling:yes+beard:no", "smiling:no+beard:no"),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--models", nargs="*", default=["dcgan"], help="presets that draw from codes")
    options.add_argument("--minutes", type=float, default=5.0, help="of each fit")
    options.add_argument("--runs", type=Path, help="where the fits are kept, and continued; by default nowhere")
    options.add_argument("--picture", type=Path, help="of the first equation of two attributes, by the last model")
    args = options.parse_args()
    data = sim.data.load("avatars", resize=SIDE)
    figures: dict[str, Any] = {}
    for name in args.models:
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = measured(name, data, args.runs or Path(folder), args)
    conclude(
        "arithmetic",
        figures,
        smoke=args.smoke,
        data={"name": data.name, "side": SIDE, "split": "test", "n": len(data.test), "fingerprint": data.fingerprint},
        seeds=SEEDS,
        notes=f"{args.minutes:g} minutes for each fit, seed 0; the seeds are those of the draws and of the controls",
    )


def measured(name: str, data: sim.data.Dataset, runs: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The figures of one model, by equation."""
    budget: dict[str, Any] = {"steps": 20} if args.smoke else {"minutes": args.minutes}
    began = time.perf_counter()
    model = sim.fit(name, data, runs / name, **budget)
    record: dict[str, Any] = {"seconds": time.perf_counter() - began, "parameters": model.free_parameters()}
    record["position"] = sim.evaluate(model, data, quick=True)["frechet_position"].value
    for title, concepts in EQUATIONS.items():
        record[title] = of_equation(model, data, concepts, SEEDS[: 1 if args.smoke else None])
        print(name, title, record[title], flush=True)
    if args.picture is not None:
        drawn(args.picture, model, data, "smile, of faces with glasses")
    return record


def of_equation(
    model: Model, data: sim.data.Dataset, concepts: tuple[str, str, str], seeds: Sequence[int]
) -> dict[str, Any]:
    """Shares over all seeds, with intervals; or why there are none."""
    try:
        found = [sim.arithmetic(model, data, *concepts, seed=seed) for seed in seeds]
    except UsageError as error:
        return {"refused": str(error)}
    codes = [len(each.moved) - 1 for each in found]
    moved, controls = np.array(codes), np.array(codes) * CONTROLS
    reached = [each.reached for each in found]
    return {
        "reached": over(reached, moved),
        "unmoved": over([each.unmoved for each in found], moved),
        "control": over([each.by_chance for each in found], controls),
        "ceiling": found[0].ceiling,
        "by_attribute": by_attribute(data, found),
        "by_seed": reached,
        "wanted": dict(found[0].wanted),
    }


def by_attribute(data: sim.data.Dataset, found: Sequence[Arithmetic]) -> dict[str, float]:
    """The share of all moved codes that has each of the attributes wanted: what was added, and what was kept."""
    judge, moved = learned(data), np.concatenate([each.moved[1:] for each in found])
    assert judge is not None
    return {field: float((judge.classes(moved, field) == own).mean()) for field, own in found[0].wanted.items()}


def over(shares: Sequence[float], counts: np.ndarray) -> dict[str, Any]:
    """One share of all items, with its interval, of shares of so many items each."""
    n = int(counts.sum())
    value = float(np.dot(shares, counts)) / n
    return {"value": value, "interval": intervals.of_share(value, n), "n": n}


def drawn(path: Path, model: Model, data: sim.data.Dataset, title: str) -> None:
    """The concepts of an equation, what became of them, and a control."""
    rows = sim.arithmetic(model, data, *EQUATIONS[title]).rows()
    least = min(map(len, rows.values()))
    shown = np.stack([row[:least] for row in rows.values()])
    save_image(rows_picture(shown, model.spec, list(rows), ["mean", *map(str, range(1, least))]), path)


if __name__ == "__main__":
    main()
