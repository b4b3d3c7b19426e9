"""`simulacra evaluate`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import tyro

from simulacra.cli.arguments import Json, OnData, Seed, as_json, parse
from simulacra.cli.table import print_table
from simulacra.errors import NotSupported

FEW = 50  # items, below which a metric says little


@dataclass(frozen=True)
class Evaluate(OnData):
    """Every metric that the model's abilities allow, each with its 95 % interval and, for samples, the floor: what
    real items score in their place."""

    samples: Annotated[int, tyro.conf.arg(help="draws in the importance-weighted bound of a latent model")] = 1
    seed: Seed = 0
    json: Json = False

    def __call__(self) -> None:
        import simulacra
        from simulacra.evaluation.evaluate import codes_unjudged

        model, data = self.loaded()
        measures = simulacra.evaluate(model, data, self.split, self.seed, self.samples)
        if not measures:
            raise NotSupported(
                "there is nothing to measure: this model has no likelihood and draws nothing, and codes are judged by "
                "labels that the encoder is not told; `simulacra reconstruct` shows what they preserve"
            )
        if self.json:
            print(as_json({name: asdict(measure) for name, measure in measures.items()}))
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
            for name, m in measures.items()
        ]
        print_table(["metric", "value", "95 %", "floor", "n", "kind"], rows)
        print("\n".join(f"{name}: {measure.protocol}" for name, measure in measures.items()))
        smallest = min(measure.n for measure in measures.values())
        if smallest < FEW:
            print(f"note: {smallest} items are too few to tell; read these figures as a hint")
        if codes_unjudged(model, data):
            print("note: what the codes are good for is measured with scikit-learn: pip install 'simulacra[eval]'")


def main(words: Sequence[str]) -> None:
    parse(Evaluate, "evaluate", words)()
