"""Where tensors live."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from simulacra.errors import UsageError


def choose_device(name: str) -> torch.device:
    """`auto`: the GPU of this process where there is one; raises UsageError for a device that is not here."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        why = "it is no device" if "device type" in str(error) else str(error).splitlines()[0]
        raise UsageError(f"device {name!r} cannot be used here: {why}; use auto, cpu, cuda or mps") from None
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return device


def without_autocast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Within the context operations have the precision of their tensors, also on a device that knows no other."""
    if not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


def in_autocast(device: torch.device) -> bool:
    """Whether operations on this device have another precision than their tensors at this moment."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)


def computes_in_bf16(device: torch.device) -> bool:
    """Whether products of bfloat16 numbers are a machine instruction, of which a network gets faster: of a CPU with
    AVX-512 BF16 and of GPUs."""
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cuda" or (device.type == "cpu" and native())


def deterministic(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Within the context a GPU adds up in the same order every time, as a CPU does anyway: resuming is bitwise, and a
    seed draws the same items again."""
    return _one_order() if device.type == "cuda" else contextlib.nullcontext()


@contextlib.contextmanager
def _one_order() -> Iterator[None]:
    """What has no deterministic algorithm stays as it is. cuBLAS reads its variable when it is first used."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*deterministic", UserWarning)
        torch.use_deterministic_algorithms(True, warn_only=True)
        memory.fill_uninitialized_memory = False  # which guards against mistakes, and takes time
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            memory.fill_uninitialized_memory = filled
