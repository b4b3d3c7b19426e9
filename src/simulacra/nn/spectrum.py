r"""A sound as an image of its pitches over time: log(ε + |Σ_t w(t) s(t) e^{-2πi f t / W}|), w a Hann window."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

SECONDS = 0.032
QUIET = 1e-3
LEVELS = 256


class Spectrum(nn.Module):
    """μ-law sound y (N, T) in [-1, 1], which is F(s) of the sound s, -> (N, 1, pitches, moments) log magnitudes.

    Attributes:
        size: W samples of a window, the power of two nearest to 32 ms. Windows overlap by half.
    """

    window: Tensor

    def __init__(self, rate: int) -> None:
        super().__init__()
        self.size = max(8, 1 << round(math.log2(SECONDS * rate)))
        self.register_buffer("window", torch.hann_window(self.size), persistent=False)

    def forward(self, y: Tensor) -> Tensor:
        s = y.sign() * torch.expm1(y.abs() * math.log(LEVELS)) / (LEVELS - 1)
        parts = torch.stft(
            s, self.size, self.size // 2, window=self.window.to(s.dtype), pad_mode="constant", return_complex=True
        )
        return (parts.abs() + QUIET).log().unsqueeze(1)
