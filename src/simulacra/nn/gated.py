"""What gated residual blocks are made of."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


def concat_elu(h: Tensor) -> Tensor:
    """φ(h) = elu([h, -h]): (N, p, ...) -> (N, 2p, ...). Shang et al. 2016, with elu; Salimans et al. 2017."""
    return F.elu(torch.cat((h, -h), dim=1), inplace=True)


class Features(NamedTuple):
    """h (N, p, ...) and φ(h) (N, 2p, ...), which several layers read."""

    h: Tensor
    phi: Tensor


def features(h: Tensor) -> Features:
    return Features(h, concat_elu(h))
