r"""Translation: what a picture becomes in another domain.

    x ~ p(x | c)         of a model that draws items given a picture or map c: a map as a street, a small picture large
    x' = G(x, domain)    of a model that maps items themselves: a horse as a zebra

Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks"; Zhu et al. 2017, "Unpaired
Image-to-Image Translation using Cycle-Consistent Adversarial Networks".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from simulacra.capabilities import Sampler, Translator, need
from simulacra.condition import ConditionLike
from simulacra.errors import UsageError
from simulacra.exploration.drawing import Progress, blank, draw_into, own_options, reports_progress
from simulacra.exploration.translation_inputs import Domain, Inputs, Reading, inputs_of
from simulacra.model import Model, ModelLike, as_model
from simulacra.verbs import DataLike, verb


@verb
def translate(
    model: ModelLike,
    x: DataLike,
    to: Domain | None = None,
    n: int = 1,
    condition: ConditionLike | None = None,
    seed: int = 0,
    *,
    field: str | None = None,
    derive: bool = False,
    resize: bool = False,
    temperature: float = 1.0,
    sampler: str | None = None,
    options: Mapping[str, Any] | None = None,
    split: str = "test",
    limit: int | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """n answers to each of N inputs, (N, n, *shape) on the data grid.

    A model that draws x given a picture or map draws it given the inputs, so that answers differ. A model that maps
    items (`Translator`) maps the inputs, which are items, to the domain `to`. The noise of an answer follows from the
    seed and its place: neither the other inputs nor what is computed at a time change it.

    Args:
        model: such a model, or its run folder.
        x: an array or tensor (N, ...) or one item of it, a picture file, a folder of pictures in the order of their
            names, an array file; or data, whose items have the picture and are known themselves. A picture that the
            model derives of x (`down`, `grey`, `edges`, `mask`) may be given itself or as an x of which it is derived,
            as which is taken what has another size or colours, and every picture file for a mask.
        to: the domain: a class by name or number, or of several fields, {"smile": "yes"}. Items of data keep all else;
            without it those of two domains are mapped to the other one.
        n: answers to each.
        condition: what else the model is conditioned on: of each field one value for all inputs or one for each.
        seed: of the noise: the same seed gives the same answers.
        field: the picture or map that is given, where the model is conditioned on several.
        derive: whether inputs are items x in any case, of which the picture is derived.
        resize: bring pictures to the size and colours of the model.
        temperature: of draws: below 1 they are more typical and less varied.
        sampler: of a chain: "cached", "naive" or "fixed-point"; the same items, in another time.
        options: other options of the model's own way to draw, or to translate, by name.
        split: of data.
        limit: at most so many items of it, drawn by seed 0.
        progress: called with all answers so far (N · n, *shape), the coordinates that are final, and all of them.

    Raises:
        NotSupported: the model is given no picture and maps no items.
        UsageError: n < 1, a domain or a field that does not exist, a field without a value, inputs of another size or
            off the grid, a temperature other than 1 for a model that maps items.
        DataError: a file that cannot be read.
    """
    model = as_model(model)
    inputs = inputs_of(model, x, to, condition, Reading(field, derive, resize, split, limit))
    return answers(model, inputs, n, seed, temperature, sampler, options, progress)


def answers(
    model: Model,
    inputs: Inputs,
    n: int = 1,
    seed: int = 0,
    temperature: float = 1.0,
    sampler: str | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """`translate` of inputs that are read already."""
    if n < 1 or not 0 < temperature < math.inf:
        raise UsageError(f"translate needs n >= 1 and temperature > 0, not n = {n} and temperature = {temperature}")
    signature, again = drawing_of(model), torch.arange(len(inputs), device=model.device).repeat_interleave(n)
    own, found = own_options(model, signature, sampler, options), blank(model, len(again))
    draw = _mapped(model, inputs, temperature) if inputs.x is not None else _drawn(model, inputs, temperature)

    def of_rows(part: slice, noise: Generator, **more: Any) -> Tensor:
        return draw(again[part], noise, **own, **more)

    reports = progress is not None and reports_progress(signature)
    draw_into(found, of_rows, model, (seed, "translate"), progress, reports)
    return found.reshape(len(inputs), n, *model.spec.shape)


def drawing_of(model: Model) -> Callable[..., Tensor]:
    """The method whose signature has the options of a model's answers; raises NotSupported where it has none."""
    if isinstance(model, Translator):
        return type(model).translate  # pyright: ignore[reportAttributeAccessIssue]
    need(model, Sampler)
    return type(model).sample  # pyright: ignore[reportAttributeAccessIssue]


Draw = Callable[..., Tensor]
"""(numbers of inputs, noise, **options) -> an answer to each of them."""


def _mapped(model: Model, inputs: Inputs, temperature: float) -> Draw:
    """Items mapped to the domain of their condition."""
    translator, x = need(model, Translator), inputs.x
    assert x is not None
    if temperature != 1:
        raise UsageError(f"{model.name} maps items and draws none: it has no temperature")
    return lambda rows, noise, **own: translator.translate(x[rows], inputs.given.rows(rows), generator=noise, **own)


def _drawn(model: Model, inputs: Inputs, temperature: float) -> Draw:
    """Items drawn given a picture."""
    source = need(model, Sampler)

    def draw(rows: Tensor, noise: Generator, **own: Any) -> Tensor:
        given = inputs.given.rows(rows)
        return source.sample(len(rows), given, temperature=temperature, generator=noise, **own)

    return draw
