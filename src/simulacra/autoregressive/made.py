r"""MADE: a perceptron whose weights are masked so that output i reads only what comes before x_i.

Each hidden unit u has a degree m(u): it reads the m(u) first coordinates of the order and none after them. With
positions counted from 0,

    input p -> unit u  if p < m(u),    unit v -> unit u  if m(v) <= m(u),    unit u -> output p  if m(u) <= p.

Germain et al. 2015, "MADE: Masked Autoencoder for Distribution Estimation", eq. 8 to 12. Another order moves the
coordinates and leaves the units where they are, so that one set of weights serves all orders (section 4.2). Degrees are
spread evenly and rise with the number of the unit: the units that a position may read are a prefix of every layer, so
that a walk along the chain takes contiguous slices and computes each unit once.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from simulacra import whole
from simulacra.autoregressive.chain import Autoregressive
from simulacra.autoregressive.masked import MaskedLinear, precedes
from simulacra.autoregressive.orders import raster_first
from simulacra.autoregressive.vector import VectorHead
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import GridDistribution
from simulacra.errors import UsageError
from simulacra.nn import AddCondition, Embed
from simulacra.registry import register
from simulacra.turns import Turn


@register(
    "made",
    paper="Germain et al. 2015, MADE: Masked Autoencoder for Distribution Estimation",
    defaults={"learning_rate": 2e-3, "batch": 64, "steps": 3000, "schedule": "cosine"},
)
class MADE(Autoregressive):
    r"""log p(x|c) = log 1/K Σ_k Π_i p(x_i | those before x_i in order k, c), from one masked perceptron.

    Args:
        spec: what x is: vectors or images, on a grid; with a condition field, p(x | label).
        hidden: units of a layer.
        layers: hidden layers.
        orders: K, the raster order first and then random ones; training takes one of them for each batch.
        direct: whether the outputs also read the inputs before them directly; without it an output sees all of its
            past only where there are at least as many units as coordinates.
        dropout: share of the hidden units dropped in training.
    """

    def __init__(
        self,
        spec: DataSpec,
        hidden: int = 500,
        layers: int = 1,
        orders: int = 1,
        direct: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(spec, raster_first(orders, spec.shape))
        self.head, self.embed = VectorHead(spec), Embed(spec.condition)
        if hidden < 1 or layers < 1 or not 0 <= dropout < 1:
            raise UsageError("made needs hidden >= 1, layers >= 1 and dropout from 0 up to 1")
        self.direct = direct
        self.degrees = 1 + torch.arange(hidden, device="cpu") * (spec.dims - 1) // hidden
        first, last = self.masks(self.orders[0])
        for order in self.orders[1:]:  # the fixed mask is the union over orders
            for ever, now in zip((first, last), self.masks(order), strict=True):
                torch.maximum(ever, now, out=ever)
        others = (MaskedLinear(precedes(self.degrees, self.degrees + 1)) for _ in range(layers - 1))
        self.stack = nn.ModuleList([MaskedLinear(first), *others])
        self.conditions = nn.ModuleList(AddCondition(spec.condition, hidden) for _ in range(layers))
        self.output = MaskedLinear(last, self.head.outputs)
        self.output_condition = AddCondition(spec.condition, spec.dims * self.head.outputs)
        self.dropout = nn.Dropout(dropout)

    def masks(self, order: Tensor) -> tuple[Tensor, Tensor]:
        """Of the first and of the last layer; those between them are the same in every order."""
        positions, degrees = order.argsort(), self.degrees.to(order.device)
        read = torch.cat((degrees, positions + 1)) if self.direct else degrees
        return precedes(positions, degrees), precedes(read, positions + 1)

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        count, host = len(self.orders), torch.device("cpu")
        k = int(torch.randint(count, (), generator=whole.common(host), device=host)) if count > 1 else 0
        return {"nats": -self.conditionals(turn.x, turn.condition, self.orders[k]).log_prob(turn.x).mean()}

    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> GridDistribution:
        embedded, x = self.embed(self.conditioned(condition, len(x))), self.head.numbers(x, self.output.weight)
        order = self.orders[0] if order is None else order
        usual = len(self.orders) == 1 and torch.equal(order, self.orders[0])
        mask, output_mask = (None, None) if usual else self.masks(order)
        h = x
        for layer, add in zip(self.stack, self.conditions, strict=True):
            h, mask = self.dropout(torch.relu(add(layer(h, mask), embedded))), None
        seen = torch.cat((h, x), dim=1) if self.direct else h
        output = self.output_condition(self.output(seen, output_mask), embedded)
        return self.head.everywhere(output.unflatten(1, (-1, self.head.outputs)))

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> MadeSteps:
        return MadeSteps(
            self, n, self.embed(self.conditioned(condition, n)), self.orders[0] if order is None else order
        )


class MadeSteps:
    """`Steps` of a MADE: at position p the units of degree p are computed, from prefixes of what is before them.

    A step is a few products of the size of a prefix; whatever else it takes or fills is cut into views beforehand.
    """

    @torch.no_grad()
    def __init__(self, model: MADE, n: int, embedded: Condition, order: Tensor) -> None:
        self.model, self.position = model, 0
        dims, hidden = model.spec.dims, len(model.degrees)
        layers = cast(list[MaskedLinear], list(model.stack))
        conditions = cast(list[AddCondition], list(model.conditions))
        weights = [layer.weight[:, 0].t() for layer in layers]
        outputs = model.output.weight.transpose(1, 2)  # (dims, units and inputs, logits)
        units, direct = outputs[:, :hidden], outputs[:, hidden:]
        if not torch.equal(order, torch.arange(dims, device=order.device)):
            weights[0], units = weights[0][order], units[order]
            direct = direct[order][:, order] if model.direct else direct
        self.units, self.direct = units.unbind(), direct.unbind()
        bias = model.output_condition(model.output.bias.expand(n, -1), embedded)
        self.output_biases = bias.unflatten(1, (dims, -1))[:, order].unbind(1)

        counts = torch.bincount(model.degrees, minlength=dims)  # units of each degree
        self.counts, self.known = counts.tolist(), counts.cumsum(0).tolist()
        biases = [add(layer.bias.expand(n, -1), embedded) for layer, add in zip(layers, conditions, strict=True)]
        self.features = [bias.new_zeros(n, hidden) for _ in layers]
        self.weights, self.biases, self.slots = (
            [whole.split(self.counts, dim=1) for whole in of_layers] for of_layers in (weights, biases, self.features)
        )
        self.x = bias.new_zeros(n, dims)
        self.columns, self.minus_one = self.x.unbind(1), bias.new_tensor(-1.0)

    def conditional(self) -> GridDistribution:
        p = self.position
        if self.counts[p]:
            before, known = self.x, p
            for weight, bias, slot, h in zip(self.weights, self.biases, self.slots, self.features, strict=True):
                torch.addmm(bias[p], before.narrow(1, 0, known), weight[p].narrow(0, 0, known), out=slot[p]).relu_()
                before, known = h, self.known[p]
        h, known = self.features[-1], self.known[p]
        output = torch.addmm(self.output_biases[p], h.narrow(1, 0, known), self.units[p].narrow(0, 0, known))
        if self.model.direct:
            output.addmm_(self.x.narrow(1, 0, p), self.direct[p].narrow(0, 0, p))
        return self.model.head.here(output)

    def append(self, value: Tensor) -> None:
        scale = 2 / (self.model.spec.grid_levels - 1)
        torch.add(self.minus_one, value, alpha=scale, out=self.columns[self.position])
        self.position += 1
