"""The bytes around the coded items: about thirty, because a small file is mostly that.

| bytes | what |
| ----- | ---- |
| 3     | `SIM` |
| 1     | version (upper half), then bits: a condition was given, items are vectors, notes follow |
| 4     | CRC-32 of all that follows and of the byte before |
| 4     | digest of the model: its config and weights |
| 8     | digest of the decoded items |
| 4     | where it was coded: version of torch (2), device and log2 of the batch (1), threads (1) |
| 5-7   | number of items, shape, levels - 1, as numbers of seven bits a byte |
| ...   | notes, where there are any: their length, JSON through zlib |
| rest  | the coded items |
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from simulacra.errors import DataError, UsageError, cause
from simulacra.files import parse_json
from simulacra.model import Model
from simulacra.terminal import number_of
from simulacra.weights import digest

MAGIC = b"SIM"
VERSION = 1
LABELLED, VECTOR, NOTED = 1, 2, 4
MAX_NOTES = 1 << 24  # bytes: names of a million files
MAX_THREADS = 255
SYMBOLS_A_BYTE = 1 << 27  # more cannot be coded in one, because no mass is larger than 1 - 2^-24
DEVICES = ("unknown", "cpu", "cpu avx2", "cpu avx512", "cuda", "mps", "xpu")
_FIXED = struct.Struct(">4s8sHBB")
_PROLOGUE = len(MAGIC) + 1 + 4


@dataclass(frozen=True)
class Surroundings:
    """Where items are coded, as far as it changes the last bits of a sum."""

    torch: str
    device: str
    threads: int

    @classmethod
    def here(cls, device: torch.device, threads: int) -> Surroundings:
        version = ".".join(torch.__version__.split("+")[0].split(".")[:3])
        vectors = torch.backends.cpu.get_cpu_capability().lower()
        name = f"cpu {vectors}" if device.type == "cpu" and f"cpu {vectors}" in DEVICES else device.type
        return cls(version, name if name in DEVICES else "unknown", threads)

    def describe(self) -> str:
        return f"torch {self.torch} on {self.device} with {number_of(self.threads, 'thread')}"


@dataclass(frozen=True)
class Header:
    """What a file says before its items. `batch` is a power of two; `labelled`: the condition was given with the items.

    `notes` are what the items were called and how they were stored, see `simulacra.compression.files`.
    """

    model: bytes
    items: bytes
    n: int
    shape: tuple[int, ...]
    levels: int
    batch: int
    surroundings: Surroundings
    labelled: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> str:
        return f"{number_of(self.n, 'item')} of {'×'.join(map(str, self.shape))}, {self.levels} levels"


def model_digest(model: Model) -> bytes:
    """4 bytes of a sha256 over the config and the weights."""
    config = json.dumps(model.config(), sort_keys=True)
    return hashlib.sha256(f"{config}\n{digest(model.state_dict())}".encode()).digest()[:4]


def items_digest(x: np.ndarray, fields: Mapping[str, np.ndarray]) -> bytes:
    """8 bytes of a sha256 over the values of the items and of the fields of the condition."""
    total = hashlib.sha256(np.ascontiguousarray(x).data)
    for name in sorted(fields):
        total.update(fields[name].astype("<i8").tobytes())
    return total.digest()[:8]


def pack(header: Header, payload: bytes) -> bytes:
    around = header.surroundings
    device = DEVICES.index(around.device) << 4 | header.batch.bit_length() - 1
    vector = VECTOR * (len(header.shape) == 1)
    first = VERSION << 4 | LABELLED * header.labelled | vector | NOTED * bool(header.notes)
    body = _FIXED.pack(header.model, header.items, _pack_version(around.torch), device, around.threads)
    body += b"".join(map(_pack_number, (header.n, *header.shape, header.levels - 1)))
    if header.notes:
        text = json.dumps(header.notes, separators=(",", ":")).encode()
        if len(text) > MAX_NOTES:
            raise UsageError(f"the names of these files take {len(text):,} bytes, and {MAX_NOTES:,} are the limit")
        notes = zlib.compress(text, 9)
        body += _pack_number(len(notes)) + notes
    body += payload
    return MAGIC + bytes([first]) + _checksum(first, body) + body


def unpack(data: bytes, name: str) -> tuple[Header, bytes]:
    """The header and the coded items of a file called `name`.

    Raises DataError for what is no such file, is of another version, or has lost or changed a byte.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise DataError(f"{name} is no file that `simulacra compress` wrote: it does not begin with {MAGIC.decode()}")
    first, body = data[len(MAGIC) : len(MAGIC) + 1], data[_PROLOGUE:]
    if len(data) < _PROLOGUE + _FIXED.size or _checksum(first[0], body) != data[len(MAGIC) + 1 : _PROLOGUE]:
        raise DataError(f"{name} is damaged: its checksum does not fit, so it was cut short or changed; copy it again")
    if first[0] >> 4 != VERSION:
        raise DataError(f"{name} has version {first[0] >> 4} of the format; this simulacra reads version {VERSION}")
    try:
        return _unpack_body(first[0], body)
    except (IndexError, ValueError, zlib.error) as error:  # a right checksum over a wrong content
        raise DataError(f"{name} is malformed: {cause(error)}") from error


