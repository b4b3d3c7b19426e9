"""Bayes' rule with a class-conditional likelihood: accuracy, and how many foreign images are refused.

accuracy           of argmax p(x | y) on the test split, beside `neighbours`: that of the three nearest training items
refused, foreign   shares of the test split and of foreign sets where log p(x) lies below the 1 % quantile of the
                   validation split; `two-sided`: below the 0.5 % quantile or above the 99.5 % one (on digits 1 % and
                   99 %, because their validation split is small)

Foreign are test items half erased, turned, with their rows shuffled, and inverted; emoji in grey; for MNIST pictures of
clothing, where fashion-mnist is at hand.

python benchmarks/classify.py [--digits RUN] [--mnist RUN] [--limit N]

Without --digits a gated-pixelcnn is fitted to digits by class; without --mnist there is no MNIST.
"""

from __future__ import annotations

import numpy as np
from outliers import arguments, described, models, outliers
from record import conclude
from sklearn.neighbors import KNeighborsClassifier

import simulacra as sim
from simulacra.data import Dataset
from simulacra.errors import SimulacraError
from simulacra.model import Model


def main() -> None:
    args = arguments(__doc__)
    figures, used = {}, {}
    for data, model in models(args):
        figures[data.name] = described(model) | judged(model, data, args.limit)
        n = figures[data.name]["n"]
        used[data.name] = {"split": "test", "n": n, "fingerprint": data.fingerprint}
    conclude("classify", figures, smoke=args.smoke, data=used, seeds=[0])


def judged(model: Model, data: Dataset, limit: int) -> dict:
    others, n = foreign(data, limit), min(len(data.valid), limit)
    one = sim.classify(model, data, reject=0.01, foreign=others, limit=limit)
    two = sim.classify(model, data, reject=max(0.01, 2 / n), two_sided=True, foreign=others, limit=limit)
    return {
        "n": one.n,
        "accuracy": [one.accuracy, one.standard_error],
        "neighbours": neighbours(data, one.n),
        "cross_entropy": one.cross_entropy,
        "one-sided": refusals(one.to_json()),
        "two-sided": refusals(two.to_json()),
    }


def refusals(found: dict) -> dict:
    thresholds = {"low": found["low"]} | ({"high": found["high"]} if found["two_sided"] else {})
    shares = {name: found[name] for name in ("reject", "refused", "accuracy_accepted")}
    return thresholds | shares | {"foreign": {other["name"]: other["refused"] for other in found["foreign"]}}


def foreign(data: Dataset, limit: int) -> list[Dataset]:
    real = np.asarray(data.test.x[:limit])
    sets = outliers(real, data.spec.grid_levels, np.random.default_rng(0))
    found = [sim.data.from_arrays(x, levels=data.spec.levels, name=name) for name, x in sets.items()]
    if data.name == "mnist":
        try:
            found.append(sim.data.load("fashion-mnist"))
        except SimulacraError as error:
            print(f"no fashion-mnist: {error}")
    return found


def neighbours(data: Dataset, n: int) -> float:
    """Accuracy of three nearest neighbours among at most 10,000 training items on the same test items."""
    x, label = data.train.x[:10_000].reshape(-1, data.spec.dims), data.train.condition["label"][:10_000]
    judge = KNeighborsClassifier(3).fit(x, label)
    return float(judge.score(data.test.x[:n].reshape(n, -1), data.test.condition["label"][:n]))


if __name__ == "__main__":
    main()
