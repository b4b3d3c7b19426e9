"""The demo: one model of each family learns the same handwritten digits, and all are measured alike."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import simulacra
from simulacra import registry
from simulacra.capabilities import Encoder
from simulacra.data import Dataset
from simulacra.evaluation import Evaluation
from simulacra.evaluation.report import Chapter, write_report
from simulacra.files import write_atomically
from simulacra.model import Model
from simulacra.pictures import beside, picture, png
from simulacra.randomness import some_of
from simulacra.training import Observer

MODELS = ("gated-pixelcnn", "vae", "dcgan")
SHOWN = 64
IN_A_ROW = 10  # items side by side that a phone still shows well


@dataclass(frozen=True)
class Trained:
    """A model of the demo and all that was found out about it."""

    name: str
    model: Model
    evaluation: Evaluation
    samples: np.ndarray
    seconds_to_sample: float
    run: Path
    record: Mapping[str, Any]

    def row(self) -> dict[str, str]:
        """Its line in the table."""
        measures = self.evaluation
        keys = ("bits_per_dim", "frechet_distance", "frechet_position", "near_copies")
        bits, distance, position, copies = map(measures.get, keys)
        return {
            "model": self.name,
            "bits/dim": f"{bits.value:.3f} ({bits.kind})" if bits else "none",
            "FD / floor": f"{distance.value / distance.floor:.2f}" if distance and distance.floor else "",
            "position": f"{position.value:.2f}" if position else "",
            "near-copies": f"{copies.value:.1%}" if copies else "",
            "64 samples": f"{self.seconds_to_sample:.3f} s",
            "training": f"{self.record['finished']['seconds']:.0f} s",
            "parameters": f"{sum(parameter.numel() for parameter in self.model.parameters()):,}",
            "family": registry.find(self.name).family,
        }


def demo(out: Path, observers: Sequence[Observer] = (), seed: int = 0, **options: Any) -> list[dict[str, str]]:
    """Fit the three models on `digits`, write `report.html` and `samples.png` into `out`; returns the table's rows.

    `options` are training options for all three; without any, each model trains as it does by default.
    """
    data = simulacra.data.load("digits")
    trained = []
    for name in MODELS:
        for observer in observers:
            observer.said(f"{name}: learning {len(data.train):,} digits")
        model = simulacra.fit(name, data, out / name, observers=observers, seed=seed, **options)
        trained.append(_look_at(name, model, data, out / name))
    pictures = {"real digits": _drawn(data, SHOWN)} | {entry.name: entry.samples for entry in trained}
    sheet = beside({name: picture(np.asarray(items), data.spec) for name, items in pictures.items()})
    write_atomically(out / "samples.png", png(sheet))
    rows = [entry.row() for entry in trained]
    write_report(out / "report.html", data, rows, [_chapter(entry, data) for entry in trained])
    return rows


def _look_at(name: str, model: Model, data: Dataset, run: Path) -> Trained:
    simulacra.sample(model, 1)  # the first draw also warms up
    started = time.perf_counter()
    samples = simulacra.sample(model, SHOWN)
    seconds = time.perf_counter() - started
    record = json.loads((run / "run.json").read_text())
    return Trained(name, model, simulacra.evaluate(model, data), samples, seconds, run, record)


def _drawn(data: Dataset, n: int) -> np.ndarray:
    """Some test items, (n, *shape)."""
    return np.asarray(data.test.x[some_of(len(data.test), n, 0, "shown")])


def _chapter(entry: Trained, data: Dataset) -> Chapter:
    """Its part of the report: samples beside their nearest training items, and what its codes can do."""
    pictures = {"What it drew": picture(entry.samples, data.spec)}
    drawn, neighbours = entry.evaluation.samples, entry.evaluation.neighbours
    if drawn is not None and neighbours is not None:
        pairs = np.concatenate([drawn[:IN_A_ROW], np.asarray(data.train.x)[neighbours.index[:IN_A_ROW]]])
        pictures["Samples (above) and the nearest digit it was trained on (below)"] = picture(
            pairs, data.spec, IN_A_ROW
        )
    if isinstance(entry.model, Encoder):
        x = _drawn(data, IN_A_ROW)
        again = simulacra.reconstruct(entry.model, x).cpu().numpy()
        both = np.concatenate([x, again])
        pictures["Unseen digits (above) and their reconstructions (below)"] = picture(both, data.spec, IN_A_ROW)
        walk = simulacra.interpolate(entry.model, IN_A_ROW, 4, data).cpu().numpy()
        pictures["Walks between the codes of unseen digits"] = picture(walk, data.spec, IN_A_ROW)
    curve = [json.loads(line) for line in (entry.run / "metrics.jsonl").read_text().splitlines()]
    return Chapter(entry.name, registry.find(entry.name).paper, pictures, entry.evaluation, curve)
