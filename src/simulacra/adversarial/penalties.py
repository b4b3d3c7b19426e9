"""Penalties: terms added to the critic's loss, every so many steps."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from simulacra import whole
from simulacra.condition import Condition
from simulacra.parts import above, kind, part, within


@kind("penalty")
class Penalty(Protocol):
    """A term of the critic's loss, taken in every `every`-th step."""

    @property
    def every(self) -> int: ...

    def loss(self, critic: nn.Module, real: Tensor, fake: Tensor, condition: Condition) -> Tensor:
        """A scalar, from items (N, *shape) in [-1, 1] of both kinds and the condition of both."""
        ...


@part("penalty", "gradient")
class GradientPenalty:
    r"""λ E (|∇D(x̂)| - 1)², at points x̂ = α x + (1 - α) G(z) between real and generated items, α ~ U[0, 1] for each.

    Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", eq. 3. In float32; where the gradient vanishes, the
    derivative of its norm is set to 0 instead of NaN.

    Attributes:
        weight: λ.
        every: steps from one to the next.
    """

    weight: float = 10.0
    every: int = 1

    def __post_init__(self) -> None:
        above(0, weight=self.weight)
        within(1, every=self.every)

    def loss(self, critic: nn.Module, real: Tensor, fake: Tensor, condition: Condition) -> Tensor:
        with torch.autocast(real.device.type, enabled=False):
            real, fake = real.float(), fake.detach().float()
            alpha = whole.uniform((len(real), *[1] * (real.dim() - 1)), real)
            between = torch.lerp(fake, real, alpha).requires_grad_()
            (gradient,) = torch.autograd.grad(critic(between, condition).sum(), between, create_graph=True)
            squared = gradient.flatten(1).square().sum(1)
            norm = torch.where(squared > 0, squared.clamp(min=1e-20).sqrt(), squared)
        return self.weight * (norm - 1).square().mean()
