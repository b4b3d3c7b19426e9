r"""How a critic reads words: at each of its patches beside what it sees there.

    D(x, c)_p = ψ(h_p) + w · ReLU(W [h'_p, read_p, sentence]) + Σ over other fields h_p · V c

h' is h after a layer norm: beside words, the features of a body with spectral norm are small. read_p is what patch p
reads of the words (`Attend`). A patch and a sentence are judged together by a hidden layer, as in Reed et al. 2016,
"Generative Adversarial Text to Image Synthesis", 4.1, where the sentence stands beside the features of every place; the
words as in Xu et al. 2018, "AttnGAN", eq. 7. All fields that are not words enter by projection (Miyato & Koyama 2018).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.data.spec import DataSpec
from simulacra.fields import Field
from simulacra.networks.critics import ProjectionHead
from simulacra.nn.cross_attention import Attend
from simulacra.nn.text import Text, refuse_without_text, texts_of
from simulacra.parts import part, within


class ReadingHead(nn.Module):
    """Features (N, features) or (N, P, features) and a condition with words -> scores (N,) or (N, P)."""

    def __init__(self, fields: Mapping[str, Field], features: int, width: int, bias: bool = True) -> None:
        super().__init__()
        texts = texts_of(fields)
        self.plain = ProjectionHead({n: own for n, own in fields.items() if n not in texts}, features, bias)
        self.text, self.norm, self.attend = Text(fields, width), nn.LayerNorm(features), Attend(features, width, width)
        self.hidden, self.joint = nn.Linear(features + 2 * width, features), nn.Linear(features, 1, bias=False)

    def forward(self, h: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        places = self.norm(h if h.dim() == 3 else h.unsqueeze(1))
        words, mask, sentence = self.text(condition)
        everywhere = sentence.unsqueeze(1).expand(-1, places.shape[1], -1)
        beside = torch.cat([places, self.attend(places, words, mask), everywhere.to(places.dtype)], dim=2)
        joint = self.joint(F.relu(self.hidden(beside))).squeeze(-1)
        return self.plain(h, condition) + (joint if h.dim() == 3 else joint.squeeze(1))


@part("conditioning", "reading")
class Reading:
    """Each patch of the critic reads the words, and is judged beside them and the sentence.

    Attributes:
        words: features of a word.
    """

    words: int = 64

    def __post_init__(self) -> None:
        within(1, words=self.words)

    def planes(self, spec: DataSpec) -> nn.Module | None:
        return None

    def head(self, spec: DataSpec, features: int, bias: bool = True) -> nn.Module:
        refuse_without_text(spec.condition, "a critic of conditioning 'reading'")
        return ReadingHead(spec.condition, features, self.words, bias)
