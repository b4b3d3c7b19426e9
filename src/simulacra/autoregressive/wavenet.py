r"""WaveNet: log p(x) = Σ_t log p(x_t | x_<t), by causal convolutions whose holes double from layer to layer.

Layer l reads its input at t and at t - d_l, with d_l = 1, 2, 4, ... up to 2^(cycle - 1) and again from 1, and is gated;
its outcome goes on to the next layer and, by a way of its own, to the head:

    y = tanh(W_f * h + V_f c) ⊙ σ(W_g * h + V_g c),     h ← h + R y,     head: softmax(B relu(A relu(Σ_l S_l y_l))).

With L layers a level is conditioned on the 1 + Σ_l d_l levels before it. A condition that has a value for each stretch
of time (a field (T',) or (T', D) with T a multiple of T') is *local*: V c is then a series, each value of which holds
for its stretch. All other fields are *global*. A walk keeps for each layer a queue of its last d_l inputs, so that a
sample costs one small product a layer, however far back the layers see.

van den Oord et al. 2016, "WaveNet: a generative model for raw audio", eq. 2 and figure 4; the queues as in Le Paine et
al. 2016, "Fast WaveNet generation algorithm".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.autoregressive.chain import Autoregressive
from simulacra.autoregressive.gated_pixelcnn import gate
from simulacra.autoregressive.vector import VectorHead
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec, centred
from simulacra.distributions import DiscretisedLogisticMixture, GridDistribution
from simulacra.errors import UsageError
from simulacra.fields import Field, Leaf, Levels, Real
from simulacra.nn import AddCondition, Embed, plain
from simulacra.parts import within
from simulacra.registry import register

MOST_CYCLE = 20  # layers: holes of half a million samples
KERNEL = 2
MOST_OUTPUTS = 1 << 24  # numbers of the head at a time where nothing is learnt: 64 MB, and a few times that on the way


class SequenceMixtureHead:
    """A discretised mixture of logistics for each coordinate: weights, means and log scales, (.., 3 K) numbers."""

    def __init__(self, spec: DataSpec, components: int) -> None:
        self.spec, self.components, self.outputs = spec, components, 3 * components

    @torch.no_grad()
    def spread(self, bias: Tensor) -> None:
        """Initialise the components side by side on the grid, with scales of e^-2."""
        _, means, scales = bias.chunk(3)
        means.copy_(torch.linspace(-0.8, 0.8, self.components))
        scales.fill_(-2.0)

    def everywhere(self, output: Tensor) -> GridDistribution:
        """output (N, dims, outputs), coordinates in their places -> all conditionals, (N, *shape)."""
        return self.here(output.unflatten(1, self.spec.shape))

    def here(self, output: Tensor) -> GridDistribution:
        """output (..., outputs) -> the conditionals (...)."""
        weights, means, scales = output.chunk(3, dim=-1)
        return DiscretisedLogisticMixture(weights, means, scales, self.spec.grid_levels)


class DilatedLayer(nn.Module):
    """One gated layer. `last`: no layer follows, so that only its contribution to the head is computed."""

    def __init__(self, width: int, dilation: int, local: int, fields: Mapping[str, Field], last: bool) -> None:
        super().__init__()
        self.dilation = dilation
        self.both = nn.Conv1d(width, 2 * width, KERNEL, dilation=dilation)
        self.local = nn.Conv1d(local, 2 * width, 1, bias=False) if local else None
        self.add = AddCondition(fields, 2 * width)
        self.passed = None if last else nn.Conv1d(width, width, 1, bias=False)
        self.skip = nn.Conv1d(width, width, 1)

    def forward(self, h: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
        """h (N, width, T), `added` (N, 2 width, T or 1) -> the input of the next layer, what goes to the head."""
        y = gate(self.both(F.pad(h, (self.dilation, 0))) + added)
        return h if self.passed is None else h + self.passed(y), self.skip(y)

    def added(self, n: int, condition: Condition, series: Tensor | None) -> Tensor:
        """What the condition adds before the gate, (n, 2 width, S): S stretches of time, 1 without a local one."""
        weight = self.both.weight
        total = self.add(weight.new_zeros(n, len(weight), 1), condition)
        return total if self.local is None or series is None else total + self.local(series)


@register(
    "wavenet",
    paper="van den Oord et al. 2016, WaveNet: a Generative Model for Raw Audio",
    defaults={"learning_rate": 4e-3, "batch": 4, "steps": 1000, "schedule": "cosine"},
)
class WaveNet(Autoregressive):
    r"""log p(x|c) = Σ_t log p(x_t | x_<t, c), exact, for sound, text and anything else on a grid of levels, in order.

    An item of another shape is read in raster order, as one sequence.

    Args:
        spec: what x is; with a condition, p(x | condition).
        width: channels of a layer.
        layers: gated layers in all.
        cycle: layers until the holes begin at 1 again: the k-th of a cycle sees 2^(k-1) samples further back.
        head: channels between the layers and the outputs.
        components: of a discretised mixture of logistics as the conditional of a level, for levels that have an order;
            by default a mass for each level.
    """

    def __init__(
        self,
        spec: DataSpec,
        width: int = 32,
        layers: int = 10,
        cycle: int = 10,
        head: int = 64,
        components: int | None = None,
    ) -> None:
        super().__init__(spec)
        within(1, width=width, layers=layers, cycle=cycle, head=head, components=components)
        if spec.levels is None:
            raise UsageError(f"wavenet is for levels on a grid, not for {spec.describe()}; try rnade")
        if cycle > MOST_CYCLE:
            raise UsageError(
                f"cycle must be 1 to {MOST_CYCLE}, not {cycle}: its last layer sees 2^(cycle - 1) samples back"
            )
        self.head = VectorHead(spec) if components is None else SequenceMixtureHead(spec, components)
        self.series = {name: own for name, own in spec.condition.items() if is_series(plain(own), spec)}
        others = {name: own for name, own in spec.condition.items() if name not in self.series}
        local = sum(_numbers(plain(own)) for own in self.series.values())
        self.stretches = math.lcm(*(cast(Leaf, plain(own)).shape[0] for own in self.series.values()))  # 1 without any
        self.embed = Embed(others)
        self.rows = nn.Embedding(spec.levels, width)
        self.scaled = nn.Parameter(torch.randn(width))
        self.stack = nn.ModuleList(
            DilatedLayer(width, 2 ** (i % cycle), local, others, last=i == layers - 1) for i in range(layers)
        )
        self.gather = nn.Conv1d(width, head, 1)
        self.output = nn.Conv1d(head, self.head.outputs, 1)
        nn.init.normal_(self.rows.weight, std=0.3)
        if isinstance(self.head, SequenceMixtureHead):
            self.head.spread(cast(Tensor, self.output.bias))

    @property
    def layers(self) -> list[DilatedLayer]:
        return cast(list[DilatedLayer], list(self.stack))

    @property
    def receptive_field(self) -> int:
        """How many levels before it a level is conditioned on, at most."""
        return 1 + sum(layer.dilation * (KERNEL - 1) for layer in self.layers)

    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> GridDistribution:
        own = self.own(order)
        h = F.pad(self.enter(self._in_order(x.flatten(1), own)).transpose(1, 2), (1, 0))[:, :, :-1]
        total: Tensor | None = None  # h: the level before each
        for layer, each in zip(self.layers, self.added(len(x), self.conditioned(condition, len(x))), strict=True):
            wide = each if self.stretches == 1 else each.repeat_interleave(self.spec.dims // self.stretches, dim=2)
            h, skip = layer(h, wide)
            total = skip if total is None else total + skip
        output = self.output(F.relu(self.gather(F.relu(cast(Tensor, total))))).transpose(1, 2)
        return self.head.everywhere(self._in_order(output, own.argsort()))

    def _in_order(self, values: Tensor, order: Tensor) -> Tensor:
        """values (N, dims, ...) in another order; sequences are in order already, and large."""
        return values[:, order] if len(self.spec.shape) == 3 else values

    def log_prob(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        return self.log_each(x, condition).flatten(1).sum(1)

    def log_each(self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None) -> Tensor:
        """log p(x_t | x_<t), nats, of the shape of x; a few items at a time where no gradient is wanted, as each has
        dims · levels masses."""
        some = max(1, MOST_OUTPUTS // (self.spec.dims * self.head.outputs))
        if torch.is_grad_enabled() or len(x) <= some:
            return super().log_each(x, condition, order)
        given, parts = self.conditioned(condition, len(x)), torch.arange(len(x), device=x.device).split(some)
        return torch.cat([super(WaveNet, self).log_each(x[rows], given.rows(rows), order) for rows in parts])

    def enter(self, x: Tensor) -> Tensor:
        """Levels (...) -> what the first layer reads, (..., width): a learned row of each, and its place on the grid.

        Real numbers have a derivative, by the second.
        """
        scaled = self.spec.centred(x.to(self.scaled.dtype)).unsqueeze(-1) * self.scaled
        return self.rows(x.detach().round().long().clamp(0, self.spec.grid_levels - 1)) + scaled

    def added(self, n: int, condition: Condition) -> list[Tensor]:
        """What the condition adds in each layer, (n, 2 width, stretches)."""
        embedded, series = self.embed(condition), self._series(condition)
        return [layer.added(n, embedded, series) for layer in self.layers]

    def _series(self, condition: Condition) -> Tensor | None:
        """All local fields side by side, (N, D, stretches)."""
        each = []
        for name, own in self.series.items():
            values = centred(plain(own), condition[name]).to(self.scaled.dtype)
            values = values.unsqueeze(1) if values.dim() == 2 else values.transpose(1, 2)
            each.append(values.repeat_interleave(self.stretches // values.shape[2], dim=2))
        return torch.cat(each, dim=1) if each else None

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> WaveNetSteps:
        self.own(order)
        return WaveNetSteps(self, n, self.conditioned(condition, n))


def is_series(of: Field, spec: DataSpec) -> bool:
    """Whether a field has a value, or D of them, for each of equal stretches of x, which is one sequence (T,)."""
    if len(spec.shape) != 1 or not isinstance(of, Levels | Real) or len(of.shape) not in (1, 2):
        return False
    return 1 < of.shape[0] <= spec.dims and spec.dims % of.shape[0] == 0


def _numbers(of: Field) -> int:
    """How many numbers a series has at a time."""
    shape = cast(Leaf, of).shape
    return shape[1] if len(shape) == 2 else 1


class WaveNetSteps:
    """`Steps` of a WaveNet: for each layer a ring of its last inputs, and two small products a level."""

    @torch.no_grad()
    def __init__(self, model: WaveNet, n: int, condition: Condition) -> None:
        layers = model.layers
        self.head, self.position = model.head, 0
        self.stretch = model.spec.dims // model.stretches  # levels
        self.entered = model.enter(torch.arange(model.spec.grid_levels, device=model.device))  # of each level
        self.h = self.entered.new_zeros(n, self.entered.shape[1])
        self.rings = [[self.h] * (layer.dilation + 1) for layer in layers]
        self.weights = [layer.both.weight.permute(2, 1, 0).flatten(0, 1).contiguous() for layer in layers]
        added = zip(layers, model.added(n, condition), strict=True)
        self.before = [(each + _bias(layer.both)[:, None]).permute(2, 0, 1).contiguous() for layer, each in added]
        self.passed = [None if layer.passed is None else _matrix(layer.passed) for layer in layers]
        self.skip = torch.cat([_matrix(layer.skip) for layer in layers])
        self.skip_bias = torch.stack([_bias(layer.skip) for layer in layers]).sum(0)
        self.gather, self.output = ((_bias(conv), _matrix(conv)) for conv in (model.gather, model.output))
        self._begin_stretch()

    def _begin_stretch(self) -> None:
        now = self.position // self.stretch
        self.layers = list(zip(self.rings, self.weights, (each[now] for each in self.before), self.passed, strict=True))

    @torch.no_grad()
    def conditional(self) -> GridDistribution:
        h, t, width, gated = self.h, self.position, self.h.shape[1], []
        for ring, weight, before, passed in self.layers:
            ring[t % len(ring)] = h
            y = torch.addmm(before, torch.cat((ring[(t + 1) % len(ring)], h), dim=1), weight)  # at t - d, and at t
            y[:, :width].tanh_()
            y = F.glu(y, dim=1)
            gated.append(y)
            if passed is not None:
                h = torch.addmm(h, y, passed)
        total = torch.addmm(self.skip_bias, torch.cat(gated, dim=1), self.skip).relu_()
        output = torch.addmm(self.output[0], torch.addmm(self.gather[0], total, self.gather[1]).relu_(), self.output[1])
        return self.head.here(output)

    def append(self, value: Tensor) -> None:
        self.h = self.entered.index_select(0, value.long())
        self.position += 1
        if self.position % self.stretch == 0 and len(self.before[0]) * self.stretch > self.position:
            self._begin_stretch()


def _matrix(conv: nn.Conv1d) -> Tensor:
    """The weight of a convolution of one place, as a matrix (inputs, outputs)."""
    return conv.weight[:, :, 0].t().contiguous()


def _bias(conv: nn.Conv1d) -> Tensor:
    return cast(Tensor, conv.bias).detach()
