"""Walks from one code to another."""

from __future__ import annotations

import torch
from torch import Tensor

from simulacra.capabilities import Decoder, Prior, need
from simulacra.condition import Condition, ConditionLike
from simulacra.errors import UsageError, did_you_mean
from simulacra.exploration.codes import code_of, condition_or_classes, decoded, refuse_condition
from simulacra.exploration.inversion import need_codes
from simulacra.exploration.paths import walk
from simulacra.feed import drawn
from simulacra.model import Model, ModelLike, as_model, evaluating
from simulacra.randomness import generator
from simulacra.terminal import number_of
from simulacra.verbs import DataLike, looked_at, verb

PATHS = ("linear", "spherical")


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
) -> Tensor:
    """(rows · steps, *shape): each row walks from one code to another.

    With `data` (and codes of items) the ends of a row are the codes of two held-out items, joined by a straight line;
    without it they are two draws of the prior, joined along the sphere around its mean, where a Gaussian has its mass.

    Args:
        model: a model with a decoder, or its run folder.
        steps: items in a row, both ends included.
        rows: walks.
        data: whose items are the ends, some of them: all of an array, or the test items of other data.
        seed: of these items, or of the draws of the prior.
        path: "linear" or "spherical", in place of the usual one.
        condition: without data, that of all rows or one for each: `{"label": 3}`; without it a model conditioned on
            classes has one for each row in turn. Between two items it is that of the first, and none can be given.

    Raises:
        NotSupported: the model has no decoder, or for data no codes of items, or without data no prior.
        UsageError: steps < 2, rows < 1, a path that does not exist, too few items, a condition together with data.
    """
    model = as_model(model)
    need(model, Decoder)
    if steps < 2 or rows < 1:
        raise UsageError(f"interpolate needs steps >= 2 and rows >= 1, not {steps} and {rows}")
    if path is not None and path not in PATHS:
        raise UsageError(f"there is no path {path!r}.{did_you_mean(path, PATHS)}")
    if data is None:
        given = condition_or_classes(model, condition, rows)
        with evaluating(model):
            prior = need(model, Prior).prior(2 * rows, given.repeat(2))
            ends = prior.sample(generator(model.device, seed, "interpolate"))
    else:
        refuse_condition(condition)
        need_codes(model)
        name, items = looked_at(model, data, None)
        x, fields = drawn(items, 2 * rows, model, seed)
        if len(x) < 2 * rows:
            raise UsageError(f"{number_of(rows, 'row')} need {2 * rows} items, and {name} has {len(x)} ({items.name})")
        ends, given = code_of(model, x, fields), fields.rows(slice(rows))
    spherical = data is None if path is None else path == "spherical"
    centre = _centre(model, given) if spherical else torch.zeros_like(ends[:1])
    a, b = (ends - centre).flatten(1).split(rows)
    z = walk(a, b, steps, spherical).flatten(0, 1).unflatten(1, ends.shape[1:])
    return decoded(model, z + centre, given.repeat_each(steps))


def _centre(model: Model, given: Condition) -> Tensor:
    """What codes lie around as on a sphere, (1, *shape): the mean of the prior, or 0 without one and for bits."""
    with evaluating(model):
        prior = model.prior(1, given.rows(slice(1))) if isinstance(model, Prior) else None
        if prior is None or prior.values:
            return torch.zeros(1, *model.code_shape, device=model.device)
        return prior.mean
