"""Small networks that are fitted on the spot, on the CPU and from a constant seed, to judge samples by.

One machine makes the same network of the same data for every model. Neither the state of torch's generators nor that of
gradients is changed. The last few are kept, since many models are measured on one data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from simulacra.progress import advance, stage
from simulacra.randomness import mix

N = TypeVar("N", bound=nn.Module)


def fitted(
    purpose: str,
    build: Callable[[], N],
    loss: Callable[[N, np.ndarray], Tensor],
    batches: Iterable[np.ndarray],
    steps: int,
    rate: float,
    decay: float = 0.01,
) -> N:
    """What `build` makes after so many steps of AdamW at a rate of one cycle (Smith & Topin 2017), without gradients.

    Args:
        purpose: the seed of the weights follows from it; also the name of this stage of a verb.
        loss: a scalar of the network and the numbers of the items of a batch.
        batches: these numbers, of as many batches as there are steps.
        rate: the largest. decay: of the weights.
    """
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(mix(purpose, "weights"))
        network = build().train()
        adam = torch.optim.AdamW(network.parameters(), rate, weight_decay=decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(adam, rate, total_steps=steps + 1)
        with stage(purpose):
            for step, rows in zip(range(steps), batches, strict=False):
                adam.zero_grad()
                loss(network, rows).backward()
                adam.step()
                schedule.step()
                advance(step + 1, steps)
    return network.eval().requires_grad_(False)


class Kept(Generic[N]):
    """The networks that were made last, at most so many, each with its steps, by a hash of all that it depends on."""

    def __init__(self, most: int) -> None:
        self.most, self._networks = most, dict[str, tuple[N, int]]()

    def __call__(self, key: str, make: Callable[[], tuple[N, int]]) -> tuple[N, int]:
        if key not in self._networks:
            while len(self._networks) >= self.most:
                del self._networks[next(iter(self._networks))]
            self._networks[key] = make()
        return self._networks[key]
