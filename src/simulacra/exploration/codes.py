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
from simulacra.exploration.inversion import Inversion, inverted, need_codes, refuse_whole, say
from simulacra.exploration.spaces import synthesised
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
    *,
    condition: ConditionLike | None = None,
    space: str = "z",
) -> dict[str, np.ndarray]:
    """Codes of the items of a split: `z` (N, ...) one draw each, `mean` (N, ...), and the fields of the condition.

    Without a split they are those of all items of an array, in its order, and of the test items of other data.
    `split="all"` of a sequence keeps its order. Without data those of the run are read again.
    The codes of the first 64·k items are the same whatever the limit, and whatever is computed at a time.
    A model without an encoder that inverts finds codes by search, see `invert`, of an array or of the first `limit`
    items: `z` and `mean` are the same then, and `error` (N,) and `rejected` (N,) say how well they are found. In the
    space "w" or "w+" of a generator with styles it finds these: `w` (N, layers, D) in the place of `z` and `mean`.
    Items that come without their condition, such as pictures, have that which is given.

    Raises NotSupported for a model without codes or styles, UsageError for data of another shape or grid, or a search
    without a limit.
    """
    model = as_model(model)
    need_codes(model, space)
    refuse_whole(model, data, limit)
    items = looked_at(model, data, split, condition)[1]
    if isinstance(model, Encoder):
        return encode_items(model, items, limit, seed)
    return _invert_items(model, items, limit, seed, space)


def _invert_items(model: Model, split: Split, limit: int | None, seed: int, space: str) -> dict[str, np.ndarray]:
    """`encode` by search."""
    batches = list(in_order(split, model.spec, model.device, BLOCK, limit))
    given = batches[0][1]
    for _, more in batches[1:]:
        given = given.cat(more)
    found = inverted(model, torch.cat([x for x, _ in batches]), given, seed, space=space)
    say(model, [found])
    z, error, rejected = (each.cpu().numpy() for each in (found.z, found.error, found.rejected))
    fields = {name: np.array(values[: len(z)]) for name, values in split.condition.items()}
    codes = {"z": z, "mean": z.copy()} if space == "z" else {"w": z}
    return codes | {"error": error, "rejected": rejected} | fields


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


def mean_codes(
    model: Model,
    split: Split,
    index: np.ndarray | None = None,
    found: list[Inversion] | None = None,
    space: str = "z",
) -> Iterator[np.ndarray]:
    """E_q[z] of the items of a split, (n, ...) of one batch after the other: few are in memory at a time.

    index: the numbers of those that are encoded, where they are not all.
    found: what a search found, where there is no encoder, is appended to it.
    """
    index = np.arange(len(split)) if index is None else index
    for x, condition in numbered(split, index, model.spec, model.device, at_once(model)):
        if isinstance(model, Encoder):
            with evaluating(model):
                yield model.encode(x, condition).mean.cpu().numpy()
        else:
            each = inverted(model, x, condition, space=space)
            if found is not None:
                found.append(each)
            yield each.z.cpu().numpy()


@verb
def reconstruct(
    model: ModelLike,
    x: ItemsLike | None = None,
    condition: ConditionLike | None = None,
    *,
    split: str = "test",
    limit: int | None = None,
    space: str = "z",
) -> Tensor:
    """x -> the mean of p(x|z) at the code of x, (N, *shape) on the data grid; where x lies, if that is a tensor.

    Args:
        model: a model with a decoder that has an encoder or inverts, or its run folder.
        x: (N, *shape) on the data grid; or data, whose items are taken; without it those of the run.
        condition: of each field one value for all items or one for each. Items of data have their own.
        split: of the data.
        limit: at most so many items of it, drawn by seed 0.
        space: in which codes are searched for: "z", or of a generator with styles "w" or "w+"; see `invert`.

    Raises:
        NotSupported: the model lacks codes of items or a decoder, or styles.
        UsageError: items of another shape or off the grid, a condition that is missing or none of the model's, a search
            for the codes of data without a limit.
    """
    model = as_model(model)
    need(model, Decoder)
    need_codes(model, space)
    refuse_whole(model, x, limit)
    place = x.device if isinstance(x, Tensor) else "cpu"
    x, given = items_for(model, x, condition, split, limit)
    return made_of(model, code_of(model, x, given, space), given, space).to(place)


def code_of(model: Model, x: Tensor, given: Condition, space: str = "z") -> Tensor:
    """The code of each item, (N, ...): the mode of q(z|x), which is a code also where codes are discrete; without an
    encoder that which a search finds, of which it warns."""
    if isinstance(model, Encoder):
        return _modes(model, model, x, given)
    found = inverted(model, x, given, space=space)
    say(model, [found])
    return found.z


def made_of(model: Model, codes: Tensor, given: Condition, space: str) -> Tensor:
    """What is made of codes, or of styles (N, layers, D) in w and w+: (N, *shape) on the data grid."""
    return decoded(model, codes, given) if space == "z" else synthesised(model, codes)


def _modes(model: Model, encoder: Encoder, x: Tensor, given: Condition) -> Tensor:
    with evaluating(model):
        return torch.cat([encoder.encode(x[part], given.rows(part)).mode for part in slices(len(x), at_once(model))])


def decoded(model: Model, z: Tensor, given: Condition) -> Tensor:
    """Codes (N, ...) -> E[x|z] on the data grid, (N, *shape): what a decoder makes of a code, without pixel noise."""
    return rounded(model, decoded_mean(model, z, given))


def rounded(model: Model, mean: Tensor) -> Tensor:
    """Means between the levels of the data -> the nearest levels; real numbers pass through."""
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


def changed(model: Model, given: Condition, to: ConditionLike, n: int) -> Condition:
    """The condition of n items with other values in the fields that `to` names; raises UsageError for no such field,
    and for a value that is none of it."""
    kept = {
        key: given[key]
        for name, field in model.spec.condition.items()
        if name not in to and not field.columns(name).keys() <= to.keys()
        for key in field.columns(name)
    }
    return model.conditioned({**kept, **to}, n)


def refuse_condition(condition: ConditionLike | None) -> None:
    """Raises UsageError for a condition that is given together with items of data, which have their own."""
    if condition:
        raise UsageError(f"items of DATA have their own {' and '.join(condition)}: leave out this one, or DATA")
