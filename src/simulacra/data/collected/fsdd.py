"""FSDD, spoken digits: 3,000 recordings of the digits 0 to 9 by six speakers, 8 kHz, as clips of one second.

Read are audio_8khz.npy.xz, int16 samples (S,) of all recordings one after the other, and index.npz: `offsets` (N + 1,),
`digit` (N,), `speaker` (N,) and `speaker_names`. Splits are drawn by speaker, so that a voice which is held out was
never heard; the official ones, by take, have all voices in both. The silence after a recording is not recorded:
`length` is what is. The one recording in a hundred that is longer than a clip is cut, as its rest is no digit.
"""

from __future__ import annotations

import itertools
import lzma
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from simulacra.data.collected import expect_rows, held
from simulacra.data.dataset import Card
from simulacra.data.labels import as_labels
from simulacra.data.mulaw import encode
from simulacra.data.npy import NpyArray, npz_array
from simulacra.data.sound import Clips, key_of
from simulacra.data.source import Batch, Source, reading
from simulacra.data.wav import resampled
from simulacra.errors import DataError
from simulacra.fields import Sound
from simulacra.terminal import number_of

CARD = Card(
    title="FSDD: spoken digits by six speakers, 8 kHz",
    source="https://github.com/Jakobovski/free-spoken-digit-dataset",
    licence="CC BY-SA 4.0",
    reference="Z. Jackson et al., Free Spoken Digit Dataset, 2016-2020",
)
RATE, TEST_TAKES = 8000, 5


def fsdd_source(rate: int | None = None, window: int | None = None, takes: bool = False) -> Source:
    """takes: whether the first five takes of each speaker and digit are the test split, that of those who collected
    them; else speakers are split. Raises DataError where a file is missing or damaged."""
    audio, index = held("fsdd", "audio_8khz.npy.xz", "index.npz")
    rate = rate or RATE
    with reading(index):
        offsets = npz_array(index, "offsets").read().astype(np.int64)
        names = tuple(str(name) for name in npz_array(index, "speaker_names").read())
        count = len(offsets) - 1
        digit, speaker = (as_labels(npz_array(index, name).read(), count, index) for name in ("digit", "speaker"))
        test = npz_array(index, "take").read() < TEST_TAKES if takes else None
    clips = Clips(rate, window or rate, tuple(map(str, range(10))), names)
    longer = int((np.diff(offsets) * rate > clips.window * RATE).sum())
    return Source(
        "fsdd-takes" if takes else "fsdd",
        CARD,
        count,
        partial(_batches, audio, offsets, digit, speaker, test, clips),
        (audio, index),
        (f"rate={rate}", f"window={clips.window}", *["test=takes"] * takes),
        x=Sound((clips.window,), rate=rate),
        fields=clips.fields,
        kind=f"sound: {number_of(count, 'recording')}",
        remarks=(
            f"takes 0 to {TEST_TAKES - 1} are the test split" if takes else "splits by speaker",
            f"{number_of(longer, 'recording')} cut at the end of a clip",
        ),
    )


def _batches(
    audio: Path, offsets: np.ndarray, digit: np.ndarray, speaker: np.ndarray, test: np.ndarray | None, clips: Clips
) -> Iterator[Batch]:
    with reading(audio):
        sound = NpyArray.inspect(str(audio), partial(lzma.open, audio)).read()
    if sound.dtype != np.int16 or sound.ndim != 1:
        raise DataError(f"{audio} holds {sound.dtype} {sound.shape}; int16 (S,) is read")
    expect_rows(audio, len(sound), int(offsets[-1]))
    x, length = [], []
    for start, end in itertools.pairwise(offsets):
        own = sound[start:end] / 32768.0
        own = own if clips.rate == RATE else resampled(own, RATE, clips.rate)
        levels, recorded = clips.cut(encode(own))
        x.append(levels[:1])
        length.append(recorded[:1])
    voices = np.array([key_of(name) for name in clips.speakers], np.uint64)
    fields, levels = {"label": digit, "speaker": speaker, "length": np.concatenate(length)}, np.concatenate(x)
    if test is None:
        yield Batch("train", levels, fields, siblings={"speaker": voices[speaker]})
        return
    for part, own in (("train", ~test), ("test", test)):
        yield Batch(part, levels[own], {name: values[own] for name, values in fields.items()})
