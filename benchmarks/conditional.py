"""Whether samples of class-conditional models are of the class conditioned on, on `digits` with default settings.

agreement            share of 600 samples (60 a class) that a 3-nearest-neighbour classifier, fitted to the training
                     digits, assigns to the class conditioned on; on real test digits it is `real_agreement`
frechet_ratio        Fréchet distance of samples with the labels of the test digits, in multiples of its floor
within_class_spread  mean over the classes of the samples' pixel standard deviation, divided by that of real digits

python benchmarks/conditional.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from record import conclude, parser
from sklearn.neighbors import KNeighborsClassifier

import simulacra as sim

MODELS = ("gated-pixelcnn", "vae", "dcgan")


def main() -> None:
    smoke = parser(__doc__).parse_args().smoke
    data = sim.data.load("digits")
    train, labels = data.train.x.reshape(len(data.train), -1), data.train.condition["label"]
    judge = KNeighborsClassifier(3).fit(train, labels)
    figures = {"real_agreement": judge.score(data.test.x.reshape(len(data.test), -1), data.test.condition["label"])}
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            model = sim.fit(name, data, Path(folder), condition="label", **({"steps": 30} if smoke else {}))
        condition = np.repeat(np.arange(10), 60)
        drawn = sim.sample(model, len(condition), condition={"label": condition}).reshape(len(condition), -1)
        distance = sim.evaluate(model, data)["frechet_distance"]
        figures[name] = {
            "agreement": judge.score(drawn, condition),
            "frechet_ratio": distance.value / (distance.floor or np.nan),
            "within_class_spread": spread(drawn, condition) / spread(train, labels),
        }
        print(name, figures[name], flush=True)
    conclude(
        "conditional",
        figures,
        smoke=smoke,
        data={"name": data.name, "split": "test", "n": len(data.test), "fingerprint": data.fingerprint},
        seeds=[0],
    )


def spread(x: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean([x[labels == label].std(axis=0).mean() for label in range(10)]))


if __name__ == "__main__":
    main()
