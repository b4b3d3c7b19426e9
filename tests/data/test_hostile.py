"""Data as an enemy, a bad disk or another program left them: read, reported, or refused before memory is taken."""

import io
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

import simulacra.data as data
from simulacra.cli import main
from simulacra.data.folder import things_below
from simulacra.data.npy import npy_array, npz_array
from simulacra.errors import DataError

# Headers that promise more than there is


def header(shape, descr="'|u1'", text=None) -> bytes:
    text = text or f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def archive(path, **members: bytes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(f"{name}.npy", content)
    return path


def plain(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_labels_of_a_giant_shape_are_refused_by_their_header(tmp_path, monkeypatch):
    """5 GB were read: (50, 62914560) bytes deflate to three megabytes."""
    path = archive(
        tmp_path / "a.npz", x=plain(np.zeros((50, 4, 4), np.uint8)), label=header((50, 1000)) + bytes(50_000)
    )
    monkeypatch.setattr("simulacra.data.npy.NpyArray.read", lambda *_: pytest.fail("it was read"))
    with pytest.raises(DataError, match=r"labels of shape \(50, 1000\) for 50 items"):
        data.load(path)


@pytest.mark.parametrize(
    ("begin", "there", "message"), [((50, 1 << 40), 10, "ends early"), ((2,), 3, "goes on behind")]
)
def test_a_header_and_the_size_of_what_follows_must_agree(tmp_path, begin, there, message):
    content = header(begin) + bytes(there)
    (tmp_path / "a.npy").write_bytes(content)
    archive(tmp_path / "a.npz", x=content)
    for array in (lambda: npy_array(tmp_path / "a.npy"), lambda: npz_array(tmp_path / "a.npz", "x")):
        with pytest.raises(DataError, match=f"{message}.* its header promises"):
            array()


def test_a_member_that_claims_more_than_can_be_packed_is_refused(tmp_path):
    path = archive(tmp_path / "a.npz", x=header((1, 1 << 31)) + b"1")
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (len(header((1, 1 << 31))) + (1 << 31)).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"claims 2,147,483,\d+ bytes, and \d+ are stored"):
        npz_array(path, "x")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 9000,
        "-" * 9000 + "1",
        "{'descr': '<<>>u1', 'fortran_order': False, 'shape': (3, 4), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-3, 4), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (True, 4), }",
        "{'descr': None, 'fortran_order': False, 'shape': (3, 4), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (9" + "9" * 30 + ", 4), }",
        "[[1]]",
        "x y",
    ],
    ids=lambda text: text[:40],
)
def test_headers_that_are_none_are_refused(tmp_path, text):
    (tmp_path / "a.npy").write_bytes(header(None, text=text) + bytes(12))
    with pytest.raises(DataError, match=r"a\.npy: its header"):
        data.load(tmp_path / "a.npy")


def test_a_long_header_of_the_second_version_is_not_read(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        file.write(b"\x93NUMPY\x02\x00\xff\xff\xff\xff")
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="4,294,967,295 bytes, and 10,000 are the limit"):
        data.load(tmp_path / "a.npy")


@pytest.mark.parametrize(("axes", "message"), [((1 << 31, 28, 28), "ends early"), ((1, 2, 2), "goes on behind")])
def test_the_size_of_an_idx_file_is_that_of_its_header(tmp_path, axes, message):
    (tmp_path / "x-idx3-ubyte").write_bytes(struct.pack(">HBB3I", 0, 8, 3, *axes) + bytes(100))
    with pytest.raises(DataError, match=message):
        data.load(tmp_path / "x-idx3-ubyte")


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x-idx3-ubyte"])
def test_pipes_and_devices_are_no_data(tmp_path, name):
    os.mkfifo(tmp_path / f"pipe-{name}")
    (tmp_path / f"zero-{name}").symlink_to("/dev/zero")
    for kind in ("pipe", "zero"):
        with pytest.raises(DataError, match=r"no regular file|neither idx"):
            data.load(tmp_path / f"{kind}-{name}")


# Names


def test_names_that_are_no_utf8_are_spelled_out(tmp_path, pixels, capsys):
    """One of them made a folder unusable."""
    for i, image in enumerate(pixels):
        folder = os.fsencode(tmp_path / "set") + (b"/caf\xe9", b"/tea")[i % 2]
        os.makedirs(folder, exist_ok=True)
        Image.fromarray(image).save(os.fsdecode(folder + b"/%d\xff.png" % i))
    dataset = data.load(tmp_path / "set")
    assert dataset.spec.condition["label"].names == (r"caf\xe9", "tea")
    assert sum(map(len, dataset.splits)) == 40
    assert main(["data", str(tmp_path / "set")]) == 0
    assert r"caf\xe9 20" in capsys.readouterr().out


def test_a_file_and_a_folder_whose_own_names_are_no_utf8(tmp_path, write_images, pixels):
    folder = write_images(tmp_path / "plain", pixels)
    folder = folder.rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    assert data.load(folder).name == r"\xff"
    np.save(folder / "\udcfe.npy", pixels)
    assert data.load(folder / "\udcfe.npy").name == r"\xfe"


# Pictures that would be changed, or left out, in silence


