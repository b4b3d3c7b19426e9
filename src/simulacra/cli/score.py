"""`simulacra score`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from simulacra.cli.arguments import Json, OnItems, Seed, as_json, optional, parse
from simulacra.errors import UsageError
from simulacra.terminal import number_of

if TYPE_CHECKING:
    from simulacra import evaluation
    from simulacra.data import DataSpec, Split
    from simulacra.model import Model

SHOWN = 40  # items on a map


@dataclass(frozen=True)
class Score(OnItems):
    """Negative log-likelihood of held-out items: exact where the model has a density, else a bound; it says which.

    A bound is the ELBO, or with more than one sample the importance-weighted one.
    """

    samples: Annotated[int | None, optional("INT", "draws behind a bound; chains, for ais")] = None
    estimator: Annotated[
        str | None,
        optional("NAME", "of a bound: elbo, importance, prior (plain Monte Carlo) or ais (annealed; slow: --limit)"),
    ] = None
    temperatures: Annotated[int | None, optional("INT", "steps of ais from the prior to the posterior")] = None
    limit: Annotated[int | None, optional("INT", "at most so many items, drawn by the seed")] = None
    per_item: Annotated[Path | None, optional("FILE.csv", "also write the nats of every item")] = None
    map: Annotated[
        Path | None, optional("FILE.png", "also draw the bits of each pixel, for the most surprising items")
    ] = None
    seed: Seed = 0
    json: Json = False

    def __call__(self) -> None:
        import simulacra

        model, data = self.loaded()
        if self.map is not None:
            _check_map(self.map, model)
        scored = simulacra.score(
            model, data, self.split, self.samples, self.limit, self.seed, self.estimator, self.temperatures
        )
        if self.per_item is not None:
            _write(self.per_item, scored, model.spec)
        if self.map is not None:
            _draw_map(self.map, model, data.split(self.split), scored)
        print(as_json(scored.to_json()) if self.json else "\n".join(_lines(scored, self.map)))


def _lines(scored: evaluation.Score, map: Path | None) -> list[str]:
    bound = f"bound, {scored.estimator}, K = {scored.samples}; the true value is at most this high"
    kind = "exact" if scored.kind == "exact" else bound
    items = f"{number_of(scored.n, f'{scored.split} item')} of {scored.data}"
    nats = f"{scored.nats:.3f} ± {scored.standard_error:.3f} nats per item"
    if scored.bits_per_dim is None:
        lines = [f"{nats}, -log density in the units of the data ({kind})", items]
    else:
        lines = [f"{scored.bits_per_dim:.4f} bits/dim ({kind})", f"{nats}, {items}"]
    if scored.monte_carlo_error is not None:
        lines.append(f"± {scored.monte_carlo_error:.4f} nats of it come from the draws{_spread(scored)}")
    if scored.warning is not None:
        lines.append(f"warning: {scored.warning}")
    if map is not None:
        shown = min(SHOWN, scored.n)
        lines.append(f"the {shown} most surprising of them, each beside its bits per pixel: {map}")
    return lines


def _spread(scored: evaluation.Score) -> str:
    """The effective sample size."""
    size = scored.effective_sample_size
    return "" if size is None else f"; median effective sample size {size:.1f} of {scored.samples}"


def _check_map(path: Path, model: Model) -> None:
    """Raise UsageError before anything is scored."""
    from simulacra.capabilities import Chain, need

    need(model, Chain)
    if path.suffix != ".png":
        raise UsageError(f"a map is a picture: cannot write {path}, use a .png")
    if not model.spec.is_image:
        shape = model.spec.shape
        raise UsageError(f"items of shape {shape} have no map; use --per-item FILE.csv for the nats of each")


def _write(path: Path, scored: evaluation.Score, spec: DataSpec) -> None:
    """A line of CSV for each item, by its number in the split; a density has no bits per dimension."""
    mass = spec.levels is not None
    columns = [scored.per_item, spec.bits_per_dim(scored.per_item)][: 1 + mass]
    rows = zip(scored.index, *columns, strict=True)
    lines = [",".join([str(number), *(f"{value:.6f}" for value in values)]) for number, *values in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["index,nats" + ",bits_per_dim" * mass, *lines]) + "\n")


def _draw_map(path: Path, model: Model, split: Split, scored: evaluation.Score) -> None:
    """The most surprising items in the order of their nats."""
    from simulacra.evaluation import surprise
    from simulacra.feed import feed
    from simulacra.pictures import save_image, surprise_picture

    worst = (-scored.per_item).argsort(kind="stable")[:SHOWN]
    numbers, nats = scored.index[worst], scored.per_item[worst]
    x, condition = feed(split, numbers, model.spec, model.device)
    bits = surprise(model, x, condition)
    rows = zip(numbers, model.spec.bits_per_dim(nats), strict=True)
    captions = [f"item {number}: {each:.3f} bits/dim" for number, each in rows]
    save_image(surprise_picture(x.cpu().numpy(), bits, captions, model.spec), path)


def main(argv: Sequence[str]) -> None:
    parse(Score, "score", argv)()