def _unpack_body(flags: int, body: bytes) -> tuple[Header, bytes]:
    model, items, version, device, threads = _FIXED.unpack_from(body)
    at, numbers = _FIXED.size, []
    for _ in range(3 if flags & VECTOR else 5):
        number, at = _unpack_number(body, at)
        numbers.append(number)
    n, *shape, last = numbers
    if not (n and math.prod(shape) and last):
        raise ValueError(f"it claims {n:,} items of shape {tuple(shape)} and {last + 1} levels")
    notes: dict[str, Any] = {}
    if flags & NOTED:
        length, at = _unpack_number(body, at)
        notes, at = _unpack_notes(body[at : at + length]), at + length
    if n * math.prod(shape) > SYMBOLS_A_BYTE * (len(body) - at + 1):
        raise ValueError(f"it claims {n:,} items, more than its bytes can hold")
    around = Surroundings(_unpack_version(version), DEVICES[device >> 4], threads)
    header = Header(model, items, n, tuple(shape), last + 1, 1 << (device & 15), around, bool(flags & LABELLED), notes)
    return header, body[at:]


def _unpack_notes(packed: bytes) -> dict[str, Any]:
    """Raises ValueError for what is no table, and for one that is larger than `pack` writes."""
    inflating = zlib.decompressobj()
    text = inflating.decompress(packed, MAX_NOTES)
    if not inflating.eof:
        raise ValueError(f"its notes are cut short, or have more than {MAX_NOTES:,} bytes")
    notes = parse_json(text, halves=True)
    if not isinstance(notes, dict):
        raise ValueError("its notes are no table")
    return notes


def _checksum(first: int, body: bytes) -> bytes:
    return zlib.crc32(body, zlib.crc32(bytes([first]))).to_bytes(4, "big")


def _pack_number(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    low, more = number & 127, number >> 7
    return bytes([low | 128]) + _pack_number(more) if more else bytes([low])


def _unpack_number(body: bytes, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    number = shift = 0
    while body[at] & 128 and shift < 63:
        number, shift, at = number | (body[at] & 127) << shift, shift + 7, at + 1
    return number | body[at] << shift, at + 1


def _pack_version(version: str) -> int:
    """2.13.0 -> 4, 8 and 4 bits; a part that is no number, or too large, is stored as far as it goes."""
    digits = ["".join(filter(str.isdigit, part)) or "0" for part in [*version.split("."), "0", "0"][:3]]
    major, minor, patch = map(int, digits)
    return min(major, 15) << 12 | min(minor, 255) << 4 | min(patch, 15)


def _unpack_version(packed: int) -> str:
    return f"{packed >> 12}.{packed >> 4 & 255}.{packed & 15}"
