"""Whether `simulacra health` says what is the matter with a GAN, on runs that its rules were not made on.

Each run is meant to end in a state that follows from what was done to it: a critic that learns twenty times as fast, a
generator with a code of one number, forty training items. `expected` are the states that are right, two where a run is
between them.

RULES   the runs that were looked at before the rules and their figures were last changed. Seven of them were meant as
        tests and called for a change of a rule, of the probe or of what is expected; five were meant as tests and were
        right. What is right here is no test of the rules.
OTHERS  the runs whose verdicts were first looked at after that; what is expected of each was written down before it was
        fitted, or for the first eight before its verdict was seen, and is as it was, whatever came of it.

right     runs whose verdict is an expected one
confusion of the first expected state and the verdict, counts

python benchmarks/verdicts.py [--only NAME ...] [--keep FOLDER]
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from modes import MODES, measured
from record import conclude, parser

import simulacra as sim
from simulacra.errors import TrainingError
from simulacra.exploration import health

HEALTHY, LEARNING, COLLAPSED = "healthy", "still learning", "collapsed"
WINS, MEMORISES, UNSTABLE = "the critic wins", "the critic memorises", "does not converge"
DRAWS = 2500


@dataclass(frozen=True)
class Run:
    """A model on data, of which `few` training items are left where it is given, with options and a seed."""

    model: str
    data: str
    expected: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    few: int | None = None


def one_number(**options: Any) -> dict[str, Any]:
    """A generator that can draw no more than a curve."""
    return {"latent": 1, "generator": "dense:hidden=2", "game": "non-saturating"} | options


RULES = {
    "ring, default": Run("gan", "ring", (HEALTHY,), {"steps": 3000}),
    "ring, 2014, fast": Run("gan", "ring", (UNSTABLE,), {"steps": 2000, "game": "minimax", "learning_rate": 1e-2}),
    "ring, non-saturating, fast": Run(
        "gan", "ring", (UNSTABLE,), {"steps": 2000, "game": "non-saturating", "learning_rate": 5e-3}
    ),
    "ring, minimax, critic 20": Run("gan", "ring", (WINS,), {"steps": 2000, "game": "minimax", "critic_rate": 20.0}),
    "digits, minimax, critic 20": Run(
        "gan", "digits", (WINS,), {"steps": 1500, "game": "minimax", "critic_rate": 20.0}
    ),
    "digits, default": Run("gan", "digits", (HEALTHY, LEARNING), {"steps": 2500}),
    "digits, dcgan": Run("dcgan", "digits", (LEARNING, HEALTHY), {"steps": 1500, "width": 16}),
    "digits, non-saturating, fast": Run(
        "gan", "digits", (COLLAPSED,), {"steps": 1500, "game": "non-saturating", "learning_rate": 1e-2}
    ),
    "digits, a code of one number": Run("gan", "digits", (WINS, COLLAPSED), one_number(steps=1500)),
    "60 digits, hinge": Run("gan", "digits", (MEMORISES,), {"steps": 2500, "game": "hinge"}, few=60),
    "grid, 400 steps": Run("gan", "grid", (LEARNING,), {"steps": 400, "every": 50}, 2),
    "digits, convolutions, critic 30": Run(
        "gan",
        "digits",
        (LEARNING,),
        {
            "steps": 600,
            "every": 100,
            "game": "minimax",
            "critic_rate": 30.0,
            "generator": "dcgan:width=8",
            "critic": "dcgan:width=8,batch_norm=false",
        },
        2,
    ),
    "digits, hinge, fast": Run("gan", "digits", (HEALTHY,), {"steps": 1000, "game": "hinge", "learning_rate": 1e-2}, 4),
    "digits, r3gan, 300 steps": Run(
        "r3gan", "digits", (COLLAPSED, LEARNING), {"steps": 300, "every": 50, "width": 8}, 1
    ),
    "grid, wasserstein without a penalty": Run(
        "gan", "grid", (LEARNING, UNSTABLE), {"steps": 1000, "game": "wasserstein"}, 1
    ),
    "ring, least squares, fast": Run(
        "gan", "ring", (UNSTABLE, COLLAPSED), {"steps": 1500, "game": "least-squares", "learning_rate": 2e-2}, 1
    ),
    "ring, hinge with r1": Run(
        "gan", "ring", (HEALTHY, LEARNING), {"steps": 2000, "game": "hinge", "penalties": "r1:weight=0.1"}, 2
    ),
    "ring, least squares with r1": Run(
        "gan", "ring", (HEALTHY, LEARNING), {"steps": 2000, "game": "least-squares", "penalties": "r1:weight=0.1"}, 3
    ),
    "grid, minimax, critic 20": Run("gan", "grid", (WINS,), {"steps": 1000, "game": "minimax", "critic_rate": 20.0}, 1),
    "digits, minimax, five fast steps": Run(
        "gan",
        "digits",
        (WINS,),
        {"steps": 600, "every": 100, "game": "minimax", "critic_rate": 10.0, "critic_steps": 5},
        1,
    ),
    "40 digits, non-saturating": Run(
        "gan", "digits", (MEMORISES,), {"steps": 2000, "game": "non-saturating"}, 1, few=40
    ),
    "100 digits, least squares": Run(
        "gan", "digits", (COLLAPSED, MEMORISES), {"steps": 2000, "game": "least-squares"}, 2, few=100
    ),
}

OTHERS = {
    "grid, default": Run("gan", "grid", (HEALTHY, LEARNING), {"steps": 4000}, 1),
    "digits by class": Run("gan", "digits", (HEALTHY, LEARNING), {"steps": 2000, "condition": "label"}, 1),
    "grid, 600 steps": Run("gan", "grid", (LEARNING,), {"steps": 600, "every": 100}, 5),
    "digits, dcgan, 400 steps": Run("dcgan", "digits", (LEARNING,), {"steps": 400, "every": 80, "width": 8}, 3),
    "digits, least squares, a code of one number": Run(
        "gan", "digits", (WINS, COLLAPSED), one_number(steps=1000, game="least-squares"), 3
    ),
    "shapes, a code of one number": Run("gan", "shapes", (WINS, COLLAPSED), one_number(steps=800), 5),
    "grid, non-saturating, fast": Run(
        "gan", "grid", (UNSTABLE,), {"steps": 1200, "game": "non-saturating", "learning_rate": 1e-2}, 3
    ),
    "ring, hinge, fast": Run("gan", "ring", (UNSTABLE,), {"steps": 1200, "game": "hinge", "learning_rate": 2e-2}, 4),
    "ring, default, seed 7": Run("gan", "ring", (HEALTHY,), {"steps": 3000}, 7),
    "digits, default, seed 6": Run("gan", "digits", (HEALTHY, LEARNING), {"steps": 2500}, 6),
    "50 digits, hinge": Run("gan", "digits", (MEMORISES,), {"steps": 2000, "game": "hinge"}, 6, few=50),
    "30 digits, non-saturating": Run(
        "gan", "digits", (MEMORISES,), {"steps": 2000, "game": "non-saturating"}, 7, few=30
    ),
    "ring, minimax, critic 40": Run("gan", "ring", (WINS,), {"steps": 800, "game": "minimax", "critic_rate": 40.0}, 8),
    "shapes, minimax, critic 20": Run(
        "gan", "shapes", (WINS,), {"steps": 800, "game": "minimax", "critic_rate": 20.0}, 6
    ),
    "ring, wasserstein, fast, constant": Run(
        "gan",
        "ring",
        (UNSTABLE,),
        {"steps": 1000, "game": "wasserstein", "learning_rate": 5e-2, "schedule": "constant"},
        9,
    ),
    "grid, minimax, fast, constant": Run(
        "gan",
        "grid",
        (UNSTABLE,),
        {"steps": 1000, "game": "minimax", "learning_rate": 2e-2, "schedule": "constant"},
        6,
    ),
    "digits, one unit under r1": Run(
        "gan",
        "digits",
        (COLLAPSED,),
        {"steps": 1000, "latent": 1, "generator": "dense:hidden=1", "game": "hinge", "penalties": "r1:weight=10"},
        7,
    ),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--only", nargs="*", default=[*RULES, *OTHERS], choices=[*RULES, *OTHERS], metavar="NAME")
    options.add_argument("--keep", type=Path, help="where the run folders stay")
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = args.keep or Path(folder)
        rows = {name: examined(name, where, args.smoke) for name in (args.only[:1] if args.smoke else args.only)}
    figures: dict[str, Any] = {}
    for title, runs in (("rules", RULES), ("others", OTHERS)):
        own = {name: rows[name] for name in runs if name in rows}
        counts = Counter(f"{row['expected'][0]} -> {row['state']}" for row in own.values())
        right = sum(row["state"] in row["expected"] for row in own.values())
        figures[title] = {"right": right, "of": len(own), "confusion": dict(counts), "runs": own}
    seeds = sorted({run.seed for run in (RULES | OTHERS).values()})
    conclude("verdicts", figures, smoke=args.smoke or len(rows) < len(RULES | OTHERS), seeds=seeds, notes=NOTES)


SEEN = "rules: looked at before the last change of the rules, so no test of them"
NOTES = f"{SEEN}; others: looked at after it, none left out"


def examined(name: str, where: Path, smoke: bool) -> dict[str, Any]:
    """The verdict on one run, of validation items, and where modes are known how many of them it draws."""
    run = (RULES | OTHERS)[name]
    data, folder = data_of(run), where / name.replace(", ", "-").replace(" ", "-")
    budget = {"steps": 20} if smoke else {}
    try:
        model = sim.fit(run.model, data, folder, seed=run.seed, **(run.options | budget))
    except TrainingError as error:
        model, stopped = sim.load(folder), {"stopped": str(error)[:80]}
    else:
        stopped = {}
    found = health(model, data, "valid", 500, run=folder)
    figures = {key: found.findings[key].value for key in KEYS if key in found.findings}
    truth = measured(run.data, sim.sample(model, DRAWS, seed=run.seed)) if run.data in MODES else {}
    row = {"expected": run.expected, "state": found.verdict.state, "reason": found.verdict.reason} | stopped
    print(name, row["state"], run.expected, figures, truth, flush=True)
    return row | {"remedy": found.verdict.remedy, "figures": figures, "modes": truth}


KEYS = ("jensen_shannon", "variety", "memorised", "told_apart", "validation", "spread")


def data_of(run: Run) -> sim.data.Dataset:
    """The data, with some of the training items alone where a run is about few."""
    whole = sim.data.load(run.data)
    if run.few is None:
        return whole
    rows = np.sort(np.random.default_rng(0).permutation(len(whole.train))[: run.few])
    return replace(whole, train=whole.train.rows(rows), fingerprint=f"{whole.fingerprint}-{run.few}")


if __name__ == "__main__":
    main()
