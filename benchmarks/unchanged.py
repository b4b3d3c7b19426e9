"""Whether another checkout trains every model to the same weights: what a change of the house must not touch.

Each registered model is fitted to digits for `--steps` steps in either checkout, from the same seed on one thread; the
averaged weights that `fit` returns are compared, tensor by tensor in any order, since a change may rename them. Where
they are equal bit for bit, every figure that was measured of the model before still holds.

    python benchmarks/unchanged.py --against ../before/src
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from record import HERE, conclude, parser

FIT = """
import hashlib, json, sys, tempfile
import torch
import simulacra as sim
from simulacra import registry
from simulacra.errors import UsageError
torch.set_num_threads(1)
found = {}
for entry in registry.models():
    condition = {"condition": "label"} if entry.name == "m2" else {}
    for budget in ({"steps": int(sys.argv[1]), "every": 10**9}, {}):  # what is fitted in one pass takes no budget
        with tempfile.TemporaryDirectory() as folder:
            try:
                model = sim.fit(entry.name, "digits", folder + "/run", **budget, **condition)
                break
            except UsageError:
                model = None
    if model is None:
        continue  # it is not for these data
    tensors = [value for value in model.state_dict().values() if value.is_floating_point()]
    found[entry.name] = sorted(hashlib.sha256(t.contiguous().numpy().tobytes()).hexdigest() for t in tensors)
print(json.dumps(found))
"""


def weights(source: Path, steps: int) -> dict[str, list[str]]:
    """The digests of all tensors of every model."""
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-c", FIT, str(steps)]
        done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True, cwd=folder)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--against", type=Path, required=True, metavar="FOLDER", help="the src of another checkout")
    arguments.add_argument("--steps", type=int, default=5, metavar="INT", help="of training (default: 5)")
    args = arguments.parse_args()
    there = args.against.resolve()
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=there, text=True).strip()
    own, other = (weights(source, 1 if args.smoke else args.steps) for source in (HERE.parent / "src", there))
    shared = {name: digests for name, digests in own.items() if name in other}
    figures = {
        "equal": [name for name, digests in shared.items() if digests == other[name]],
        "tensors_that_differ": {
            name: f"{len(set(digests) - set(other[name]))} of {len(digests)}"
            for name, digests in shared.items()
            if digests != other[name]
        },
        "new": sorted(own.keys() - other.keys()),
        "gone": sorted(other.keys() - own.keys()),
    }
    notes = f"digits, {args.steps} steps, against {commit}; floating-point tensors, names aside"
    conclude("unchanged", figures, smoke=args.smoke, seeds=[0], notes=notes)


if __name__ == "__main__":
    main()
