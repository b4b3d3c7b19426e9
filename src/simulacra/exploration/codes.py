"""Verbs on codes, encode and reconstruct, and what the other verbs on codes are made of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from simulacra.capabilities import Decoder, Encoder, need
from simulacra.condition import Condition, ConditionLike
from simulacra.data import Split
from simulacra.errors import UsageError
from simulacra.feed import BLOCK, at_once, feed, in_order, numbered, slices
from simulacra.model import Model, ModelLike, as_model, evaluating
from simulacra.randomness import generator
from simulacra.verbs import DataLike, ItemsLike, items_for, looked_at, verb

TABLE = 1 << 26  # masses of levels that a decoder's mean is taken over at a time


@verb
def encode(
    model: ModelLike,
    data: DataLike | None = None,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Codes of the items of a split: `z` (N, ...) one draw each, `mean` (N, ...), and the fields of the condition.

    Without a split they are those of all items of an array, in its order, and of the test items of other data.
    `split="all"` of a sequence keeps its order. Without data those of the run are read again.
    The codes of the first 64·k items are the same whatever the limit, and whatever is computed at a time.
    Raises NotSupported for a model without an encoder, UsageError for data of another shape or grid.
    """
    model = as_model(model)
    need(model, Encoder)
    return encode_items(model, looked_at(model, data, split)[1], limit, seed)


def encode_items(model: Model, split: Split, limit: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
    """`encode` for items that are no part of a data set. The noise of a draw follows from the seed and its block."""
    encoder, draws, means, block = need(model, Encoder), [], [], 0
    with evaluating(model):
        for x, condition in in_order(split, model.spec, model.device, at_once(model), limit):
            q = encoder.encode(x, condition)
            means.append(q.mean.cpu())
            for part in slices(len(x), BLOCK):
                draws.append(q.rows(part).sample(generator(model.device, seed, "encode", block)).cpu())
                block += 1
    z, mean = (torch.cat(parts).numpy() for parts in (draws, means))
    return {"z": z, "mean": mean} | {name: np.array(values[: len(z)]) for name, values in split.condition.items()}


def mean_codes(model: Model, split: Split, index: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """E_q[z] of the items of a split, (n, ...) of one batch after the other: few are in memory at a time.

    index: the numbers of those that are encoded, where they are not all.
    """
    encoder, index = need(model, Encoder), np.arange(len(split)) if index is None else index
    with evaluating(model):
        for x, condition in numbered(split, index, model.spec, model.device, at_once(model)):
            yield encoder.encode(x, condition).mean.cpu().numpy()


@verb
def reconstruct(
    model: ModelLike,
    x: ItemsLike | None = None,
    condition: ConditionLike | None = None,
    *,
    split: str = "test",
    limit: int | None = None,
) -> Tensor:
    """x -> the mean of p(x|z) at the code of x, (N, *shape) on the data grid.

    Args:
        model: a model with an encoder and a decoder, or its run folder.
        x: (N, *shape) on the data grid; or data, whose items are taken; without it those of the run.
        condition: of each field one value for all items or one for each. Items of data have their own.
        split: of the data.
        limit: at most so many items of it, drawn by seed 0.

    Raises:
        NotSupported: the model lacks an encoder or a decoder.
        UsageError: items of another shape or off the grid, a condition that is missing or none of the model's.
    """
    model = as_model(model)
    need(model, Decoder)
    need(model, Encoder)
    x, given = items_for(model, x, condition, split, limit)
    return decoded(model, code_of(model, x, given), given)


def code_of(model: Model, x: Tensor, given: Condition) -> Tensor:
    """The code of each item, (N, ...): the mode of q(z|x), which is a code also where codes are discrete."""
    encoder = need(model, Encoder)
    with evaluating(model):
        return torch.cat([encoder.encode(x[part], given.rows(part)).mode for part in slices(len(x), at_once(model))])


def decoded(model: Model, z: Tensor, given: Condition) -> Tensor:
    """Codes (N, ...) -> E[x|z] on the data grid, (N, *shape): what a decoder makes of a code, without pixel noise."""
    mean = decoded_mean(model, z, given)
    return mean if model.spec.levels is None else mean.float().round().clamp(0, model.spec.levels - 1).byte()


def decoded_mean(model: Model, z: Tensor, given: Condition) -> Tensor:
    """Codes (N, ...) -> E[x|z], (N, *shape), in batches; the condition has one value, or N."""
    decoder, given = need(model, Decoder), given.expand(len(z))
    size = max(1, min(at_once(model), TABLE // (model.spec.dims * (model.spec.levels or 1))))
    with evaluating(model):
        return torch.cat([decoder.decode(z[part], given.rows(part)).mean for part in slices(len(z), size)])


def item_of(model: Model, split: Split, index: int) -> tuple[Tensor, Condition]:
    """One item of a split, (1, *shape), and its condition; raises UsageError for an index beyond its end."""
    if not 0 <= index < len(split):
        raise UsageError(f"there is no item {index}: the {split.name} split has items 0 to {len(split) - 1}")
    return feed(split, slice(index, index + 1), model.spec, model.device)


def condition_or_classes(model: Model, condition: ConditionLike | None, n: int) -> Condition:
    """The condition of n items, checked; without one, all classes in turn.

    Raises UsageError for a value that is none of its field's, and without a condition for a model that is conditioned
    on something else than classes.
    """
    return model.conditioned(condition or model.every_class(n), n)


def refuse_condition(condition: ConditionLike | None) -> None:
    """Raises UsageError for a condition that is given together with items of data, which have their own."""
    if condition:
        raise UsageError(f"items of DATA have their own {' and '.join(condition)}: leave out this one, or DATA")
