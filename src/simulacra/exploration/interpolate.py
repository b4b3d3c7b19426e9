"""Walks from one code to another, or from one condition to another."""

from __future__ import annotations

import torch
from torch import Tensor

from simulacra.capabilities import Decoder, Prior, need
from simulacra.condition import Condition, ConditionLike
from simulacra.errors import UsageError, did_you_mean
from simulacra.exploration.codes import changed, code_of, condition_or_classes, decoded, rounded
from simulacra.exploration.inversion import need_codes
from simulacra.exploration.morphs import morphed
from simulacra.exploration.paths import walk
from simulacra.exploration.spaces import styles_of, synthesised
from simulacra.feed import drawn
from simulacra.inverse import styled
from simulacra.model import Model, ModelLike, as_model, evaluating
from simulacra.randomness import generator
from simulacra.terminal import number_of
from simulacra.verbs import DataLike, looked_at, verb

PATHS = ("linear", "spherical", "styles")


@verb
def interpolate(
    model: ModelLike,
    steps: int = 8,
    rows: int = 8,
    data: DataLike | None = None,
    seed: int = 0,
    path: str | None = None,
    *,
    condition: ConditionLike | None = None,
    to: ConditionLike | None = None,
    space: str = "z",
) -> Tensor:
    """(rows · steps, *shape): each row walks from one code to another, or with `to` from one condition to another.

    With `data` (and codes of items) the ends of a row are the codes of two held-out items, joined by a straight line;
    without it they are two draws of the prior, joined along the sphere around its mean, where a Gaussian has its mass.
    With `to` a row has one code, that of an item or a draw, and what its network makes of the condition is moved
    along a straight line: see `simulacra.exploration.morphs`.

    Args:
        model: a model with a decoder, or its run folder.
        steps: items in a row, both ends included.
        rows: walks.
        data: whose items are the ends, some of them: all of an array, or the test items of other data.
        seed: of these items, or of the draws of the prior.
        path: "linear" or "spherical", in place of the usual one; "styles" joins the ends in W by a straight line,
            where the generator has a mapping network.
        condition: without data, that of all rows or one for each: `{"label": 3}`; without it a model conditioned on
            classes has one for each row in turn. Between two items it is that of the first, and none can be given.
        to: the condition at the end of all rows, or one for each; fields of which it says nothing stay.
        space: for "styles" between items whose codes are searched for: in z, whose styles are joined, or in "w" or
            "w+", where an item is met more closely; see `invert`.

    Raises:
        NotSupported: the model has no decoder, or for data no codes of items, or without data no prior, or for "styles"
            no mapping network, or for `to` no embedding of its condition.
        UsageError: steps < 2, rows < 1, a path that does not exist, styles searched for on another path or without
            data, too few items, a condition together with data that have their own, a path together with `to`, or `to`
            for a model without a condition.
    """
    model = as_model(model)
    need(model, Decoder)
    if steps < 2 or rows < 1:
        raise UsageError(f"interpolate needs steps >= 2 and rows >= 1, not {steps} and {rows}")
    if path is not None and path not in PATHS:
        raise UsageError(f"there is no path {path!r}.{did_you_mean(path, PATHS)}")
    if path == "styles":
        styled(model)
    if space != "z" and (path != "styles" or data is None or to is not None):
        raise UsageError(f"the space {space} is that of the ends of a path of styles between items: name data too")
    if to is not None:
        return _between_conditions(model, steps, rows, data, seed, path, condition, to).cpu()
    z, given = _codes(model, 2 * rows, rows, data, seed, condition, space)
    if path == "styles":
        w = styles_of(model, z, given.repeat(2)) if space == "z" else z
        a, b = w.flatten(1).split(rows)
        return synthesised(model, walk(a, b, steps, spherical=False).flatten(0, 1).unflatten(1, w.shape[1:])).cpu()
    spherical = data is None if path is None else path == "spherical"
    centre = _centre(model, given) if spherical else torch.zeros_like(z[:1])
    a, b = (z - centre).flatten(1).split(rows)
    between = walk(a, b, steps, spherical).flatten(0, 1).unflatten(1, z.shape[1:])
    return decoded(model, between + centre, given.repeat_each(steps)).cpu()


def _codes(
    model: Model,
    n: int,
    rows: int,
    data: DataLike | None,
    seed: int,
    condition: ConditionLike | None,
    space: str = "z",
) -> tuple[Tensor, Condition]:
    """n codes, of items or of draws, and the condition of the rows."""
    if data is None:
        given = condition_or_classes(model, condition, rows)
        with evaluating(model):
            prior = need(model, Prior).prior(n, given.repeat(n // rows))
            return prior.sample(generator(model.device, seed, "interpolate")), given
    need_codes(model, space)
    name, items = looked_at(model, data, None, condition)
    x, fields = drawn(items, n, model, seed)
    if len(x) < n:
        have = f"{name} has {len(x)} ({items.name})"
        raise UsageError(f"{number_of(rows, 'walk')} between two items need {n}, and {have}: take fewer --rows")
    return code_of(model, x, fields, space), fields.rows(slice(rows))


def _between_conditions(
    model: Model,
    steps: int,
    rows: int,
    data: DataLike | None,
    seed: int,
    path: str | None,
    condition: ConditionLike | None,
    to: ConditionLike,
) -> Tensor:
    """Each row has one code, and goes from its condition to another."""
    if path is not None:
        raise UsageError(f"path {path!r} joins two codes, and a walk to another condition has one: leave either out")
    if not model.spec.condition:
        raise UsageError(f"this {model.name} has no condition to go to: fit it with --condition label")
    z, begin = _codes(model, rows, rows, data, seed, condition)
    end = changed(model, begin, to, rows)
    share = torch.linspace(0, 1, steps, device=z.device).repeat(rows)
    one, other = begin.repeat_each(steps), end.repeat_each(steps)
    return rounded(model, morphed(model, z.repeat_interleave(steps, 0), one, other, share))


def _centre(model: Model, given: Condition) -> Tensor:
    """What codes lie around as on a sphere, (1, *shape): the mean of the prior, or 0 without one and for bits."""
    with evaluating(model):
        prior = model.prior(1, given.rows(slice(1))) if isinstance(model, Prior) else None
        if prior is None or prior.values:
            return torch.zeros(1, *model.code_shape, device=model.device)
        return prior.mean
