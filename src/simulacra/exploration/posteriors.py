"""What the codes of a split hold, dimension by dimension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulacra.capabilities import Encoder, Prior, need
from simulacra.data import Split
from simulacra.distributions import kl_each
from simulacra.exploration.dimensions import by_dimension
from simulacra.feed import at_once, numbered
from simulacra.model import Model, evaluating

SILENT = 0.01  # nats, below which a dimension holds nothing of an item


@dataclass(frozen=True)
class Posteriors:
    """q(z|x) of the items of a split, for each of D dimensions; no item is kept, as a code may be larger than an image.

    kl:     (D,) nats, mean over the items of KL(q(z_d|x) || p(z_d)); None where it has no closed form.
    silent: (D,) share of the items for which it is below SILENT; None likewise.
    spread: (D,) variance over the items of E_q[z_d], in units of the prior's where that is known of real codes: of a
            dimension that holds nothing it is 0.
    point:  whether q is a point mass, all of whose spread over items is due to the items.
    """

    kl: Tensor | None
    silent: Tensor | None
    spread: Tensor
    point: bool


def posteriors(model: Model, split: Split, index: np.ndarray) -> Posteriors:
    """Encode the items of a split with these numbers; raises NotSupported for a model without an encoder."""
    encoder = need(model, Encoder)
    kl, silent, means, point, scale = _Mean(), _Mean(), _Mean(), False, torch.ones(())
    with evaluating(model):
        for x, condition in numbered(split, index, model.spec, model.device, at_once(model)):
            q = encoder.encode(x, condition)
            point = not q.values and q.deviations is not None and not q.deviations.any()
            means.add(by_dimension(q.mean, q.values))
            p = model.prior(len(x), condition) if isinstance(model, Prior) else None
            if p is not None and p.deviations is not None and not p.values and not point:
                scale = p.deviations[0].flatten()
            each = None if p is None else kl_each(q, p)
            if each is not None:
                kl.add(each.flatten(1))
                silent.add((each.flatten(1) < SILENT).float())
    closed = kl.count > 0
    spread = means.variance.sum(1) / scale.cpu().square()  # of a one-hot variable the sum over its masses
    nats, share = (kl.mean.float(), silent.mean.float()) if closed else (None, None)
    return Posteriors(nats, share, spread.float(), point)


class _Mean:
    """Mean and variance of rows that come a few at a time, in double precision."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, torch.zeros(()).double(), torch.zeros(()).double()

    def add(self, rows: Tensor) -> None:
        """rows (n, ...). Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample Variance"."""
        rows = rows.cpu().double()
        n, mean = len(rows), rows.mean(0)
        gap, total = mean - self.mean, self.count + n
        self.squares = self.squares + (rows - mean).square().sum(0) + gap.square() * (self.count * n / total)
        self.mean, self.count = self.mean + gap * (n / total), total

    @property
    def variance(self) -> Tensor:
        return self.squares / self.count
