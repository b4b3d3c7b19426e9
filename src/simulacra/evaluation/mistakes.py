"""How often a classifier q(y|x) is wrong."""

from __future__ import annotations

import numpy as np
import torch

from simulacra.capabilities import Classifier, need
from simulacra.data import Split
from simulacra.feed import at_once, in_order
from simulacra.model import Model, evaluating


def mistakes(model: Model, split: Split) -> np.ndarray:
    """Whether argmax_y log q(y|x) is not the label of an item, (N,), of a model whose condition is one class label.

    Raises NotSupported for a model without a classifier.
    """
    classifier = need(model, Classifier)
    (field,) = model.spec.classes("a classifier")
    with evaluating(model):
        wrong = [
            classifier.log_class_probs(x).argmax(1) != condition[field]
            for x, condition in in_order(split, model.spec, model.device, at_once(model))
        ]
    return torch.cat(wrong).cpu().numpy()
