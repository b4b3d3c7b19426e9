"""Verbs on codes: draw, encode, reconstruct; and what the other verbs on codes are made of. They ask for abilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from simulacra import registry
from simulacra.capabilities import Decoder, Encoder, Prior, Sampler
from simulacra.condition import Condition
from simulacra.data import Dataset, Split, as_dataset
from simulacra.distributions import BinaryCode, OneHotCode
from simulacra.errors import NotSupported, UsageError
from simulacra.exploration.drawing import Progress, blank, draw_into
from simulacra.feed import as_items, feed, in_order
from simulacra.model import Model, as_model, evaluating
from simulacra.randomness import generator, seed_everything

BATCH = 250
TABLE = 1 << 26  # masses of levels that a decoder's mean is taken over at a time


def sample(
    model: Model | str | Path,
    n: int = 64,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    sampler: str | None = None,
    mean: bool = False,
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
        mean: E[x|z] of every drawn code z, rounded to the grid, in the place of a draw of p(x|z): without the grain
            of pixels that a decoder takes for independent. Such items are no draws of the model.
        progress: called as items come, with all of them (n, *shape), those not drawn yet blank, the number of
            coordinates that are final, and the number of all.
        condition: fields of the condition, one value for all items or one for each: `label=3`. A conditional model
            without it shows all classes in turn.

    Raises:
        NotSupported: the model cannot sample, has no choice of samplers, or for `mean` no decoder.
        UsageError: n < 1, a temperature that is not positive, a class or a sampler that does not exist.
    """
    model = as_model(model)
    source = sampler_of(model)
    if n < 1 or not temperature > 0:
        raise UsageError(f"sample needs n >= 1 and temperature > 0, not n = {n} and temperature = {temperature}")
    if mean:
        decoder_of(model)
    codes = prior_of(model) if mean else None
    given = model.conditioned(condition or model.every_class(n), n)
    noise, items = generator(model.device, seed, "sample"), blank(model, n)

    def draw(part: slice, **options: Any) -> Tensor:
        count, some = part.stop - part.start, {name: values[part] for name, values in given.items()}
        if codes is not None:
            return decoded(model, codes.prior(count, some).sample(noise, temperature, **options), some)
        return source.sample(count, some, temperature=temperature, generator=noise, **options)

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
    model = as_model(model)
    encoder_of(model)
    return encode_items(model, split_for(model, data, split), limit, seed)


