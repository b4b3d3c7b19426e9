"""MNIST and Fashion-MNIST: four idx files, 60,000 training and 10,000 test images of 1×28×28."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from simulacra.data.dataset import Card
from simulacra.data.fetch import Remote, download, find, places
from simulacra.data.idx import idx_batches, idx_shape
from simulacra.data.source import Batch, Source
from simulacra.data.splits import Fractions
from simulacra.fields import ClassLabel

PARTS = {"train": "train", "test": "t10k"}  # part -> how its files begin
VALID = Fractions(valid=1 / 6)  # 10,000 of the 60,000


@dataclass(frozen=True)
class _Official:
    """Where a set is found: sub-folders of $SIMULACRA_DATA, and the official address with a digest a file."""

    name: str
    aliases: tuple[str, ...]
    address: str
    digests: dict[str, str]
    card: Card
    label: ClassLabel


MNIST = _Official(
    name="mnist",
    aliases=("MNIST", "MNIST/raw"),
    address="https://ossci-datasets.s3.amazonaws.com/mnist/",
    digests={
        "train-images-idx3-ubyte.gz": "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    card=Card(
        title="MNIST handwritten digits",
        source="http://yann.lecun.com/exdb/mnist (mirrored at https://ossci-datasets.s3.amazonaws.com/mnist)",
        licence="copyright Y. LeCun and C. Cortes; generally distributed under CC BY-SA 3.0",
        reference="LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition, "
        "Proc. IEEE 1998",
    ),
    label=ClassLabel(10),
)
FASHION = _Official(
    name="fashion-mnist",
    aliases=("fashion_mnist", "FashionMNIST", "FashionMNIST/raw"),
    address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    digests={  # as published by its authors; we hold no copy from which to compute a sha256
        "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    },
    card=Card(
        title="Fashion-MNIST, photographs of clothing",
        source="https://github.com/zalandoresearch/fashion-mnist",
        licence="MIT",
        reference="Xiao, Rasul, Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning "
        "algorithms, arXiv:1708.07747",
    ),
    label=ClassLabel(
        10,
        (
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
    ),
)


def mnist_source() -> Source:
    return _source(MNIST)


def fashion_mnist_source() -> Source:
    return _source(FASHION)


def _source(official: _Official) -> Source:
    folders = places(official.name, *official.aliases)
    files = {name: _obtain(name, official, folders) for name in official.digests}
    pairs = {
        part: (files[f"{start}-images-idx3-ubyte.gz"], files[f"{start}-labels-idx1-ubyte.gz"])
        for part, start in PARTS.items()
    }

    def batches() -> Iterator[Batch]:
        for part, (images, labels) in pairs.items():
            yield from idx_batches(part, images, labels)

    return Source(
        name=official.name,
        card=official.card,
        count=sum(idx_shape(images)[0] for images, _ in pairs.values()),
        batches=batches,
        files=tuple(files.values()),
        levels=256,
        fields={"label": official.label},
        fractions=VALID,
    )


def _obtain(name: str, official: _Official, folders: list[Path]) -> Path:
    """One of the four files, packed or not: found, else downloaded."""
    unpacked = name.removesuffix(".gz")
    found = find(folders, name, unpacked, unpacked.replace("-idx", ".idx"))
    return found or download(Remote(official.address + name, official.digests[name]), folders[-1])
