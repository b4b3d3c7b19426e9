"""`simulacra score`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from simulacra.cli.arguments import Json, OnData, Seed, as_json, optional, parse


@dataclass(frozen=True)
class Score(OnData):
    """Negative log-likelihood of held-out items: exact where the model has a density, else a bound; it says which."""

    samples: Annotated[int, tyro.conf.arg(help="draws in the importance-weighted bound of a latent model")] = 1
    limit: Annotated[int | None, optional("INT", "only the first so many items")] = None
    per_item: Annotated[Path | None, optional("FILE.csv", "also write the nats of every item")] = None
    seed: Seed = 0
    json: Json = False

    def __call__(self) -> None:
        from simulacra.evaluation.likelihood import score_fully

        model, data = self.loaded()
        scored, nats = score_fully(model, data, self.split, self.samples, self.limit, self.seed)
        if self.per_item is not None:
            bits = model.spec.bits_per_dim(nats)
            lines = [f"{i},{n:.6f},{b:.6f}" for i, (n, b) in enumerate(zip(nats, bits, strict=True))]
            self.per_item.parent.mkdir(parents=True, exist_ok=True)
            self.per_item.write_text("\n".join(["index,nats,bits_per_dim", *lines]) + "\n")
        if self.json:
            print(as_json(asdict(scored)))
            return
        how = "exact" if scored.kind == "exact" else f"bound, K = {scored.samples}; the true value is at most this high"
        print(f"{scored.bits_per_dim:.4f} bits/dim ({how})")
        items = f"{scored.n:,} {scored.split} items of {data.name}"
        print(f"{scored.nats:.3f} ± {scored.standard_error:.3f} nats per item, {items}")


def main(words: Sequence[str]) -> None:
    parse(Score, "score", words)()
