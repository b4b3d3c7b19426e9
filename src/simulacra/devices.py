"""Where tensors live."""

from __future__ import annotations

import contextlib
import os

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
