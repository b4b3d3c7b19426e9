"""`.sim` files as an enemy would write them, with a right checksum; and what would be lost in silence."""

import itertools
import os
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from small import items, randomise

from simulacra.autoregressive import gated_pixelcnn
from simulacra.compression import codec, coder, compress_file, container, decompress_file
from simulacra.compression.coder import Reader, Writer, uniform
from simulacra.data import DataSpec
from simulacra.errors import DataError, UsageError
from simulacra.fields import Levels
from simulacra.latent import VAE

BINARY, GREY = DataSpec(Levels((1, 5, 6), 2)), DataSpec(Levels((1, 5, 6), 256))


def chain(spec: DataSpec) -> gated_pixelcnn:
    return randomise(gated_pixelcnn(spec, width=6, layers=1, kernel=3).eval())


def coded(spec: DataSpec) -> VAE:
    return randomise(VAE(spec, latent=2, network="dense:hidden=4").eval())


@pytest.fixture
def file(tmp_path):
    """Pictures compressed by a chain, and how to write them with another header, other notes or other items."""
    model = chain(GREY)
    (tmp_path / "in").mkdir()
    for i, x in enumerate(items(GREY, 2).numpy()):
        Image.fromarray(x[0]).save(tmp_path / "in" / f"{i}.png")
    compress_file(model, tmp_path / "in", tmp_path / "x.sim")
    return tmp_path / "x.sim", model


def rewritten(path, payload=None, **changed) -> None:
    header, items = container.unpack(path.read_bytes(), "x")
    path.write_bytes(container.pack(replace(header, **changed), items if payload is None else payload))


@pytest.mark.parametrize(("make", "place"), [(chain, "walk"), (coded, "bitsback")], ids=["chain", "codes"])
@pytest.mark.parametrize("payload", [b"", bytes(99), b"\xff" * 99], ids=["nothing", "zeros", "ones"])
def test_items_that_are_claimed_and_not_there_end_the_work(make, place, payload, tmp_path, monkeypatch):
    """132 bytes that claim 10^8 items were decoded for ever."""
    model = make(BINARY)
    (tmp_path / "x.sim").write_bytes(codec.encode(model, items(BINARY, 3)))
    rewritten(tmp_path / "x.sim", payload=payload, n=4 * 10**6)
    calls = itertools.count()

    def counted(*given):
        assert next(calls) < 1000, "it goes on and on"
        return coder.masses_of(*given)

    monkeypatch.setattr(f"simulacra.compression.{place}.masses_of", counted)
    with pytest.raises(DataError, match="cannot be decoded here"):
        codec.decompress(model, tmp_path / "x.sim")


def test_a_reader_finds_all_that_was_written_and_nothing_behind_it():
    for count in (1, 7, 5000):
        masses, symbols = uniform(3, count), np.arange(count) % 3
        writer = Writer()
        writer(masses, symbols)
        reader = Reader(writer.bytes())
        assert np.array_equal(reader(masses, symbols), symbols)
        with pytest.raises(DataError, match="fewer items than they claim"):
            reader(uniform(3, 200), symbols)


@pytest.mark.parametrize("changed", [{"levels": 17}, {"shape": (1, 6, 5)}, {"batch": 1 << 15}], ids=str)
def test_the_header_must_be_one_that_the_model_would_have_written(file, changed, tmp_path):
    path, model = file
    rewritten(path, **changed)
    with pytest.raises(DataError, match=r"malformed.*its model is for 1×5×6, 256 levels"):
        decompress_file(model, path, tmp_path / "out.npy")


NOTES = [["names"], {"names": None}, {"names": ["0.png", "\ud800.png"]}, {"names": ["0.png", "./0.png"]}]
NOTES += [{"names": ["0.png", "0.png/1.png"]}, {"axes": None}, {"axes": "xyz"}, {"axes": [5, [6]]}, {"type": "<<>>u1"}]


