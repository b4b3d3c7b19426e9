"""Good files with a few things changed at random: each is read, or refused in a sentence, in little time and memory.

A file of every kind that is read is written once: the folders of a run and of a model, arrays, idx files with labels,
pictures, and what `compress` makes. Then, over and over, one of them is copied, changed by a seed (bits, bytes, pieces
cut out, doubled or taken from elsewhere, numbers and words of JSON, sizes in headers; checksums are made to fit again),
and read as a user would. What is counted:

    attempts, refused   how many, and how many of them ended by an error of ours
    bugs                other errors: the seed, the kind and the message; target: none
    slow, large         attempts beyond the seconds and megabytes that are allowed; target: none

    python benchmarks/fuzz.py --minutes 60
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import stat
import struct
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors

import simulacra as sim
from simulacra import registry
from simulacra.cli.given import values_of
from simulacra.compression import compress_file, container, decompress_file
from simulacra.data import DataSpec
from simulacra.data.arrays import description
from simulacra.exploration.masks import mask_of
from simulacra.fields import ClassLabel, Levels
from simulacra.files import read_regular, write_arrays
from simulacra.weights import write_tensors

SECONDS, MEGABYTES = 10.0, 512
SPEC = DataSpec(Levels((1, 4, 4), 3))
LABELLED = DataSpec(SPEC.x, {"label": ClassLabel(3, ("a", "b", "c"))})
CHAIN = {"width": 4, "layers": 1, "kernel": 3}
CODES = {"latent": 2, "network": "dense:hidden=4"}
WORDS = [
    None,
    True,
    -1,
    0,
    10**9,
    10**30,
    1e308,
    float("nan"),
    "",
    "x",
    "<<>>u1",
    "\ud800",
    "\x1b[2J",
    [],
    {},
    [[]],
    "../x",
]
NUMBERS = ("-1", "0", "1", "3", "255", "65537", "62914560", "1099511627776", "9" * 25, "(" * 300, "None")


class TooSlow(BaseException):
    """No `except Exception` on the way takes it for an error of a file."""


@dataclass(frozen=True)
class Kind:
    """Files that belong together.

    make: writes them into a new folder. read: reads them as a user would.
    """

    make: Callable[[Path], object]
    read: Callable[[Path], object]


# Files of each kind


def _items(n: int = 12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, (n, 1, 4, 4), dtype=np.uint8)


def _labels(n: int = 12) -> np.ndarray:
    return np.arange(n) % 3


def _dataset() -> sim.data.Dataset:
    return sim.data.from_arrays(_items(30), levels=3)


def _fit(folder: Path, steps: int = 4) -> object:
    return sim.fit("vae", _dataset(), folder / "run", steps=steps, every=2, batch=8, patience=0, **CODES)


def _make_model(folder: Path) -> None:
    torch.manual_seed(0)
    sim.save(registry.build("vae", LABELLED, **CODES), folder / "model", card="a card")


def _make_npz(folder: Path) -> None:
    fields = {"label": _labels(), "depth": np.ones((12, 2), np.float32), "map": np.zeros((12, 4, 4), np.int64)}
    np.savez_compressed(folder / "x.npz", x=_items(), **fields)


def _make_described(folder: Path) -> None:
    write_arrays(folder / "x.npz", {"x": _items(), "label": _labels()}, description(LABELLED))


def _make_csv(folder: Path) -> None:
    rows = [f"{i / 8},{-i},{'abc'[i % 3]}\n" for i in range(24)]
    (folder / "x.csv").write_text("".join(["a,b,kind\n", *rows]))


def _make_idx(folder: Path) -> None:
    x, y = _items()[:, 0], _labels().astype(np.uint8)
    (folder / "t-images-idx3-ubyte").write_bytes(struct.pack(">HBB3I", 0, 8, 3, *x.shape) + x.tobytes())
    (folder / "t-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, len(y)) + y.tobytes())


def _make_pictures(folder: Path) -> None:
    formats = (("png", "L"), ("png", "RGB"), ("jpg", "RGB"), ("webp", "RGB"), ("bmp", "P"), ("png", "RGBA"))
    for i in range(12):
        suffix, mode = formats[i % len(formats)]
        place = folder / "set" / "ab"[i % 2] / f"{i}.{suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_items()[i, 0] * 127).convert(mode).save(place)


def _make_sim(arguments: dict[str, Any], name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        torch.manual_seed(0)
        model = registry.build(name, SPEC, **arguments)
        sim.save(model, folder / "model")
        (folder / "in").mkdir()
        for i, x in enumerate(_items(3)):
            Image.fromarray(x[0] * 127).save(folder / "in" / f"{i}.png")
        np.save(folder / "in.npy", _items(5)[:, 0].astype(">i2"))
        compress_file(model, folder / "in.npy", folder / "array.sim")
        for i in range(3):  # on the grid as it is
            Image.fromarray(_items(3)[i, 0]).save(folder / "in" / f"{i}.png")
        compress_file(model, folder / "in", folder / "pictures.sim")

    return make


def _in_turn(*reads: Callable[[], object]) -> None:
    """All of them, whatever is refused; raises the last refusal."""
    refusals = []
    for read in reads:
        try:
            read()
        except sim.SimulacraError as error:
            refusals.append(error)
    if refusals:
        raise refusals[-1]


def _read_sim(folder: Path) -> None:
    model = folder / "model"
    _in_turn(
        lambda: decompress_file(model, folder / "array.sim", folder / "out.npy"),
        lambda: decompress_file(model, folder / "pictures.sim", folder / "out"),
    )


def _read_compressible(folder: Path) -> None:
    compress_file(folder / "model", folder / "in.npy", folder / "back.sim")


def _make_values(folder: Path) -> None:
    mask = np.eye(4, dtype=np.uint8)
    np.save(folder / "mask.npy", mask)
    Image.fromarray(mask * 255).save(folder / "mask.png")
    np.save(folder / "label.npy", _labels(4))
    np.savez(folder / "label.npz", label=_labels(4))


def _read_values(folder: Path) -> None:
    torch.manual_seed(0)
    model = registry.build("vae", LABELLED, **CODES)
    _in_turn(
        *(lambda name=name: mask_of(str(folder / name), SPEC) for name in ("mask.npy", "mask.png")),
        *(lambda name=name: _condition(folder / name, model) for name in ("label.npy", "label.npz")),
    )


def _condition(path: Path, model: sim.Model) -> object:
    return model.conditioned(values_of([f"label={path}"], model), 4)


def _read_run(folder: Path) -> None:
    _in_turn(lambda: sim.load(folder / "run"), lambda: _fit(folder, steps=5))


def _load(name: str, **options: Any) -> Callable[[Path], object]:
    return lambda folder: sim.data.load(folder / name, **options).summary()


KINDS = {
    "run": Kind(_fit, _read_run),
    "model": Kind(_make_model, lambda folder: sim.load(folder / "model")),
    "npy": Kind(lambda folder: np.save(folder / "x.npy", _items()), _load("x.npy", levels=3)),
    "real npy": Kind(lambda folder: np.save(folder / "x.npy", _items().astype(np.float64)), _load("x.npy")),
    "npz": Kind(_make_npz, _load("x.npz")),
    "described npz": Kind(_make_described, _load("x.npz")),
    "csv": Kind(_make_csv, _load("x.csv")),
    "idx": Kind(_make_idx, _load("t-images-idx3-ubyte")),
    "pictures": Kind(_make_pictures, _load("set", resize=4)),
    "masks and values": Kind(_make_values, _read_values),
    "sim of a chain": Kind(_make_sim(CHAIN, "gated-pixelcnn"), _read_sim),
    "sim with bits back": Kind(_make_sim(CODES, "vae"), _read_sim),
    "what is compressed": Kind(_make_sim(CHAIN, "gated-pixelcnn"), _read_compressible),
}


# Changes


def changed_bytes(data: bytes, rng: random.Random) -> bytes:
    """One to four pieces flipped, set, cut out, doubled, moved or replaced by an extreme number."""
    held = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, size = rng.randrange(len(held) + 1), rng.choice((1, 1, 2, 4, 8, 64))
        what = rng.randrange(6)
        if what == 0 and at < len(held):
            held[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            held[at : at + 1] = bytes([rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))])
        elif what == 2:
            del held[at : at + size]
        elif what == 3:
            held[at:at] = held[at : at + size] * rng.choice((1, 2, 50))
        elif what == 4:
            number = rng.choice((0, 1, 2**31 - 1, 2**32 - 1, 62914560, rng.getrandbits(32)))
            held[at : at + 4] = number.to_bytes(4, rng.choice(("little", "big")))
        else:
            held = held[: rng.randrange(len(held) + 1)]
    return bytes(held)


def changed_json(record: Any, rng: random.Random) -> Any:
    """One place somewhere in it, drawn, is another word, is gone, is there twice, or lies deeper."""
    if isinstance(record, dict | list) and record and rng.random() < 0.85:
        copy = dict(record) if isinstance(record, dict) else list(record)
        key = rng.choice(list(copy)) if isinstance(copy, dict) else rng.randrange(len(copy))
        what = rng.random()
        if what < 0.08:
            del copy[key]
        elif what < 0.16 and isinstance(copy, dict):
            copy[rng.choice(("x", "\x1b[2J", "label", "../x", "\ud800"))] = copy[key]
        elif what < 0.16:
            copy.append(copy[key])
        else:
            copy[key] = changed_json(copy[key], rng)
        return copy
    return rng.choice([*WORDS, [record], {"x": record}, [record] * 3])


def changed_text(data: bytes, rng: random.Random) -> bytes:
    """JSON, or lines of it, changed as such; as bytes where it is none."""
    lines = data.splitlines() if data.count(b"\n{") else [data]
    at = rng.randrange(len(lines))
    try:
        lines[at] = json.dumps(changed_json(json.loads(lines[at]), rng)).encode()
    except (ValueError, RecursionError):
        return changed_bytes(data, rng)
    return b"\n".join(lines)


def changed_npy(data: bytes, rng: random.Random) -> bytes:
    """A number, a type or a parenthesis of the header; its length stays right."""
    size = int.from_bytes(data[8:10], "little")
    words = re.split(rb"(\d+|\(|\)|'[^']*')", data[10 : 10 + size])
    at = rng.randrange(len(words))
    words[at] = rng.choice((*NUMBERS, "'|O'", "'<U9'", "'>f8'", "'V0'", "(" * 9000, "True")).encode()
    header = b"".join(words)
    return data[:8] + len(header).to_bytes(2, "little") + header + data[10 + size :]


def changed_tensors(data: bytes, rng: random.Random) -> bytes:
    """The header of a safetensors file; its length stays right."""
    size = int.from_bytes(data[:8], "little")
    header = changed_text(data[8 : 8 + size], rng)
    return struct.pack("<Q", len(header)) + header + data[8 + size :]


def changed_archive(data: bytes, rng: random.Random) -> bytes:
    """A member, or the comment, of an archive whose sums are right."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members, comment = {name: archive.read(name) for name in archive.namelist()}, archive.comment
    name = rng.choice(list(members))
    if comment and rng.random() < 0.5:
        comment = changed_text(comment, rng)[:65535]
    else:
        members[name] = rng.choice((changed_npy, changed_bytes))(members[name], rng)
    if rng.random() < 0.1:
        members[rng.choice(("\x1b[2J.npy", "../x.npy", "label.npy", "y.npy"))] = members[name]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        archive.comment = comment
        for member, content in members.items():
            archive.writestr(member, content)
    return buffer.getvalue()


