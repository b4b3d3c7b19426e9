r"""How alike two images are, pixel by pixel and in structure; R is the range of their values.

    PSNR = 10 log10 (R² / mean (a - b)²)  dB, at most 100, which equal images are given
    SSIM = mean of (2 μ_a μ_b + C_1)(2 σ_ab + C_2) / ((μ_a² + μ_b² + C_1)(σ_a² + σ_b² + C_2))

μ, σ² and σ_ab are those of a Gaussian window of 11×11 pixels, σ = 1.5, wherever it lies within the image, of each
channel by itself; C_1 = (0.01 R)², C_2 = (0.03 R)². Of an image with a shorter side the window is the largest odd one
that fits, normalised anew. Wang, Bovik, Sheikh & Simoncelli 2004, "Image quality assessment: from error visibility to
structural similarity".

Chroma is C_b, C_r of ITU-R BT.601, and colourfulness the M^(3) of Hasler & Süsstrunk 2003, "Measuring colourfulness in
natural images": with rg = R - G and yb = (R + G) / 2 - B on 0 to 255, √(σ²_rg + σ²_yb) + 0.3 √(μ²_rg + μ²_yb).
"""

from __future__ import annotations

import numpy as np

MOST = 100.0  # dB
WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
AT_ONCE = 256
TO_CHROMA = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def psnr(a: np.ndarray, b: np.ndarray, unit: float) -> np.ndarray:
    """Of items (n, ...) each, in a range `unit`: (n,) dB."""
    error = np.square(a.astype(np.float64) - b).reshape(len(a), -1).mean(1) / unit**2
    return -10 * np.log10(np.maximum(error, 10 ** (-MOST / 10)))


def ssim(a: np.ndarray, b: np.ndarray, unit: float) -> np.ndarray:
    """Of images (n, C, H, W) each, in a range `unit`: (n,), 1 of equal ones."""
    parts = (slice(start, start + AT_ONCE) for start in range(0, len(a), AT_ONCE))
    return np.concatenate([_ssim(a[part].astype(np.float64), b[part].astype(np.float64), unit) for part in parts])


def _ssim(a: np.ndarray, b: np.ndarray, unit: float) -> np.ndarray:
    c1, c2 = (K1 * unit) ** 2, (K2 * unit) ** 2
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a, var_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    both = _blurred(a * b) - mean_a * mean_b
    found = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return found.reshape(len(found), -1).mean(1)


def _blurred(x: np.ndarray) -> np.ndarray:
    """Means under the window, where it lies within the image."""
    side = min(WINDOW, *((length - 1) // 2 * 2 + 1 for length in x.shape[2:]))
    weights = np.exp(-np.square(np.arange(side) - side // 2) / (2 * SIGMA**2))
    weights /= weights.sum()
    height, width = (length - side + 1 for length in x.shape[2:])
    rows = sum(weight * x[:, :, i : i + height] for i, weight in enumerate(weights))
    return np.asarray(sum(weight * rows[..., i : i + width] for i, weight in enumerate(weights)))  # pyright: ignore


def chroma_error(a: np.ndarray, b: np.ndarray, unit: float) -> np.ndarray:
    """The mean distance in the plane of C_b and C_r of colour images (n, 3, H, W), in levels of 255: (n,)."""
    apart = np.tensordot(TO_CHROMA, (a.astype(np.float64) - b) * (255 / unit), (1, 1))
    return np.hypot(*apart).reshape(len(a), -1).mean(1)


def colourfulness(x: np.ndarray, unit: float) -> np.ndarray:
    """Of colour images (n, 3, H, W): (n,), 0 of grey ones; 33 is "moderately" and 109 "extremely colourful"."""
    red, green, blue = (x.astype(np.float64) * (255 / unit)).reshape(len(x), 3, -1).transpose(1, 0, 2)
    pairs = np.stack([red - green, (red + green) / 2 - blue])
    return np.hypot(*pairs.std(2)) + 0.3 * np.hypot(*pairs.mean(2))


def pairwise(x: np.ndarray) -> float:
    """The mean root-mean-square difference of two different items of x (k, ...), k >= 2."""
    flat = x.reshape(len(x), -1).astype(np.float64)
    squared = np.square(flat).sum(1)[:, None] + np.square(flat).sum(1) - 2 * flat @ flat.T
    apart = np.sqrt(np.maximum(squared, 0) / flat.shape[1])
    np.fill_diagonal(apart, 0)
    return float(apart.sum() / (len(x) * (len(x) - 1)))
