"""Which updates may happen: none on a loss or a gradient that is not finite, none after that, and none beyond `skip`.

Everything is computed on the device. On a GPU to read a number means to wait for all work that was given to it, so
there an update is suppressed without anybody knowing, and the cause of the first failure is kept until somebody reads;
elsewhere reading costs little and is done in every turn.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from simulacra.errors import TrainingError
from simulacra.turns import Phase

STALLED = 100  # updates skipped in a row after which training has stopped in all but name


class Guard:
    """The failure of a run, once there is one, and how many updates of each phase were skipped.

    eager: whether `allows` reads what it decides.
    failed, cause: whether something went wrong, and the numbers of the phase and the step and the place in `terms`.
    skips: updates of each phase that were skipped, in all and the last in a row, (2, phases).
    """

    def __init__(self, phases: Sequence[Phase], skip: float | None, device: torch.device) -> None:
        self.phases, self.skip = phases, skip
        self.eager = device.type != "cuda"
        self.failed = torch.zeros((), dtype=torch.bool, device=device)
        self.cause = [torch.zeros((), dtype=torch.int64, device=device) for _ in range(3)]
        self.norm = torch.zeros((), device=device)
        self.skips = torch.zeros(2, len(phases), dtype=torch.int64, device=device)
        self.terms: dict[int, list[str]] = {}

    def see_terms(self, number: int, step: int, terms: Mapping[str, Tensor]) -> None:
        """Look at the loss terms of phase `number`, detached; their sum counts as a term too."""
        self.terms[number] = [*terms]
        together = functools.reduce(torch.add, terms.values())
        if self.eager and math.isfinite(together.item()):
            return
        values = torch.stack(list(terms.values()))
        bad = ~torch.isfinite(values)
        first = torch.where(bad.any(), bad.int().argmax(), len(terms))
        self._fail(~torch.isfinite(together), number, step, first)

    def allows(self, number: int, step: int, norm: Tensor) -> Tensor | bool:
        """Whether the update of a phase may happen, whose gradient has this norm, (); read where `eager`.

        Raises TrainingError where `eager`, as `read` does.
        """
        if self.skip is not None:
            self._count(number, step, norm, norm <= self.skip)
            allowed = ~self.failed & (norm <= self.skip)
        elif self.eager and not bool(self.failed) and math.isfinite(norm.item()):
            return True
        else:
            gradient = torch.full_like(self.cause[2], len(self.terms[number]) + 1)
            self._fail(~torch.isfinite(norm), number, step, gradient)
            allowed = ~self.failed
        if not self.eager:
            return allowed
        self.read()
        return bool(allowed)

    def _count(self, number: int, step: int, norm: Tensor, taken: Tensor) -> None:
        """A gradient that is not finite is larger than any threshold, and so skipped."""
        self.norm = torch.where(self.failed, self.norm, norm.to(self.norm.dtype))
        self.skips[0, number] += ~taken
        self.skips[1, number] = torch.where(taken, 0, self.skips[1, number] + 1)
        stalled = torch.full_like(self.cause[2], len(self.terms[number]) + 2)
        self._fail(self.skips[1, number] >= STALLED, number, step, stalled)

    def _fail(self, bad: Tensor, number: int, step: int, place: Tensor) -> None:
        new = bad & ~self.failed
        self.cause = [
            torch.where(new, now, before) for now, before in zip((number, step, place), self.cause, strict=True)
        ]
        self.failed = self.failed | bad

    def read(self) -> None:
        """Raise TrainingError if something has failed; it names the phase, the term and the step."""
        if not bool(self.failed):
            return
        number, step, place = (int(value) for value in self.cause)
        phase, terms = self.phases[number], self.terms[number]
        if place == len(terms) + 2:
            raise TrainingError(
                f"training stalls at step {step}: {STALLED} updates in a row were skipped, because the gradient "
                f"of {phase.loss_name} has a norm above skip = {self.skip:g} (the last one "
                f"{float(self.norm):.4g}). Begin anew (--fresh) with a larger --skip or a smaller --learning-rate."
            )
        term = [*map(repr, terms), "'the sum of the terms'", "'gradient'"][place]
        raise TrainingError(
            f"the loss is not finite at step {step}: term {term} of {phase.loss_name}. The step was not "
            "taken and the checkpoints before it are whole; try a smaller --learning-rate or set --clip."
        )
