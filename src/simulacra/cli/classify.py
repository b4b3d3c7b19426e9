"""`simulacra classify`"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from simulacra.cli.arguments import Flag, Json, OnData, as_json, optional, parse

if TYPE_CHECKING:
    from simulacra.data import Dataset, DataSpec
    from simulacra.evaluation.classify import Classification, Judgement


@dataclass(frozen=True)
class Classify(OnData):
    """Classify held-out items by Bayes' rule, p(y|x) = p(x|y) p(y) / p(x), and refuse those where p(x) is too small.

    For class-conditional models with an exact likelihood: fit them with --condition label.
    """

    prior: Annotated[str, tyro.conf.arg(metavar="NAME", help="p(y): uniform, or train for the shares there")] = (
        "uniform"
    )
    reject: Annotated[float, tyro.conf.arg(help="share of the validation items that is refused; 0: none")] = 0.01
    two_sided: Annotated[Flag, tyro.conf.arg(help="refuse what is too probable as well, half of the share each")] = (
        False
    )
    foreign: Annotated[tuple[str, ...], optional("DATA ...", "sets of other things: how many of them are refused")] = ()
    limit: Annotated[int | None, optional("INT", "only the first so many items")] = None
    per_item: Annotated[Path | None, optional("FILE.csv", "also write class, probability and log p(x) of each")] = None
    json: Json = False

    def __call__(self) -> None:
        from simulacra.evaluation.classify import classify_fully

        model, data = self.loaded()
        others = [_foreign(source, model.spec) for source in self.foreign]
        found, judged = classify_fully(
            model, data, self.split, self.prior, self.reject, self.two_sided, others, self.limit
        )
        if self.per_item is not None:
            (field,) = model.spec.condition
            _write(self.per_item, judged, data.split(self.split).field(field))
        print(as_json(asdict(found)) if self.json else "\n".join(_lines(found)))


def _foreign(source: str, spec: DataSpec) -> Dataset:
    """A set of other things on the grid of the model; a folder of images is brought to its size."""
    from simulacra import data

    if source in data.names():
        return data.load(source)
    is_folder = spec.is_image and Path(source).is_dir()
    return data.load(source, resize=(spec.shape[1], spec.shape[2]) if is_folder else None, levels=spec.levels)


def _lines(found: Classification) -> list[str]:
    items = f"{found.n:,} {found.split} items of {found.data}"
    lines = [
        f"accuracy {found.accuracy:.4f} ± {found.standard_error:.4f} on {items} (p(y) {found.prior})",
        f"{found.cross_entropy:.4f} nats of cross-entropy, -log p(y|x)",
    ]
    if not found.reject:
        return lines
    beyond = f" or above {found.high:.2f}" if math.isfinite(found.high) else ""
    return [
        *lines,
        f"refused where log p(x) is below {found.low:.2f}{beyond} nats: {found.reject:.2%} of the validation items",
        f"refused {found.refused:.2%} of these items; accuracy on the others {found.accuracy_accepted:.4f}",
        *(f"refused {other.refused:.2%} of {other.n:,} items of {other.name}" for other in found.foreign),
    ]


def _write(path: Path, judged: Judgement, label: np.ndarray) -> None:
    chosen = judged.log_posterior.argmax(axis=1)
    probability = np.exp(judged.log_posterior.max(axis=1))
    columns = zip(label[: len(chosen)], chosen, probability, judged.log_evidence, judged.refused, strict=True)
    lines = [f"{i},{y},{guess},{p:.6f},{nats:.6f},{no:d}" for i, (y, guess, p, nats, no) in enumerate(columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["index,label,predicted,probability,log_prob,refused", *lines]) + "\n")


def main(words: Sequence[str]) -> None:
    parse(Classify, "classify", words)()
