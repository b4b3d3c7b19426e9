import hashlib
import io
import lzma
import os
import struct
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import simulacra.data as data
from simulacra.data import cifar10, fetch
from simulacra.data.shipped import stacked
from simulacra.errors import DataError

MACHINE_DATA = os.environ.get("SIMULACRA_DATA")  # as it is outside the tests, which hide it


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMULACRA_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.mark.parametrize(
    ("name", "file", "digest"),
    [
        ("mnist", "train-images-idx3-ubyte.gz", "sha256:440fcabf"),
        ("fashion-mnist", "train-images-idx3-ubyte.gz", "md5:8d4fb7e6"),
        ("binarized-mnist", "binarized_mnist_train.amat", "sha256:ad693b29"),
        ("cifar10", "cifar-10-binary.tar.gz", "md5:c32a1d4a"),
    ],
)
def test_offline_names_the_file_its_hash_and_the_place(name, file, digest, offline, cache):
    with pytest.raises(DataError) as refusal:
        data.load(name)
    assert all(
        part in str(refusal.value) for part in (file, digest, str(cache / "downloads" / name), "$SIMULACRA_DATA")
    )
    assert len(str(refusal.value).splitlines()) <= 2


def test_a_download_is_checked_and_kept(tmp_path, monkeypatch):
    content = b"the official bytes"
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(content))
    good = fetch.Remote("https://example.org/good.bin", f"sha256:{hashlib.sha256(content).hexdigest()}")
    assert fetch.download(good, tmp_path).read_bytes() == content
    wrong = fetch.Remote("https://example.org/wrong.bin", "md5:00")
    with pytest.raises(DataError, match="something else"):
        fetch.download(wrong, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["good.bin"]


def test_binarized_mnist_reads_text_and_packed_bits_alike(own_data, everything):
    bits = np.random.default_rng(0).integers(0, 2, (3, 20, 784), dtype=np.uint8)
    (own_data / "binarized_mnist").mkdir()
    for part, x in zip(("train", "valid", "test"), bits, strict=True):
        np.save(own_data / "binarized_mnist" / f"{part}.packed.npy", np.packbits(x, axis=1))
    packed = data.load("binarized-mnist")
    for part, x in zip(("train", "valid", "test"), bits, strict=True):
        lines = "".join(" ".join(map(str, row)) + "\n" for row in x)
        (own_data / "binarized_mnist" / f"binarized_mnist_{part}.amat").write_text(lines)
    text = data.load("binarized-mnist")
    assert text.fingerprint == packed.fingerprint
    assert text.spec.levels == 2
    assert (text.test.x.reshape(20, 784) == bits[2]).all()


def test_a_damaged_text_file_is_refused(own_data):
    for part in ("train", "valid", "test"):
        (own_data / f"binarized_mnist_{part}.amat").write_text("0 2" * 784)
    with pytest.raises(DataError, match=r"binarized_mnist_train\.amat"):
        data.load("binarized-mnist")


@pytest.fixture
def cifar_files(monkeypatch):
    """The binary version, with 12 records a file instead of 10,000."""
    monkeypatch.setattr(cifar10, "RECORDS", 12)
    random = np.random.default_rng(0)
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    files = {}
    for name in names:
        records = random.integers(0, 256, (12, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        files[name] = records
    return files


def test_cifar_binary_version_packed_and_extracted(own_data, cifar_files):
    with tarfile.open(own_data / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, records in cifar_files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = records.nbytes
            archive.addfile(member, io.BytesIO(records.tobytes()))
    packed = data.load("cifar10")
    (own_data / "cifar-10-batches-bin").mkdir()
    for name, records in cifar_files.items():
        (own_data / "cifar-10-batches-bin" / name).write_bytes(records.tobytes())
    extracted = data.load("cifar10")
    assert packed.fingerprint == extracted.fingerprint
    test = cifar_files["test_batch.bin"]
    assert (extracted.test.x.reshape(12, 3072) == test[:, 1:]).all()
    assert (extracted.test.condition["label"] == test[:, 0]).all()
    assert [len(split) for split in packed.splits] == [54, 6, 12]
    assert packed.spec.condition["label"].index("frog") == 6


def test_cifar_archive_that_lacks_a_batch_is_refused(own_data, cifar_files):
    with tarfile.open(own_data / "cifar-10-binary.tar.gz", "w:gz") as archive:
        records = cifar_files["test_batch.bin"]
        member = tarfile.TarInfo("test_batch.bin")
        member.size = records.nbytes
        archive.addfile(member, io.BytesIO(records.tobytes()))
    with pytest.raises(DataError, match=r"lacks data_batch_1\.bin"):
        data.load("cifar10")


def test_a_cifar_subset_says_that_it_is_one(own_data):
    random = np.random.default_rng(0)
    for stem in ("train10k", "test"):
        images = io.BytesIO()
        np.save(images, random.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8))
        (own_data / f"{stem}_images.npy.xz").write_bytes(lzma.compress(images.getvalue(), preset=0))
        np.save(own_data / f"{stem}_labels.npy", (np.arange(20) % 10).astype(np.uint8))
    dataset = data.load("cifar10")
    assert "10k-subset" in dataset.name
    assert "10k subset" in dataset.card.title
    assert dataset.test.x.shape == (20, 3, 32, 32)


@pytest.mark.parametrize(
    ("name", "counts", "shape"),
    [
        ("mnist", [50_000, 10_000, 10_000], (1, 28, 28)),
        ("binarized-mnist", [50_000, 10_000, 10_000], (1, 28, 28)),
    ],
)
def test_the_real_sets(name, counts, shape, monkeypatch):
    if not MACHINE_DATA or not (Path(MACHINE_DATA) / name.replace("-", "_")).is_dir():
        pytest.skip(f"$SIMULACRA_DATA holds no {name}")
    monkeypatch.setenv("SIMULACRA_DATA", MACHINE_DATA)
    dataset = data.load(name)
    assert [len(split) for split in dataset.splits] == counts
    assert dataset.spec.shape == shape


def test_stacked_mnist_is_of_the_mnist_that_is_there(own_data, monkeypatch):
    random, folder = np.random.default_rng(0), own_data / "mnist"
    folder.mkdir()
    for part, n in (("train", 600), ("t10k", 200)):
        images, labels = random.integers(0, 256, (n, 28, 28), dtype=np.uint8), (np.arange(n) % 10).astype(np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">HBB3I", 0, 8, 3, n, 28, 28) + images.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, n) + labels.tobytes())
    monkeypatch.setattr(stacked, "COUNTS_OF_MNIST", {"train": 50, "valid": 20, "test": 30})
    many, single = data.load("stacked-mnist"), data.load("mnist")
    assert (many.spec.shape, many.spec.levels) == ((3, 28, 28), 256)
    assert [len(split) for split in many.splits] == [50, 20, 30]
    digits = {x.tobytes(): int(y) for x, y in zip(single.test.x, single.test.field("label"), strict=True)}
    assert [digits[np.ascontiguousarray(x[1]).tobytes()] for x in many.test.x] == many.test.field("green").tolist()
