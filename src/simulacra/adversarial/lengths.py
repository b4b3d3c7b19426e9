r"""Path-length regularisation: a step of fixed length in the space of styles changes images by a fixed amount.

    λ E (|J_wᵀ y| - a)²,    J_w = ∂g(w)/∂w,  w = f(z),  y ~ N(0, I/pixels)

with a the running mean of the lengths |J_wᵀ y|. At its minimum J_w is orthogonal up to a factor at every w.
Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 3.2 and appendix B.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from simulacra import whole
from simulacra.adversarial.penalties import OfCritic
from simulacra.adversarial.rounds import Round
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.devices import without_autocast
from simulacra.errors import UsageError
from simulacra.networks import CriticNetwork, Styled
from simulacra.nn import RunningMean, precise
from simulacra.parts import above, part, within

DECAY = 0.99  # of the mean length


@part("penalty", "path-length")
class PathLength(OfCritic):
    r"""λ E (|J_wᵀ y| - a)², a term of the loss of a generator with styles.

    Attributes:
        weight: λ; without it ln 2 / (ln r - ln 2) for images of r × r pixels, as the paper has it.
        every: steps from one to the next.
    """

    players: ClassVar[Sequence[str]] = ("generator",)
    weight: float | None = None
    every: int = 8

    def __post_init__(self) -> None:
        above(0, weight=self.weight)
        within(1, every=self.every)

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        if not isinstance(generator, Styled):
            raise UsageError("penalty 'path-length' is for a generator with styles: stylegan or stylegan2")
        return RunningMean(1, 1, DECAY)

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        assert isinstance(memory, RunningMean)
        assert isinstance(seen.generator, Styled)
        with without_autocast(seen.z.device):
            lengths, pixels = path_lengths(seen.generator, seen.z, seen.condition)
            if memory.training:
                memory.update(whole.mean(lengths.detach().mean()).view(1, 1), lengths.new_ones(1))
            weight = math.log(2) / (0.5 * math.log(pixels) - math.log(2)) if self.weight is None else self.weight
            return weight * (lengths - memory.value[0].to(lengths.dtype)).square().mean()


def path_lengths(generator: Styled, z: Tensor, condition: Condition) -> tuple[Tensor, int]:
    """|J_wᵀ y| of each code (N,), differentiable in the generator, and the pixels of an image."""
    styles = generator.mapping(z, condition)
    w = styles[:, 0]  # of all layers alike
    x = precise(generator.synthesis(w[:, None].expand_as(styles)))
    pixels = math.prod(x.shape[2:])
    y = whole.normal(x.shape, x) / math.sqrt(pixels)
    (gradient,) = torch.autograd.grad((x * y).sum(), w, create_graph=True)
    return (gradient.square().sum(1) + 1e-12).sqrt(), pixels
