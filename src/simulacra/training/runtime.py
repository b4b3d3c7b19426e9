"""Where training runs: device, precision, threads, processes and signals."""

from __future__ import annotations

import atexit
import contextlib
import gc
import itertools
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

import torch
import torch.distributed as dist
from torch import Tensor

from simulacra.devices import choose_device, computes_in_bf16, deterministic
from simulacra.errors import TrainingError


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
    def precision(self) -> str:
        """Of the networks."""
        return "bf16" if self.bf16 else "fp32"

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def deterministic(self) -> contextlib.AbstractContextManager[None]:
        """Within the context a GPU adds up in the same order every time, as a CPU does anyway: resuming is bitwise."""
        return deterministic(self.device)

    def shares(self, batch: int) -> list[slice]:
        """The items of a batch that each rank has, which differ by one in number at most."""
        ends = [rank * batch // self.world for rank in range(self.world + 1)]
        return [slice(begin, end) for begin, end in itertools.pairwise(ends)]

    @torch.no_grad()
    def add_up(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over the ranks."""
        total = tensor.clone()
        with _others():
            dist.all_reduce(total)
        return total

    @torch.no_grad()
    def sums(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The sum of each tensor over the ranks, in one message."""
        flat = self.add_up(torch.cat([tensor.flatten() for tensor in tensors]))
        parts = flat.split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def agree(self, value: bool) -> bool:
        """True on every rank if it is true on any: so that all of them stop at the same step."""
        if self.world == 1:
            return value
        flag = torch.tensor(float(value))
        with _others():
            dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def leaders(self, value: float) -> float:
        """The value that the leading rank has."""
        if self.world == 1:
            return value
        held = torch.tensor(value, dtype=torch.float64)
        with _others():
            dist.broadcast(held, src=0)
        return held.item()

    def wait(self) -> None:
        """Until every rank has come to this point."""
        self.agree(False)


@contextlib.contextmanager
def _others() -> Iterator[None]:
    """Raise TrainingError where another rank does not take part because it is no longer there."""
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            "another process of this run has ended, and training cannot go on without it (its own message says why, "
            "unless it was killed). The checkpoints are kept: the same command continues from the last one"
        ) from error


def runtime(device: str, precision: str, pays_on_cpus: bool = False) -> Runtime:
    """The runtime of this process, which joins the group that `torchrun` announces in the environment.

    With precision auto networks run in bfloat16 where the device computes in it, on a CPU only where that pays.
    What ranks agree on lies in the memory of the host, so that no device has to be waited for. The group lasts until
    the process ends: one that is left and joined again can wait for messages of the first.
    """
    chosen = choose_device(device)
    pays = computes_in_bf16(chosen) and (pays_on_cpus or chosen.type != "cpu")
    bf16 = precision == "bf16" or (precision == "auto" and pays)
    if world_size() == 1:
        return Runtime(chosen, bf16)
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo")
        atexit.register(_leave)
    return Runtime(chosen, bf16, dist.get_rank(), dist.get_world_size())


def _leave() -> None:
    """Leave the group, unless the script has done so by itself: its threads end here, and not while Python ends."""
    if dist.is_initialized():
        dist.destroy_process_group()
        gc.collect()  # of what still refers to the group, whose threads end with it


PASSED_ON = 5.0  # seconds in which `torchrun` passes a signal on to processes that have had it from the terminal


class StopSignal:
    """Within the context the first SIGTERM or Ctrl-C only requests a stop (`received`); the second stops at once.

    Of several processes each receives Ctrl-C twice, from the terminal and from `torchrun`: this counts as one. And one
    that leaves the context by an error is about to end, and ignores SIGTERM from then on.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._since = 0.0
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopSignal:
        with contextlib.suppress(ValueError):  # signals can be caught in the main thread alone
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._request)
        return self

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received, self._since = number, time.monotonic()
            if world_size() == 1:
                self._restore()
        elif time.monotonic() - self._since > PASSED_ON:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in list(self._before.items()):  # a signal may arrive now, and empty the table
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._before.clear()

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._restore()
        if kind is not None and world_size() > 1:  # torchrun ends all as soon as one has: before this one has said why
            with contextlib.suppress(ValueError):
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
