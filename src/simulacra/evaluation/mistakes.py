"""How often a classifier q(y|x) is wrong."""

from __future__ import annotations

import numpy as np
import torch

from simulacra.capabilities import Classifier
from simulacra.data import Split
from simulacra.feed import in_order
from simulacra.model import Model, evaluating

BATCH = 250


def mistakes(model: Model, split: Split) -> np.ndarray:
    """Whether argmax_y log q(y|x) is not the label of an item, (N,), of a model of one condition field."""
    assert isinstance(model, Classifier)
    (field,) = model.spec.condition
    with evaluating(model):
        wrong = [
            model.log_class_probs(x).argmax(1) != given[field]
            for x, given in in_order(split, model.spec, model.device, BATCH)
        ]
    return torch.cat(wrong).cpu().numpy()
