r"""Codes of items by search, for a generator that has no encoder:

    z*(x) = argmin |G(z, c) - x|²  over the z where p(z) has its mass

Adam on standardised codes from several starts, of which the best end is kept. The starts are those of a pool of draws
of the prior that G brings nearest to x. A search without a bound finds codes of no item, which the generator was never
trained on; here a code stays where draws of the prior lie (`simulacra.mass`).

A generator in two networks, w = f(z, c) and x = g(w) with a style in each layer, can be searched in two larger spaces,

    w     one style for all layers, also such as no z has
    w+    a style for each layer: half the steps in w, the other half from there

where styles stay within the mass of those that f makes of draws under the item's condition, near their mean: farther
out g makes pictures of anything, which nobody could edit. Kinds of items that G never made lie there too, so that what
is gained over z is told from what is lost by the reach in the same space (`simulacra.exploration.inversion`).

Creswell & Bharath 2018, "Inverting the Generator of a Generative Adversarial Network"; Lipton & Tripathi 2017, "Precise
Recovery of Latent Vectors from Generative Adversarial Networks", who bound each number of a code; Abdal, Qin & Wonka
2019, "Image2StyleGAN", for w+.
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
from simulacra.errors import NotSupported, UsageError, did_you_mean
from simulacra.fields import Classes
from simulacra.mass import Mass, draws
from simulacra.model import Model, evaluating
from simulacra.networks import Styled

STEPS, STARTS = 200, 4
POOL = 64  # draws of the prior, from which the starts are taken
RATE = 0.1  # of Adam at its first step, in standard deviations; it falls to 0 along a cosine
SPACES = ("z", "w", "w+")


@dataclass(frozen=True)
class Found:
    """Codes that a search ended at.

    z:     (N, *code), or styles (N, layers, D) of a search in w or w+.
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
    space: str = "z",
) -> Found:
    """The code of each item, found by itself: it does not depend on the other items.

    It is the `invert` of a class of models: `invert = by_search`.

    Args:
        x: (N, *shape) on the data grid.
        condition: of each field one value for all items or one for each.
        steps: of Adam; each computes the generator and its gradient for N · starts codes.
        starts: searches for one item, at most POOL.
        generator: of the pool of draws, which is the same for all items.
        space: "z", or where the generator has styles "w" or "w+".

    Raises UsageError for steps < 1, starts out of range, a space that does not exist, items or a condition that are not
    the model's, and for classes as x; NotSupported for styles where there are none.
    """
    if steps < 1 or not 1 <= starts <= POOL:
        raise UsageError(f"a search needs steps >= 1 and 1 to {POOL} starts, not {steps} and {starts}")
    if isinstance(self.spec.x, Classes):
        raise UsageError(f"codes are found by a distance of levels, and x is {self.spec.x.describe()}")
    given, target = self.conditioned(condition, len(x)), self.spec.centred(x.clone())
    with torch.inference_mode(False), evaluating(cast(Model, self)):  # in this order: leaving it switches gradients on
        begun = _space(self, given, space, generator)
        every = torch.arange(len(x), device=target.device).repeat_interleave(starts)
        of_start, conditions = target[every], given.rows(every)

        def loss(z: Tensor) -> Tensor:
            return _gap(self.spec, begun.rendered(z, conditions), of_start)

        z = torch.cat([_nearest(self.spec, begun, target, given, i, starts) for i in range(len(x))])
        mass, legs = begun.mass.rows(every), [steps]
        if space == "w+" and steps > 1:
            legs = [steps // 2, steps - steps // 2]
        z, left = _descend(loss, z, mass, legs[0])
        for leg in legs[1:]:
            z, left = _descend(loss, z.expand(-1, begun.layers, -1), mass, leg)
        best = left.view(len(x), starts).argmin(1)
        z = z.unflatten(0, (len(x), starts))[torch.arange(len(x), device=z.device), best]
        return Found(begun.whole(z), _error(self.spec, begun.rendered(z, given), x))


def styled(model: object) -> Styled:
    """The generator of a model; raises NotSupported where it has no styles."""
    found = getattr(model, "generator", None)
    if isinstance(found, Styled):
        return found
    raise NotSupported(
        f"{getattr(model, 'name', 'this model')} has no styles: its decoder reads codes as they are, not through a "
        "mapping network; fit a stylegan2 for that"
    )


@dataclass(frozen=True)
class _Space:
    """Where codes (N, L, D) are searched for, L = 1 or the layers.

    pool:     (K, POOL, D) codes to begin with, of all items, K = 1, or of each.
    mass:     of them.
    rendered: what is made of codes under conditions.
    whole:    codes (N, L, D) as they are returned.
    """

    pool: Tensor
    mass: Mass
    rendered: Callable[[Tensor, Condition], Tensor]
    whole: Callable[[Tensor], Tensor]
    layers: int = 1


def _space(model: Searchable, given: Condition, name: str, noise: Generator | None) -> _Space:
    if name not in SPACES:
        raise UsageError(f"there is no space {name!r} of codes.{did_you_mean(name, SPACES)}")
    pool = model.prior(POOL).sample(noise)
    if name == "z":
        shape = pool.shape[1:]
        return _Space(
            pool.flatten(1)[None],
            Mass.of(model),
            lambda z, own: model.rendered(z.flatten(1).unflatten(1, shape), own),
            lambda z: z.flatten(1).unflatten(1, shape),
        )
    source, many = styled(model), draws(model)
    rows = [given.rows(slice(i, i + 1)) for i in range(len(next(iter(given.values()))))] if given else [given]

    def styles(z: Tensor, own: Condition) -> Tensor:
        return source.mapping(z, own.expand(len(z)))[:, 0]

    layers = source.mapping(pool[:1], rows[0].expand(1)).shape[1]
    return _Space(
        torch.stack([styles(pool, own) for own in rows]),
        Mass.stacked([Mass.of_draws(styles(many, own)) for own in rows]),
        lambda w, own: source.synthesis(w.expand(-1, layers, -1)).float(),
        lambda w: w.expand(-1, layers, -1).clone(),
        layers,
    )


def _gap(spec: DataSpec, made: Tensor, target: Tensor) -> Tensor:
    """The mean square of what is left, (N,). On a grid nothing is left where the brightest level is exceeded that an
    item has there, or the darkest, for it is cut: a network without bounds goes beyond them."""
    if spec.levels is not None:
        made = torch.where(target >= 1, made.clamp(max=1), torch.where(target <= -1, made.clamp(min=-1), made))
    return (made - target).float().square().flatten(1).mean(1)


def _nearest(spec: DataSpec, space: _Space, target: Tensor, given: Condition, i: int, starts: int) -> Tensor:
    """The codes of a pool that are nearest to the i-th item, (starts, 1, D)."""
    pool = space.pool[i if len(space.pool) > 1 else 0][:, None]
    made = space.rendered(pool, given.rows(slice(i, i + 1)).expand(len(pool)))
    return pool[_gap(spec, made, target[i].expand_as(made)).argsort(stable=True)[:starts]]


def _descend(loss: Callable[[Tensor], Tensor], z: Tensor, mass: Mass, steps: int) -> tuple[Tensor, Tensor]:
    """The codes (N, L, D) with the least loss on the way of Adam from z, and that loss (N,)."""
    best, left = z, torch.full((len(z),), math.inf, device=z.device)
    step = torch.zeros_like(z).requires_grad_()  # in standard deviations, so that one rate suits all numbers of a code
    adam = torch.optim.Adam([step], RATE)
    for k in range(steps + 1):
        with torch.enable_grad():
            now = mass.keep(z + mass.scale * mass.free * step)
            each = loss(now)
            (step.grad,) = torch.autograd.grad(each.sum(), step)
        better = each < left
        best = torch.where(better[:, None, None], now.detach(), best)
        left = torch.where(better, each.detach(), left)
        adam.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * k / steps)) / 2
        adam.step()
    return best, left


def _error(spec: DataSpec, made: Tensor, x: Tensor) -> Tensor:
    brightest = 1 if spec.levels is None else spec.levels - 1
    gap = (spec.on_grid(made.float()).double() - x.double()) / brightest
    return gap.square().flatten(1).mean(1).sqrt().float()
