"""Where training runs: device, precision, threads, processes and signals."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from types import FrameType

import torch
import torch.distributed as dist
from torch import Tensor

from simulacra.devices import choose_device


def world_size() -> int:
    """How many processes `torchrun` started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def leads() -> bool:
    """Whether this process is the one, of those that `torchrun` started, that talks."""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True)
class Runtime:
    """One process of possibly many. Under `torchrun` the ranks share every batch and average their gradients."""

    device: torch.device
    bf16: bool
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    @torch.no_grad()
    def average(self, tensors: Iterable[Tensor], share: float) -> None:
        """Replace each tensor by its mean over the ranks, this one weighted by its share of the items; one message."""
        if self.world == 1:
            return
        tensors = list(tensors)
        flat = share * torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def agree(self, value: bool) -> bool:
        """True on every rank if it is true on any: so that all of them stop at the same step."""
        if self.world == 1:
            return value
        flag = torch.tensor(float(value), device=self.device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def leaders(self, value: float) -> float:
        """The value that the leading rank has."""
        if self.world == 1:
            return value
        held = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(held, src=0)
        return held.item()

    def wait(self) -> None:
        if self.world > 1:
            dist.barrier()


def runtime(device: str, precision: str) -> Runtime:
    """The runtime of this process, which joins the group that `torchrun` announces in the environment.

    The group lasts until the process ends: one that is left and joined again can wait for messages of the first.
    """
    chosen = choose_device(device)
    bf16 = precision == "bf16" or (precision == "auto" and chosen.type == "cuda")
    if world_size() == 1:
        return Runtime(chosen, bf16)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    return Runtime(chosen, bf16, dist.get_rank(), dist.get_world_size())


class StopSignal:
    """Within the context the first SIGTERM or Ctrl-C only requests a stop (`received`); the second stops at once."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopSignal:
        with contextlib.suppress(ValueError):  # signals can be caught in the main thread alone
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in list(self._before.items()):  # a signal may arrive now, and empty the table
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._before.clear()

    def __exit__(self, *error: object) -> None:
        self._restore()
