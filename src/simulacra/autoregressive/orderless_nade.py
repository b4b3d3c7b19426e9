r"""Orderless NADE: one deep network that reads some coordinates, and which they are, and predicts each of the others,

    a = c + Σ_{j known} (x_j W_j + M_j),    h = f_L(... f_1(a)),    p(x_i | known) = softmax(b_i + V_i h).

Trained on orders o and positions d drawn at random, where the D - d coordinates that are still unknown stand for all
orders with the same first d,

    -log p(x) <= E_{o,d} [ D / (D - d) Σ_{i after d} -log p(x_i | the first d of o) ],

it has a density for each of the D! orders. Uria, Murray & Larochelle 2014, "A Deep and Tractable Density Estimator",
eq. 8 and 9 (d counted from 0), with the mask as a second input (section 3.1).
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra import whole
from simulacra.autoregressive.chain import Autoregressive
from simulacra.autoregressive.orders import random_orders
from simulacra.autoregressive.vector import VectorHead, blank
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import GridDistribution
from simulacra.errors import UsageError
from simulacra.nn import AddCondition, Embed
from simulacra.registry import register
from simulacra.turns import Turn

AT_ONCE = 1 << 21  # numbers in a layer of features, when all positions of an order are evaluated


@register(
    "orderless-nade",
    paper="Uria et al. 2014, A Deep and Tractable Density Estimator",
    defaults={"learning_rate": 2e-3, "batch": 64, "steps": 3000, "schedule": "cosine"},
)
class OrderlessNADE(Autoregressive):
    r"""log p(x|c) = log 1/K Σ_k Π_i p(x_i | those before x_i in order k, c), from one network for all orders.

    A completion takes an order of its own, in which all that is known comes first.

    Args:
        spec: what x is: vectors or images, on a grid; with a condition field, p(x | label).
        hidden: units of a layer.
        layers: hidden layers.
        orders: K, random ones, that make up the density; training does not depend on them.
        dropout: share of the units dropped in training.
    """

    def __init__(
        self, spec: DataSpec, hidden: int = 500, layers: int = 2, orders: int = 4, dropout: float = 0.2
    ) -> None:
        super().__init__(spec, random_orders(orders, spec.dims))
        self.head, self.embed = VectorHead(spec), Embed(spec.condition)
        if hidden < 1 or layers < 1 or not 0 <= dropout < 1:
            raise UsageError("orderless-nade needs hidden >= 1, layers >= 1 and dropout from 0 up to 1")
        self.values = nn.Parameter(torch.empty(spec.dims, hidden))
        self.known = nn.Parameter(torch.empty(spec.dims, hidden))
        self.start = nn.Parameter(torch.zeros(hidden))
        self.stack = nn.Sequential()
        for _ in range(layers - 1):
            self.stack.extend([nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU()])
        self.stack.append(nn.Dropout(dropout))
        self.outputs = blank(spec.dims, self.head.outputs, hidden)
        self.biases = nn.Parameter(torch.zeros(spec.dims * self.head.outputs))
        self.condition = AddCondition(spec.condition, hidden)
        self.output_condition = AddCondition(spec.condition, spec.dims * self.head.outputs)
        for weight, inputs in ((self.values, spec.dims), (self.known, spec.dims), (self.outputs, hidden)):
            nn.init.uniform_(weight, -(inputs**-0.5), inputs**-0.5)

    def order(self, unknown: Tensor | None = None) -> Tensor:
        """The first order; where some coordinates are unknown, the others of it come before them."""
        first = self.orders[0]
        return first if unknown is None else first[unknown.flatten()[first].long().argsort(stable=True)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        """The bound above from one order and position for each item; positions are spread evenly over the batch."""
        x, n, dims = turn.x, len(turn), self.spec.dims
        shift = torch.rand((), generator=whole.common(x.device), device=x.device)
        numbers, total = whole.numbers(n, x.device)
        position = ((numbers + shift) * (dims / total)).long().clamp(max=dims - 1)
        known = whole.uniform((n, dims), shift).argsort(1) < position[:, None]
        output = self.predict(x, known, turn.condition).log_each(x).flatten(1).masked_fill(known, 0).sum(1)
        return {"nats": -(output * dims / (dims - position)).mean()}

    def predict(self, x: Tensor, known: Tensor, condition: ConditionLike | None = None) -> GridDistribution:
        """p(x_i | the values at `known`) for every i at once: x (N, *shape), known (N, dims) of True and False.

        Only the factors of the unknown coordinates are meaningful, and their product is no joint density: none of them
        is conditioned on another.
        """
        embedded, mask = self.embed(self.conditioned(condition, len(x))), known.to(self.values.dtype)
        a = torch.addmm(self.start, self.head.numbers(x, self.values) * mask, self.values) + mask @ self.known
        h = self.stack(torch.relu(self.condition(a, embedded)))
        output = self.output_condition(F.linear(h, self.outputs.flatten(0, 1), self.biases), embedded)
        return self.head.everywhere(output.unflatten(1, (-1, self.head.outputs)))

    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> GridDistribution:
        embedded = self.embed(self.conditioned(condition, len(x)))
        order = self.orders[0] if order is None else order
        numbers, a = (
            self.head.numbers(x, self.values)[:, order],
            self.condition(self.start.expand(len(x), -1), embedded),
        )
        biases, found = self.output_biases(len(x), embedded), []
        for places in order.split(max(1, AT_ONCE // max(1, a.numel()))):
            some, numbers = numbers[:, : len(places)], numbers[:, len(places) :]
            terms = some[..., None] * self.values[places] + self.known[places]  # (N, places, H)
            sums = torch.cat((a[:, None], terms), dim=1).cumsum(1)
            a = sums[:, -1]
            h = self.stack(torch.relu(sums[:, :-1]))
            found.append(torch.einsum("nph,plh->npl", h, self.outputs[places]) + biases[:, places])
        return self.head.everywhere(torch.cat(found, dim=1)[:, order.argsort()])

    def output_biases(self, n: int, embedded: Condition) -> Tensor:
        """(n, dims, logits)"""
        return self.output_condition(self.biases.expand(n, -1), embedded).unflatten(1, (-1, self.head.outputs))

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> OrderlessSteps:
        return OrderlessSteps(
            self, n, self.embed(self.conditioned(condition, n)), self.orders[0] if order is None else order
        )


class OrderlessSteps:
    """`Steps` of an orderless NADE: the first pre-activations are kept and a row is added; deeper layers run anew."""

    @torch.no_grad()
    def __init__(self, model: OrderlessNADE, n: int, embedded: Condition, order: Tensor) -> None:
        self.model, self.position = model, 0
        self.a = model.condition(model.start.repeat(n, 1), embedded)
        self.values, self.known = model.values[order].unbind(), model.known[order].unbind()
        self.outputs = model.outputs[order].transpose(1, 2).unbind()
        self.biases = model.output_biases(n, embedded)[:, order].unbind(1)

    @torch.no_grad()
    def conditional(self) -> GridDistribution:
        h = cast(Tensor, self.model.stack(torch.relu(self.a)))
        return self.model.head.here(torch.addmm(self.biases[self.position], h, self.outputs[self.position]))

    def append(self, value: Tensor) -> None:
        number = self.model.spec.centred(value.to(self.a.dtype))
        self.a.addr_(number, self.values[self.position]).add_(self.known[self.position])
        self.position += 1