def test_what_is_called_an_image_and_is_none_is_listed(tmp_path, write_images, pixels):
    folder = write_images(tmp_path / "set", np.concatenate([pixels] * 2))
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "link.png").symlink_to("nowhere")
    dataset = data.load(folder)
    reasons = {os.path.basename(entry.path): entry.reason for entry in dataset.unreadable}
    assert reasons == {
        "folder.png": "it is a folder, and no regular file",
        "pipe.png": "it is a pipe, and no regular file",
        "link.png": "a link to nothing",
    }
    (folder / "link.png").unlink()
    assert len(data.load(folder).unreadable) == 2  # it is no file, and belongs to what the cache is made of


def test_a_folder_that_is_called_like_an_image_may_hold_a_class(tmp_path, write_images, pixels):
    write_images(tmp_path / "set" / "a.png", pixels[:20])
    write_images(tmp_path / "set" / "b.png", pixels[20:])
    dataset = data.load(tmp_path / "set")
    assert dataset.spec.condition["label"].names == ("a.png", "b.png")
    assert dataset.unreadable == ()


def test_folders_called_like_images_within_each_other_are_walked_once(tmp_path):
    (tmp_path / "/".join(["x.png"] * 60)).mkdir(parents=True)
    assert len(things_below(tmp_path)) == 60


def test_a_folder_that_cannot_be_listed_is_not_passed_over(tmp_path, write_images, pixels, monkeypatch):
    write_images(tmp_path / "set" / "a", pixels[:20])
    write_images(tmp_path / "set" / "b", pixels[20:])
    scan = os.scandir

    def locked(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", locked)
    with pytest.raises(DataError, match=r"cannot list .*/b: Permission denied"):
        data.load(tmp_path / "set")


def sixteen_bits(path, colour=2):
    """A PNG of 5×6 pixels with 16 bits a channel, which Pillow opens as if it had 8."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    samples = {2: 3, 4: 2, 6: 4}[colour]
    rows = b"".join(b"\0" + bytes(range(10 * samples)) for _ in range(6))
    begin = struct.pack(">IIBBBBB", 5, 6, 16, colour, 0, 0, 0)
    content = chunk(b"IHDR", begin) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


@pytest.mark.parametrize("colour", [2, 4, 6], ids=["RGB", "LA", "RGBA"])
def test_sixteen_bits_a_channel_are_not_cut_to_eight(tmp_path, write_images, pixels, colour):
    folder = write_images(tmp_path / "set", pixels)
    sixteen_bits(folder / "deep.png", colour)
    (entry,) = data.load(folder).unreadable
    assert "16 bits a channel" in entry.reason


def test_what_is_read_otherwise_than_it_is_stored_is_reported(tmp_path, write_images, capsys):
    colours = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
    folder = write_images(tmp_path / "set", colours)
    frames = [Image.fromarray(image) for image in colours[:3]]
    frames[0].save(folder / "moves.png", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "moves.webp", save_all=True, append_images=frames[1:], lossless=True)
    frames[0].convert("CMYK").save(folder / "print.jpg")
    seen_through = np.concatenate([colours[5], np.full((6, 5, 1), 9, np.uint8)], axis=2)
    Image.fromarray(seen_through).save(folder / "glass.png")
    for _ in range(2):  # the cache remembers
        altered = {entry.reason: (entry.count, os.path.basename(entry.example)) for entry in data.load(folder).altered}
        assert altered == {
            "of several frames the first is read": (2, "moves.png"),
            "CMYK is brought to RGB": (1, "print.jpg"),
            "transparent pixels are laid over white": (1, "glass.png"),
        }
    assert main(["data", str(folder)]) == 0
    assert "2 files: of several frames the first is read, such as" in capsys.readouterr().out


def test_exif_behind_the_pixels_of_a_png_turns_the_image_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "set").mkdir()
    for i in range(4):
        stored = np.zeros((16, 32), np.uint8)
        stored[:, :16] = 250 - i
        Image.fromarray(stored).save(tmp_path / "set" / f"{i}.png", exif=exif)
        content = (tmp_path / "set" / f"{i}.png").read_bytes()
        at = content.index(b"eXIf") - 4
        size = 12 + int.from_bytes(content[at : at + 4], "big")
        moved = content[:at] + content[at + size : -12] + content[at : at + size] + content[-12:]
        (tmp_path / "set" / f"{i}.png").write_bytes(moved)
    dataset = data.load(tmp_path / "set")
    assert dataset.spec.shape == (1, 32, 16)
    assert dataset.train.x[0, 0, :16].min() > 200
    assert dataset.train.x[0, 0, 16:].max() == 0


def test_a_message_does_not_quote_the_file(tmp_path):
    """zipfile shows the header that it finds where a name should be: here two thousand bytes of the file."""
    path = tmp_path / "x.npz"
    np.savez(path, x=np.arange(4096, dtype=np.uint8).reshape(64, 1, 8, 8) % 17)
    content = bytearray(path.read_bytes())
    content[26:28] = (2000).to_bytes(2, "little")  # the length of the name in the first local header
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.npz is damaged: File name in directory") as refusal:
        data.load(path)
    assert len(str(refusal.value)) < 400 + len(str(path))
