r"""Where in a picture the words of its sentence are, learned from pairs of pictures and sentences alone.

    q_t = Σ_{|d| ≤ 1} W_d (e(w_{t+d}) + words_{t+d}),    f_p features of a place of x,    l_tp = q_t · f_p / √F
    S(x, c) = 1/L Σ_t log 1/P Σ_p exp l_tp,              box_t from Σ_p softmax_p(2 l_tp) (p, f_p)

A word fits a picture as well as one of its places does, and a sentence as well as its words do. A word asks together
with its neighbours: `red 3` is sought where both are, and not each by itself. A box is where a word looks, moved a
little, and as large as what is seen there says: four numbers, and nothing of what the picture shows.
Scores of words and regions: Karpathy & Fei-Fei 2015, "Deep Visual-Semantic Alignments for Generating Image
Descriptions", eq. 8; Xu et al. 2018, "AttnGAN", 3.2.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.fields import Tokens
from simulacra.nn import groups_for, halvings
from simulacra.nn.text import Rows, Text

SMALLEST_GRID = 8  # places along the shorter side of a picture
CONTEXT = 0.3  # what the sentence adds to a word in the beginning: words are recognised by themselves
SHARPNESS = 2.0  # of where a word looks, in units of its scores
APART, FARTHEST = 0.1, 0.15  # of the neighbours' weights in the beginning; from where a word looks to its box's middle
SMALLEST_SIDE, SIDE = 0.04, -1.3  # of a box, at least; the logit that its sides begin at


class Looks(NamedTuple):
    """What N pictures are asked, and what they have to say.

    places:  (N, P, F) features of places.
    queries: (N, T, F) of words; zeros where there is none.
    mask:    (N, T), true where a word is.
    """

    places: Tensor
    queries: Tensor
    mask: Tensor


class Grounding(nn.Module):
    """Pictures (N, C, H, W) in [-1, 1] and a condition with words -> `Looks`."""

    def __init__(self, texts: dict[str, Tokens], shape: tuple[int, ...], features: int, width: int) -> None:
        super().__init__()
        count, self.grid = halvings(shape, SMALLEST_GRID)
        sizes = [min(features, width << k) for k in range(max(1, count))]
        body = _layer(shape[0], sizes[0], 5, 2 if count else 1)
        for before, after in itertools.pairwise(sizes):
            body += _layer(before, after, 3, 2)
        self.body = nn.Sequential(*body, *_layer(sizes[-1], features, 3, 1), nn.Conv2d(features, features, 1))
        self.names, self.text = list(texts), Text(texts, features)
        self.rows = Rows(texts, features)
        self.beside = nn.Conv1d(features, features, 3, padding=1, bias=False)
        self.box = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, 4))
        self.log_scale = nn.Parameter(torch.tensor(1.0))
        self._begin()

    def _begin(self) -> None:
        """A word and its neighbours count alike, and all boxes are of one size."""
        with torch.no_grad():
            self.beside.weight.mul_(APART).add_(torch.eye(len(self.beside.weight)).unsqueeze(2))
            last = self.box[1]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(APART)
            last.bias.copy_(torch.tensor([0.0, 0.0, SIDE, SIDE]))

    def forward(self, x: Tensor, condition: Condition) -> Looks:
        read = self.text(condition)
        words = (self.rows(condition) + CONTEXT * read.words) * read.mask.unsqueeze(2)
        queries = self.beside(words.transpose(1, 2)).transpose(1, 2) * read.mask.unsqueeze(2)
        return Looks(self.body(x).flatten(2).transpose(1, 2), queries, read.mask)

    def fits(self, looks: Looks) -> Tensor:
        """e^s S of every picture with every sentence, (N, M)."""
        (n, places, features), (m, words, _) = looks.places.shape, looks.queries.shape
        scores = looks.queries.flatten(0, 1) @ looks.places.flatten(0, 1).T * features**-0.5
        best = scores.view(m, words, n, places).logsumexp(3) - math.log(places)
        mean = (best * looks.mask.unsqueeze(2)).sum(1) / looks.mask.sum(1, keepdim=True).clamp(min=1)
        return self.log_scale.exp() * mean.T

    def boxes(self, looks: Looks) -> Tensor:
        """Where each word is in the picture that its sentence is of, a box (N, T, 4) within it."""
        scores = looks.queries @ looks.places.transpose(1, 2) * looks.places.shape[2] ** -0.5
        there = torch.softmax(SHARPNESS * scores, dim=2)
        moved, side = self.box(there @ looks.places).chunk(2, dim=2)
        side = SMALLEST_SIDE + (1 - SMALLEST_SIDE) * torch.sigmoid(side)
        middle = there @ self._middles(looks.places) + FARTHEST * torch.tanh(moved)
        middle = torch.maximum(torch.minimum(middle, 1 - side / 2), side / 2)
        return torch.cat([middle - side / 2, middle + side / 2], dim=2)

    def _middles(self, places: Tensor) -> Tensor:
        """x and y of the places, in shares of the sides, (P, 2)."""
        rows, columns = ((torch.arange(n, device=places.device, dtype=places.dtype) + 0.5) / n for n in self.grid)
        return torch.cartesian_prod(rows, columns).flip(1)


def _layer(inputs: int, outputs: int, side: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, side, stride, side // 2)
    return [convolution, nn.GroupNorm(groups_for(outputs), outputs), nn.ReLU()]


def told_apart(fits: Tensor, alike: Tensor) -> Tensor:
    """-log P of each item's own sentence among those that differ from it, and of each sentence's own item, nats (N,).

    fits: (N, N) of items with sentences. alike: (N, N), which sentences are equal: none of them is wrong for another.
    """
    itself = torch.eye(len(fits), dtype=torch.bool, device=fits.device)
    fits = fits.masked_fill(alike & ~itself, torch.finfo(fits.dtype).min)
    own = fits.diagonal()
    return (fits.logsumexp(1) - own) + (fits.logsumexp(0) - own)
