"""Memory and time of a training step on images of 256×256 to 1024×1024: `python benchmarks/large_images.py`.

`progan`, `stylegan` and `stylegan2` with the channels of their papers (16 next to an image of 1024×1024, 512 at most)
and a batch of 8, taken two items after another (`--accumulate 4`) or at once; fully grown. On a GPU the memory is the
most that torch held there, on a CPU the most that the process held.

    python benchmarks/large_images.py --sides 1024 --accumulate 4
    python benchmarks/large_images.py --device cuda --accumulate 1
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import conclude, parser

import simulacra as sim
from simulacra.training import Moment, Observer

BATCH, WIDEST, CODE = 8, 512, 512  # two items are the least that a deviation over a part of a batch is of


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--presets", nargs="*", default=["progan", "stylegan", "stylegan2"])
    options.add_argument("--sides", type=int, nargs="*", default=[256, 512, 1024])
    options.add_argument("--accumulate", type=int, default=4, help="parts in which a batch is taken")
    options.add_argument("--steps", type=int, default=3)
    options.add_argument("--device", default="cpu")
    args = options.parse_args()
    rows: dict[str, Any] = {}
    for preset in args.presets:
        for side in args.sides[:1] if args.smoke else args.sides:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
                job = fresh.submit(stepped, preset, side, args.steps, args.accumulate, args.device, args.smoke)
                rows[f"{preset} {side}"] = job.result()
            print(preset, side, rows[f"{preset} {side}"], flush=True)
    notes = f"batch {BATCH} in {args.accumulate} parts, {args.steps} steps; fp32 on a CPU, bf16 on a GPU"
    conclude(f"large_images_{args.device}", rows, smoke=args.smoke, seeds=[0], notes=notes)


def stepped(preset: str, side: int, steps: int, parts: int, device: str, smoke: bool) -> dict[str, Any]:
    """The memory that a fit took, and the seconds of its steps after the first."""
    x = np.random.default_rng(0).integers(0, 256, (8 * BATCH, 3, side, side), np.uint8)
    data = sim.data.from_arrays(x, levels=256)
    width = min(WIDEST, 16 * 1024 // side)
    grown = {} if preset == "stylegan2" else {"grown": 0.0}
    shape = {"width": width, "widest": WIDEST, "latent": CODE} if not smoke else {"width": 4, "widest": 8}
    clock = Clock()
    given = {"batch": BATCH, "accumulate": parts, "steps": steps, "every": 10**9, "observers": [clock]}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        model = sim.fit(preset, data, Path(folder) / "run", device=device, progress=None, **given, **shape, **grown)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    peak = torch.cuda.max_memory_allocated() if device.startswith("cuda") else held * 1024
    parameters = sum(each.numel() for each in model.parameters())
    return {"gigabytes": peak / 1e9, "seconds_a_step": clock.last, "parameters": parameters}


class Clock(Observer):
    """Seconds of a step after the first."""

    first = last = 0.0

    def logged(self, at: Moment, values: Mapping[str, float]) -> None:
        self.first = self.first if at.step > 1 else at.seconds

    def ended(self, at: Moment, why: str) -> None:
        self.last = (at.seconds - self.first) / max(1, at.step - 1)


if __name__ == "__main__":
    main()
