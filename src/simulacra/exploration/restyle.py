r"""Restyling: x' = E[x | z, c'], where z is the code of an item x and c' a condition that is not its own.

The code of a conditional model holds what its condition does not say: the colours and the light of a photograph beside
its map, the hand that wrote a digit beside its class. Decoded under another condition it is a style.
Kingma et al. 2014, "Semi-supervised Learning with Deep Generative Models", 4.3 (analogies); Park et al. 2019, "Semantic
Image Synthesis with Spatially-Adaptive Normalization", 3 (the style of a photograph).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from simulacra.capabilities import Decoder, Encoder, need
from simulacra.condition import ConditionLike
from simulacra.errors import UsageError
from simulacra.exploration.codes import code_of, decoded
from simulacra.exploration.inversion import need_codes
from simulacra.feed import as_items, at_once, slices
from simulacra.model import Model, ModelLike, as_model, evaluating
from simulacra.verbs import verb


@verb
def restyle(
    model: ModelLike,
    x: np.ndarray | Tensor,
    condition: ConditionLike | None = None,
    *,
    own: ConditionLike | None = None,
) -> np.ndarray:
    """Each of some conditions in the style of each of some items, (R, C, *shape) on the data grid.

    Args:
        model: a model with a condition and a decoder, that has an encoder or inverts, or its run folder.
        x: C items (C, *shape) on the data grid, whose codes are the styles.
        condition: of each field one value, or R of them: `{"map": maps}`.
        own: that of the items x, one value or C of them; the encoder of `spade` reads none, and it may be left out.

    Raises:
        NotSupported: the model lacks codes of items or a decoder.
        UsageError: a model without a condition, items of another shape or off the grid, a condition that is missing or
            none of the model's.
    """
    model = as_model(model)
    need(model, Decoder)
    need_codes(model, "z")
    if not model.spec.condition:
        raise UsageError(f"restyle decodes codes under another condition, and this {model.name} has none")
    given, codes = model.conditioned(condition, None), _codes(model, as_items(x, model.spec, model.device), own)
    rows, columns = len(next(iter(given.values()))), len(codes)
    table = decoded(model, codes.repeat(rows, *[1] * (codes.dim() - 1)), given.repeat_each(columns))
    return table.cpu().numpy().reshape(rows, columns, *model.spec.shape)


def _codes(model: Model, x: Tensor, own: ConditionLike | None) -> Tensor:
    """The codes of items, (C, ...), under their own condition where the encoder reads it."""
    if own is not None or not isinstance(model, Encoder):
        return code_of(model, x, model.conditioned(own, len(x)))
    with evaluating(model):
        return torch.cat([model.encode(x[part]).mode for part in slices(len(x), at_once(model))])
