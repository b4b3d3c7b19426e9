import gzip
import pickle
import struct

import numpy as np
import pytest

import simulacra.data as data
from simulacra.errors import DataError, UsageError


def write_idx(path, values):
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    content = header + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def as_items(images):
    return sorted(((image.tobytes(), None) for image in images), key=str)


@pytest.mark.parametrize(
    "layout",
    [
        lambda x: x[:, 0],  # (N, H, W)
        lambda x: x,  # (N, C, H, W)
        lambda x: x.transpose(0, 2, 3, 1),  # (N, H, W, C)
        lambda x: np.asfortranarray(x),
        lambda x: x.astype(np.int64),
    ],
)
def test_every_layout_of_an_npy_gives_the_same_pixels(tmp_path, pixels, everything, layout):
    np.save(tmp_path / "a.npy", layout(pixels[:, None]))
    dataset = data.load(tmp_path / "a.npy")
    assert (dataset.name, dataset.spec.shape, dataset.spec.levels) == ("a", (1, 6, 5), 256)
    assert everything(dataset) == as_items(pixels)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_with_the_labels_beside_it(tmp_path, pixels, everything, suffix):
    images = tmp_path / f"train-images-idx3-ubyte{suffix}"
    write_idx(images, pixels)
    write_idx(tmp_path / f"train-labels-idx1-ubyte{suffix}", np.arange(40) % 4)
    dataset = data.load(images)
    assert dataset.spec.condition["label"].count == 4
    assert everything(dataset) == sorted(((x.tobytes(), i % 4) for i, x in enumerate(pixels)), key=str)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_as_sample_writes_it(tmp_path, pixels, everything, save):
    save(tmp_path / "s.npz", x=pixels[:, None], label=np.arange(40) % 3)
    assert everything(data.load(tmp_path / "s.npz")) == sorted(
        ((x.tobytes(), i % 3) for i, x in enumerate(pixels)), key=str
    )


def test_npz_with_official_splits_keeps_them_in_order(tmp_path, pixels):
    parts = {"x_train": pixels[:30], "x_val": pixels[30:34], "x_test": pixels[34:]}
    np.savez(tmp_path / "parts.npz", **parts, y_train=np.zeros(30, int), y_val=np.ones(4, int), y_test=np.arange(6))
    dataset = data.load(tmp_path / "parts.npz")
    assert (dataset.valid.x[:, 0] == pixels[30:34]).all()
    assert (dataset.test.x[:, 0] == pixels[34:]).all()
    assert (dataset.test.condition["label"] == np.arange(6)).all()


def test_real_numbers_are_continuous_vectors(tmp_path, everything):
    x = np.random.default_rng(0).normal(size=(50, 3))
    np.save(tmp_path / "x.npy", x)
    dataset = data.load(tmp_path / "x.npy")
    assert (dataset.spec.shape, dataset.spec.levels, dataset.train.x.dtype) == ((3,), None, np.float32)
    assert everything(dataset) == as_items(x.astype(np.float32))


def test_bits_are_found_and_levels_are_respected(tmp_path, pixels):
    np.save(tmp_path / "bits.npy", pixels > 127)
    np.save(tmp_path / "sixteen.npy", pixels // 16)
    assert data.load(tmp_path / "bits.npy").spec.levels == 2
    assert data.load(tmp_path / "sixteen.npy").spec.levels == 256
    sixteen = data.load(tmp_path / "sixteen.npy", levels=16)
    assert (sixteen.spec.levels, sixteen.train.x.max()) == (16, 15)
    with pytest.raises(DataError, match=r"value 15 of item 0 is not one of the levels 0..14"):
        data.load(tmp_path / "sixteen.npy", levels=15)


class Explosive:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_objects_are_refused_and_never_unpickled(tmp_path):
    objects = np.array([Explosive()] * 5, dtype=object)
    np.save(tmp_path / "o.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "o.npz", x=objects)
    (tmp_path / "bare.npy").write_bytes(pickle.dumps(Explosive()))
    for name in ("o.npy", "o.npz"):
        with pytest.raises(DataError, match="never unpickled"):
            data.load(tmp_path / name)
    with pytest.raises(DataError, match=r"bare\.npy"):
        data.load(tmp_path / "bare.npy")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(39), "39 labels for 40 items"),
        (np.arange(40) - 1, "label -1 at index 0"),
        (np.arange(40) * 10**6, "label 1000000 at index 1"),
        (np.arange(40) / 2, "must be integers"),
        (np.zeros((40, 10), int), "shape"),
    ],
)
def test_wrong_labels_are_named(tmp_path, pixels, labels, message):
    np.savez(tmp_path / "l.npz", x=pixels, y=labels)
    with pytest.raises(DataError, match=message):
        data.load(tmp_path / "l.npz")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((5, 8, 8), complex), "uint8"),
        (np.zeros((5, 8, 8, 8), np.uint8), "shape"),
        (np.full((5, 4, 4), 300), "item 0 has values 300..300"),
        (np.array([[0.0], [1.0], [np.nan], [2.0]]), "nan of item 2"),
        (np.zeros((0, 4, 4), np.uint8), "no items"),
        (np.uint8(3), "single value"),
        (np.array(["a", "b"]), "holds <U1"),
    ],
)
def test_what_is_no_data_set_is_refused(tmp_path, values, message):
    np.save(tmp_path / "v.npy", values)
    with pytest.raises(DataError, match=message):
        data.load(tmp_path / "v.npy")


def test_splits_that_contradict_each_other_are_refused(tmp_path, pixels):
    np.savez(tmp_path / "shapes.npz", x_train=pixels, x_test=pixels[:, :4])
    np.savez(tmp_path / "labels.npz", x_train=pixels, x_test=pixels, y_train=np.zeros(40, int))
    with pytest.raises(DataError, match=r"train holds .* but test"):
        data.load(tmp_path / "shapes.npz")
    with pytest.raises(DataError, match=r"with label, but test .* with no labels"):
        data.load(tmp_path / "labels.npz")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a-images-idx3-ubyte", "a-images-idx3-ubyte.gz"])
@pytest.mark.parametrize("keep", [0.0, 0.6])
def test_truncated_and_empty_files_are_refused(tmp_path, pixels, cache, name, keep):
    path = tmp_path / name
    if name.startswith("a-"):
        write_idx(path, pixels)
    else:
        np.savez(path, x=pixels) if path.suffix == ".npz" else np.save(path, pixels)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(DataError, match=name):
        data.load(path)
    assert not any((cache / "data").glob("*"))  # nothing is left behind


def test_a_header_that_promises_too_much_takes_no_memory(tmp_path):
    header = {"descr": "|u1", "fortran_order": False, "shape": (10, 1 << 20, 1 << 20)}
    with (tmp_path / "huge.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(DataError, match="ends early"):
        data.load(tmp_path / "huge.npy")


def test_paths_that_are_no_data_are_told(tmp_path):
    (tmp_path / "notes.md").write_text("hello")
    with pytest.raises(DataError, match="neither idx"):
        data.load(tmp_path / "notes.md")
    with pytest.raises(UsageError, match="no data set and no file"):
        data.load(tmp_path / "absent.npy")


def test_a_name_that_is_too_long_for_a_path_is_just_unknown():
    with pytest.raises(UsageError, match="no data set"):
        data.load("x" * 5000)


def test_data_show_what_they_are_and_not_their_values():
    dark = data.from_arrays(np.random.default_rng(0).integers(0, 256, (40, 1, 4, 4), np.uint8), name="dark")
    assert repr(dark.test).startswith("<split 'test': (")
    assert "dark" in repr(dark)
    assert len(repr(dark)) < 400
