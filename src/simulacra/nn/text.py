r"""A sentence read word by word, in both directions: features of each word in its context, and of the sentence.

    f_t = GRU(f_t-1, row(w_t)),   b_t = GRU(b_t+1, row(w_t)),   words_t = [f_t, b_t],   sentence = [f_L, b_1]

L is the number of words. Each sentence is turned round within its own length for the way back, so that padding is
behind the words both ways and changes no feature of them. A sentence without words has features of zeros.
Xu et al. 2018, "AttnGAN: Fine-Grained Text to Image Generation with Attentional Generative Adversarial Networks", 3.1,
with a GRU (Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder") for the LSTM.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from simulacra.errors import UsageError
from simulacra.fields import Field, Tokens
from simulacra.nn.embed import key, plain


class Read(NamedTuple):
    """What was read of N sentences.

    words:    (N, T, width), zeros behind the last word.
    mask:     (N, T), true where a word is.
    sentence: (N, width).
    """

    words: Tensor
    mask: Tensor
    sentence: Tensor


class Sentences(nn.Module):
    """Tokens (N, T), padded with -1 -> `Read`."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise UsageError(f"features of words have two halves, one for each direction: an even number, not {width}")
        self.rows = nn.Embedding(vocabulary, width)
        self.forth, self.back = (nn.GRU(width, width // 2, batch_first=True) for _ in range(2))

    def forward(self, tokens: Tensor) -> Read:
        mask = tokens >= 0
        rows = self.rows(tokens.clamp(min=0))
        turn = turned(mask)
        forth, back = self.forth(rows)[0], self.back(_along(rows, turn))[0]
        last = (mask.sum(1) - 1).clamp(min=0)[:, None]
        sentence = torch.cat([_along(forth, last), _along(back, last)], dim=2).squeeze(1)
        words = torch.cat([forth, _along(back, turn)], dim=2)
        return Read(words * mask.unsqueeze(2), mask, sentence * mask[:, :1])


def turned(mask: Tensor) -> Tensor:
    """Truths (N, T), of which the first L are true -> the places (N, T) of L - 1, ..., 0, and the padding's own."""
    place = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, mask.sum(1, keepdim=True) - 1 - place, place)


def _along(features: Tensor, places: Tensor) -> Tensor:
    """Features (N, T, width) at places (N, K) -> (N, K, width)."""
    return features.gather(1, places.unsqueeze(2).expand(-1, -1, features.shape[2]))


class Text(nn.Module):
    """All fields of tokens of a condition -> `Read`: their words one after the other, the sum of their sentences."""

    def __init__(self, fields: Mapping[str, Field], width: int) -> None:
        super().__init__()
        texts = texts_of(fields)
        self.names, self.width = list(texts), width
        self.readers = nn.ModuleDict({key(n): Sentences(len(own.vocabulary), width) for n, own in texts.items()})

    def forward(self, condition: Mapping[str, Tensor]) -> Read:
        read: list[Read] = [self.readers[key(name)](condition[name]) for name in self.names]
        words, mask = (torch.cat(parts, dim=1) for parts in ([r.words for r in read], [r.mask for r in read]))
        return Read(words, mask, torch.stack([each.sentence for each in read]).sum(0))


class Rows(nn.ModuleDict):
    """A condition -> a row for each word, (N, T, width), the same in every sentence, in the order of `Text`; padding
    has that of some word."""

    def __init__(self, fields: Mapping[str, Field], width: int) -> None:
        texts = texts_of(fields)
        super().__init__({key(name): nn.Embedding(len(own.vocabulary), width) for name, own in texts.items()})
        self.names = list(texts)

    def forward(self, condition: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([self[key(name)](condition[name].clamp(min=0)) for name in self.names], dim=1)


def texts_of(fields: Mapping[str, Field]) -> dict[str, Tokens]:
    """The fields of tokens."""
    own = {name: plain(field) for name, field in fields.items()}
    return {name: field for name, field in own.items() if isinstance(field, Tokens)}


def refuse_without_text(fields: Mapping[str, Field], name: str) -> None:
    """Raise UsageError unless one of the fields of a condition is of tokens."""
    if not texts_of(fields):
        given = f"not {', '.join(map(repr, fields))}" if fields else "which this one has not"
        raise UsageError(f"{name} reads a condition of words, {given}: add a field of tokens, --condition caption")
