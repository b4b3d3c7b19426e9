"""`simulacra evaluate`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from simulacra.cli.arguments import Json, OnData, Seed, as_json, parse
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
    seed: Seed = 0
    json: Json = False

    def __call__(self) -> None:
        import simulacra

        model, data = self.loaded()
        found = simulacra.evaluate(model, data, self.split, self.seed, self.samples)
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
        print("\n".join(f"{name}: {measure.protocol}" for name, measure in found.items()))
        for warning in {measure.warning: None for measure in found.values() if measure.warning}:
            print(f"warning: {warning}")
        smallest = min(measure.n for measure in found.values())
        if smallest < FEW:
            print(f"note: {smallest} items are too few for a conclusion; these figures are a hint only")
        if found.left_out:
            print(f"note{_left_out(found)}")


def _left_out(found: Evaluation) -> str:
    """`: probes, disentanglement left out, it needs sklearn: pip install ...`, for what lacks a package."""
    names: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        names.setdefault(reason, []).append(name)
    return "".join(f": {', '.join(listed)} left out, {reason}" for reason, listed in names.items())


def main(argv: Sequence[str]) -> None:
    parse(Evaluate, "evaluate", argv)()
