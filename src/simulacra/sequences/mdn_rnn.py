r"""A recurrent density of series: the state of a recurrent network gives each number a mixture of Gaussians,

    h_t = GRU(h_{t-1}, z_{t-1}),   p(x) = Π_t Π_d p(z_td | z_t1 ... z_t,d-1, h_t) / s_d,   z_td = (x_td - m_d) / s_d

Graves 2013, "Generating Sequences With Recurrent Neural Networks", with the mixtures of Bishop 1994, "Mixture Density
Networks". Graves draws the D numbers of a step from one mixture of diagonal Gaussians. Here they are a chain as in
RNADE (Uria, Murray & Larochelle 2013), so that any dependence within a step can be learnt, and the exact likelihood,
completion and the samplers are those of the autoregressive family. Three things are linear and direct: the means depend
on the step before, A z_{t-1}, on each column's own steps further back, Σ_k a_k ⊙ z_{t-k} with k = 2 .. `lags` (seasons;
before the first step its value is repeated), and on the numbers before in the same step, L z_t. One component and
nothing else is a vector autoregression, so that the network learns what that leaves.

m and s are the means and deviations of the columns over all training items; z is what the network sees, so that the
units of x do not matter, and p is the density of x itself, in its own units.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from simulacra.autoregressive.chain import Autoregressive
from simulacra.autoregressive.rnade import components_of, side_by_side
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import MixtureOfGaussians
from simulacra.errors import UsageError
from simulacra.nn import AddCondition, Embed, Units
from simulacra.registry import register
from simulacra.sequences.spec import series_shape
from simulacra.turns import Turn

Hidden = Tensor | tuple[Tensor, Tensor]


@register(
    "mdn-rnn",
    paper="Graves 2013, Generating Sequences With Recurrent Neural Networks; Bishop 1994, Mixture Density Networks",
    defaults={"learning_rate": 5e-3, "batch": 64, "steps": 2000, "schedule": "cosine", "clip": 1.0, "every": 100},
)
class MDNRNN(Autoregressive):
    r"""log p(x|c) = Σ_t Σ_d log p(x_td | x_t,<d, x_<t, c), a density of series (T, D); a mixture for each number.

    Args:
        spec: what x is: series (T, D) of real numbers, with any condition.
        hidden: H, units of the recurrent state.
        layers: of the recurrent network.
        cell: of the recurrent network: gru or lstm.
        head: units by which a number depends on those before it in the same step.
        components: K, Gaussians in the mixture of a number.
        lags: steps back that each column's mean depends on directly; at most T - 1 of them.
    """

    def __init__(
        self,
        spec: DataSpec,
        hidden: int = 96,
        layers: int = 1,
        cell: Literal["gru", "lstm"] = "gru",
        head: int = 32,
        components: int = 5,
        lags: int = 48,
    ) -> None:
        super().__init__(spec)
        length, columns = series_shape(spec, "mdn-rnn", "rnade")
        if min(hidden, layers, head, components, lags) < 1:
            raise UsageError("mdn-rnn needs hidden, layers, head, components and lags >= 1")
        self.columns, self.components = columns, components
        self.units = Units(columns)
        self.embed = Embed(spec.condition)
        recurrent = nn.GRU if cell == "gru" else nn.LSTM
        self.recurrent = recurrent(columns + 1, hidden, layers, batch_first=True)
        self.condition = AddCondition(spec.condition, hidden)
        self.start = nn.Linear(hidden, head)
        self.inputs = nn.Parameter(torch.empty(columns, head))
        self.rates = nn.Parameter(torch.ones(columns, 1))
        self.outputs = nn.Parameter(torch.empty(columns, head, 3 * components))
        self.biases = nn.Parameter(torch.zeros(columns, 3 * components))
        self.within = nn.Parameter(torch.zeros(columns, columns))
        self.before = nn.Parameter(torch.zeros(columns, columns))
        far = min(lags, length - 1) - 1
        self.further = nn.Parameter(torch.zeros(columns, far)) if far > 0 else None  # the furthest first
        self._begin()

    @torch.no_grad()
    def _begin(self) -> None:
        """Components side by side over the range of z, so narrow that each soon finds a peak of its own."""
        head = self.inputs.shape[1]
        nn.init.uniform_(self.inputs, -(head**-0.5), head**-0.5)
        nn.init.uniform_(self.outputs, -0.1 * head**-0.5, 0.1 * head**-0.5)
        side_by_side(self.biases, self.components)

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        if self.training:
            self.units.learn(turn.x)
        return super().loss(turn)

    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> MixtureOfGaussians:
        self.own(order)
        with torch.autocast(x.device.type, enabled=False):  # states that add up, and densities, need 24 bits
            embedded = self.embed(self.conditioned(condition, len(x)))
            z = (x.to(self.inputs.dtype) - self.units.mean) / self.units.scale
            before = torch.cat((torch.zeros_like(z[:, :1]), z[:, :-1]), dim=1)
            h, _ = self.recurrent(self.read(before, first=True))
            a = self.start(self.condition(h.transpose(1, 2), embedded).transpose(1, 2)).unsqueeze(2)
            moved = (z[..., :-1, None] * self.inputs[:-1]).cumsum(2)
            a = torch.cat((a, a + moved), dim=2)
            output = torch.einsum("ntdh,dho->ntdo", torch.relu(self.rates * a), self.outputs) + self.biases
            shift = z @ self.within.triu(1) + before @ self.before + self.seasons(z)
            return MixtureOfGaussians(*components_of(output, shift, self.units.mean, self.units.scale))

    def seasons(self, z: Tensor) -> Tensor:
        """What each step's mean owes to its column's own steps further back than one, (N, T, D)."""
        if self.further is None:
            return torch.zeros_like(z)
        far = self.further.shape[1]
        past = torch.cat((z[:, :1].expand(-1, far, -1), z[:, :-2]), dim=1)  # of step 2 on: z_{t-far-1} .. z_{t-2}
        own = F.conv1d(past.transpose(1, 2), self.further.unsqueeze(1), groups=self.columns).transpose(1, 2)
        return torch.cat((torch.zeros_like(z[:, :1]), own[:, : z.shape[1] - 1]), dim=1)

    def read(self, before: Tensor, first: bool) -> Tensor:
        """What the network reads at each step (N, T, D + 1): the numbers before, and whether there are none."""
        flag = torch.zeros_like(before[..., :1])
        if first:
            flag[:, 0] = 1
        return torch.cat((before, flag), dim=-1)

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> RecurrentSteps:
        self.own(order)
        return RecurrentSteps(self, n, self.embed(self.conditioned(condition, n)))

    @torch.no_grad()
    def forecast(
        self, past: Tensor, steps: int, condition: ConditionLike | None = None, generator: Generator | None = None
    ) -> Tensor:
        """One future (N, steps, D) of each past (N, P, D): draws of p(what follows | the last T steps of the past).

        The walk goes on behind the length T of the training items, with the state that the past has left.
        """
        n, length = len(past), self.spec.shape[0]
        walk = RecurrentSteps(self, n, self.embed(self.conditioned(condition, n)), past[:, -length:])
        noise = torch.rand((steps * self.columns, n), generator=generator, device=self.device)
        future = past.new_empty(steps * self.columns, n)
        for place, uniform in enumerate(noise):
            future[place] = walk.conditional().quantile(uniform)
            walk.append(future[place])
        return future.view(steps, self.columns, n).movedim(2, 0)


class RecurrentSteps:
    """`Steps` of an MDN-RNN: the network is run once a step, and what the numbers of a step add is kept.

    past: steps (N, P, D) that were put before, at once.
    """

    @torch.no_grad()
    def __init__(self, model: MDNRNN, n: int, embedded: Condition, past: Tensor | None = None) -> None:
        self.model, self.embedded, self.column = model, embedded, 0
        self.mean, self.scale = model.units.mean, model.units.scale
        self.first, self.hidden = True, None
        self.z = model.inputs.new_zeros(n, model.columns)  # of the step before, then of this one
        self.further: Tensor | None = None  # steps (n, lags - 1, D) further back than that, once there are any
        if past is not None:
            z = (past.to(self.z) - self.mean) / self.scale
            before = torch.cat((torch.zeros_like(z[:, :1]), z[:, :-1]), dim=1)
            _, self.hidden = model.recurrent(model.read(before, first=True))
            self.z, self.first = z[:, -1], False
            if model.further is not None:
                self.further = torch.cat((_repeated(z[:, 0], model.further), z[:, :-1]), dim=1)[:, z.shape[1] - 1 :]

    @torch.no_grad()
    def conditional(self) -> MixtureOfGaussians:
        model, d = self.model, self.column
        if d == 0:
            self._next_step()
        output = torch.addmm(model.biases[d], torch.relu(model.rates[d] * self.a), model.outputs[d])
        return MixtureOfGaussians(*components_of(output, self.shifts[:, d], self.mean[d], self.scale[d]))

    def _next_step(self) -> None:
        model = self.model
        h, self.hidden = model.recurrent(model.read(self.z[:, None], self.first), self.hidden)
        self.a = model.start(model.condition(h[:, 0], self.embedded))
        self.shifts = self.z @ model.before
        if not self.first and model.further is not None:
            further = _repeated(self.z, model.further) if self.further is None else self.further
            self.shifts += torch.einsum("nkd,dk->nd", further, model.further)
            self.further = torch.cat((further, self.z.unsqueeze(1)), dim=1)[:, 1:]
        self.z, self.first = torch.zeros_like(self.z), False

    @torch.no_grad()
    def append(self, value: Tensor) -> None:
        model, d = self.model, self.column
        z = (value.to(self.z) - self.mean[d]) / self.scale[d]
        self.z[:, d] = z
        self.a = self.a.addr(z, model.inputs[d])
        self.shifts[:, d + 1 :].addr_(z, model.within[d, d + 1 :])
        self.column = (d + 1) % model.columns


def _repeated(first: Tensor, further: Tensor) -> Tensor:
    """The first step (n, D) in the place of those before it, (n, lags - 1, D)."""
    return first.unsqueeze(1).repeat(1, further.shape[1], 1)
