"""`simulacra health`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from simulacra.cli.arguments import Json, OnData, Seed, as_json, optional, parse
from simulacra.terminal import number_of

if TYPE_CHECKING:
    from simulacra.exploration import Health as Found


@dataclass(frozen=True)
class Health(OnData):
    """Whether a run went well: a verdict with its reason and a remedy, in health.json and health.png.

    Of every model what its log says, and whether training items are better explained than held-out ones. Of codes:
    which are in use (active units, KL, posterior collapse, codebooks), and whether all of them together are like the
    prior. Of a GAN: its critic's scores of training, held-out and generated items, a bound of the JSD by a fresh
    critic, how varied samples are, gradients and singular values.
    """

    limit: Annotated[int | None, optional("INT", "at most so many items, drawn by the seed")] = None
    seed: Seed = 0
    out: Annotated[Path | None, optional("FOLDER", "where health.json and health.png go; by default RUN")] = None
    json: Json = False

    def __call__(self) -> None:
        import simulacra
        from simulacra.exploration.health.files import refuse_file, write_health

        folder = self.out or self.run
        refuse_file(folder)
        model, data = self.loaded()
        found = simulacra.health(model, data, self.split, self.limit, self.seed, self.run)
        _, picture = write_health(found, folder, self.run)
        print(as_json(asdict(found)) if self.json else "\n".join([*lines(found), f"drawn in {picture}"]))


def lines(found: Found) -> list[str]:
    """The verdict, and the findings, a line for each figure."""
    found_lines = []
    for name, finding in found.findings.items():
        of = "" if finding.of is None else f" of {finding.of}"
        interval = "" if finding.interval is None else " ({:.3g} to {:.3g})".format(*finding.interval)
        advice = f": {finding.advice}" if finding.advice else ""
        found_lines.append(f"  {name.replace('_', ' ')} {finding.value:.4g}{of}{interval}{advice}")
        found_lines += [f"    note: {finding.warning}"] if finding.warning else []
    reasons: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        reasons.setdefault(reason, []).append(name.replace("_", " "))
    found_lines += [f"  without {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    items = f"health of {number_of(found.n, f'{found.split} item')}:"
    return [f"verdict: {found.verdict}", *([items, *found_lines] if found_lines else [])]


def main(argv: Sequence[str]) -> None:
    parse(Health, "health", argv)()
