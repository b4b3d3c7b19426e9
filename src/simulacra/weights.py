"""Tensors on disk, whole or not at all, and read as if they were hostile.

The format is safetensors, which holds no code. Its reader still accepts names given twice, headers that take minutes to
parse, and weights that are NaN, so the header is read and compared with what the model needs before any tensor is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors
from torch import Tensor

from simulacra.errors import ModelFileError, cause
from simulacra.files import open_regular, parse_json, read_regular, size_of, write_atomically

MAX_HEADER = 8 << 20  # bytes; a model of 10,000 tensors has a header of about 1 MB
MAX_JSON = 1 << 20
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
_DTYPES |= {"I64": torch.int64, "I32": torch.int32, "U8": torch.uint8, "BOOL": torch.bool}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a regular file of at most 1 MB; raises ModelFileError for anything else."""
    return json_object(path, json_bytes(path))


def json_bytes(path: Path) -> bytes:
    """The bytes of a regular file of at most 1 MB; raises ModelFileError for any other."""
    try:
        return read_regular(path, MAX_JSON)
    except FileNotFoundError:
        raise ModelFileError(f"{path} does not exist") from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error


def json_object(path: Path, content: bytes) -> dict[str, Any]:
    """The JSON object that the bytes of a file say; raises ModelFileError for anything else."""
    try:
        record = parse_json(content)
    except ValueError as error:
        raise ModelFileError(f"{path} cannot be read: {cause(error)}") from error
    if not isinstance(record, dict):
        raise ModelFileError(f"{path} holds no JSON object")
    return record


def digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over the names, types, shapes and bytes of the tensors, in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.flatten().view(torch.uint8).numpy().data if tensor.numel() else b"")
    return total.hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> str:
    """Write the tensors and, in the same file, their digest: file and checksum change together. Returns the digest."""
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    checksum = digest(held)
    # one entry, because the order in which safetensors writes several of them is not reproducible
    record = json.dumps({**(metadata or {}), "digest": checksum}, sort_keys=True)
    write_atomically(path, serialise_tensors(held, metadata={"simulacra": record}))
    return checksum


def read_tensors(
    path: Path, expected: Mapping[str, Tensor], sha256: str | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file and its metadata.

    `expected` holds a tensor (which may be on the meta device) of the same shape and type under every name; `sha256` is
    that of the file, where it is known. The file is opened once, so that it may be replaced meanwhile. Raises
    ModelFileError, before it allocates anything, when the header is too large or malformed or differs from that, or the
    file has another size than the header says, and afterwards when a digest is wrong or a number is not finite.
    """
    with _opened(path) as file:
        header = _read_header(path, file)
        metadata = _metadata(path, header.pop("__metadata__", None))
        _compare(path, header, expected)
        size = file.tell() + sum(tensor.numel() * tensor.element_size() for tensor in expected.values())
        if size_of(file) != size:
            raise ModelFileError(f"{path} has {size_of(file):,} bytes, and its header promises {size:,}: it is damaged")
        file.seek(0)
        content = file.read(size)
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise ModelFileError(f"{path} does not match its manifest")
    try:
        tensors = parse_tensors(content)
    except SafetensorError as error:
        raise ModelFileError(f"{path} is damaged: {cause(error)}") from error
    if digest(tensors) != metadata.get("digest"):
        raise ModelFileError(f"{path} does not match its own checksum: the file is damaged or was changed")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ModelFileError(f"{path}: tensor {name!r} holds numbers that are not finite")
    return tensors, metadata


def tensors_in(path: Path) -> int:
    """How many tensors a file holds, by its header; raises ModelFileError as `read_tensors` does."""
    with _opened(path) as file:
        return len(_read_header(path, file).keys() - {"__metadata__"})


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A regular file; whatever the system refuses becomes a ModelFileError."""
    try:
        with open_regular(path) as file:
            yield file
    except FileNotFoundError:
        raise ModelFileError(f"{path} does not exist") from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error


def _read_header(path: Path, file: IO[bytes]) -> dict[str, Any]:
    size = int.from_bytes(file.read(8), "little")
    if not 2 <= size <= min(MAX_HEADER, size_of(file) - 8):
        raise ModelFileError(f"{path} claims a header of {size} bytes: damaged, or not a file of ours")
    try:
        header = parse_json(file.read(size))
    except ValueError as error:
        raise ModelFileError(f"{path} has a malformed header: {cause(error)}") from error
    if not isinstance(header, dict):
        raise ModelFileError(f"{path} has a malformed header: no table of tensors")
    return header


def _metadata(path: Path, entry: Any) -> dict[str, Any]:
    """The metadata that `write_tensors` wrote; raises ModelFileError for a file that it did not write."""
    try:
        record = parse_json(entry["simulacra"].encode())
        return {"digest": record["digest"], **record}
    except (TypeError, KeyError, AttributeError, ValueError):
        raise ModelFileError(f"{path} was not written by simulacra: it has no checksum") from None


def _compare(path: Path, header: Mapping[str, Any], expected: Mapping[str, Tensor]) -> None:
    missing, foreign = sorted(expected.keys() - header.keys()), sorted(header.keys() - expected.keys())
    if missing or foreign:
        first = f"lacks {missing[0]!r}" if missing else f"holds {foreign[0]!r}, which the model does not have"
        raise ModelFileError(f"{path} does not fit its config: it {first} ({len(missing) + len(foreign)} names differ)")
    for name, tensor in expected.items():
        entry = header[name] if isinstance(header[name], dict) else {}
        shape, dtype = entry.get("shape"), entry.get("dtype")
        if shape != list(tensor.shape) or not isinstance(dtype, str) or _DTYPES.get(dtype) != tensor.dtype:
            wanted = f"{tensor.dtype} {list(tensor.shape)}"
            raise ModelFileError(f"{path} does not fit its config: {name!r} is {dtype} {shape}, the model has {wanted}")
