"""Every model by its defaults on data that nobody tuned it to: what it costs, and what it reaches.

    python benchmarks/by_data.py mnist                       # every model; hours
    python benchmarks/by_data.py cifar10 gated-pixelcnn vae  # some of them: their rows of the record are replaced

told       minutes that `fit --dry-run` says a run by the defaults takes, and its steps
minutes    that it took. A run of which more than `--minutes` is told is ended after these: `done` is the share of its
           steps, and its figure is that of a short fit, not that of the defaults
figure     bits/dim of the test split, or of 1,000 of its items (exact, or a bound: ELBO), or where there is no
           likelihood the Fréchet distance's position between held-out data, 0, and independent pixels, 1
gap        share of the way from independent pixels to the best bits/dim recorded for these data in `results/`, this
           table included; for a position 1 - position
learning   whether `fit` said at its end that the figure was still falling

MNIST, CIFAR-10 (the part at hand) and the emoji are read from `$SIMULACRA_DATA`, emoji in one style at 32x32.
"""

from __future__ import annotations

import io
import json
import lzma
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from defaults import before
from record import COMMIT, RESULTS, conclude, parser

import simulacra as sim
from simulacra.errors import NotSupported, UsageError
from simulacra.evaluation.judges import usual_judge
from simulacra.training import make_plan, rehearse

SCORED = 1000  # test items
LEFT_OUT = ("rnade", "raster")  # which is for continuous data, and which is gated-pixelcnn by default
STYLE = "openmoji"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("data", choices=("digits", "mnist", "cifar10", "emoji"))
    options.add_argument("models", nargs="*", help="by default all of them")
    options.add_argument("--minutes", type=float, default=5.0, help="of a fit, where the defaults take longer")
    options.add_argument("--told", action="store_true", help="only what a run would cost")
    args = options.parse_args()
    data = emoji() if args.data == "emoji" else sim.data.load(args.data)
    models = [entry.name for entry in sim.models() if entry.name not in LEFT_OUT]
    record = f"by_data_{args.data}"
    rows = before(record, models)
    for name in args.models or models:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(name, data, Path(folder), args.minutes, args.told, args.smoke)
        rows[name] = row | {"commit": COMMIT}
        print(name, rows[name], flush=True)
    measured = [row["bits_per_dim"] for row in rows.values() if "bits_per_dim" in row]
    best = min([*measured, *recorded(data.fingerprint)], default=float("nan"))  # of none where only costs are known
    for row in rows.values():
        if "bits_per_dim" in row and "independent" in rows:
            apart = rows["independent"]["bits_per_dim"] - best
            row["gap"] = (rows["independent"]["bits_per_dim"] - row["bits_per_dim"]) / apart
        elif "position" in row:
            row["gap"] = 1 - row["position"]
    used = {"name": data.name, "split": "test", "n": min(SCORED, len(data.test)), "fingerprint": data.fingerprint}
    notes = f"each row names the commit it was measured at; best bits/dim recorded: {best:.4f}"
    conclude(record, rows, smoke=args.smoke, data=used, seeds=[0], notes=notes)


def measure(
    name: str, data: sim.data.Dataset, folder: Path, minutes: float, only_told: bool, smoke: bool
) -> dict[str, Any]:
    """One row, or why the model refuses such data."""
    try:
        plan = make_plan(name, data, folder / "rehearsed", (), False, {})
        told = rehearse(plan, usual_judge(plan.model))
    except UsageError as reason:
        return {"refused": str(reason)}
    row: dict[str, Any] = {"told": told.seconds / 60, "steps": told.steps, "parameters": told.parameters}
    if only_told:
        return row
    limits = {"steps": 20} if smoke else {"minutes": minutes} if row["told"] > minutes else {}
    began = time.perf_counter()
    model = sim.fit(name, data, folder / "run", **({} if plan.closed_form else limits))
    row["minutes"] = (time.perf_counter() - began) / 60
    ended = json.loads((folder / "run" / "run.json").read_text())["finished"]
    row |= {"done": ended["steps"] / told.steps, "learning": ended["still_learning"]}
    try:
        scored = sim.score(model, data, limit=SCORED)
        row |= {"kind": scored.kind, "bits_per_dim": scored.bits_per_dim}
    except NotSupported:
        found = sim.evaluate(model, data)
        row |= {"position": found["frechet_position"].value} if "frechet_position" in found else {}
        row |= {ended["judge"]["name"]: ended["judge"]["value"]} if ended["judge"] else {}
    return row


def recorded(fingerprint: str) -> list[float]:
    """All bits/dim that other records hold of these data."""
    found: list[float] = []

    def search(value: Any, name: str = "") -> None:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            key = name if isinstance(key, int) else key
            if isinstance(inner, dict | list):
                search(inner, key)
            elif key.startswith("bits_per_dim") and isinstance(inner, float) and inner > 0:
                found.append(inner)

    for path in RESULTS.glob("*.json"):
        record = json.loads(path.read_text())
        if (record["data"] or {}).get("fingerprint") == fingerprint and not path.stem.startswith("by_data"):
            search(record["figures"])
    return found


def emoji() -> sim.data.Dataset:
    """One style of the emoji in colour, (N, 3, 32, 32), each pixel the mean of four."""
    packed = Path(os.environ["SIMULACRA_DATA"]) / "emoji" / f"{STYLE}_64.npy.xz"
    x = np.load(io.BytesIO(lzma.decompress(packed.read_bytes()))).astype(np.float32)
    n, height, width, channels = x.shape
    small = x.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4)).round().astype(np.uint8)
    return sim.data.from_arrays(small.transpose(0, 3, 1, 2), levels=256, name="emoji")


if __name__ == "__main__":
    main()
