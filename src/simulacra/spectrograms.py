r"""How loud each pitch of a sound is, and when: 20 log10 |Σ_t w(t) s(t + hop·k) e^{-2πi f t / W}|, as a picture.

w is a Hann window of W samples, about 32 ms; time runs to the right and frequency upwards to half the rate. Colours
span 80 dB below the loudest moment of each sound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from simulacra.data.mulaw import decode
from simulacra.fields import Sound
from simulacra.pictures import heat, labelled, sheet

SECONDS = 0.032  # of a window
DECIBELS = 80.0
WIDEST = 320  # columns of a picture: the hop grows with the sound
FLOOR = 1e-6


def spectrogram(sound: np.ndarray, rate: int) -> np.ndarray:
    """Sounds (N, T) in [-1, 1] -> decibels below the loudest of each, from -80 to 0, (N, F, K), high pitches first.

    F = W / 2 + 1 frequencies, of windows of W samples, the power of two nearest to 32 ms; a sound that is shorter is
    padded with silence.
    """
    size = max(8, 1 << round(math.log2(SECONDS * rate)))
    hop = max(1, size // 4, -(-sound.shape[1] // WIDEST))
    padded = np.pad(np.asarray(sound, np.float64), ((0, 0), (size // 2, size // 2)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, ::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=2)) + FLOOR
    decibels = 20 * np.log10(power / power.max((1, 2), keepdims=True))
    return np.maximum(decibels, -DECIBELS).transpose(0, 2, 1)[:, ::-1]


def spectrogram_picture(items: np.ndarray, of: Sound, captions: Sequence[str] = ()) -> Image.Image:
    """Sounds (N, T) in μ-law levels: the spectrogram of each, in a grid about as wide as high, under its caption."""
    tiles = heat(spectrogram(decode(items), of.rate) / DECIBELS + 1)
    height, width = tiles.shape[1:3]
    columns = min(len(tiles), max(1, math.ceil(math.sqrt(len(tiles) * height / width))))
    body = sheet(tiles, columns, scale=1)
    top = f"{of.seconds:g} s to the right, 0 to {of.rate / 2:,.0f} Hz upwards"
    rows = -(-len(tiles) // columns)
    firsts = [captions[i * columns] if captions else "" for i in range(rows)]
    return labelled(body, (rows, 1), firsts, [top], size=12)
