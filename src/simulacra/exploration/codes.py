"""Verbs on codes: draw, encode, reconstruct, and walk from one code to another. They ask for abilities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulacra import registry
from simulacra.capabilities import Decoder, Encoder, Sampler
from simulacra.data import Dataset, Split, as_dataset
from simulacra.distributions import Distribution
from simulacra.errors import NotSupported, UsageError
from simulacra.exploration.drawing import Progress, blank, draw_into
from simulacra.exploration.paths import walk
from simulacra.feed import in_order
from simulacra.model import Model, as_model, evaluating
from simulacra.randomness import generator, seed_everything

BATCH = 250


def sample(
    model: Model | str | Path,
    n: int = 64,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    sampler: str | None = None,
    progress: Progress | None = None,
    **condition: Any,
) -> np.ndarray:
    """n new items, (n, *shape) on the data grid.

    Args:
        model: a model that can sample, or its run folder.
        n: how many.
        temperature: 1 draws from the model; below 1 the draws are more typical and less varied.
        seed: of the noise: the same seed gives the same items.
        sampler: of a chain: "cached", which computes every activation once and is the default, "naive" or
            "fixed-point"; the same items, in another time.
        progress: called as items come, with all of them (n, *shape), those not drawn yet blank, the number of
            coordinates that are final, and the number of all.
        condition: fields of the condition, one value for all items or one for each: `label=3`. A conditional model
            without it shows all classes in turn.

    Raises:
        NotSupported: the model cannot sample, or has no choice of samplers.
        UsageError: n < 1, a temperature that is not positive, a class or a sampler that does not exist.
    """
    model = as_model(model)
    if not isinstance(model, Sampler):
        raise NotSupported(
            f"{_name(model)} cannot sample: it has no distribution to draw codes or items from; fit a vae, aae or dcgan"
        )
    if n < 1 or not temperature > 0:
        raise UsageError(f"sample needs n >= 1 and temperature > 0, not n = {n} and temperature = {temperature}")
    given = model.conditioned(condition or model.every_class(n), n)
    noise, items = generator(model.device, seed, "sample"), blank(model, n)

    def draw(part: slice, **options: Any) -> Tensor:
        some = {name: values[part] for name, values in given.items()}
        return model.sample(part.stop - part.start, some, temperature=temperature, generator=noise, **options)

    draw_into(items, BATCH, draw, model, sampler, progress)
    return items


def encode(
    model: Model | str | Path,
    data: Dataset | str | Path,
    split: str = "test",
    limit: int | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Codes of the items of a split: `z` (N, ...) one draw each, `mean` (N, ...), and the fields of the condition.

    Raises NotSupported for a model without an encoder, UsageError for data of another shape or grid.
    """
    model, data = as_model(model), as_dataset(data)
    _encoder(model)
    model.spec.expect(data.spec, data.name)
    return encode_items(model, data.split(split), limit, seed)


def encode_items(model: Model, split: Split, limit: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
    """`encode` for items that are no part of a data set."""
    encoder = _encoder(model)
    seed_everything(seed, "encode")
    draws, means = [], []
    with evaluating(model):
        for x, condition in in_order(split, model.spec, model.device, BATCH, limit):
            q = encoder.encode(x, condition)
            draws.append(q.sample())
            means.append(q.mean)
    z, mean = (torch.cat(parts).cpu().numpy() for parts in (draws, means))
    return {"z": z, "mean": mean} | {name: np.array(values[: len(z)]) for name, values in split.condition.items()}


def reconstruct(model: Model, x: Tensor, condition: Mapping[str, Any] | None = None) -> Tensor:
    """x -> the mean of p(x|z) at the mean of q(z|x), on the data grid.

    Raises NotSupported for a model that lacks an encoder or a decoder.
    """
    encoder, decoder = _encoder(model), _decoder(model)
    with evaluating(model):
        q = encoder.encode(x.to(model.device), condition)
        return shown(model, decoder.decode(q.mean, condition))


def interpolate(
    model: Model, steps: int = 8, rows: int = 8, data: Dataset | None = None, seed: int = 0, **condition: Any
) -> Tensor:
    """(rows · steps, *shape): each row walks from one code to another.

    With `data` (and an encoder) the ends of a row are the codes of two held-out items, joined by a straight line;
    without it they are two draws of the prior, joined along the sphere, where the prior has its mass.
    Raises NotSupported for a model without codes, UsageError for steps < 2 or rows < 1.
    """
    decoder = _decoder(model)
    if steps < 2 or rows < 1:
        raise UsageError(f"interpolate needs steps >= 2 and rows >= 1, not {steps} and {rows}")
    if data is None:
        given = model.conditioned(condition or model.every_class(rows), rows)
        ends = decoder.prior(2 * rows, None).sample(generator(model.device, seed, "interpolate"))
        z, given = walk(ends[:rows], ends[rows:], steps, spherical=True), _repeat(given, steps)
    else:
        model.spec.expect(data.spec, data.name)
        x, fields = next(in_order(data.test, model.spec, model.device, 2 * rows))
        if len(x) < 2 * rows:
            raise UsageError(f"{rows} rows need {2 * rows} test items, {data.name} has {len(x)}")
        encoder = _encoder(model)
        with evaluating(model):
            ends = encoder.encode(x, fields).mean
        z = walk(ends[:rows], ends[rows:], steps, spherical=False)
        given = _repeat({name: values[:rows] for name, values in fields.items()}, steps)
    with evaluating(model):
        return shown(model, decoder.decode(z.flatten(0, 1), given))


def shown(model: Model, p: Distribution) -> Tensor:
    """The mean of p(x|z) on the data grid: what a decoder has to say about one code, without pixel noise."""
    mean = p.mean
    return mean if model.spec.levels is None else mean.float().round().clamp(0, model.spec.levels - 1).byte()


def _repeat(given: Mapping[str, Tensor], steps: int) -> dict[str, Tensor]:
    return {name: values.repeat_interleave(steps) for name, values in given.items()}


def _encoder(model: Model) -> Encoder:
    if not isinstance(model, Encoder):
        without = "; without DATA, interpolate walks between draws of its prior" if isinstance(model, Decoder) else ""
        raise NotSupported(f"{_name(model)} has no encoder, so items have no codes{without}; fit a vae for codes")
    return model


def _decoder(model: Model) -> Decoder:
    if not isinstance(model, Decoder):
        raise NotSupported(
            f"{_name(model)} has no decoder: it makes no items from codes; fit a vae or a dcgan for that"
        )
    return model


def _name(model: Model) -> str:
    return registry.name_of(type(model))
