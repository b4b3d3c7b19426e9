"""Training in bfloat16 against float32 on this machine's CPU: how much faster, and whether what comes out is worse.

    python benchmarks/precision.py                       # a step of every model, on digits and MNIST
    python benchmarks/precision.py --quality [MODEL ...] # fits of three seeds in either precision; ten minutes a model

Steps are those of `fit` with default options, in blocks of either precision in turn; a ratio is the median over the
blocks. The fits of `--quality` are as long for both: the default number of steps on digits, and on MNIST as many as
float32 takes in `MINUTES`. Their figure is the one by which the weights are chosen, on the validation split, the best
of the run. `worse` is the mean difference of bf16 over the spread (standard deviation) of the seeds in float32.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from defaults import before
from record import COMMIT, conclude, parser

import simulacra as sim
from simulacra.errors import UsageError
from simulacra.training.loop import Loop
from simulacra.training.plan import make_plan
from simulacra.training.runtime import Runtime

PRECISIONS = ("fp32", "bf16")
DATA = ("digits", "mnist")
SEEDS = (0, 1, 2)
ROUNDS, BLOCK = 5, 1.5  # blocks of so many seconds, at least one step each
MINUTES = 1.0
NOT_OF_IMAGES = ("rnade",)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("models", nargs="*", help="by default all that are trained in steps")
    options.add_argument("--quality", action="store_true", help="fits of three seeds instead of seconds of a step")
    options.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    args = options.parse_args()
    models = [entry.name for entry in sim.models() if entry.name not in NOT_OF_IMAGES]
    record = "precision_quality" if args.quality else "precision"
    figures = before(record, models) if args.models or args.data != DATA else {}
    for name in args.models or models:
        for data in map(sim.data.load, args.data):
            try:
                row = (quality if args.quality else speed)(name, data, args.smoke)
            except UsageError as reason:  # too large for such data, or for another kind of them
                row = {"refused": str(reason)}
            if row is not None:
                figures.setdefault(name, {})[data.name] = row | {"commit": COMMIT}
                print(name, data.name, row, flush=True)
    conclude(
        record,
        figures,
        smoke=args.smoke,
        data={data: {"fingerprint": sim.data.load(data).fingerprint} for data in DATA},
        seeds=SEEDS if args.quality else [0],
        notes="default options; each row names the commit it was measured at",
    )


def speed(name: str, data: sim.data.Dataset, smoke: bool) -> dict[str, Any] | None:
    """Seconds of a step in either precision; None for a model that is not trained in steps."""
    with tempfile.TemporaryDirectory() as folder:
        loops = {}
        for precision in PRECISIONS:
            plan = make_plan(name, data, Path(folder) / precision, (), False, {"precision": precision})
            if plan.closed_form:
                return None
            where = Runtime(torch.device("cpu"), precision == "bf16")
            loops[precision] = Loop(plan.model, plan.options, where), plan.batches(where)
        for loop, batches in loops.values():
            loop.step(batches, 0.0)
        rounds = [{key: seconds(*loop) for key, loop in loops.items()} for _ in range(1 if smoke else ROUNDS)]
    ratios = sorted(times["fp32"] / times["bf16"] for times in rounds)
    return {key: statistics.median(times[key] for times in rounds) for key in PRECISIONS} | {
        "faster": statistics.median(ratios),
        "faster_min": ratios[0],
        "faster_max": ratios[-1],
    }


def seconds(loop: Loop, batches: Any) -> float:
    """Of a step, the mean over a block."""
    steps, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < BLOCK or not steps:
        loop.step(batches, 0.0)
        steps += 1
    return spent / steps


def quality(name: str, data: sim.data.Dataset, smoke: bool) -> dict[str, Any] | None:
    """The best figure of the validation split, seeds x precisions; None for a model that is not trained in steps."""
    if (rates := speed(name, data, True)) is None:
        return None
    steps = 20 if smoke else None if data.name == "digits" else round(MINUTES * 60 / rates["fp32"])
    figures: dict[str, Any] = {key: [] for key in PRECISIONS}
    taken: dict[str, list[float]] = {key: [] for key in PRECISIONS}
    kind = ""
    for seed in SEEDS[: 1 if smoke else None]:
        for key in PRECISIONS:
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                sim.fit(name, data, f"{folder}/run", seed=seed, precision=key, steps=steps)
                taken[key].append(time.perf_counter() - began)
                lines = [json.loads(line) for line in Path(f"{folder}/run/metrics.jsonl").read_text().splitlines()]
            kind = next(field for line in lines for field in line if field.startswith("valid_"))
            figures[key].append(min(line[kind] for line in lines if kind in line))
    spread = statistics.stdev(figures["fp32"]) if len(figures["fp32"]) > 1 else float("nan")
    difference = statistics.mean(figures["bf16"]) - statistics.mean(figures["fp32"])
    return {
        "figure": kind,
        "steps": steps,
        **figures,
        **{f"seconds_{key}": statistics.mean(values) for key, values in taken.items()},
        "worse": difference / spread,
    }


if __name__ == "__main__":
    main()
