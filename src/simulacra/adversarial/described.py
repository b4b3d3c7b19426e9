r"""Items from which their sentence can be read: the critic also describes, word by word, and items must be described
rightly.

    L = -E 1/(L+1) Σ_t log P(w_t | w_<t, f(x)),      w_1 ... w_L the words, w_L+1 the end of the sentence

A GRU that reads the words before asks the patches of the critic's features for the next one. The critic learns it on
real items alone, so that it reads what pictures show and no sign language of the generator's, whose items must then
be read as their condition. It is the auxiliary classifier of Odena et al. 2017 for a class that is a sentence, and, in
the critic's features, the text that is described again of Qiao et al. 2019, "MirrorGAN: Learning Text-to-image
Generation by Redescription", eq. 12.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.adversarial.penalties import PLAYERS, Weighed
from simulacra.adversarial.rounds import Round, Side
from simulacra.data.spec import DataSpec
from simulacra.fields import Tokens
from simulacra.networks import CriticNetwork
from simulacra.nn.cross_attention import Attend
from simulacra.nn.embed import key
from simulacra.nn.text import refuse_without_text, texts_of
from simulacra.parts import part

HIDDEN = 64  # numbers of a state


class Describer(nn.Module):
    """Features (N, P, F) of P patches and tokens (N, T) -> -log P of each word and of the end, (N, T + 1), nats; zeros
    on padding."""

    def __init__(self, field: Tokens, features: int, places: int) -> None:
        super().__init__()
        self.begin = len(field.vocabulary)  # the row of the beginning, and the logit of the end
        self.rows = nn.Embedding(self.begin + 1, HIDDEN)
        self.norm, self.places = nn.LayerNorm(features), nn.Parameter(0.3 * torch.randn(places, features))
        self.state = nn.GRU(HIDDEN, HIDDEN, batch_first=True)
        self.attend = Attend(HIDDEN, features, HIDDEN)
        self.last = nn.Sequential(nn.Linear(2 * HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, self.begin + 1))

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        there = F.pad(tokens >= 0, (1, 0), value=True)  # of each target, the end behind the last word among them
        before = F.pad(tokens.where(tokens >= 0, self.begin), (1, 0), value=self.begin)
        targets = F.pad(tokens.where(tokens >= 0, self.begin), (0, 1), value=self.begin)
        state = self.state(self.rows(before))[0]
        patches = self.norm(features) + self.places
        read = self.attend(state, patches, patches.new_ones(patches.shape[:2], dtype=torch.bool))
        logits = self.last(torch.cat([state, read], dim=2)).float()
        return F.cross_entropy(logits.transpose(1, 2), targets, reduction="none") * there


class Describers(nn.Module):
    """Items -> the sum over the fields of words of the mean of -log P(sentence) for each word, nats, a scalar."""

    def __init__(self, fields: Mapping[str, Tokens], features: int, places: int) -> None:
        super().__init__()
        self.names = list(fields)
        self.each = nn.ModuleDict({key(name): Describer(own, features, places) for name, own in fields.items()})

    def forward(self, side: Side) -> Tensor:
        features = side.features if side.features.dim() == 3 else side.features.unsqueeze(1)
        total = features.new_zeros((), dtype=torch.float32)
        for name in self.names:
            tokens = side.condition[name]
            nats = self.each[key(name)](features, tokens)
            total = total + (nats.sum(1) / ((tokens >= 0).sum(1) + 1)).mean()
        return total


@part("penalty", "described")
class Described(Weighed):
    r"""-λ E log P(words | x) for each word: the critic's loss has it of real items, that of the generator, which does
    not move what describes, of generated ones.

    Attributes:
        weight: λ.
        every: steps from one to the next.
        first: the share of a run in which the critic does nothing else, and the game has not begun: what cannot be read
            yet teaches nothing.
    """

    players: ClassVar[Sequence[str]] = PLAYERS
    owners: ClassVar[Sequence[str]] = ("critic",)
    weight: float = 1.0
    every: int = 1
    first: float = 0.0

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        refuse_without_text(spec.condition, "penalty 'described'")
        return Describers(texts_of(spec.condition), *_sizes(spec, critic))

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        return self.weight * memory(seen.fake if seen.of_generator else seen.real)


def _sizes(spec: DataSpec, critic: CriticNetwork) -> tuple[int, int]:
    """Numbers of a patch in the critic's features, and patches: of an item of zeros."""
    training, more = critic.training, 0 if critic.planes is None else int(critic.planes.count)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        features = critic.eval().body(torch.zeros(1, spec.shape[0] + more, *spec.shape[1:]))
    critic.train(training)
    return features.shape[-1], 1 if features.dim() == 2 else features.shape[1]
