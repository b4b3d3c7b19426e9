"""Pictures come back under their names with equal pixels, arrays with their axes and type, or nothing is written."""

import shutil
import struct

import numpy as np
import pytest
from PIL import Image
from small import dataset, items, labels, randomise

from simulacra.autoregressive import Raster, gated_pixelcnn
from simulacra.compression import codec, compress_file, container, decompress_file, walk
from simulacra.data import DataSpec
from simulacra.errors import DataError, UsageError, WriteError
from simulacra.fields import Levels

GREY, COLOUR, BINARY, FEW = (
    DataSpec(Levels((1, 5, 6), 256)),
    DataSpec(Levels((3, 4, 4), 256)),
    DataSpec(Levels((1, 5, 6), 2)),
    DataSpec(Levels((1, 5, 6), 17)),
)


def small(spec: DataSpec) -> Raster:
    return randomise(gated_pixelcnn(spec, width=6, layers=1, kernel=3).eval())


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def there_and_back(model, source, tmp_path, out="back", **options):
    made = compress_file(model, source, tmp_path / "x.sim", **options)
    n = decompress_file(model, tmp_path / "x.sim", tmp_path / out)
    assert n == made.n
    assert made.bytes == (tmp_path / "x.sim").stat().st_size
    return made, tmp_path / out


def pictures_in(folder) -> dict[str, np.ndarray]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): np.asarray(Image.open(path)) for path in files}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )


def fill(folder, shape, names=("b.png", "a/2.PNG", "a/1.png", "Ümlaut 12:30.png", "again.png", "twin.png")):
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = noise(*shape, seed=0 if name in ("again.png", "twin.png") else i)
        Image.fromarray(pixels).save(folder / name, "PNG")
    return folder


@pytest.mark.parametrize(("spec", "shape"), [(GREY, (5, 6)), (COLOUR, (4, 4, 3))], ids=["grey", "colour"])
def test_a_folder_comes_back_with_every_name_and_pixel(spec, shape, tmp_path):
    folder = fill(tmp_path / "in", shape)
    made, back = there_and_back(small(spec), folder, tmp_path)
    assert made.n == 6  # the twins too
    assert same(pictures_in(folder), pictures_in(back))
    assert made.left_out == ()


def test_the_names_cost_what_they_deflate_to(tmp_path):
    folder = fill(tmp_path / "in", (5, 6), [f"{i:06d}.png" for i in range(30)])
    x = np.stack(list(pictures_in(folder).values()))[:, None]
    model = small(GREY)
    made = compress_file(model, folder, tmp_path / "x.sim")
    assert made.bytes - len(codec.compress(model, x)) < 130
    assert made.bits_per_dim == 8 * made.bytes / (30 * 30)


def test_limit_takes_the_first_by_name(tmp_path):
    folder = fill(tmp_path / "in", (5, 6))
    _, back = there_and_back(small(GREY), folder, tmp_path, limit=2)
    assert sorted(pictures_in(back)) == sorted(["a/1.png", "a/2.PNG"])


def test_other_files_are_named_and_left_out(tmp_path):
    folder = fill(tmp_path / "in", (5, 6), ["a.png"])
    (folder / "notes.txt").write_text("mine")
    (folder / ".hidden.png").write_text("not seen")
    made, back = there_and_back(small(GREY), folder, tmp_path)
    assert made.left_out == (".hidden.png", "notes.txt")
    assert list(pictures_in(back)) == ["a.png"]


def test_one_picture_comes_back_as_a_file_or_in_a_folder(tmp_path):
    folder = fill(tmp_path / "in", (5, 6), ["only.png"])
    _, back = there_and_back(small(GREY), folder / "only.png", tmp_path, "other.png")
    assert np.array_equal(Image.open(back), pictures_in(folder)["only.png"])
    decompress_file(small(GREY), tmp_path / "x.sim", tmp_path / "folder")
    assert same(pictures_in(tmp_path / "folder"), pictures_in(folder))