def encode_items(model: Model, split: Split, limit: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
    """`encode` for items that are no part of a data set."""
    encoder = encoder_of(model)
    seed_everything(seed, "encode")
    draws, means = [], []
    with evaluating(model):
        for x, condition in in_order(split, model.spec, model.device, BATCH, limit):
            q = encoder.encode(x, condition)
            draws.append(q.sample().cpu())
            means.append(q.mean.cpu())
    z, mean = (torch.cat(parts).numpy() for parts in (draws, means))
    return {"z": z, "mean": mean} | {name: np.array(values[: len(z)]) for name, values in split.condition.items()}


def mean_codes(model: Model, split: Split, limit: int | None = None) -> Iterator[np.ndarray]:
    """E_q[z] of the items of a split, (n, ...) of one batch after the other: few are in memory at a time."""
    encoder = encoder_of(model)
    with evaluating(model):
        for x, condition in in_order(split, model.spec, model.device, BATCH, limit):
            yield encoder.encode(x, condition).mean.cpu().numpy()


def reconstruct(model: Model, x: Tensor | np.ndarray, condition: Mapping[str, Any] | None = None) -> Tensor:
    """x -> the mean of p(x|z) at the code of x, on the data grid.

    Raises NotSupported for a model that lacks an encoder or a decoder, UsageError for items of another shape or grid.
    """
    decoder_of(model)
    encoder_of(model)
    x = as_items(x, model.spec, model.device)
    given = model.conditioned(condition, len(x))
    return decoded(model, code_of(model, x, given), given)


def code_of(model: Model, x: Tensor, given: Condition) -> Tensor:
    """The mean of q(z|x), or, where codes are discrete and a mean is none, the most probable code; (N, ...)."""
    with evaluating(model):
        q = encoder_of(model).encode(x.to(model.device), given)
    if isinstance(q, BinaryCode):
        return q.mean.round()
    if isinstance(q, OneHotCode):
        return one_hot(q.mean.argmax(-1), q.mean.shape[-1]).to(q.mean)
    return q.mean


def decoded(model: Model, z: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    """Codes (N, ...) -> E[x|z] on the data grid, (N, *shape): what a decoder says of a code, without pixel noise."""
    mean = decoded_mean(model, z, given)
    return mean if model.spec.levels is None else mean.float().round().clamp(0, model.spec.levels - 1).byte()


def decoded_mean(model: Model, z: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    """Codes (N, ...) -> E[x|z], (N, *shape), in batches; the condition has one value, or N."""
    decoder, items = decoder_of(model), []
    given = {name: values.expand(len(z)) for name, values in given.items()}
    at_once = max(1, min(BATCH, TABLE // (model.spec.dims * (model.spec.levels or 1))))
    with evaluating(model):
        for start in range(0, len(z), at_once):
            part = slice(start, start + at_once)
            items.append(decoder.decode(z[part], {name: values[part] for name, values in given.items()}).mean)
    return torch.cat(items)


def split_for(model: Model, data: Dataset | str | Path, split: str) -> Split:
    """A split of a data set, its name or path; raises UsageError for data that the model is not for."""
    data = as_dataset(data)
    model.spec.expect(data.spec, data.name)
    return data.split(split)


def item_of(model: Model, split: Split, index: int) -> tuple[Tensor, dict[str, Tensor]]:
    """One item of a split, (1, *shape), and its condition; raises UsageError for an index beyond its end."""
    if not 0 <= index < len(split):
        raise UsageError(f"there is no item {index}: the {split.name} split has items 0 to {len(split) - 1}")
    return feed(split, slice(index, index + 1), model.spec, model.device)


def own_classes(condition: Mapping[str, Any]) -> None:
    """Raises UsageError for a condition that is given together with items of data, which have their own."""
    if condition:
        raise UsageError(f"items of DATA have their own {' and '.join(condition)}: leave out this one, or DATA")


def sampler_of(model: Model) -> Sampler:
    """The model itself; raises NotSupported for one that draws nothing."""
    if not isinstance(model, Sampler):
        raise NotSupported(
            f"{_name(model)} cannot sample: it has no distribution to draw codes or items from; fit a vae, aae or dcgan"
        )
    return model


def encoder_of(model: Model, instead: str = "without DATA, interpolate and traverse use draws of its prior") -> Encoder:
    """The model itself; raises NotSupported for one without an encoder, with what a decoder can do `instead`."""
    if not isinstance(model, Encoder):
        without = f"; {instead}" if isinstance(model, Decoder) else ""
        raise NotSupported(f"{_name(model)} has no encoder, so items have no codes{without}; fit a vae for codes")
    return model


def decoder_of(model: Model) -> Decoder:
    """The model itself; raises NotSupported for one without a decoder."""
    if not isinstance(model, Decoder):
        raise NotSupported(
            f"{_name(model)} has no decoder: it makes no items from codes; fit a vae or a dcgan for that"
        )
    return model


def prior_of(model: Model) -> Prior:
    """The model itself; raises NotSupported for one that knows no distribution of its codes."""
    if not isinstance(model, Prior):
        raise NotSupported(
            f"{_name(model)} has no prior: nothing is known of how its codes are distributed, so none can be drawn and "
            "no dimension has a scale; fit a vae, or name DATA where codes of items will do"
        )
    return model


def _name(model: Model) -> str:
    return registry.name_of(type(model))
