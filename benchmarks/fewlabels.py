"""Few labels on MNIST: test error of classifiers from 100 and 1,000 labels and 59,000 unlabelled items.

M1 is a vae that is trained without labels. Then `simulacra finetune` with all of its methods, ten draws of the labels
each; their settings are those of the package and were chosen by no test label (`studies/few_labels.py` holds them).

    probe, finetune    on M1's codes, frozen and not         scratch    the same network without M1
    m2                 Kingma et al. 2014, on pixels          m1+m2      the same, on M1's codes

Published, in %: M2 11.97 and 3.60, M1+M2 3.33 and 2.40 (thousands of epochs on 50,000 items); a reproduction on the web
has 17.8 and 9.3 with 100 labels. What every (labels, method) gave is kept under runs/fewlabels/ and not computed again.

    python benchmarks/fewlabels.py [--m1 RUN] [--device auto] [--steps N]

Three to four hours on two slow cores, of which m2 takes two and M1 one; what learns without labels goes on learning, so
that a GPU is best given more: --steps 30000. `--smoke` runs on digits.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from record import conclude, parser

import simulacra as sim
from simulacra.data import Dataset
from simulacra.model import Model, load
from simulacra.parts import to_json
from simulacra.studies.few_labels import METHODS
from simulacra.training.progress import PlainLines

M1 = {
    "latent": 50,
    "prior": "gaussian",
    "network": "dense:hidden=600,layers=2,dropout=0.1",
    "likelihood": "continuous-bernoulli",
    "patience": 0,
}
BUDGET = {"epochs": 100}
LABELS, DRAWS = (100, 1000), 10
FOLDER = Path("runs") / "fewlabels"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--m1", type=Path, help="a run of an unconditional model with an encoder, in the place of M1")
    options.add_argument("--device", default="auto")
    options.add_argument("--steps", type=int, help="of m2 and m1+m2, in the place of their own numbers")
    args = options.parse_args()
    smoke = args.smoke
    data = sim.data.load("digits" if smoke else "mnist")
    folder, budget = (FOLDER / "smoke", {"steps": 60}) if smoke else (FOLDER, BUDGET)
    if args.m1 is None:
        sim.fit("vae", data, folder / "m1", device=args.device, observers=[PlainLines()], **M1, **budget)
    run, labels, draws = args.m1 or folder / "m1", (20, 100) if smoke else LABELS, 2 if smoke else DRAWS
    model = load(run)
    figures: dict[str, Any] = {"m1": of_m1(model, data, run)}
    for count in labels:
        for method in METHODS:
            path, steps = folder / f"{count}-{method}.json", args.steps if "m2" in method else None
            figures[f"{method}, {count} labels"] = row = judged(
                path, model, data, count, draws, method, 5 if smoke else steps, args.device
            )
            print(f"{count} {method}: {row['error']:.2f} ± {row['standard_deviation']:.2f} %", flush=True)
    conclude(
        "fewlabels",
        figures,
        smoke=smoke,
        data={"name": data.name, "split": "test", "n": len(data.test), "fingerprint": data.fingerprint},
        seeds=range(draws),
        notes="test errors in %: mean and standard deviation over the draws of the labels, draw d of seed d",
    )


def of_m1(model: Model, data: Dataset, run: Path) -> dict[str, Any]:
    record = json.loads((run / "run.json").read_text())
    scored = sim.score(model, data)
    figures = {"nats": scored.nats, "standard_error": scored.standard_error, "kind": scored.kind}
    return {"model": model.name, "arguments": to_json(model.arguments)} | record["finished"] | figures


def judged(
    path: Path, model: Model, data: Dataset, labels: int, draws: int, method: str, steps: int | None, device: str
) -> dict[str, Any]:
    """The result of `finetune`, from the file that an earlier run left for the same M1 and settings if there is one."""
    weights = hashlib.sha256(b"".join(tensor.cpu().numpy().tobytes() for tensor in model.state_dict().values()))
    key = {"m1": weights.hexdigest(), "data": data.fingerprint, "draws": draws, "steps": steps or METHODS[method].steps}
    if path.exists() and (kept := json.loads(path.read_text()))["key"] == key:
        return kept["row"]
    found = sim.finetune(model, data, labels, draws, [method], steps=steps, device=device, observers=[PlainLines()])
    row = asdict(found.results[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"key": key, "row": row}))
    return row


if __name__ == "__main__":
    main()