def test_other_formats_come_back_as_png_with_the_same_pixels(tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(noise(4, 4, 3)).save(tmp_path / "in" / "photo.jpg")
    Image.fromarray(noise(4, 4, 3, seed=1)).save(tmp_path / "in" / "photo.png")
    Image.fromarray(noise(4, 4, 3, seed=2)).save(tmp_path / "in" / "p.webp", lossless=True)
    opaque = np.concatenate([noise(4, 4, 3, seed=3), np.full((4, 4, 1), 255, np.uint8)], axis=2)
    Image.fromarray(opaque).save(tmp_path / "in" / "opaque.png")
    _, back = there_and_back(small(COLOUR), tmp_path / "in", tmp_path)
    before, after = pictures_in(tmp_path / "in"), pictures_in(back)
    assert sorted(after) == ["opaque.png", "p.webp.png", "photo.jpg.png", "photo.png"]
    assert np.array_equal(after["photo.jpg.png"], before["photo.jpg"])
    assert np.array_equal(after["p.webp.png"], before["p.webp"])
    assert np.array_equal(after["opaque.png"], before["opaque.png"][..., :3])


@pytest.mark.parametrize("spec", [BINARY, FEW], ids=["2 levels", "17 levels"])
@pytest.mark.parametrize("spread", [False, True], ids=["as levels", "over 0..255"])
def test_pictures_of_few_levels(spec, spread, tmp_path):
    (tmp_path / "in").mkdir()
    for i, x in enumerate(items(spec, 3).numpy()):
        bright = np.rint(x[0] * (255 / (spec.levels - 1))).astype(np.uint8) if spread else x[0]
        Image.fromarray(bright).save(tmp_path / "in" / f"{i}.png")
    _, back = there_and_back(small(spec), tmp_path / "in", tmp_path)
    assert same(pictures_in(tmp_path / "in"), pictures_in(back))


def test_pictures_of_one_bit_stay_so(tmp_path):
    (tmp_path / "in").mkdir()
    for i, x in enumerate(items(BINARY, 3).numpy()):
        Image.fromarray(x[0].astype(bool)).save(tmp_path / "in" / f"{i}.png")
    _, back = there_and_back(small(BINARY), tmp_path / "in", tmp_path)
    assert pictures_in(back)["0.png"].dtype == np.bool_
    assert same(pictures_in(tmp_path / "in"), pictures_in(back))


def test_pictures_that_would_lose_something_are_refused(tmp_path):
    model, out = small(GREY), tmp_path / "x.sim"
    image = tmp_path / "x.png"

    def refused(pixels: np.ndarray, message: str, kind: type = UsageError, with_model=model) -> None:
        Image.fromarray(pixels).save(image)
        with pytest.raises(kind, match=message):
            compress_file(with_model, image, out)

    refused(noise(5, 7), "6×5 grey.*7×5 grey")
    refused(noise(5, 6, 3), "6×5 grey.*6×5 colour")
    refused(noise(4, 4), "4×4 colour.*4×4 grey", with_model=small(COLOUR))
    refused(noise(4, 4, 4), "transparent", with_model=small(COLOUR))
    refused(noise(5, 6), "17 levels", with_model=small(FEW))
    image.write_bytes(image.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"x\.png"):
        compress_file(model, image, out)
    for name in ("a.jpg", "a.jpg.png"):
        Image.fromarray(noise(5, 6)).save(tmp_path / name)
    image.unlink()
    with pytest.raises(UsageError, match=r"a\.jpg\.png"):
        compress_file(model, tmp_path, out)
    assert not out.exists()


def test_an_animation_is_not_cut_to_its_first_frame(tmp_path):
    frames = [Image.fromarray(noise(4, 4, 3, seed=i)) for i in range(2)]
    frames[0].save(tmp_path / "x.webp", save_all=True, append_images=frames[1:], lossless=True)
    with pytest.raises(UsageError, match="frames"):
        compress_file(small(COLOUR), tmp_path / "x.webp", tmp_path / "x.sim")


@pytest.mark.parametrize("kind", ["bool", "uint8", "int16", ">i4", "int64"])
@pytest.mark.parametrize("axes", ["NCHW", "NHW", "NHWC"])
def test_an_npy_file_comes_back_equal(axes, kind, tmp_path):
    x = items(BINARY, 4).numpy().astype(kind)
    x = {"NCHW": x, "NHW": x[:, 0], "NHWC": np.moveaxis(x, 1, -1)}[axes]
    np.save(tmp_path / "in.npy", x)
    _, back = there_and_back(small(BINARY), tmp_path / "in.npy", tmp_path, "back.npy")
    found = np.load(back)
    assert found.dtype == x.dtype
    assert np.array_equal(found, x)


def test_colour_arrays_with_channels_last(tmp_path):
    np.save(tmp_path / "in.npy", noise(3, 4, 4, 3))
    _, back = there_and_back(small(COLOUR), tmp_path / "in.npy", tmp_path, "back.npy")
    assert np.array_equal(np.load(back), noise(3, 4, 4, 3))


def test_an_npz_file_keeps_the_labels_that_the_model_knows(tmp_path):
    x, label = items(BINARY, 4).numpy(), np.array([2, 0, 1, 1])
    np.savez(tmp_path / "in.npz", images=x, y=label, weight=np.ones(4))
    made, back = there_and_back(
        small(DataSpec(Levels((1, 5, 6), 2), labels(3))), tmp_path / "in.npz", tmp_path, "b.npz"
    )
    assert made.left_out == ("weight",)
    with np.load(back) as found:
        assert sorted(found.files) == ["label", "x"]
        assert np.array_equal(found["x"], x)
        assert np.array_equal(found["label"], label)
    made, back = there_and_back(small(BINARY), tmp_path / "in.npz", tmp_path, "c.npz")
    assert made.left_out == ("y", "weight")
    with np.load(back) as found:
        assert found.files == ["x"]


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_in_either_order_come_back_equal(order, tmp_path):
    x = np.asarray(items(BINARY, 4).numpy().astype(np.int16), order=order)
    np.save(tmp_path / "in.npy", x)
    _, back = there_and_back(small(BINARY), tmp_path / "in.npy", tmp_path, "back.npy")
    assert np.load(back).dtype == np.int16
    assert np.array_equal(np.load(back), x)


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", x=items(BINARY, 2).numpy(), z=np.array([{}], object))
    assert compress_file(small(BINARY), tmp_path / "x.npz", tmp_path / "x.sim").left_out == ("z",)
    np.savez(tmp_path / "x.npz", x=np.array([{}], object))
    np.save(tmp_path / "x.npy", np.array([{}], object))
    for name in ("x.npz", "x.npy"):
        with pytest.raises(DataError, match="never unpickled"):
            compress_file(small(BINARY), tmp_path / name, tmp_path / "x.sim")


def test_an_idx_file_is_taken_whole_and_in_order(tmp_path):
    x = noise(40, 5, 6)
    (tmp_path / "t-images-idx3-ubyte").write_bytes(struct.pack(">HBB3I", 0, 8, 3, *x.shape) + x.tobytes())
    label = np.arange(40, dtype=np.uint8) % 3
    (tmp_path / "t-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, 40) + label.tobytes())
    model = small(DataSpec(Levels((1, 5, 6), 256), labels(3)))
    _, back = there_and_back(model, tmp_path / "t-images-idx3-ubyte", tmp_path, "back.npz")
    with np.load(back) as found:
        assert np.array_equal(found["x"], x[:, None])
        assert np.array_equal(found["label"], label)


@pytest.mark.parametrize("split", ["train", "test", None, "all"])
def test_a_split_of_a_data_set(split, tmp_path):
    data = dataset(DataSpec(Levels((1, 5, 6), 2), labels(3)), (12, 5, 6))
    parts = data.splits if split == "all" else (data.split(split or "test"),)
    _, back = there_and_back(
        small(data.spec.conditioned_on("label")), data, tmp_path, "back.npz", split=split, limit=20
    )
    with np.load(back) as found:
        assert np.array_equal(found["x"], np.concatenate([part.x for part in parts])[:20])
        assert np.array_equal(found["label"], np.concatenate([part.condition["label"] for part in parts])[:20])


def test_a_call_that_cannot_be_meant(tmp_path):
    model, data = small(BINARY), dataset(BINARY)
    np.save(tmp_path / "x.npy", items(FEW, 3).numpy())
    np.savez(tmp_path / "x.npz", z=np.ones(3))
    (tmp_path / "x.txt").write_text("neither")
    (tmp_path / "empty").mkdir()
    for source, options, message in (
        (data, {"split": "tset"}, "'test'"),
        (data, {"limit": 0}, "limit"),
        (data, {"out": tmp_path / "x.npy"}, r"\.sim"),
        (dataset(FEW), {}, "2 levels.*17 levels"),
        (tmp_path / "x.npy", {}, "0 to 1"),
        (tmp_path / "x.npz", {}, "'x' or 'images'"),
        (tmp_path / "x.txt", {}, "neither"),
        (tmp_path / "empty", {}, r"no \.png"),
        (tmp_path / "missing", {}, "no file"),
        ("diigts", {}, "'digits'"),
    ):
        options = {"out": tmp_path / "x.sim", **options}
        with pytest.raises((UsageError, DataError), match=message):
            compress_file(model, source, **options)
    assert not (tmp_path / "x.sim").exists()


def test_the_place_is_looked_at_before_anything_is_decoded(tmp_path, monkeypatch):
    model = small(GREY)
    folder = fill(tmp_path / "in", (5, 6))
    compress_file(model, folder, tmp_path / "pictures.sim")
    labelled = small(DataSpec(Levels((1, 5, 6), 2), labels(3)))
    compress_file(labelled, dataset(labelled.spec), tmp_path / "labelled.sim")
    monkeypatch.setattr(walk, "walk", None)
    for file, by, out, message in (
        ("pictures.sim", model, "in", "not empty"),
        ("pictures.sim", model, "pictures.sim", "is there already"),
        ("pictures.sim", model, "x.png", "6 pictures"),
        ("labelled.sim", labelled, "x.npy", r"\.npz"),
        ("labelled.sim", labelled, "folder", "arrays"),
    ):
        with pytest.raises(UsageError, match=message):
            decompress_file(by, tmp_path / file, tmp_path / out)


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    model = small(GREY)
    compress_file(model, fill(tmp_path / "in", (5, 6)), tmp_path / "x.sim")
    data = (tmp_path / "x.sim").read_bytes()
    shutil.rmtree(tmp_path / "in")

    header, payload = container.unpack(data, "x")
    wrong = container.Header(**{**vars(header), "items": bytes(8)})
    (tmp_path / "wrong.sim").write_bytes(container.pack(wrong, payload))
    for out in ("back", "back.npz"):
        with pytest.raises(DataError, match="cannot be decoded here"):
            decompress_file(model, tmp_path / "wrong.sim", tmp_path / out)

    full = OSError(28, "No space left on device")
    monkeypatch.setattr("pathlib.Path.open", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(WriteError, match="No space left"):
        decompress_file(model, tmp_path / "x.sim", tmp_path / "back")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wrong.sim", "x.sim"]


@pytest.mark.parametrize("name", ["../a.png", "/tmp/a.png", "a/../../b.png", "", ".", "a\0.png", 3, None], ids=repr)
def test_names_that_lead_out_of_the_folder_are_refused(name, tmp_path):
    model = small(GREY)
    compress_file(model, fill(tmp_path / "in", (5, 6), ["a.png"]), tmp_path / "x.sim")
    header, payload = container.unpack((tmp_path / "x.sim").read_bytes(), "x")
    for names in ([name], ["a.png", "b.png"]):
        hostile = container.Header(**{**vars(header), "notes": {"names": names}})
        (tmp_path / "x.sim").write_bytes(container.pack(hostile, payload))
        with pytest.raises(DataError, match="malformed"):
            decompress_file(model, tmp_path / "x.sim", tmp_path / "back")


@pytest.mark.parametrize("notes", [{"axes": [9, 9], "type": "|u1"}, {"axes": [1, 5, 6], "type": "O"}], ids=str)
def test_notes_that_cannot_be_so_are_refused(notes, tmp_path):
    model, x = small(BINARY), items(BINARY, 2)
    (tmp_path / "x.sim").write_bytes(codec.encode(model, x, notes=notes))
    with pytest.raises(DataError, match="malformed"):
        decompress_file(model, tmp_path / "x.sim", tmp_path / "back.npz")
