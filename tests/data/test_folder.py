import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import simulacra.data as data
from simulacra.errors import DataError


@pytest.fixture
def folder(tmp_path, write_images, pixels):
    return write_images(tmp_path / "faces", pixels)


def bomb(path, side=10_000):
    """A PNG of a few bytes whose header promises side × side pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def test_a_flat_folder_keeps_every_pixel(folder, pixels, everything):
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "notes.txt").write_text("passed over")
    dataset = data.load(folder)
    assert (dataset.name, dataset.spec.shape, dataset.spec.levels) == ("faces", (1, 6, 5), 256)
    assert everything(dataset) == sorted(((x.tobytes(), None) for x in pixels), key=str)
    assert dataset.unreadable == ()


def test_colour_is_stored_channels_first(tmp_path, write_images):
    colours = np.random.default_rng(1).integers(0, 256, (10, 4, 6, 3), dtype=np.uint8)
    dataset = data.load(write_images(tmp_path / "c", colours))
    found = {item.tobytes() for split in dataset.splits for item in split.x}
    assert found == {image.transpose(2, 0, 1).tobytes() for image in colours}


def test_subfolders_are_classes(tmp_path, write_images, pixels, everything):
    write_images(tmp_path / "pets" / "dog", pixels[:15])
    write_images(tmp_path / "pets" / "cat", pixels[15:])
    dataset = data.load(tmp_path / "pets")
    assert dataset.spec.condition["label"].names == ("cat", "dog")
    assert everything(dataset) == sorted(((x.tobytes(), int(i < 15)) for i, x in enumerate(pixels)), key=str)


def test_train_val_test_folders_are_the_splits(tmp_path, write_images, pixels):
    for name, part in (("train", pixels[:20]), ("val", pixels[20:30]), ("test", pixels[30:])):
        write_images(tmp_path / "s" / name / "a", part[::2])
        write_images(tmp_path / "s" / name / "b", part[1::2])
    dataset = data.load(tmp_path / "s")
    assert {x.tobytes() for x in dataset.valid.x} == {x.tobytes() for x in pixels[20:30]}
    assert dataset.test.condition["label"].tolist() == [0] * 5 + [1] * 5


def test_train_may_be_a_class(tmp_path, write_images, pixels):
    write_images(tmp_path / "v" / "bus", pixels[:20])
    write_images(tmp_path / "v" / "train", pixels[20:])
    assert data.load(tmp_path / "v").spec.condition["label"].names == ("bus", "train")


def test_images_beside_class_folders_are_refused(folder, write_images, pixels):
    write_images(folder / "more", pixels)
    with pytest.raises(DataError, match=r"000.png.*more/"):
        data.load(folder)


def test_mixed_sizes_and_modes_are_named_and_can_be_resized(tmp_path, write_images):
    random = np.random.default_rng(2)
    write_images(tmp_path / "m", random.integers(0, 256, (5, 12, 16), dtype=np.uint8))
    Image.fromarray(random.integers(0, 256, (20, 10, 3), dtype=np.uint8)).save(tmp_path / "m" / "tall.png")
    with pytest.raises(
        DataError, match=r"5 16×12 grey \(such as 000.png\), 1 10×20 colour \(such as tall.png\)"
    ) as refusal:
        data.load(tmp_path / "m")
    assert "--resize 12" in str(refusal.value)  # the shorter side of most of them
    assert data.load(tmp_path / "m", resize=8).spec.shape == (3, 8, 8)  # one is in colour, so all are
    assert data.load(tmp_path / "m", resize=(4, 6)).spec.shape == (3, 4, 6)


def test_a_size_that_none_has_is_a_power_of_two_that_all_reach(tmp_path, write_images):
    random = np.random.default_rng(2)
    for number, side in enumerate([17, 19, 23, 40]):
        pixels = random.integers(0, 256, (side, side), dtype=np.uint8)
        (tmp_path / "m").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "m" / f"{number}.png")
    with pytest.raises(DataError, match="--resize 16, for example"):
        data.load(tmp_path / "m")


def test_resize_crops_the_centre(tmp_path, write_images):
    images = np.zeros((3, 8, 24), np.uint8)
    images[:, :, 8:16] = [[[200]], [[210]], [[220]]]
    dataset = data.load(write_images(tmp_path / "w", images), resize=4)
    inside = sorted(int(x[0, :, 1:3].mean()) for split in dataset.splits for x in split.x)
    assert inside == pytest.approx([200, 210, 220], abs=6)  # the filter sees a little beyond the crop


def test_transparency_lies_on_white(tmp_path, write_images):
    images = np.zeros((4, 2, 2, 4), np.uint8)
    images[..., 0] = np.arange(4)[:, None, None]
    images[:, 0, 0, 3] = 255  # only this pixel is opaque
    dataset = data.load(write_images(tmp_path / "t", images))
    item = dataset.train.x[0]
    assert item[:, 0, 0].max() < 4
    assert (item[:, 1, 1] == 255).all()


def test_exif_turns_the_image_upright(tmp_path):
    folder = tmp_path / "exif"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side: rotate by 90° clockwise to show
    for i in range(3):
        stored = np.zeros((16, 32), np.uint8)
        stored[:, :16] = 250 - i  # the left half becomes the top half
        Image.fromarray(stored).save(folder / f"{i}.jpg", exif=exif, quality=95)
    dataset = data.load(folder)
    assert dataset.spec.shape == (1, 32, 16)
    assert dataset.train.x[0, 0, :12].min() > 200
    assert dataset.train.x[0, 0, 20:].max() < 50


@pytest.mark.parametrize("suffix", ["jpg", "webp", "bmp", "PNG"])
def test_the_other_formats_are_read(tmp_path, suffix):
    (tmp_path / "f").mkdir()
    for i in range(4):
        Image.fromarray(np.full((8, 8, 3), 60 * i, np.uint8)).save(tmp_path / "f" / f"{i}.{suffix}")
    values = sorted(round(x.mean() / 60) for split in data.load(tmp_path / "f").splits for x in split.x)
    assert values == [0, 1, 2, 3]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-30])


def gif(path):
    Image.new("L", (5, 6)).save(path, format="GIF")


def sixteen_bit(path):
    Image.fromarray(np.zeros((6, 5), np.uint16)).save(path)


HOSTILE = [
    (truncate, "truncated"),
    (gif, "not a PNG"),
    (lambda path: path.write_bytes(b""), "empty"),
    (bomb, "64 megapixels"),
    (lambda path: bomb(path, 60_000), "limit"),
    (sixteen_bit, "8 bits"),
]


@pytest.mark.parametrize(("spoil", "reason"), HOSTILE)
def test_one_bad_file_is_listed_with_its_reason(folder, spoil, reason):
    spoil(folder / "007.png")
    dataset = data.load(folder)
    assert [entry.path for entry in dataset.unreadable] == [str(folder / "007.png")]
    assert reason in dataset.unreadable[0].reason
    assert sum(map(len, dataset.splits)) == 39
    assert data.load(folder).unreadable == dataset.unreadable  # the cache remembers


@pytest.mark.parametrize(("spoil", "reason"), HOSTILE)
def test_many_bad_files_stop_the_reading(folder, spoil, reason):
    for i in range(3):
        spoil(folder / f"00{i}.png")
    with pytest.raises(DataError, match="3 of 40 images are unreadable") as refusal:
        data.load(folder)
    assert "000.png" in str(refusal.value)
    assert reason in str(refusal.value)


def test_a_folder_without_images_says_what_it_holds(tmp_path):
    with pytest.raises(DataError, match="holds no"):
        data.load(tmp_path)
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    with pytest.raises(DataError, match=r"it holds 1 \.gif"):
        data.load(tmp_path)
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="single image"):
        data.load(tmp_path / "a.png")


def test_a_split_that_shows_one_class_only_keeps_its_label(tmp_path, write_images, pixels):
    for i, place in enumerate(("train/a", "train/b", "test/b")):
        write_images(tmp_path / "s" / place, pixels[10 * i : 10 * i + 10])
    assert data.load(tmp_path / "s").test.condition["label"].tolist() == [1] * 10


def test_a_single_subfolder_is_no_class(tmp_path, write_images, pixels):
    write_images(tmp_path / "celebrities" / "images", pixels)
    assert data.load(tmp_path / "celebrities").spec.condition == {}


def test_a_folder_beside_the_splits_is_told(tmp_path, write_images, pixels):
    for name in ("train", "test", "extra"):
        write_images(tmp_path / "s" / name, pixels)
    with pytest.raises(DataError, match="extra/"):
        data.load(tmp_path / "s")
