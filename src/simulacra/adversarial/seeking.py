r"""Mode seeking: two codes under one condition are to give two different items.

    λ E 1 / (|G(z, c) - G(z', c)| / |z - z'| + ε)         z, z' ~ p(z), |·| the mean over all numbers

A generator that is held to the item of each pair learns to ignore its code; this term is what there is to lose by it.
Mao et al. 2019, "Mode Seeking Generative Adversarial Networks for Diverse Image Synthesis", eq. 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from simulacra import whole
from simulacra.adversarial.penalties import Weighed
from simulacra.adversarial.rounds import Round
from simulacra.parts import part

SMALLEST = 1e-2  # ε: of the ratio, where the paper has 1e-5, by which the first steps would be of this term alone


@part("penalty", "seeking")
class ModeSeeking(Weighed):
    """λ E 1 / (|G(z, c) - G(z', c)| / |z - z'| + ε) with z' of the gaussian prior.

    Attributes:
        weight: λ.
        every: steps from one to the next.
    """

    players: ClassVar[Sequence[str]] = ("generator",)
    weight: float = 1.0
    every: int = 1

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        other = whole.normal(seen.z.shape, seen.z)
        apart = (seen.generator(other, seen.condition).float() - seen.fake.x.float()).abs().flatten(1).mean(1)
        ratio = apart / (other - seen.z).abs().mean(1)
        return self.weight * (1 / (ratio + SMALLEST)).mean()
