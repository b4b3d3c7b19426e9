r"""From words to a picture by way of a layout: each word has a vector, a box and a mask, of which it is made.

    v_t = e(w_t) + F(e(w_t) + words_t, s),    box_t = b(v_t),    mask_t = σ(g(v_t)) σ(a(v_t)),   s of z, sentence
    layout(y, x) = v_0(s) + Σ_t mask_t(y, x) v_t,      x = tanh(conv(cascade of the layout))

words_t are the features of word t in its context, e(w_t) a row of its own, so that a thing looks alike in every
sentence, and where it stands follows from the words about it. No place is given: a word that names a thing finds one,
and the others close their gate g. What a critic says of a place reaches the words that are there alone, as it does the
objects of a scene graph (`layout`), where a map that all places read from (`attentional`) has to find the place first.
The penalty `grounded` teaches it to paint words in the boxes in which they are found in real items.

Layouts that follow from words: Hong et al. 2018, "Inferring Semantic Layout for Hierarchical Text-to-Image Synthesis",
whose boxes are learned from given ones; the picture made of a layout: Johnson et al. 2018, "Image Generation from Scene
Graphs", 3.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.devices import without_autocast
from simulacra.networks.generators import Generator
from simulacra.networks.images import refuse_unless_images
from simulacra.networks.layout import Cascade, normed_perceptron, within_image
from simulacra.networks.translating import STYLE, Ending, Inputs
from simulacra.nn.boxes import spread
from simulacra.nn.text import Rows, Text, refuse_without_text, texts_of
from simulacra.parts import part, within

APART = 3.0  # by which the first places of words differ more than those of a usual initialisation
OPEN, SMALL = -1.0, -1.0  # logits that gates, and the sides of boxes, begin at


class Words(NamedTuple):
    """What is known of T words of each of N items, before a picture is made of them.

    pictures: (N, count, H, W) those of the condition.
    s:        (N, STYLE) the code, the sentence and all other fields.
    vectors:  (N, T, features) what each word is made of.
    gates:    (N, T) whether it is a thing that has a place; 0 where there is no word.
    masks:    (N, T, m, m) how much of each place in its box it covers, the gate included.
    boxes:    (N, T, 4) its own box.
    """

    pictures: Tensor
    s: Tensor
    vectors: Tensor
    gates: Tensor
    masks: Tensor
    boxes: Tensor


class WordLayout(nn.Module):
    """z (N, latent) and a condition with words -> x (N, C, H, W) in [-1, 1]."""

    def __init__(self, spec: DataSpec, latent: int, part: WordLayoutGenerator) -> None:
        super().__init__()
        texts, features = texts_of(spec.condition), part.features
        rest = {name: own for name, own in spec.condition.items() if name not in texts}
        self.size, self.side = (spec.shape[1], spec.shape[2]), part.mask
        self.inputs = Inputs(DataSpec(spec.x, rest), latent, self.size)
        self.text = Text(spec.condition, features)
        self.rows = Rows(texts, features)
        self.style = nn.Sequential(nn.Linear(STYLE + features, STYLE), nn.ReLU())
        self.within = nn.Sequential(
            nn.Linear(features + STYLE, part.hidden), nn.ReLU(), nn.Linear(part.hidden, features)
        )
        self.boxes = normed_perceptron(features, part.hidden, 4)
        self.masks = normed_perceptron(features, part.hidden, 1 + part.mask**2)
        self.ground = nn.Linear(STYLE, features)
        self.refined = Cascade(spec.shape, features, self.inputs.count, part.width, part.widest)
        self.last = Ending(spec, part.width)
        _begin(self.boxes[-1], self.masks[-1])

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        return self.painted(self.words(z, condition), condition)

    def words(self, z: Tensor, condition: Condition) -> Words:
        """What codes (N, latent) and a condition say of each word."""
        pictures, s = self.inputs(z, condition)
        with without_autocast(z.device):  # places need more digits than bfloat16 has
            s = s.float() if s.dtype == torch.bfloat16 else s
            read = self.text(condition)
            s = self.style(torch.cat([s, read.sentence], dim=1))
            own = self.rows(condition)
            beside = s.unsqueeze(1).expand(-1, own.shape[1], -1)
            vectors = own + self.within(torch.cat([own + read.words, beside], dim=2))
            gate, mask = torch.sigmoid(self.masks(vectors)).split([1, self.side**2], dim=2)
            gate = gate * read.mask.unsqueeze(2)
            mask = (gate * mask).unflatten(2, (self.side, self.side))
            return Words(pictures, s, vectors, gate.squeeze(2), mask, within_image(self.boxes(vectors)))

    def painted(self, words: Words, condition: Condition, boxes: Tensor | None = None) -> Tensor:
        """The picture of words in boxes (N, T, 4), or in their own."""
        with without_autocast(words.vectors.device):
            covered = spread(words.masks, words.boxes if boxes is None else boxes, self.size)
        everywhere = covered.new_ones(len(covered), 1, *self.size)
        vectors = torch.cat([words.vectors, self.ground(words.s).unsqueeze(1)], dim=1)
        h = self.refined(vectors, torch.cat([covered, everywhere], dim=1), words.pictures, words.s)
        return self.last(h, condition)


def _begin(boxes: nn.Module, masks: nn.Module) -> None:
    """Words that begin with small boxes apart from each other, and gates that are half closed."""
    assert isinstance(boxes, nn.Linear)
    assert isinstance(masks, nn.Linear)
    with torch.no_grad():
        boxes.weight[:2] *= APART
        boxes.bias[2:] = SMALL
        masks.bias[0] = OPEN


@part("generator", "word-layout")
class WordLayoutGenerator(Generator):
    """From words to x: each word has a box and a mask of its own, and a picture is refined from their layout.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most; 16 times the width without it.
        features: numbers of a word's vector, an even number.
        hidden: units of the perceptrons.
        mask: numbers along the side of a mask.
    """

    width: int = 16
    widest: int | None = 128
    features: int = 64
    hidden: int = 128
    mask: int = 8

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest, features=self.features, hidden=self.hidden, mask=self.mask)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_without_text(spec.condition, "word-layout")
        refuse_unless_images(spec, "word-layout", on_grid=True)
        return WordLayout(spec, latent, self)