def changed_sim(data: bytes, rng: random.Random) -> bytes:
    """Header, notes or items of what `compress` wrote, with a sum that is right."""
    try:
        header, payload = container.unpack(data, "x")
        what = rng.randrange(4)
        if what == 0 and header.notes:
            return container.pack(replace(header, notes=changed_json(dict(header.notes), rng)), payload)
        if what == 1:
            return container.pack(
                replace(header, n=rng.choice((1, 2, 50, 10**8))), rng.choice((payload, b"", bytes(99)))
            )
        if what == 2:
            return container.pack(
                replace(header, **rng.choice(({"levels": 256}, {"shape": (1, 2, 8)}, {"batch": 1}))), payload
            )
    except (sim.SimulacraError, TypeError, ValueError, AttributeError, OverflowError):
        pass  # it was changed before, or the change cannot be packed
    body = changed_bytes(data[8:], rng)
    return data[:4] + zlib.crc32(body, zlib.crc32(data[3:4])).to_bytes(4, "big") + body


CHANGES = {
    ".json": changed_text,
    ".jsonl": changed_text,
    ".npy": changed_npy,
    ".npz": changed_archive,
    ".safetensors": changed_tensors,
    ".sim": changed_sim,
}


def change(folder: Path, rng: random.Random) -> str:
    """Change one file of a folder, sometimes two; returns what was changed."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    changed = []
    for path in {rng.choice(files) for _ in range(rng.choice((1, 1, 1, 2)))}:
        changed.append(path.relative_to(folder).as_posix())
        if rng.random() < 0.03:
            _replace(path, rng)
            continue
        by = CHANGES.get(path.suffix, changed_bytes) if rng.random() < 0.7 else changed_bytes
        with contextlib.suppress(zipfile.BadZipFile):
            path.write_bytes(by(path.read_bytes(), rng))
    if rng.random() < 0.7:
        _seal(folder)
    return " and ".join(changed)


def _replace(path: Path, rng: random.Random) -> None:
    """By something that is no regular file, or has no end."""
    path.unlink()
    what = rng.randrange(5)
    if what == 0:
        path.mkdir()
    elif what == 1:
        os.mkfifo(path)
    elif what == 2:
        path.symlink_to("/dev/zero")
    elif what == 3:
        path.symlink_to("nowhere")
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)


def _seal(folder: Path) -> None:
    """Make the checksums of models and checkpoints fit what lies there, as an enemy would."""
    for manifest in folder.rglob("manifest.json"):
        if not stat.S_ISREG(manifest.lstat().st_mode):  # a pipe would be waited for
            continue
        files = ("state.json", "state.safetensors")
        with contextlib.suppress(OSError):
            sums = {name: hashlib.sha256(_small(manifest.parent / name)).hexdigest() for name in files}
            manifest.write_text(json.dumps(sums))
    for config in folder.rglob("config.json"):
        with contextlib.suppress(OSError, SafetensorError):
            tensors = parse_tensors(_small(config.with_name("weights.safetensors")))
            write_tensors(
                config.with_name("weights.safetensors"), tensors, {"config": hashlib.sha256(_small(config)).hexdigest()}
            )


def _small(path: Path) -> bytes:
    return read_regular(path, 1 << 24)


# Attempts


@contextlib.contextmanager
def bounded(seconds: float, megabytes: float) -> Iterator[None]:
    """TooSlow after so many seconds, MemoryError beyond so much memory more than there is now."""

    def expire(*_: object) -> None:
        raise TooSlow

    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, expire)
    resource.setrlimit(resource.RLIMIT_AS, (held + int(megabytes * 1e6), limits[1]))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGALRM, before)


def make(kind: str, folder: Path) -> None:
    """Write the good files of a kind."""
    folder.mkdir(parents=True)
    KINDS[kind].make(folder)
    KINDS[kind].read(_copy(folder, folder.with_name(f"{folder.name}-read")))


def _copy(good: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(good, to)
    return to


def attempt(kind: str, good: Path, seed: int, scratch: Path) -> str:
    """Change a copy of the good files and read it: "read", "refused", "slow", "large", or an error that is not ours."""
    rng = random.Random(f"{kind} {seed}")
    folder = _copy(good, scratch / "files")
    os.environ["SIMULACRA_CACHE"] = str(scratch / "cache")
    what = change(folder, rng)
    try:
        with bounded(SECONDS, MEGABYTES), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            KINDS[kind].read(folder)
    except sim.SimulacraError as error:
        long = len(str(error).splitlines()) > 2 or len(str(error)) > 1500
        return f"a message of {len(str(error))} characters ({what})" if long else "refused"
    except TooSlow:
        return f"slow ({what})"
    except MemoryError:
        return f"large ({what})"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]} ({what}) {traceback.extract_tb(error.__traceback__)[-1]}"
    finally:
        shutil.rmtree(scratch / "cache", ignore_errors=True)
    return "read"


def main() -> None:
    from record import conclude, parser

    arguments = parser(__doc__)
    arguments.add_argument("--minutes", type=float, default=60.0)
    arguments.add_argument("--seed", type=int, default=0, help="of the first attempt")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * (0.2 if given.smoke else given.minutes)
    counts = {kind: dict.fromkeys(("attempts", "refused", "slow", "large", "bugs"), 0) for kind in KINDS}
    seed = given.seed
    with tempfile.TemporaryDirectory() as place:
        for kind in KINDS:
            make(kind, Path(place, "good", kind))
        while time.monotonic() < end:
            for kind in KINDS:
                found = attempt(kind, Path(place, "good", kind), seed, Path(place))
                counts[kind]["attempts"] += 1
                if found != "read":
                    word = found.split()[0]
                    counts[kind][word if word in counts[kind] else "bugs"] += 1
                if found not in ("read", "refused"):
                    print(f"{kind}, seed {seed}: {found}", flush=True)
            seed += 1
    conclude("fuzz", {"kinds": counts, "last_seed": seed - 1}, smoke=given.smoke, seeds=[given.seed])


if __name__ == "__main__":
    main()
