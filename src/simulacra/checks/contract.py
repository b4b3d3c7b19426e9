"""Whether a registered model, built in or your own, keeps the contract on every kind of data that it takes.

print(sim.checks.contract("my-model", width=8))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from simulacra.checks import laws, reach  # noqa: F401 (to import them is to register their laws)
from simulacra.checks.cases import cases
from simulacra.checks.law import LAWS
from simulacra.data.spec import DataSpec
from simulacra.errors import SimulacraError

BREACHES = (AssertionError, SimulacraError, TypeError, ValueError, RuntimeError, KeyError, IndexError)


@dataclass(frozen=True)
class Broken:
    """A law that a model breaks on one kind of data, and how."""

    law: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Contract:
    """What came of all laws on all kinds of data that a model takes.

    Attributes:
        model: its name.
        kinds: of data that it takes; `refused` are the others, each with what the model said.
        kept: how many times a law was kept.
        broken: all breaches.
    """

    model: str
    kinds: tuple[str, ...]
    refused: Mapping[str, str]
    kept: int
    broken: tuple[Broken, ...]

    def __bool__(self) -> bool:
        return bool(self.kinds) and not self.broken

    def __str__(self) -> str:
        verdict = "keeps the contract" if self else "BREAKS the contract"
        lines = [f"{self.model} {verdict}: {self.kept} checks kept, {len(self.broken)} broken"]
        lines += [f"  {each.law.replace('_', ' ')} ({each.kind}): {each.reason}" for each in self.broken]
        lines.append(f"  data that it takes: {', '.join(self.kinds) or 'none'}")
        lines += [f"  refused {kind}: {reason}" for kind, reason in self.refused.items()]
        return "\n".join(lines)


def contract(name: str, /, specs: Mapping[str, DataSpec] | None = None, **given: Any) -> Contract:
    """Check all laws of a registered model, yours too, on made-up data of every kind that it takes.

    Args:
        name: of the model; a module that registers it has been imported, or is a plug-in.
        specs: kinds of data by name, in the place of the usual ones.
        given: arguments that make the model small, so that this takes seconds.

    Raises UsageError for a model or an argument that does not exist.
    """
    taken, refused = cases(name, specs, **given)
    kept, broken = 0, []
    with torch.random.fork_rng([]):
        for case in taken:
            for title, check in LAWS.items():
                try:
                    check(case)
                    kept += 1
                except BREACHES as error:
                    reason = str(error).strip().splitlines() or [type(error).__name__]
                    broken.append(Broken(title, case.kind, f"{type(error).__name__}: {reason[0]}"))
    return Contract(name, tuple(case.kind for case in taken), refused, kept, tuple(broken))
