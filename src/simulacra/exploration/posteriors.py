"""What an encoder says of a split, dimension by dimension."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from simulacra.capabilities import Prior
from simulacra.data import Split
from simulacra.distributions import OneHotCode, PointMass, kl_each
from simulacra.exploration.codes import BATCH, encoder_of
from simulacra.feed import in_order
from simulacra.model import Model, evaluating


@dataclass(frozen=True)
class Posteriors:
    """q(z|x) of N items and D dimensions.

    kl:    (N, D) nats, KL(q(z_d|x) || p(z_d)); None where it has no closed form for each dimension.
    means: (N, D, numbers), E_q[z_d]: one number, or the masses of a one-hot variable.
    point: whether q is a point mass, all of whose spread over items is due to the items.
    """

    kl: Tensor | None
    means: Tensor
    point: bool

    @property
    def spread(self) -> Tensor:
        """(D,) variance over the items of E_q[z_d]: of a dimension that says nothing, it is 0."""
        return self.means.var(0, correction=0).sum(1)


def posteriors(model: Model, split: Split, limit: int | None = None) -> Posteriors:
    """Encode the items of a split, or its first `limit`; raises NotSupported for a model without an encoder."""
    encoder = encoder_of(model)
    kls, means, point = [], [], False
    with evaluating(model):
        for x, condition in in_order(split, model.spec, model.device, BATCH, limit):
            q = encoder.encode(x, condition)
            each = kl_each(q, model.prior(len(x), condition)) if isinstance(model, Prior) else None
            kls += [] if each is None else [each.flatten(1).cpu()]
            mean = q.mean if isinstance(q, OneHotCode) else q.mean.flatten(1).unsqueeze(2)
            means.append(mean.float().cpu())
            point = isinstance(q, PointMass)
    return Posteriors(torch.cat(kls) if kls else None, torch.cat(means), point)
