r"""What is done to items before a critic sees them, so that it cannot learn a small data set by heart.

    D is trained on T(x) against T(G(z)), and G through D(T(G(z))): T is differentiable and the same for both kinds.

As long as T's random choices can be undone in distribution (each is left out with a positive probability) a generator
whose T(G(z)) is distributed like T(x) has G(z) distributed like x: nothing of T leaks into samples.
Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training"; Karras et al. 2020, "Training
Generative Adversarial Networks with Limited Data", section 2.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.parts import kind


@kind("shown")
class Shown(Protocol):
    """Builds T for data of a spec; raises UsageError for data that it is not for."""

    def build(self, spec: DataSpec) -> Augment: ...


class Augment(nn.Module):
    """Abstract: T of items (N, *shape) in [-1, 1], by noise of `whole`; its buffers are saved and resumed."""

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def adapt(self, margins: Tensor) -> None:
        """After a turn of the critic, by its scores (N,) of real items, positive where it takes them for real: change
        how much is done, or nothing."""


def refuse_without_images(spec: DataSpec, name: str) -> None:
    """Raise UsageError for data that are no images."""
    if not spec.is_image:
        raise UsageError(f"augmentation {name!r} is of images, not of {spec.x.describe()}: leave --augmentation out")
