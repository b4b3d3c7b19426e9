"""Any model as a scikit-learn estimator: `fit`, `score_samples`, `sample`, `transform`. Needs the `eval` extra."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

import simulacra
from simulacra.data import Split, from_arrays
from simulacra.errors import UsageError
from simulacra.evaluation.likelihood import has_likelihood, kind_of_likelihood, score_items
from simulacra.exploration.codes import encode_items


class GenerativeModel(TransformerMixin, DensityMixin, BaseEstimator):
    """A generative model over the rows of a matrix.

    Parameters:
        model: a registered name; `simulacra models` lists them.
        shape: (C, H, W) when rows are flattened images; without it rows are vectors.
        levels: rows hold integers 0..levels-1; without it they hold real numbers, and scores are densities.
        options: training options and arguments of the model, as in `simulacra.fit`; {"steps": 1000}, say.
        samples: draws in the importance-weighted bound by which a latent-variable model scores.
        random_state: the seed of weights, training and scores.

    After `fit`: `model_` (a `simulacra.Model`), `kind_` ("exact", "bound" or "none") and `n_features_in_`. Real-valued
    rows are standardised for the model; scores are densities of the original rows, whatever their units.
    """

    def __init__(
        self,
        model: str = "vae",
        shape: tuple[int, int, int] | None = None,
        levels: int | None = None,
        options: dict[str, Any] | None = None,
        samples: int = 16,
        random_state: int = 0,
    ) -> None:
        self.model = model
        self.shape = shape
        self.levels = levels
        self.options = options
        self.samples = samples
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> GenerativeModel:
        """Learn p(x) from the rows of X (n, d); y is ignored. A tenth of the rows is the validation split."""
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=3)
        real = self.levels is None
        self.location_ = X.mean(0) if real else np.zeros(X.shape[1])
        self.scale_ = np.where(X.std(0) > 0, X.std(0), 1.0) if real else np.ones(X.shape[1])
        data = from_arrays(self._items(X), levels=self.levels)
        options = {"seed": self.random_state, **(self.options or {})}
        with tempfile.TemporaryDirectory() as folder:
            self.model_ = simulacra.fit(self.model, data, Path(folder), **options)
        self.kind_ = kind_of_likelihood(self.model_) if has_likelihood(self.model_) else "none"
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """log p(x) of every row (n,) nats: exact or a lower bound, as `kind_` says.

        Raises simulacra.errors.NotSupported for a model without a likelihood.
        """
        rows = self._split(X)
        # a density changes with the units: log p(x) = log p(standardised x) - Σ log scale
        return -score_items(self.model_, rows, self.samples, seed=self.random_state) - np.log(self.scale_).sum()

    def score(self, X: Any, y: Any = None) -> float:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Mean log-likelihood of the rows, nats."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: int | None = None) -> np.ndarray:
        """n_samples new rows, (n_samples, d)."""
        check_is_fitted(self)
        seed = self.random_state if random_state is None else random_state
        items = simulacra.sample(self.model_, n_samples, seed=seed)
        return items.reshape(n_samples, -1) * self.scale_ + self.location_

    def transform(self, X: Any) -> np.ndarray:
        """The mean code of every row, (n, latent); raises simulacra.errors.NotSupported without an encoder."""
        codes = encode_items(self.model_, self._split(X), seed=self.random_state)["mean"]
        return codes.reshape(len(codes), -1).astype(np.float64)

    def _split(self, X: Any) -> Split:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return Split(self._items(X), {}, "given")

    def _items(self, X: np.ndarray) -> np.ndarray:
        """Rows -> items of the model; raises UsageError for rows that are not on the grid."""
        shape = self.shape or (X.shape[1],)
        if int(np.prod(shape)) != X.shape[1]:
            raise UsageError(f"rows of {X.shape[1]} numbers are no items of shape {shape}")
        if self.levels is None:
            return ((X - self.location_) / self.scale_).astype(np.float32).reshape(-1, *shape)
        if not (np.equal(X, np.rint(X)).all() and X.min() >= 0 and X.max() < self.levels):
            raise UsageError(f"levels={self.levels} needs integers 0..{self.levels - 1}; leave it out for real numbers")
        return X.astype(np.uint8).reshape(-1, *shape)
