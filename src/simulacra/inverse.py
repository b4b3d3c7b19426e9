r"""Codes of items by search, for a generator that has no encoder:

    z*(x) = argmin |G(z, c) - x|²  over the z where p(z) has its mass

Adam on standardised codes from several starts, of which the best end is kept. The starts are those of a pool of draws
of the prior that G brings nearest to x. A search without a bound finds codes of no item, which the generator was never
trained on; here a code stays where draws of the prior lie, by two measures of DRAWS of them: each number between the
least and the greatest, and the norm (in standard deviations, from the mean) within the range of the middle 99 %.
Numbers of a code that take few values, the classes of a structured prior, stay those of the start.

Creswell & Bharath 2018, "Inverting the Generator of a Generative Adversarial Network"; Lipton & Tripathi 2017, "Precise
Recovery of Latent Vectors from Generative Adversarial Networks", who bound each number of a code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Generator, Tensor

from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import Distribution
from simulacra.errors import UsageError
from simulacra.model import Model, evaluating
from simulacra.randomness import generator as seeded

STEPS, STARTS = 200, 4
POOL = 64  # draws of the prior, from which the starts are taken
DRAWS = 4096  # of the prior, by which its mass is found
TAIL = 0.005  # share of the draws with a smaller norm than a code may have, and with a larger one
FEW = 64  # values: a number of a code with no more of them among the draws is a class
RATE = 0.1  # of Adam at its first step, in standard deviations; it falls to 0 along a cosine


@dataclass(frozen=True)
class Found:
    """Codes that a search ended at.

    z:     (N, *code).
    error: (N,) root mean square of G(z) - x over the values of an item, in shares of the brightest level where x lies
           on a grid (G(z) is rounded to it), else in the units of x.
    """

    z: Tensor
    error: Tensor


class Searchable(Protocol):
    """A model with a generator that has a gradient, and a prior that is the same for all items."""

    spec: DataSpec

    def conditioned(self, condition: ConditionLike | None, n: int) -> Condition:
        """As `Model.conditioned`."""
        ...

    def prior(self, n: int, condition: ConditionLike | None = None) -> Distribution:
        """p(z), codes (n, *code)."""
        ...

    def rendered(self, z: Tensor, condition: Condition) -> Tensor:
        """G(z), (N, *shape), before it is rounded: in [-1, 1] where x lies on a grid."""
        ...


def by_search(
    self: Searchable,
    x: Tensor,
    condition: ConditionLike | None = None,
    steps: int = STEPS,
    starts: int = STARTS,
    generator: Generator | None = None,
) -> Found:
    """The code of each item, found by itself: it does not depend on the other items.

    It is the `invert` of a class of models: `invert = by_search`.

    Args:
        x: (N, *shape) on the data grid.
        condition: of each field one value for all items or one for each.
        steps: of Adam; each computes the generator and its gradient for N · starts codes.
        starts: searches for one item, at most POOL.
        generator: of the pool of draws, which is the same for all items.

    Raises UsageError for steps < 1, starts out of range, and items or a condition that are not the model's.
    """
    if steps < 1 or not 1 <= starts <= POOL:
        raise UsageError(f"a search needs steps >= 1 and 1 to {POOL} starts, not {steps} and {starts}")
    given, target = self.conditioned(condition, len(x)), self.spec.centred(x.clone())
    with evaluating(cast(Model, self)), torch.inference_mode(False):
        mass, pool = Mass.of(self), self.prior(POOL).sample(generator)
        shape = pool.shape[1:]

        def loss(z: Tensor, target: Tensor, given: Condition) -> Tensor:
            made = self.rendered(z.unflatten(1, shape), given)
            return (made - target).float().square().flatten(1).mean(1)

        every = torch.arange(len(x), device=pool.device).repeat_interleave(starts)
        begin = torch.cat([_nearest(loss, pool.flatten(1), target, given, i, starts) for i in range(len(x))])
        of_start, conditions = target[every], given.rows(every)
        z, left = _descend(lambda z: loss(z, of_start, conditions), begin, mass, steps)
        best = left.view(len(x), starts).argmin(1)
        z = z.view(len(x), starts, -1)[torch.arange(len(x), device=z.device), best].unflatten(1, shape)
        return Found(z, _error(self.spec, self.rendered(z, given), x))


def _nearest(
    loss: Callable[[Tensor, Tensor, Condition], Tensor],
    pool: Tensor,
    target: Tensor,
    given: Condition,
    i: int,
    starts: int,
) -> Tensor:
    """The codes of a pool (M, D) that are nearest to the i-th item, (starts, D)."""
    item = target[i].expand(len(pool), *target.shape[1:])
    return pool[loss(pool, item, given.rows(slice(i, i + 1)).expand(len(pool))).argsort(stable=True)[:starts]]


@dataclass(frozen=True)
class Mass:
    """Where a prior has its mass: bounds of each number of a code, (1, D), and of the norm in standard deviations.

    free: (D,) the numbers that a search may change.
    """

    mean: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor
    least: float
    most: float
    free: Tensor

    @classmethod
    def of(cls, model: Searchable) -> Mass:
        """By DRAWS draws of a constant seed."""
        noise = seeded(cast(Model, model).device, "mass")
        z = model.prior(DRAWS).sample(noise).flatten(1)
        free = z.sort(0).values.diff(dim=0).ne(0).sum(0) >= FEW
        mean, scale = z.mean(0, keepdim=True), z.std(0, keepdim=True).clamp(min=1e-12)
        norms = (((z - mean) / scale) * free).norm(dim=1).double().sort().values
        least, most = (float(norms[round(share * (DRAWS - 1))]) for share in (TAIL, 1 - TAIL))
        return cls(mean, scale, z.amin(0, keepdim=True), z.amax(0, keepdim=True), least, most, free)

    def keep(self, z: Tensor) -> Tensor:
        """Codes (N, D) -> the same within the bounds: first the norm, then each number."""
        u = ((z - self.mean) / self.scale) * self.free
        norm = u.norm(dim=1, keepdim=True).clamp(min=1e-12)
        inside = self.mean + self.scale * u * (norm.clamp(self.least, self.most) / norm)
        return torch.where(self.free, inside.clamp(self.low, self.high), z)


def _descend(loss: Callable[[Tensor], Tensor], z: Tensor, mass: Mass, steps: int) -> tuple[Tensor, Tensor]:
    """The codes (N, D) with the least loss on the way of Adam from z, and that loss (N,)."""
    best, left = z, torch.full((len(z),), math.inf, device=z.device)
    step = torch.zeros_like(z).requires_grad_()  # in standard deviations, so that one rate suits all numbers of a code
    adam = torch.optim.Adam([step], RATE)
    for k in range(steps + 1):
        with torch.enable_grad():
            now = mass.keep(z + mass.scale * mass.free * step)
            each = loss(now)
            (step.grad,) = torch.autograd.grad(each.sum(), step)
        better = each < left
        best, left = torch.where(better[:, None], now.detach(), best), torch.where(better, each.detach(), left)
        adam.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * k / steps)) / 2
        adam.step()
    return best, left


def _error(spec: DataSpec, made: Tensor, x: Tensor) -> Tensor:
    brightest = 1 if spec.levels is None else spec.levels - 1
    gap = (spec.on_grid(made.float()).double() - x.double()) / brightest
    return gap.square().flatten(1).mean(1).sqrt().float()
