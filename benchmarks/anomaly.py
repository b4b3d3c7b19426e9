"""How well foreign items are separated from real ones, by likelihood and without a model: AUROC and standard errors.

improbable    -log p(x)
untypical     |log p(x) - its median on the validation split|
png           bytes of the optimised PNG file
beyond png    -log2 p(x) - 8 · bytes of the PNG file
map           of small faults: AUROC of the bits per pixel, pixels that were changed against all others (where, not
              whether)

Usual items are those of the test split. p(x) of a class-conditional model is the mean over its classes. Strange ones
are: small faults planted in test items; test items half erased, turned, with their rows shuffled, inverted; emoji in
grey.

python benchmarks/anomaly.py [--digits RUN] [--mnist RUN] [--limit N]

Without --digits a gated-pixelcnn is fitted to digits by class; without --mnist there is no MNIST.
"""

from __future__ import annotations

import numpy as np
from outliers import arguments, corruptions, described, models, outliers
from record import conclude

import simulacra as sim
from simulacra.data import Dataset, Split
from simulacra.evaluation.anomaly import Auroc, auroc, beyond_png, png_bytes, untypicality
from simulacra.evaluation.classify import log_evidence
from simulacra.model import Model


def main() -> None:
    args = arguments(__doc__)
    figures, used = {}, {}
    for data, model in models(args):
        figures[data.name] = described(model) | compare(model, data, args.limit)
        n = min(args.limit, len(data.test))
        used[data.name] = {"split": "test", "n": n, "fingerprint": data.fingerprint}
    conclude("anomaly", figures, smoke=args.smoke, data=used, seeds=[0])


def compare(model: Model, data: Dataset, limit: int) -> dict:
    """Every score on every set, as {set: {score: [AUROC, standard error]}}."""
    rng, levels = np.random.default_rng(0), data.spec.grid_levels
    real = Split(data.test.x[:limit], {name: field[:limit] for name, field in data.test.condition.items()}, "test")
    reference = log_evidence(model, data.valid, limit)
    usual = scores(model, real.x, reference)
    found = {"bits_per_dim": data.spec.bits_per_dim(usual["improbable"].mean()), "planted": {}, "strange": {}}
    for name, change in corruptions(levels, np.asarray(data.valid.x)).items():
        x, changed = change(np.asarray(real.x), rng)
        found["planted"][name] = judged(usual, scores(model, x, reference)) | {
            "map": pair(where(model, x, changed, real.condition))
        }
        print(name, found["planted"][name], flush=True)
    for name, x in outliers(np.asarray(real.x), levels, rng).items():
        found["strange"][name] = judged(usual, scores(model, x, reference))
        print(name, found["strange"][name], flush=True)
    return found


def scores(model: Model, x: np.ndarray, reference: np.ndarray) -> dict[str, np.ndarray]:
    nats, size = log_evidence(model, Split(x, {}, "test")), png_bytes(x, model.spec)
    return {
        "improbable": -nats,
        "untypical": untypicality(nats, reference),
        "png": size,
        "beyond png": beyond_png(nats, size),
    }


def where(model: Model, x: np.ndarray, changed: np.ndarray, condition: dict[str, np.ndarray]) -> Auroc:
    """Of items that were changed at all: pixels that were against pixels that were not."""
    condition = {name: condition[name].tolist() for name in model.spec.condition}
    bits = sim.surprise(model, x, condition)
    own = changed.any(axis=(1, 2, 3))
    return auroc(bits[own][~changed[own]], bits[own][changed[own]])


def judged(usual: dict[str, np.ndarray], strange: dict[str, np.ndarray]) -> dict[str, list[float]]:
    return {name: pair(auroc(usual[name], strange[name])) for name in usual}


def pair(found: Auroc) -> list[float]:
    return [found.value, found.standard_error]


if __name__ == "__main__":
    main()
