"""What all models of people who walk have in common: p(where they go | where they come from), for whole scenes.

x is `Paths((P, steps, 2))` and the condition one list of people, `Many(Real((seen, 2)), P)`. A forecast is a function
of that list alone: no future of anybody enters it. The order of people does not matter, nor how much room is left.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Generator, Tensor, nn

from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Many, Paths, Real
from simulacra.model import Model, evaluating
from simulacra.sequences.crowd import Crowd, Pooling

MASK = "mask"
EMBEDDED = 16  # features of a displacement
TRAINING = {
    "batch": 32,
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "clip": 1.0,
    "steps": 6000,
    "every": 500,
    "patience": 0,
}  # patience 0: the rate falls to zero over the whole budget


class Walker(Model):
    """Abstract: a sampler and forecaster of paths.

    Attributes:
        past: the name of the field that holds where people come from.
        seen, steps: how many steps are given, and how many are forecast.
    """

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        people = [(name, own) for name, own in spec.condition.items() if isinstance(own, Many)]
        if not isinstance(spec.x, Paths) or len(spec.condition) != 1 or len(people) != 1:
            raise UsageError(
                "forecasts of people are for scenes such as those of eth-ucy, given where people come from: "
                f"--condition past. These data are {spec.describe()}"
            )
        ((self.past, own),) = people
        shape = own.field.shape if isinstance(own.field, Real) else ()
        if len(shape) != 2 or shape[0] < 2 or shape[1] != 2 or own.most != spec.shape[0]:
            raise UsageError(
                f"{self.past!r} is a list of as many people as x has room for, {spec.shape[0]}, with two or more "
                f"positions (x, y) each, not {own.describe()}"
            )
        self.seen, self.steps = shape[0], spec.shape[1]

    @abstractmethod
    def drawn(self, crowd: Crowd, temperature: float, generator: Generator | None) -> Tensor:
        """One draw of where everybody goes, (M, steps, 2), a path for each row of a crowd."""

    def drawn_often(self, crowd: Crowd, k: int, generator: Generator | None) -> Tensor:
        """k draws, (k, M, steps, 2); overridden where they have work in common."""
        return torch.stack([self.drawn(crowd, 1.0, generator) for _ in range(k)])

    @abstractmethod
    def likeliest(self, crowd: Crowd) -> Tensor:
        """The one path of each, (M, steps, 2), that errs least; no noise."""

    def sample(
        self,
        n: int,
        condition: ConditionLike | None = None,
        temperature: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """Where the people of n scenes go, (n, P, steps, 2); zeros where nobody is."""
        crowd = self.crowd(self.conditioned(condition, n))
        with evaluating(self):
            return crowd.padded(self.drawn(crowd, temperature, generator).float())

    def futures(self, condition: ConditionLike, k: int, generator: Generator | None = None) -> Tensor:
        """k draws of where people go, (k, N, P, steps, 2)."""
        crowd = self.crowd(self.conditioned(condition, None))
        with evaluating(self):
            return torch.stack([crowd.padded(own.float()) for own in self.drawn_often(crowd, k, generator)])

    def single(self, condition: ConditionLike) -> Tensor:
        """One forecast without noise, (N, P, steps, 2): what k = 1 is measured with."""
        crowd = self.crowd(self.conditioned(condition, None))
        with evaluating(self):
            return crowd.padded(self.likeliest(crowd).float())

    def forecast(
        self, past: Tensor, steps: int, condition: ConditionLike | None = None, generator: Generator | None = None
    ) -> Tensor:
        """A draw of where people go, (N, steps, P, 2), time before people.

        past: (N, T, P, 2) in metres for any number P of people, whose last steps count. condition: {"mask": (N, P)
        truths} says who is there; without it everybody is. Raises UsageError for fewer steps than the model needs to
        see, and for more than it was fitted to forecast.
        """
        if not isinstance(past, Tensor) or past.dim() != 4 or past.shape[3] != 2 or not past.is_floating_point():
            raise UsageError("the past is a tensor of real numbers (N, T, people, 2), in metres")
        if past.shape[1] < self.seen:
            raise UsageError(f"this {self.name} needs {self.seen} steps of the past, not {past.shape[1]}")
        if not 1 <= steps <= self.steps:
            raise UsageError(f"this {self.name} forecasts 1 to {self.steps} steps, not {steps}: it was fitted to those")
        given = dict(condition or {})
        mask = torch.as_tensor(given.pop(MASK, True), device=past.device).bool().expand(past.shape[0], past.shape[2])
        if given:
            raise UsageError(f"a forecast of people is given {MASK!r}, (N, people), and not {', '.join(given)}")
        seen = past[:, -self.seen :].transpose(1, 2)
        if not bool(torch.isfinite(seen[mask]).all()):
            raise UsageError("the past has positions that are not finite: whoever is not there, `mask` leaves out")
        crowd = self._crowd(seen, mask)
        with evaluating(self):
            paths = crowd.padded(self.drawn(crowd, 1.0, generator).float())
        return paths[:, :, :steps].transpose(1, 2)

    def crowd(self, condition: Condition) -> Crowd:
        """The people of a condition that was checked."""
        return self._crowd(condition[self.past], condition[f"{self.past}.mask"])

    def _crowd(self, past: Tensor, mask: Tensor) -> Crowd:
        return Crowd.of(past.to(next(self.parameters()).dtype), mask)


class Reader(nn.Module):
    """What the past of each person says, (M, 2·hidden + 1): an LSTM over displacements, the pool of the others, and how
    fast somebody is.

    Gupta et al. 2018, "Social GAN", section 3.2; displacements are in the frame of each person.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.width = 2 * hidden + 1
        self.embed = nn.Linear(2, EMBEDDED)
        self.lstm = nn.LSTM(EMBEDDED, hidden, batch_first=True)
        self.pool = Pooling(hidden, hidden)

    def forward(self, crowd: Crowd) -> Tensor:
        steps = crowd.inward(crowd.past.diff(dim=1))
        own = self.lstm(torch.relu(self.embed(steps)))[0][:, -1]
        return torch.cat([own, self.pool(crowd, own), crowd.unit.log()[:, None].to(own.dtype)], 1)
