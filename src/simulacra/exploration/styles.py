r"""Styles: a generator in two parts, w = f(z, c) and x = g(w), whose w (layers, D) has a row for each layer.

    path in W       x_t = g((1 - t) w + t w')
    style mixing    x = g(w_1, ..., w_k, w'_{k+1}, ..., w'_L): coarse from one code, fine from the other

In W, which f has bent to fit the data, a straight line leads through items; in z, N(0, I), it leaves the shell.
Karras, Laine & Aila 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks", 3.1 and figure 3.
"""

from __future__ import annotations

import numpy as np
import torch

from simulacra.capabilities import Prior, need
from simulacra.condition import ConditionLike
from simulacra.errors import UsageError
from simulacra.exploration.codes import condition_or_classes
from simulacra.exploration.spaces import styles_of, synthesised
from simulacra.inverse import styled
from simulacra.model import ModelLike, as_model, evaluating
from simulacra.randomness import generator
from simulacra.verbs import verb


@verb
def mix_styles(
    model: ModelLike,
    rows: int = 4,
    columns: int = 6,
    layer: int | None = None,
    *,
    condition: ConditionLike | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Each of some draws with the fine styles of each of some others, (1 + rows, 1 + columns, *shape) on the data grid.

    The first column has the draws that give the coarse styles, the first row those that give the fine ones, and their
    corner the item of the mean style.

    Args:
        model: a model whose generator has styles, or its run folder.
        rows: draws with coarse styles.
        columns: draws with fine styles.
        layer: the first one of the fine styles, 1 to layers - 1; by default the middle one.
        condition: that of all draws, `{"label": 3}`, or one for each, first those of the rows; without it a model
            conditioned on classes takes them in turn. A mixture has the condition of both through their styles.
        seed: of the draws.

    Raises:
        NotSupported: the generator has no styles.
        UsageError: rows < 1, columns < 1, a layer that does not exist.
    """
    model = as_model(model)
    source = styled(model)
    if rows < 1 or columns < 1:
        raise UsageError(f"mix_styles needs rows >= 1 and columns >= 1, not {rows} and {columns}")
    given = condition_or_classes(model, condition, rows + columns)
    with evaluating(model):
        z = need(model, Prior).prior(rows + columns, given).sample(generator(model.device, seed, "mix styles"))
    w = styles_of(model, z, given)
    layers = w.shape[1]
    layer = layers // 2 if layer is None else layer
    if not 1 <= layer < layers:
        raise UsageError(f"the fine styles begin with layer 1 to {layers - 1} of this generator, not {layer}")
    coarse, fine = w.split([rows, columns])
    own, others = coarse[:, None].expand(-1, columns, -1, -1), fine[None].expand(rows, -1, -1, -1)
    mixed = torch.cat([own[:, :, :layer], others[:, :, layer:]], dim=2)
    corner = source.mean_w.to(w).mean(0).expand(1, layers, -1)
    table = torch.cat([torch.cat([corner, fine])[None], torch.cat([coarse[:, None], mixed], dim=1)])
    return synthesised(model, table.flatten(0, 1)).cpu().numpy().reshape(*table.shape[:2], *model.spec.shape)
