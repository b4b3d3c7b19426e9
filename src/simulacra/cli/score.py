"""`simulacra score`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np

from simulacra.cli.arguments import Json, OnData, Seed, as_json, optional, parse
from simulacra.errors import UsageError

if TYPE_CHECKING:
    from simulacra import evaluation
    from simulacra.data import Split
    from simulacra.model import Model

SHOWN = 40  # items on a map
FEW = 5  # draws that count, below which an estimate is a guess


@dataclass(frozen=True)
class Score(OnData):
    """Negative log-likelihood of held-out items: exact where the model has a density, else a bound; it says which.

    A bound is the ELBO, or with more than one sample the importance-weighted one.
    """

    samples: Annotated[int | None, optional("INT", "draws behind a bound; chains, for ais")] = None
    estimator: Annotated[
        str | None,
        optional("NAME", "of a bound: elbo, importance, prior (plain Monte Carlo) or ais (annealed; slow: --limit)"),
    ] = None
    temperatures: Annotated[int | None, optional("INT", "steps of ais from the prior to the posterior")] = None
    limit: Annotated[int | None, optional("INT", "only the first so many items")] = None
    per_item: Annotated[Path | None, optional("FILE.csv", "also write the nats of every item")] = None
    map: Annotated[Path | None, optional("FILE.png", "also draw where the most surprising items are so")] = None
    seed: Seed = 0
    json: Json = False

    def __call__(self) -> None:
        from simulacra.evaluation.likelihood import estimator_for, score_fully

        model, data = self.loaded()
        if self.map is not None:
            _check_map(self.map, model)
        how = estimator_for(model, self.estimator, self.samples, self.temperatures)
        scored, nats = score_fully(model, data, self.split, how, self.limit, self.seed)
        if self.per_item is not None:
            bits = model.spec.bits_per_dim(nats)
            lines = [f"{i},{n:.6f},{b:.6f}" for i, (n, b) in enumerate(zip(nats, bits, strict=True))]
            self.per_item.parent.mkdir(parents=True, exist_ok=True)
            self.per_item.write_text("\n".join(["index,nats,bits_per_dim", *lines]) + "\n")
        if self.map is not None:
            _draw_map(self.map, model, data.split(self.split), nats)
        if self.json:
            print(as_json(asdict(scored)))
            return
        told = f"bound, {scored.estimator}, K = {scored.samples}; the true value is at most this high"
        print(f"{scored.bits_per_dim:.4f} bits/dim ({'exact' if scored.kind == 'exact' else told})")
        items = f"{scored.n:,} {scored.split} items of {data.name}"
        print(f"{scored.nats:.3f} ± {scored.standard_error:.3f} nats per item, {items}")
        if scored.monte_carlo_error is not None:
            print(f"± {scored.monte_carlo_error:.4f} nats of it come from the draws{_spread(scored)}")
        if self.map is not None:
            shown = min(SHOWN, scored.n)
            print(
                f"the {shown} most surprising of them, each beside its bits per pixel given what precedes: {self.map}"
            )


def _spread(scored: evaluation.Score) -> str:
    """How many of the draws count, and what it means if hardly any does."""
    size = scored.effective_sample_size
    if size is None:
        return ""
    warning = "; so few that the error itself is uncertain, and the bound may be loose" if size < FEW else ""
    return f"; median effective sample size {size:.1f} of {scored.samples}{warning}"


def _check_map(path: Path, model: Model) -> None:
    """Refuse before anything is scored."""
    from simulacra.evaluation.likelihood import chain_of

    chain_of(model)
    if path.suffix != ".png":
        raise UsageError(f"a map is a picture: cannot write {path}, use a .png")
    if not model.spec.is_image:
        shape = model.spec.shape
        raise UsageError(f"items of shape {shape} have no map; --per-item FILE.csv tells how surprising each is")


def _draw_map(path: Path, model: Model, split: Split, nats: np.ndarray) -> None:
    """The most surprising items in the order of their nats."""
    from simulacra.evaluation import surprise
    from simulacra.feed import feed
    from simulacra.pictures import save_image, surprise_picture

    worst = (-nats).argsort(kind="stable")[:SHOWN]
    x, condition = feed(split, worst, model.spec, model.device)
    bits = surprise(model, x, condition)
    captions = [f"item {i}: {model.spec.bits_per_dim(nats[i]):.3f} bits/dim" for i in worst]
    save_image(surprise_picture(x.cpu().numpy(), bits, captions, model.spec), path)


def main(words: Sequence[str]) -> None:
    parse(Score, "score", words)()