@pytest.mark.parametrize("notes", [*NOTES, {"type": 3}, {"axes": [1, 6, 5]}], ids=str)
def test_notes_that_compress_does_not_write_are_refused(file, notes, tmp_path):
    path, model = file
    rewritten(path, notes=notes)
    with pytest.raises(DataError, match="malformed"):
        decompress_file(model, path, tmp_path / ("out" if "names" in notes else "out.npy"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "notes", [b'{"names": [' + b" " * (1 << 25) + b"]}", b"[" * 10**5, b"{"], ids=["bomb", "deep", "half"]
)
def test_notes_are_unpacked_to_a_bound(file, notes, monkeypatch):
    """261 KB became 3 GB."""
    path, _ = file
    packed = zlib.compress(notes, 9)
    monkeypatch.setattr("simulacra.compression.container.zlib.compress", lambda *_: packed)
    rewritten(path)
    with pytest.raises(DataError, match="malformed"):
        container.unpack(path.read_bytes(), "x.sim")


@pytest.mark.parametrize("name", ["out.npz", "out.npy", "out.png"])
def test_what_is_there_already_is_not_replaced(file, name, tmp_path):
    path, model = file
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="is there already, and is not replaced"):
        decompress_file(model, path, tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


# What would be lost in silence


def test_names_that_are_no_utf8_come_back_as_they_were(tmp_path):
    model, name = chain(GREY), os.fsdecode(b"caf\xe9.png")
    (tmp_path / "in").mkdir()
    Image.fromarray(items(GREY, 1).numpy()[0, 0]).save(tmp_path / "in" / name)
    (tmp_path / "in" / "\udcff.txt").write_text("left out")
    made = compress_file(model, tmp_path / "in", tmp_path / "x.sim")
    assert made.left_out == ("\udcff.txt",)
    decompress_file(model, tmp_path / "x.sim", tmp_path / "back")
    assert os.listdir(os.fsencode(tmp_path / "back")) == [b"caf\xe9.png"]


def test_whatever_is_not_kept_is_named(tmp_path):
    (tmp_path / "in" / ".hidden").mkdir(parents=True)
    for name in ("a.png", ".b.png", ".hidden/c.png"):
        Image.fromarray(items(GREY, 1).numpy()[0, 0]).save(tmp_path / "in" / name)
    (tmp_path / "in" / "link.png").symlink_to("nowhere")
    (tmp_path / "in" / "away").symlink_to(tmp_path)
    (tmp_path / "in" / "folder.png").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe.png")
    made = compress_file(chain(GREY), tmp_path / "in", tmp_path / "x.sim")
    assert made.n == 1
    assert made.left_out == (".b.png", ".hidden/c.png", "away", "folder.png", "link.png", "pipe.png")


def test_cmyk_is_not_made_rgb_in_silence(tmp_path):
    model = chain(DataSpec(Levels((3, 4, 4), 256)))
    Image.new("CMYK", (4, 4)).save(tmp_path / "x.jpg")
    with pytest.raises(UsageError, match="CMYK"):
        compress_file(model, tmp_path / "x.jpg", tmp_path / "x.sim")


def test_sixteen_bits_a_channel_are_not_made_eight(tmp_path):
    def chunk(kind, content):
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    begin = bytes([0, 0, 0, 4, 0, 0, 0, 4, 16, 2, 0, 0, 0])
    rows = zlib.compress(bytes(4 * (1 + 4 * 6)))
    content = chunk(b"IHDR", begin) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with pytest.raises(DataError, match="16 bits a channel"):
        compress_file(chain(DataSpec(Levels((3, 4, 4), 256))), tmp_path / "x.png", tmp_path / "x.sim")


def test_an_array_of_another_size_is_refused_before_it_is_read(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.zeros((2, 50, 60), np.uint8))
    monkeypatch.setattr("simulacra.data.npy.NpyArray.read", lambda *_: pytest.fail("it was read"))
    with pytest.raises(UsageError, match=r"1×5×6.*holds uint8 of shape \(2, 50, 60\)"):
        compress_file(chain(GREY), tmp_path / "x.npy", tmp_path / "x.sim")
