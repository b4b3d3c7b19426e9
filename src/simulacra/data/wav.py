"""`.wav` files: PCM of 8 to 32 bits as real numbers in [-1, 1], one channel, at any rate; and 16 bits to write.

The channels of a file are averaged. Another rate is reached by a polyphase filter: with up/down the ratio of the rates
in lowest terms, up - 1 zeros are put between samples, a low-pass filter at the lower of both Nyquist frequencies is
run over them, and every down-th sample is kept (Vaidyanathan 1990, "Multirate digital filters").
"""

from __future__ import annotations

import io
import math
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulacra.errors import DataError, UsageError
from simulacra.files import open_regular

SUFFIX = ".wav"
MOST_SECONDS = 24 * 3600  # of one file


@dataclass(frozen=True)
class Header:
    """samples: of each channel. rate: samples a second. width: bytes of a sample."""

    samples: int
    rate: int
    channels: int
    width: int

    def at(self, rate: int) -> int:
        """How many samples there are at another rate."""
        return -(-self.samples * rate // self.rate)


def read_header(path: Path) -> Header:
    """Raises DataError for what is no `.wav` of PCM, or holds nothing."""
    with _opened(path) as file:
        return _header(path, file)


def read_wav(path: Path, rate: int | None = None) -> tuple[np.ndarray, int]:
    """Mono sound (T,) in [-1, 1] and its rate: that of the file, or the one that it is brought to.

    Raises DataError for a damaged or empty file and for one without sound: all its samples are equal; UsageError where
    another rate is needed and SciPy is not there.
    """
    with _opened(path) as file:
        header = _header(path, file)
        raw = file.readframes(header.samples)
    frame = header.channels * header.width
    if len(raw) < header.samples * frame:
        raise DataError(f"{path} is damaged: {len(raw) // frame:,} of its {header.samples:,} samples are there")
    sound = _numbers(raw, header.width).reshape(-1, header.channels).mean(1)
    if sound.min() == sound.max():
        raise DataError(f"{path} holds no sound: all its samples are equal")
    own = header.rate if rate is None else rate
    return (sound, own) if own == header.rate else (resampled(sound, header.rate, own), own)


def resampled(sound: np.ndarray, rate: int, to: int) -> np.ndarray:
    """Sound (T,) at a rate -> (⌈T · to / rate⌉,) at another, by SciPy's polyphase filter."""
    try:
        from scipy.signal import resample_poly
    except ImportError:
        raise UsageError(
            f"to bring sound from {rate:,} to {to:,} Hz takes SciPy: pip install 'simulacra[eval]'"
        ) from None
    shared = math.gcd(rate, to)
    return np.clip(resample_poly(sound, to // shared, rate // shared), -1.0, 1.0)


def wav_bytes(sound: np.ndarray, rate: int) -> bytes:
    """Mono sound (T,) in [-1, 1] -> a `.wav` file of 16 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def _opened(path: Path) -> wave.Wave_read:
    try:
        data = open_regular(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        return _Closing(data)
    except (wave.Error, EOFError, ValueError) as error:
        data.close()
        reason = str(error) or "it ends too early"
        raise DataError(f"{path} is no .wav of PCM: {reason}; write it as 16 bit PCM") from error


class _Closing(wave.Wave_read):
    """One that closes the file that it was given, too."""

    def __init__(self, data: io.BufferedReader) -> None:
        self._data = data
        super().__init__(data)

    def close(self) -> None:
        super().close()
        self._data.close()


def _header(path: Path, file: wave.Wave_read) -> Header:
    found = Header(file.getnframes(), file.getframerate(), file.getnchannels(), file.getsampwidth())
    if found.width not in (1, 2, 3, 4) or found.rate < 1 or found.channels < 1:
        raise DataError(f"{path}: {8 * found.width} bits, {found.channels} channels at {found.rate} Hz cannot be read")
    if not found.samples:
        raise DataError(f"{path} is empty: it holds no samples")
    if found.samples > found.rate * MOST_SECONDS:
        raise DataError(f"{path} holds more than a day of sound; cut it into several files")
    return found


def _numbers(raw: bytes, width: int) -> np.ndarray:
    """PCM -> [-1, 1): of one byte without a sign, of more with it, the lowest byte first."""
    if width == 1:
        return np.frombuffer(raw, np.uint8) / 128.0 - 1.0
    if width == 3:
        padded = np.zeros((len(raw) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return padded.view("<i4")[:, 0] / 2.0**31
    return np.frombuffer(raw, f"<i{width}") / 2.0 ** (8 * width - 1)
