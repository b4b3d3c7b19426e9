"""`simulacra classify`"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from simulacra.cli.arguments import Flag, Json, OnData, Seed, Several, as_json, flat, optional, parse
from simulacra.terminal import number_of

if TYPE_CHECKING:
    from simulacra.data import Dataset
    from simulacra.evaluation.classify import Classification, Judgement
    from simulacra.model import Model


@dataclass(frozen=True)
class Classify(OnData):
    """Classify held-out items by Bayes' rule, p(y|x) = p(x|y) p(y) / p(x), and refuse those where p(x) is too small.

    For models with an exact likelihood that are conditioned on one field of classes: --condition label, say.
    """

    prior: Annotated[str, tyro.conf.arg(metavar="NAME", help="p(y): uniform, or train for the shares there")] = (
        "uniform"
    )
    reject: Annotated[
        float | None,
        optional("SHARE", "of fresh real items that is refused; by default 0.01, or 0 with too few validation items"),
    ] = None
    two_sided: Annotated[Flag, tyro.conf.arg(help="refuse what is too probable as well, half of the share each")] = (
        False
    )
    foreign: Annotated[Several, optional("DATA ...", "sets of other things: how many of them are refused")] = ()
    limit: Annotated[int | None, optional("INT", "at most so many items, drawn by the seed")] = None
    per_item: Annotated[Path | None, optional("FILE.csv", "also write class, probability and log p(x) of each")] = None
    seed: Seed = 0
    json: Json = False

    def __call__(self) -> None:
        import simulacra

        model, data = self.loaded()
        found = simulacra.classify(
            model,
            data,
            self.split,
            prior=self.prior,
            reject=self.reject,
            two_sided=self.two_sided,
            foreign=[_foreign(source, model) for source in flat(self.foreign)],
            limit=self.limit,
            seed=self.seed,
        )
        if self.per_item is not None:
            (field,) = model.spec.condition
            _write(self.per_item, found.judgement, data.split(self.split).field(field))
        print(as_json(found.to_json()) if self.json else "\n".join(_lines(found)))


def _foreign(source: str, model: Model) -> Dataset:
    """A set of other things on the grid of the model; a folder of images is brought to its size."""
    from simulacra import data
    from simulacra.data import Recipe
    from simulacra.verbs import data_of

    shape = model.spec.shape
    resized = model.spec.is_image and source not in data.names() and Path(source).is_dir()
    return data_of(model, source, Recipe(resize=(shape[1], shape[2]) if resized else None))


def _lines(found: Classification) -> list[str]:
    items = f"{number_of(found.n, f'{found.split} item')} of {found.data}"
    lines = [
        f"accuracy {found.accuracy:.4f} (95 %: {found.accuracy_low:.4f} to {found.accuracy_high:.4f}) on {items} "
        f"(p(y) {found.prior})",
        f"{found.cross_entropy:.4f} nats of cross-entropy, -log p(y|x)",
    ]
    if not found.reject:
        return [*lines, "nothing is refused"]
    beyond = f" or above {found.high:.2f}" if math.isfinite(found.high) else ""
    return [
        *lines,
        f"refused where log p(x) is below {found.low:.2f}{beyond} nats, as {found.reject:.2%} of fresh items are",
        f"refused {found.refused:.2%} of these items; accuracy on the others {found.accuracy_accepted:.4f}",
        *(f"refused {other.refused:.2%} of {number_of(other.n, 'item')} of {other.name}" for other in found.foreign),
    ]


def _write(path: Path, judged: Judgement, label: np.ndarray) -> None:
    """A line of CSV for each item, by its number in the split; `label` (N,) of the whole split."""
    chosen, probability = judged.log_posterior.argmax(axis=1), np.exp(judged.log_posterior.max(axis=1))
    rows = zip(judged.index, label[judged.index], chosen, probability, judged.log_evidence, judged.refused, strict=True)
    lines = [f"{number},{y},{guess},{p:.6f},{nats:.6f},{no:d}" for number, y, guess, p, nats, no in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["index,label,predicted,probability,log_prob,refused", *lines]) + "\n")


def main(argv: Sequence[str]) -> None:
    parse(Classify, "classify", argv)()
