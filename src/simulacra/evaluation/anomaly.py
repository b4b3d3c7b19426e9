r"""Scores of strangeness, and how well a score separates strange items from usual ones. High is strange, everywhere.

-log p(x)                    the likelihood itself, which plain items fool: they are probable, whatever they show
|log p(x) - median|          distance from what is typical, on both sides     Nalisnick et al. 2019, arXiv 1906.02994
bytes of the PNG file        complexity alone, without any model
-log2 p(x) - 8 · bytes       bits that the model needs beyond the PNG coder   Serrà et al. 2020, arXiv 1909.11480
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.pictures import pixels, png


@dataclass(frozen=True)
class Auroc:
    """P(a strange item scores higher than a usual one), ties counted half; 0.5 is chance."""

    value: float
    standard_error: float


def auroc(usual: np.ndarray, strange: np.ndarray) -> Auroc:
    """The area under the ROC curve of two sets of scores (M,), (N,), by ranks, with its standard error.

    The error is that of the structural components: each item's share of the others that it is rightly ordered with
    (DeLong, DeLong & Clarke-Pearson 1988). Raises UsageError for scores that are none, or fewer than two.
    """
    usual, strange = np.asarray(usual, np.float64).ravel(), np.asarray(strange, np.float64).ravel()
    if min(len(usual), len(strange)) < 2 or np.isnan(usual).any() or np.isnan(strange).any():
        raise UsageError(f"an AUROC needs two or more numbers of each kind, not {len(usual)} and {len(strange)}")
    above = _share_below(strange, usual)
    beneath = 1 - _share_below(usual, strange)
    variance = above.var(ddof=1) / len(strange) + beneath.var(ddof=1) / len(usual)
    return Auroc(float(above.mean()), math.sqrt(variance))


def _share_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of each value the share of the others that are less, equal ones counted half."""
    ordered = np.sort(others)
    counts = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    return counts / (2 * len(others))


def untypicality(log_prob: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """|log p - its median over reference items|, nats of the shape of log_prob: too probable is strange as well."""
    return np.abs(log_prob - np.median(reference))


def png_bytes(x: np.ndarray, spec: DataSpec) -> np.ndarray:
    """Bytes of every image (N, C, H, W) as an optimised PNG file of 8 bits a channel, (N,).

    Raises UsageError for items that are no images.
    """
    if not spec.is_image:
        raise UsageError(f"items of shape {spec.shape} are no images and have no PNG file")
    eight_bit = pixels(x, spec)
    shown = eight_bit if spec.shape[0] == 3 else eight_bit[..., 0]
    return np.array([len(png(Image.fromarray(image), smallest=True)) for image in shown])


def beyond_png(log_prob: np.ndarray, bytes_of_png: np.ndarray) -> np.ndarray:
    """-log2 p(x) - 8 · bytes, bits: what the model finds stranger than a coder that learnt nothing."""
    return -log_prob / math.log(2) - 8.0 * bytes_of_png
