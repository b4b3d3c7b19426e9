"""How much each dimension of a code matters: by what the encoder puts into it, else by what the decoder makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from simulacra.capabilities import Encoder
from simulacra.condition import Condition
from simulacra.data import Split
from simulacra.exploration.codes import decoded_mean
from simulacra.exploration.dimensions import Dimensions
from simulacra.exploration.posteriors import posteriors
from simulacra.feed import at_once, slices
from simulacra.model import Model
from simulacra.randomness import some_of

ITEMS = 1000  # encoded at most
DECODED, MOST = 1024, 16  # draws whose change is looked at: as many items for all dimensions, at most so many for one


@dataclass(frozen=True)
class Importance:
    """One number for each dimension, (count,), and what it measures:

    KL:     mean over items of KL(q(z_d|x) || p(z_d)), nats: what the code holds of an item in this dimension.
    spread: variance over items of E_q[z_d] in units of the prior's variance, where the KL has no closed form.
    change: of draws, when only this dimension goes from -1 to 1 standard deviations (or through all its values): the
            standard deviation of a sub-pixel, in shares of the brightest level; for models or calls without items.
    share:  of principal directions, of the variance of codes, of styles or of the first layer's response.
    """

    measure: str
    each: Tensor

    def order(self) -> list[int]:
        """All dimensions, those that matter most first."""
        return self.each.argsort(descending=True, stable=True).tolist()


def importance(
    model: Model, dimensions: Dimensions, given: Condition, split: Split | None, seed: int = 0
) -> Importance:
    """By the KL or the spread over items of a split, drawn by the seed; by the change of draws without an encoder, or
    without a split."""
    if split is None or not isinstance(model, Encoder):
        return _to_decoder(model, dimensions, given)
    return _to_encoder(model, dimensions, split, seed)


def _to_encoder(model: Model, dimensions: Dimensions, split: Split, seed: int) -> Importance:
    found = posteriors(model, split, some_of(len(split), ITEMS, seed, "importance"))
    if found.kl is not None:
        return Importance("KL", found.kl)
    return Importance("spread", found.spread / dimensions.scale.cpu().square())


def _to_decoder(model: Model, dimensions: Dimensions, given: Condition) -> Importance:
    brightest = 1 if model.spec.levels is None else model.spec.levels - 1
    bases = dimensions.draws[: max(1, min(MOST, DECODED // dimensions.count))]
    settings = dimensions.settings(2, 1.0)
    each, size = [], max(1, at_once(model) // (len(bases) * len(settings)))
    for part in slices(dimensions.count, size):
        some = range(part.start, part.stop)
        z = torch.cat([dimensions.put(bases, d, setting) for d in some for setting in settings])
        x = decoded_mean(model, z, given).float().view(len(some), len(settings), -1) / brightest
        each.append(x.var(1, correction=0).mean(1).sqrt())
    return Importance("change", torch.cat(each).cpu())
