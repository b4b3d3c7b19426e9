r"""Sound in 256 levels, fine near silence and coarse where it is loud (ITU-T G.711):

    F(s) = sgn(s) ln(1 + μ|s|) / ln(1 + μ),   μ = 255,   level = round((F(s) + 1) / 2 · 255),   s in [-1, 1].

A rounding error is then about proportional to |s|, as the ear takes it, and 8 bits sound like 12 to 13 even ones.
Levels that are decoded and encoded again are the same levels.
"""

from __future__ import annotations

import numpy as np

MU = 255
SILENCE = 128  # the level of s = 0


def encode(sound: np.ndarray) -> np.ndarray:
    """Real numbers s, cut off at -1 and 1, (...) -> levels 0..255, (...) uint8."""
    s = np.clip(np.asarray(sound, np.float64), -1.0, 1.0)
    squeezed = np.sign(s) * np.log1p(MU * np.abs(s)) / np.log1p(MU)
    return np.floor((squeezed + 1) / 2 * MU + 0.5).astype(np.uint8)


def decode(levels: np.ndarray) -> np.ndarray:
    """Levels 0..255 (...) -> the real number in [-1, 1] of each, (...) float64."""
    squeezed = np.asarray(levels, np.float64) / MU * 2 - 1
    return np.sign(squeezed) * np.expm1(np.abs(squeezed) * np.log1p(MU)) / MU
