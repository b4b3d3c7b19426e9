"""Logistic regression: how much of a class can be read off features by planes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn


def standardised_regression(x: np.ndarray, y: np.ndarray, classes: int) -> Callable[[np.ndarray], Tensor]:
    """log q(y | x), (M, classes) of features (M, D), by logistic regression on the features (N, D) of classes (N,).

    Features are measured in units of their spread; one that is constant has no weight.
    """
    mean, scale = x.mean(0), x.std(0)
    scale = np.where(scale > 1e-6 * scale.max(), scale, np.inf)

    def standard(features: np.ndarray) -> Tensor:
        return torch.from_numpy((features - mean) / scale).double()

    plane = logistic_regression(standard(x), torch.from_numpy(y), classes)
    return lambda features: plane(standard(features)).log_softmax(1)


def logistic_regression(x: Tensor, y: Tensor, classes: int, penalty: float = 1.0) -> nn.Linear:
    """The W, b that minimise Σ_i -log softmax(W x_i + b)_{y_i} + penalty/2 |W|², by L-BFGS in float64.

    x (N, D) features, standardised so that one penalty suits them all; y (N,) classes.
    """
    x = x.double()
    plane = nn.Linear(x.shape[1], classes, dtype=torch.float64, device=x.device)
    nn.init.zeros_(plane.weight)
    nn.init.zeros_(plane.bias)
    optimiser = torch.optim.LBFGS(plane.parameters(), max_iter=500, tolerance_grad=1e-8, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        fit = nn.functional.cross_entropy(plane(x), y, reduction="sum")
        total = fit + 0.5 * penalty * plane.weight.square().sum()
        total.backward()
        return total

    with torch.enable_grad():
        optimiser.step(loss)  # pyright: ignore[reportArgumentType]
    return plane.requires_grad_(False)
