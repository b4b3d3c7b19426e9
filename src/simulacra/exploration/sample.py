"""New items: draws of a model, or of several draws the best."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Generator, Tensor

from simulacra.capabilities import Decoder, Prior, Sampler, need
from simulacra.condition import Condition, ConditionLike
from simulacra.errors import UsageError
from simulacra.exploration.codes import condition_or_classes, decoded
from simulacra.exploration.drawing import Progress, blank, draw_into, own_options, reports_progress
from simulacra.exploration.rejection import best_of_draws
from simulacra.model import Model, ModelLike, as_model, evaluating
from simulacra.verbs import DataLike, verb


@verb
def sample(
    model: ModelLike,
    n: int = 64,
    *,
    condition: ConditionLike | None = None,
    temperature: float = 1.0,
    seed: int = 0,
    sampler: str | None = None,
    options: Mapping[str, Any] | None = None,
    mean: bool = False,
    keep: float | None = None,
    judge: DataLike | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """n new items, (n, *shape) on the data grid. The first 256·k of them are the same items for every n >= 256·k.

    Args:
        model: a model that can sample, or its run folder.
        n: how many.
        condition: of each field one value for all items or one for each: `{"label": 3}`. A model conditioned on classes
            shows all of them in turn without it.
        temperature: 1 draws from the model; below 1 the draws are more typical and less varied.
        seed: of the noise: the same seed gives the same items.
        sampler: of a chain: "cached", which computes every activation once and is the default, "naive" or
            "fixed-point"; the same items, in another time.
        options: other sampling options of the model itself, by name, as the signature of its `sample` has them.
        mean: E[x|z] of every drawn code z, rounded to the grid, in the place of a draw of p(x|z): without the grain
            of pixels that a decoder takes for independent. Such items are no draws of the model.
        keep: share of the draws that is kept, above 0 and at most 1: of n / keep draws of each class the n that the
            judge takes for this class most surely, the best first.
        judge: labelled data of the same shape, grid and classes, to which the judge is fitted; needed for `keep`.
        progress: called as items come, with all of them (n, *shape), those not drawn yet blank, the number of
            coordinates that are final, and the number of all.

    Raises:
        NotSupported: the model cannot sample, has no choice of samplers, for `mean` no decoder, or for `keep` no label.
        UsageError: n < 1, a temperature that is not positive, a condition, a sampler or an option that does not exist,
            `keep` out of range, a judge that does not know the classes.
    """
    model = as_model(model)
    need(model, Sampler)
    if n < 1 or not 0 < temperature < math.inf:
        raise UsageError(f"sample needs n >= 1 and temperature > 0, not n = {n} and temperature = {temperature}")
    if (keep is None) != (judge is None):
        raise UsageError("keep and judge go together: draws are kept by a judge that is fitted to labelled data")
    wanted = condition_or_classes(model, condition, n)

    def drawn(given: Condition, count: int) -> np.ndarray:
        draw, signature = (_means if mean else _items)(model, given, temperature)
        own = own_options(model, signature, sampler, options)
        items = blank(model, count, options=own)
        reports = not mean and reports_progress(signature)
        draw_into(items, functools.partial(draw, **own), model, (seed, "sample"), progress, reports)
        return items

    return drawn(wanted, n) if keep is None or judge is None else best_of_draws(model, wanted, keep, judge, drawn)


Draw = Callable[..., Tensor]
"""(part, noise, **options) -> the items of a part of the condition."""


def _items(model: Model, given: Condition, temperature: float) -> tuple[Draw, Callable[..., Any]]:
    """Draws of p(x), and the method whose signature has their options."""
    source = need(model, Sampler)

    def draw(part: slice, noise: Generator, **options: Any) -> Tensor:
        some, count = given.rows(part), part.stop - part.start
        return source.sample(count, some, temperature=temperature, generator=noise, **options)

    return draw, type(source).sample


def _means(model: Model, given: Condition, temperature: float) -> tuple[Draw, Callable[..., Any]]:
    """E[x|z] of draws of p(z); the options are those of the prior."""
    need(model, Decoder)
    source = need(model, Prior)

    def draw(part: slice, noise: Generator, **options: Any) -> Tensor:
        some = given.rows(part)
        z = source.prior(part.stop - part.start, some).sample(noise, temperature, **options)
        return decoded(model, z, some)

    with evaluating(model):
        return draw, type(source.prior(1, given.rows(slice(1)))).sample
