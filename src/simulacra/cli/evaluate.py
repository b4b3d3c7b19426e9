"""`simulacra evaluate`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from simulacra.cli.arguments import Flag, Json, OnData, Seed, as_json, optional, parse
from simulacra.cli.table import print_table
from simulacra.errors import NotSupported

if TYPE_CHECKING:
    from simulacra.evaluation import Evaluation

FEW = 50  # items, below which the error of a metric is large


@dataclass(frozen=True)
class Evaluate(OnData):
    """Every metric that the model's abilities allow, each with its 95 % interval and, for samples, the floor: what
    real items score in their place."""

    samples: Annotated[int, tyro.conf.arg(help="draws in the importance-weighted bound of a latent model")] = 1
    quick: Annotated[Flag, tyro.conf.arg(help="a first look in seconds: few items, no classifier trained")] = False
    features: Annotated[
        Path | None,
        optional(
            "FILE",
            "compare samples in the features of this network too: a TorchScript module of images (N, 3, H, W), 0 to "
            "255, which is run; called FID with Inception's inception-2015-12-05.pt alone",
        ),
    ] = None
    seed: Seed = 0
    json: Json = False

    def __call__(self) -> None:
        import simulacra

        model, data = self.loaded()
        found = simulacra.evaluate(model, data, self.split, self.seed, self.samples, self.quick, self.features)
        if not found:
            raise NotSupported(
                "there is nothing to measure: this model has no likelihood and no samples, and codes are judged by "
                f"labels that the encoder is not conditioned on{_left_out(found)}; `simulacra reconstruct` shows what "
                "they preserve"
            )
        if self.json:
            print(as_json(found.to_json()))
            return
        rows = [
            [
                name,
                f"{m.value:.4g}",
                f"{m.low:.4g} to {m.high:.4g}",
                "" if m.floor is None else f"{m.floor:.4g}",
                str(m.n),
                m.kind,
            ]
            for name, m in found.items()
        ]
        print_table(["metric", "value", "95 %", "floor", "n", "kind"], rows)
        _print_beside(found)
        for name, measure in found.items():
            print(f"{name}: {measure.protocol}" + (f" ({measure.note})" if measure.note else ""))
        for warning in {measure.warning: None for measure in found.values() if measure.warning}:
            print(f"warning: {warning}")
        smallest = min(measure.n for measure in found.values())
        if smallest < FEW:
            print(f"note: {smallest} items are too few for a conclusion; these figures are a hint only")
        if found.quick:
            print("note: a quick look, at few items and without what a classifier shows: a hint, no result")
        if found.left_out:
            print(f"note{_left_out(found)}")


def _print_beside(found: Evaluation) -> None:
    """A second table for a conditional model: each figure beside its baselines, control and ceiling."""
    compared = {name: measure for name, measure in found.items() if measure.beside}
    if not compared:
        return
    names = list(dict.fromkeys(name for measure in compared.values() for name in measure.baseline or {}))
    columns = [*names, "control", "ceiling"]
    rows = [
        [name, f"{m.value:.4g}", *(f"{m.beside[column]:.4g}" if column in m.beside else "" for column in columns)]
        for name, m in compared.items()
    ]
    print()
    print_table(["beside", "value", *columns], rows)
    print("control: samples under the conditions of other items, of seams two real items joined; ceiling: real items;")
    print("others: trivial predictions")
    print()


def _left_out(found: Evaluation) -> str:
    """`: probes, disentanglement left out, it needs sklearn: pip install ...`, for what lacks a package."""
    names: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        names.setdefault(reason, []).append(name)
    return "".join(f": {', '.join(listed)} left out, {reason}" for reason, listed in names.items())


def main(argv: Sequence[str]) -> None:
    parse(Evaluate, "evaluate", argv)()
