"""Training steps of this checkout against those of another one: the price of a change of the house.

Each model is fitted to digits by `simulacra.fit`, with its default options, in fresh processes of either checkout in
turn (A B A B ...). A round is a fit of some steps less one of a tenth of them, so that start-up, validation and the
last checkpoint cancel. Rates are medians over the rounds; the ratio is the median of the rounds' own.

    python benchmarks/steps.py --against ../before/src
    OMP_NUM_THREADS=1 python benchmarks/steps.py --against ../before/src --record steps_one_thread
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import torch
from record import HERE, conclude, parser

MODELS = {"vae": 600, "gated-pixelcnn": 80, "dcgan": 500}  # steps of a round: seconds each
ROUNDS = 3
FIT = """
import json, sys, time
import simulacra as sim
from simulacra.data import load
name, steps = sys.argv[1], int(sys.argv[2])
data = load("digits")
def seconds(steps):
    began = time.perf_counter()
    sim.fit(name, data, sys.argv[3] + str(steps), steps=steps, every=10**9)
    return time.perf_counter() - began
seconds(20)
print(json.dumps(steps * 0.9 / (seconds(steps) - seconds(steps // 10))))
"""


def rate(source: Path, model: str, steps: int) -> float:
    """Steps a second."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-c", FIT, model, str(steps), f"{folder}/run-"]
        environment = os.environ | {"PYTHONPATH": str(source)}
        done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--against", type=Path, required=True, metavar="FOLDER", help="the src of another checkout")
    arguments.add_argument("--record", default="steps", metavar="NAME", help="write the figures to results/NAME.json")
    args = arguments.parse_args()
    here, there = HERE.parent / "src", args.against.resolve()
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=there, text=True).strip()
    figures = {}
    for model, steps in MODELS.items():
        rounds = []
        for _ in range(1 if args.smoke else ROUNDS):
            rounds.append((rate(here, model, steps // (10 if args.smoke else 1)), rate(there, model, steps)))
        ratios = sorted(own / other for own, other in rounds)
        figures[model] = {
            "steps_per_second": median(own for own, _ in rounds),
            f"steps_per_second_at_{commit}": median(other for _, other in rounds),
            "ratio": median(ratios),
            "ratio_min": ratios[0],
            "ratio_max": ratios[-1],
        }
    notes = f"digits, default options, {torch.get_num_threads()} threads; ratio: this checkout over {commit}"
    conclude(args.record, figures, smoke=args.smoke, seeds=[0], notes=notes)


if __name__ == "__main__":
    main()
