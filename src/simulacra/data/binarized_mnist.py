"""Fixed binarized MNIST, on which log-likelihoods in nats are published: 50,000 / 10,000 / 10,000, no labels.

Read from the three official text files (`0 1 0 ...`, one image a line), or from `<split>.packed.npy`: the same bits,
`numpy.packbits` along the pixels, (N, 98) uint8.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simulacra.data.dataset import Card
from simulacra.data.fetch import Remote, download, find, places
from simulacra.data.npy import npy_array
from simulacra.data.source import Batch, Source, reading
from simulacra.data.splits import SPLITS
from simulacra.data.streams import rows
from simulacra.errors import DataError
from simulacra.files import open_regular

SHAPE = (1, 28, 28)
PIXELS = 784
LINE = 2 * PIXELS  # bytes: a digit and a separator each
ADDRESS = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"
DIGESTS = {
    "train": "sha256:ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
    "valid": "sha256:1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
    "test": "sha256:e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
}
CARD = Card(
    title="Fixed binarized MNIST",
    source=ADDRESS,
    licence="derived from MNIST (generally CC BY-SA 3.0); published without a licence of its own",
    reference="Larochelle & Murray, The neural autoregressive distribution estimator, AISTATS 2011; "
    "Salakhutdinov & Murray, On the quantitative analysis of deep belief networks, ICML 2008",
)


def binarized_mnist_source() -> Source:
    folders = places("binarized-mnist", "binarized_mnist", "BinarizedMNIST", ".")
    files = {part: _obtain(part, folders) for part in SPLITS}

    def batches() -> Iterator[Batch]:
        for part, path in files.items():
            read = _packed if path.suffix == ".npy" else _text
            with reading(path):
                yield from (Batch(part, x.reshape(-1, *SHAPE)) for x in read(path))

    return Source(
        name="binarized-mnist",
        card=CARD,
        count=70_000,
        batches=batches,
        files=tuple(files.values()),
        levels=2,
    )


def _obtain(part: str, folders: list[Path]) -> Path:
    name = f"binarized_mnist_{part}.amat"
    return find(folders, name, f"{part}.packed.npy") or download(Remote(ADDRESS + name, DIGESTS[part]), folders[-1])


def _packed(path: Path) -> Iterator[np.ndarray]:
    array = npy_array(path)
    if array.shape[1:] != (PIXELS // 8,) or array.dtype != np.uint8:
        raise DataError(
            f"{path} holds {array.dtype} {array.shape}; {PIXELS // 8} bytes of packed bits an image are read"
        )
    for chunk in array.chunks():
        yield np.unpackbits(chunk, axis=1)


def _text(path: Path) -> Iterator[np.ndarray]:
    """Every line is PIXELS digits, each followed by a space or, the last, by the end of the line."""
    separators = np.frombuffer(b" " * (PIXELS - 1) + b"\n", np.uint8)
    count, rest = divmod(path.stat().st_size, LINE)
    if rest:
        raise DataError(f"{path} ends within a line: lines of {LINE} bytes are read")
    with open_regular(path) as file:
        for lines in rows(file, count, (PIXELS, 2), np.dtype(np.uint8), path):
            bits = lines[:, :, 0] - ord("0")
            if bits.max() > 1 or (lines[:, :, 1] != separators).any():
                raise DataError(f"{path} is not lines of {PIXELS} digits 0 or 1 between single spaces")
            yield bits
