"""Actions: 36 films of people, 64×64 in colour: four actions, each nine times, before a camera that stands still.

Clips of T frames are cut from them. What is held out are films: of each action the last two are test films and the one
before them a validation film. Their clips follow each other without overlap; those of the six training films of an
action begin at every fourth frame, as they are few.

Read are frames_64.delta.npy.xz (F, 3, 64, 64) uint8, the frames of all films as differences in time within a film, and
red and blue as differences to green; and index.npz: `offsets` (37,) of the films, `action` and `group` (36,), and
`action_names`. The films are not ours to give: the rights in them are not stated.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from simulacra.data.collected import LEVELS, Size, fitted, held, read_uint8
from simulacra.data.dataset import Card
from simulacra.data.labels import as_labels
from simulacra.data.npy import npz_array
from simulacra.data.source import Batch, Source, reading
from simulacra.data.video import clips_of
from simulacra.errors import DataError, UsageError
from simulacra.fields import ClassLabel

CARD = Card(
    title="Weizmann actions: films of four actions, 64×64, as MoCoGAN has them",
    source="https://github.com/sergeytulyakov/mocogan, data/actions",
    licence="rights not stated; published for research by the Weizmann Institute",
    reference="L. Gorelick, M. Blank, E. Shechtman, M. Irani, R. Basri, Actions as space-time shapes, TPAMI 2007; "
    "S. Tulyakov, M.-Y. Liu, X. Yang, J. Kautz, MoCoGAN, CVPR 2018",
)
SIDE, EVERY = 64, 4
HELD_OUT = {"test": 2, "valid": 1}  # films of each action


def actions_video_source(window: int = 16, size: Size = None) -> Source:
    """Clips (T, 3, 64, 64), or of another size. Raises DataError where a file is missing or damaged, UsageError for
    clips that are longer than the shortest film."""
    images, index = held("actions-video", "frames_64.delta.npy.xz", "index.npz")
    with reading(index):
        names = tuple(str(name) for name in npz_array(index, "action_names").read())
        offsets = npz_array(index, "offsets").read()
        action = as_labels(npz_array(index, "action").read(), len(offsets) - 1, index)
    lengths = np.diff(offsets)
    if len(lengths) == 0 or offsets[0] != 0 or (lengths < 1).any():
        raise DataError(f"{index}: `offsets` of films go up from 0")
    if window > lengths.min():
        raise UsageError(f"the shortest film has {lengths.min()} frames, and clips of {window} are wanted: --window 16")
    part, every = _parts(action), {"train": EVERY}
    counts = [(n - window) // every.get(own, window) + 1 for n, own in zip(lengths, part, strict=True)]

    def batches() -> Iterator[Batch]:
        frames = read_uint8(images, 3, SIDE, SIDE)
        if len(frames) != offsets[-1]:
            raise DataError(f"{images} holds {len(frames):,} frames, and {index.name} says {offsets[-1]:,}")
        for number, film in enumerate(decoded(frames, offsets)):
            x = clips_of(fitted(film, size), window, every.get(part[number], window))
            key = np.full(len(x), number, np.uint64)
            yield Batch(part[number], x, {"action": np.full(len(x), action[number])}, siblings={"of a film": key})

    return Source(
        name="actions-video",
        card=CARD,
        count=sum(counts),
        batches=batches,
        files=(images, index),
        options=(f"window={window}", f"resize={size}"),
        levels=LEVELS,
        fields={"action": ClassLabel(len(names), names)},
        kind=f"video: clips of {window} frames from {len(lengths)} films; those of a film lie in one split",
    )


def decoded(frames: np.ndarray, offsets: np.ndarray) -> Iterator[np.ndarray]:
    """Each film, (F, 3, 64, 64) RGB, of the stored frames of all."""
    for start, end in itertools.pairwise(offsets):
        film = frames[start:end].cumsum(0, dtype=np.uint8)
        film[:, [0, 2]] += film[:, [1]]
        yield film


def _parts(action: np.ndarray) -> list[str]:
    """The split of each film: the last ones of each action are held out."""
    part = ["train"] * len(action)
    for own in np.unique(action):
        films = np.flatnonzero(action == own)[::-1]
        taken = 0
        for name, count in HELD_OUT.items():
            for film in films[taken : taken + count]:
                part[film] = name
            taken += count
    return part
