r"""A recurrent mixture density: log p(y | past) = Σ_i Σ_t log Σ_k π_k N(d_it; m_k, S_k), exact nats of a scene.

d_it = y_it - y_i,t-1 is a displacement in metres, and π, m, S follow from everything that person i did before step t
and from the pool of all others at the last step seen. Given the pasts, people go their ways independently. Means are
differences to the last displacement, the next step of constant velocity. S = s² L Lᵀ + ε² I has correlations, s is the
unit of a person's frame, and ε = 1 cm, finer than which nobody is measured: without it a density of people who stand
still would have no bound.
Graves 2013, "Generating Sequences With Recurrent Neural Networks", section 4; Alahi et al. 2016, "Social LSTM".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from simulacra.condition import ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.devices import without_autocast
from simulacra.parts import within
from simulacra.registry import register
from simulacra.sequences.crowd import Crowd
from simulacra.sequences.walker import EMBEDDED, TRAINING, Reader, Walker
from simulacra.turns import Phase, Turn

FINEST = 0.01  # ε, metres


class Mixture(NamedTuple):
    """Of displacements: logits (..., K), means (..., K, 2), and the Cholesky factor of S: a, b, c of [[a, 0], [b, c]],
    each (..., K)."""

    logits: Tensor
    mean: Tensor
    a: Tensor
    b: Tensor
    c: Tensor

    def log_prob(self, d: Tensor) -> Tensor:
        """Displacements (..., 2) -> nats (...)."""
        x, y = (d[..., None, :] - self.mean).unbind(-1)
        u = x / self.a
        v = (y - self.b * u) / self.c
        each = -0.5 * (u.square() + v.square()) - self.a.log() - self.c.log() - math.log(2 * math.pi)
        return torch.logsumexp(F.log_softmax(self.logits, -1) + each, -1)

    def draw(self, temperature: float, generator: Generator | None) -> Tensor:
        """(..., 2)"""

        def noise(*more: int) -> Tensor:
            shape = (*self.logits.shape[:-1], *more)
            return torch.rand(shape, generator=generator, device=self.a.device, dtype=self.a.dtype)

        gumbel = -(-noise(self.logits.shape[-1]).clamp(min=1e-20).log()).log()
        chosen = (self.logits / temperature + gumbel).argmax(-1, keepdim=True)
        u, v = (2.0**0.5 * torch.erfinv((2 * noise(2) - 1).clamp(-1 + 1e-6, 1 - 1e-6)) * temperature).unbind(-1)
        mean = self.mean.gather(-2, chosen[..., None].expand(*chosen.shape, 2)).squeeze(-2)
        a, b, c = (own.gather(-1, chosen).squeeze(-1) for own in (self.a, self.b, self.c))
        return mean + torch.stack([a * u, b * u + c * v], -1)

    def middle(self) -> Tensor:
        """The mean of the mixture, (..., 2)."""
        return (self.logits.softmax(-1)[..., None] * self.mean).sum(-2)


@register(
    "recurrent-mixture",
    paper="Graves 2013, Generating Sequences With Recurrent Neural Networks; Alahi et al. 2016, Social LSTM",
    defaults=TRAINING,
)
class RecurrentMixture(Walker):
    """Args:
    spec: what x is, `Paths`, given where people come from.
    hidden: features of a person's past, of the pool of the others, and of the walk.
    components: Gaussians of a step.
    """

    def __init__(self, spec: DataSpec, hidden: int = 48, components: int = 4) -> None:
        super().__init__(spec)
        within(1, hidden=hidden, components=components)
        self.components = components
        self.reader = Reader(hidden)
        self.begin = nn.Linear(self.reader.width, 2 * hidden)
        self.embed = nn.Linear(2, EMBEDDED)
        self.lstm = nn.LSTM(EMBEDDED, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 6 * components)

    def log_prob(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """log p(x | past), (N,) nats of all people of a scene, in metres; exact."""
        crowd = self.crowd(self.conditioned(condition, len(x)))
        with without_autocast(x.device):  # a centimetre is a tenth of the head's own unit
            return crowd.sums(self.nats(crowd, x[crowd.mask].to(crowd.past.dtype)))

    def nats(self, crowd: Crowd, y: Tensor) -> Tensor:
        """log p of the path (M, steps, 2) of each, (M,)."""
        steps = torch.cat([crowd.past[:, -2:], y], 1).diff(dim=1)  # the last one seen, then those to come
        found, _ = self.next(crowd, steps[:, :-1], self.state(crowd))
        return found.log_prob(steps[:, 1:]).sum(1)

    def state(self, crowd: Crowd) -> tuple[Tensor, Tensor]:
        """Of the walk at the last step seen."""
        h, c = self.begin(self.reader(crowd)).chunk(2, 1)
        return h.tanh()[None].contiguous(), c[None].contiguous()

    def next(self, crowd: Crowd, before: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Mixture, tuple[Tensor, Tensor]]:
        """Displacements (M, T, 2) -> what follows each of them, and the state behind the last one."""
        out, state = self.lstm(torch.relu(self.embed(crowd.inward(before))), state)
        raw = self.head(out).to(crowd.past.dtype).unflatten(2, (self.components, 6))
        mean = before[:, :, None] + crowd.outward(raw[..., 1:3])
        unit = crowd.unit[:, None, None]
        a, c = (unit * F.softplus(raw[..., i] - 2) for i in (3, 5))
        # In the axes of the frame S = T Tᵀ + ε² I for a lower T; turned to the axes of the world, factored again.
        b = unit * raw[..., 4]
        xx, xy, yy = a * a, a * b, b * b + c * c
        cos, sin = (own[:, None, None] for own in crowd.axis.unbind(1))
        wxx = cos * cos * xx - 2 * cos * sin * xy + sin * sin * yy + FINEST**2
        wyy = sin * sin * xx + 2 * cos * sin * xy + cos * cos * yy + FINEST**2
        wxy = cos * sin * (xx - yy) + (cos * cos - sin * sin) * xy
        low = wxx.sqrt()
        off = wxy / low
        return Mixture(raw[..., 0], mean, low, off, (wyy - off.square()).clamp(min=FINEST**2).sqrt()), state

    def drawn(self, crowd: Crowd, temperature: float, generator: Generator | None) -> Tensor:
        return self._walk(crowd, lambda found: found.draw(temperature, generator))

    def likeliest(self, crowd: Crowd) -> Tensor:
        return self._walk(crowd, Mixture.middle)

    def _walk(self, crowd: Crowd, choose: Callable[[Mixture], Tensor]) -> Tensor:
        """Step after step (M, 1, 2), each chosen from what follows those before it."""
        state, step, taken = self.state(crowd), crowd.velocity[:, None], []
        for _ in range(self.steps):
            found, state = self.next(crowd, step, state)
            step = choose(found)
            taken.append(step)
        return crowd.past[:, -1:] + torch.cat(taken, 1).cumsum(1)

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        return {"nats": -self.log_prob(turn.x, turn.condition).float().mean()}
