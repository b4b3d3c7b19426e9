r"""From words to a picture: a code and the sentence make the coarsest map, which is doubled; places read the words.

    s = [z, sentence],   h_0 = W s,   h <- read(h + F(h, s)) from a size on,   h <- doubled(h),   x = tanh(conv(h))

F is a convolution behind a norm that s scales and shifts. Xu et al. 2018, "AttnGAN: Fine-Grained Text to Image
Generation with Attentional Generative Adversarial Networks", 3.1.

In two stages a picture of half the size is made first; the second stage reads that picture, and the words once more,
and adds to it: x = tanh(a↑ + R(tanh a, words)). Zhang et al. 2017, "StackGAN: Text to Photo-realistic Image
Synthesis with Stacked Generative Adversarial Networks", whose conditioning augmentation (3.2) takes the place of the
sentence: μ(sentence) + σ(sentence) ⊙ ε, with ε numbers of the code.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.networks.blocks import widths
from simulacra.networks.generators import BesideCode, Generator
from simulacra.networks.images import refuse_unless_images
from simulacra.nn import ConditionalGroupNorm, DoublingConv2d, Imposed, halvings, repeated
from simulacra.nn.cross_attention import CrossAttention
from simulacra.nn.text import Read, Text, refuse_without_text, texts_of
from simulacra.parts import part, within

STYLE = 128  # numbers of s, as the norms read it


class Reads(nn.Module):
    """h (N, width, H, W) -> the same shape: each place reads the words, and a residual convolution that s modulates."""

    def __init__(self, width: int, words: int) -> None:
        super().__init__()
        self.attention, self.norm = CrossAttention(width, words), ConditionalGroupNorm(width, STYLE)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, h: Tensor, s: Tensor, read: Read) -> Tensor:
        h = self.attention(h, read.words, read.mask)
        return h + self.conv(F.relu(self.norm(h, s)))


class Sized(nn.Module):
    """h (N, before, H, W) -> (N, after, H, W), or twice as large: a convolution with a norm, and `Reads`, or not."""

    def __init__(self, before: int, after: int, words: int, doubles: bool, attends: bool) -> None:
        super().__init__()
        self.first = DoublingConv2d(before, after, 3) if doubles else nn.Conv2d(before, after, 3, padding=1)
        self.norm, self.reads = ConditionalGroupNorm(after, STYLE), Reads(after, words) if attends else None

    def forward(self, h: Tensor, s: Tensor, read: Read) -> Tensor:
        h = F.relu(self.norm(self.first(h), s))
        return h if self.reads is None else self.reads(h, s, read)


class Second(nn.Module):
    """The second stage: a picture a (N, C, H, W) before its tanh -> that of twice the size, a↑ + R(tanh a, words)."""

    def __init__(self, channels: int, before: int, after: int, words: int) -> None:
        super().__init__()
        self.enter = Sized(channels, before, words, doubles=False, attends=True)
        self.larger = Sized(before, after, words, doubles=True, attends=False)
        self.last = nn.Conv2d(after, channels, 3, padding=1)

    def forward(self, a: Tensor, s: Tensor, read: Read) -> Tensor:
        h = self.enter(torch.tanh(a), s, read)
        return repeated(a) + self.last(self.larger(h, s, read))


class Attentional(nn.Module):
    """z (N, latent) and a condition with words -> x (N, C, H, W) in [-1, 1]."""

    def __init__(self, spec: DataSpec, latent: int, part: AttentionalGenerator) -> None:
        super().__init__()
        self.augmented, (channels, *self.size) = part.augmented, spec.shape
        texts = texts_of(spec.condition)
        self.text = Text(spec.condition, part.words)
        self.beside = BesideCode({n: own for n, own in spec.condition.items() if n not in texts}, latent)
        self.moments = nn.Linear(part.words, 2 * part.augmented) if part.augmented else None
        inputs = self.beside.outputs + (part.augmented or part.words)
        self.style = nn.Sequential(nn.Linear(inputs, STYLE), nn.ReLU())
        count, self.coarsest = halvings(spec.shape)
        own = list(reversed(widths(part.width, part.widest, count)))
        attended = [k for k in range(count) if min(self.coarsest) << k >= part.attention] or [count - 1]
        self.enter = nn.Linear(inputs, own[0] * self.coarsest[0] * self.coarsest[1])
        sizes = [own[0], *(own if part.stages == 1 else own[:-1])]
        self.blocks = nn.ModuleList(
            Sized(before, after, part.words, k > 0, k in attended)
            for k, (before, after) in enumerate(itertools.pairwise(sizes))
        )
        self.last = nn.Conv2d(sizes[-1], channels, 3, padding=1)
        self.second = Second(channels, own[-2], own[-1], part.words) if part.stages == 2 else None
        self.imposed = Imposed(spec.condition)

    def of_sentence(self, sentence: Tensor) -> tuple[Tensor, Tensor]:
        """μ and log σ of conditioning augmentation, (N, augmented) each."""
        assert self.moments is not None, "without augmentation a sentence has no moments"
        mean, log_sigma = self.moments(sentence).chunk(2, dim=1)
        return mean, log_sigma

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        read: Read = self.text(condition)
        sentence = read.sentence
        if self.moments is not None:
            mean, log_sigma = self.of_sentence(sentence)
            sentence = mean + log_sigma.exp() * z[:, : self.augmented]
        inputs = torch.cat([self.beside(z, condition), sentence], dim=1)
        s, h = self.style(inputs), self.enter(inputs).unflatten(1, (-1, *self.coarsest))
        for block in self.blocks:
            h = block(h, s, read)
        x = self.last(h)
        x = x if self.second is None else self.second(x, s, read)
        return self.imposed(torch.tanh(x)[..., : self.size[0], : self.size[1]], condition)


@part("generator", "attentional")
class AttentionalGenerator(Generator):
    """From a sentence to x: its features make the coarsest map, and places of the larger ones read its words.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most; 16 times the width without it.
        words: features of a word.
        attention: shorter side of the smallest map that reads the words; all larger ones but the image do, too.
        stages: 1, or 2: a picture of half the size first, which the second stage reads, and the words once more.
        augmented: numbers of the code that are the noise of conditioning augmentation; 0 for a sentence as it is.
    """

    width: int = 32
    widest: int | None = None
    words: int = 64
    attention: int = 8
    stages: int = 1
    augmented: int = 0

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest, words=self.words, attention=self.attention)
        within(1, 2, stages=self.stages)
        within(0, augmented=self.augmented)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_without_text(spec.condition, "attentional")
        refuse_unless_images(spec, "attentional", on_grid=True)
        if self.augmented > latent:
            raise UsageError(f"of {latent} numbers of a code not {self.augmented} can be noise of the sentence")
        return Attentional(spec, latent, self)
