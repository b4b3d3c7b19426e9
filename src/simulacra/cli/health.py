"""`simulacra health`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from simulacra.cli.arguments import Json, OnData, Seed, as_json, optional, parse
from simulacra.terminal import number_of

if TYPE_CHECKING:
    from simulacra.exploration import Health as Found


@dataclass(frozen=True)
class Health(OnData):
    """Whether the codes are in use (active units, KL, posterior collapse, codebooks), and all of them together like the
    prior; each with advice."""

    limit: Annotated[int | None, optional("INT", "at most so many items, drawn by the seed")] = None
    seed: Seed = 0
    json: Json = False

    def __call__(self) -> None:
        import simulacra

        model, data = self.loaded()
        found = simulacra.health(model, data, self.split, self.limit, self.seed)
        print(as_json(asdict(found)) if self.json else "\n".join(lines(found)))


def lines(found: Found) -> list[str]:
    """The findings, a line for each figure."""
    found_lines = [f"  {found.remark}"] if found.remark else []
    for name, finding in found.findings.items():
        of = "" if finding.of is None else f" of {finding.of}"
        advice = f": {finding.advice}" if finding.advice else ""
        found_lines.append(f"  {name.replace('_', ' ')} {finding.value:.4g}{of}{advice}")
        found_lines += [f"    note: {finding.warning}"] if finding.warning else []
    reasons: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        reasons.setdefault(reason, []).append(name.replace("_", " "))
    found_lines += [f"  without {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    return [f"codes of {number_of(found.n, f'{found.split} item')}:", *found_lines]


def main(argv: Sequence[str]) -> None:
    parse(Health, "health", argv)()
