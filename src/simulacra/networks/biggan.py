r"""The generator of BigGAN: residual blocks whose batch norms read one embedding of the condition and a part of z.

    z = [z_0, ..., z_B],   h_0 = W z_0,   block k reads s_k = [E c, z_k]:   gain 1 + G_k s_k, offset O_k s_k

E is shared by all blocks, and each has its own linear maps G and O. Weights begin orthogonal and are normalised by the
largest of their singular values. Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image
Synthesis", appendix B. Its critic is `residual:initial=orthogonal` with self-attention.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.networks.blocks import Beginning, Growth, Initial, widths
from simulacra.networks.generators import Generator
from simulacra.networks.images import refuse_unless_images
from simulacra.nn import ConditionalBatchNorm, Vectors, halvings
from simulacra.parts import part, within


class BigNetGenerator(nn.Module):
    """z (N, latent) -> x (N, C, H, W) in [-1, 1]"""

    def __init__(self, spec: DataSpec, latent: int, part: BigGANGenerator) -> None:
        super().__init__()
        begin = Beginning(part.initial, normed=True)
        count, self.coarsest = halvings(spec.shape)
        if latent <= count:
            raise UsageError(
                f"biggan networks split a code into {count + 1} parts, one for each resolution of {spec.shape}, and "
                f"need latent >= {count + 1}, not {latent}"
            )
        own, fields = widths(part.width, part.widest, count), spec.condition
        self.embed = Beginning(part.initial, normed=False).all_of(Vectors(fields, part.shared))
        self.parts = [latent * (k + 1) // (count + 1) - latent * k // (count + 1) for k in range(count + 1)]
        self.enter = begin(nn.Linear(self.parts[0], own[-1] * self.coarsest[0] * self.coarsest[1]))

        def norm(number: int, width: int) -> nn.Module:
            read = self.parts[number + 1] + part.shared * len(fields)
            return ConditionalBatchNorm(width, begin(nn.Linear(read, 2 * width, bias=False)))

        self.blocks = Growth(spec.shape, own, norm, begin, part.attention)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        first, *others = z.split(self.parts, dim=1)
        shared = list(self.embed(condition).values())
        h = self.enter(first).unflatten(1, (-1, *self.coarsest))
        return self.blocks(h, [torch.cat([*shared, own], dim=1) for own in others])


@part("generator", "biggan")
class BigGANGenerator(Generator):
    """Residual blocks whose batch norms read an embedding of the condition, shared by all, and a part of the code.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most; 16 times the width without it.
        shared: numbers in the embedding of each field of the condition.
        attention: self-attention at the largest feature map whose shorter side is at most this; none without it.
        initial: weights at the beginning: glorot or orthogonal.
    """

    width: int = 64
    widest: int | None = None
    shared: int = 128
    attention: int | None = None
    initial: Initial = "orthogonal"

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest, shared=self.shared, attention=self.attention)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_unless_images(spec, "biggan", on_grid=True)
        return BigNetGenerator(spec, latent, self)
