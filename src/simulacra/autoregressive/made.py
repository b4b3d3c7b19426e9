r"""MADE: a perceptron whose weights are masked so that output i reads only what comes before x_i.

Each hidden unit u has a degree m(u): it reads the m(u) first coordinates of the order and none after them. With
positions counted from 0,

    input p -> unit u  if p < m(u),    unit v -> unit u  if m(v) <= m(u),    unit u -> output p  if m(u) <= p.

Germain et al. 2015, "MADE: Masked Autoencoder for Distribution Estimation", eq. 8 to 12. Another order moves the
coordinates and leaves the units where they are, so that one set of weights serves all orders (section 4.2). Degrees are
spread evenly and rise with the number of the unit: what is known at a position are the first so many units of every
layer, which is why a walk along the chain takes contiguous slices and computes each unit once.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.autoregressive.orders import MixtureOfOrders
from simulacra.capabilities import Condition
from simulacra.data.spec import DataSpec
from simulacra.distributions import GridDistribution
from simulacra.errors import UsageError
from simulacra.nn import AddCondition
from simulacra.registry import register

MOST_WEIGHTS = 1 << 28  # of the last layer: a gigabyte, and in training four more


def precedes(ranks: Tensor, out_ranks: Tensor) -> Tensor:
    """(out, in) of 0 and 1: whether rank < out rank. In floats, as products with booleans take 20 times longer."""
    return (out_ranks.float()[:, None] - ranks.float()).clamp_(0, 1)


class MaskedLinear(nn.Module):
    """y_q = b_q + Σ_p mask_qp W_qp x_p, where an output q may stand for several numbers under the same mask.

    The mask is a factor in every call and never touches the weights; one that hides more may be given in its place.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, numbers: int = 1) -> None:
        super().__init__()
        outputs, inputs = mask.shape
        self.weight = nn.Parameter(torch.empty(outputs, numbers, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs * numbers))
        self.register_buffer("mask", mask[:, None].expand_as(self.weight), persistent=False)
        reach = (mask.mean().clamp(min=1e-3) * inputs) ** -0.5  # of as many inputs as an output reads on average
        nn.init.uniform_(self.weight, -float(reach), float(reach))

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        weight = self.weight * (self.mask if mask is None else mask[:, None])
        return F.linear(input, weight.flatten(0, 1), self.bias)


@register("made", paper="Germain et al. 2015, MADE: Masked Autoencoder for Distribution Estimation")
class MADE(MixtureOfOrders):
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

    defaults = {"learning_rate": 2e-3, "batch": 64, "steps": 4000, "schedule": "cosine"}

    def __init__(
        self,
        spec: DataSpec,
        hidden: int = 500,
        layers: int = 1,
        orders: int = 1,
        direct: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(spec, orders)
        if hidden < 1 or layers < 1 or not 0 <= dropout < 1:
            raise UsageError("made needs hidden >= 1, layers >= 1 and dropout from 0 up to 1")
        read = hidden + spec.dims * direct
        if (weights := spec.dims * self.logits * read) > MOST_WEIGHTS:
            raise UsageError(
                f"the outputs of made would have {weights:,} weights for {spec.describe()}; "
                "take fewer levels (--levels), a smaller --hidden or --no-direct"
            )
        self.direct = direct
        self.degrees = 1 + torch.arange(hidden, device="cpu") * (spec.dims - 1) // hidden
        masks = [self.masks(order) for order in self.orders]
        first, last = (torch.stack(of_layer).amax(0) for of_layer in zip(*masks, strict=True))
        others = (MaskedLinear(precedes(self.degrees, self.degrees + 1)) for _ in range(layers - 1))
        self.stack = nn.ModuleList([MaskedLinear(first), *others])
        self.conditions = nn.ModuleList(AddCondition(self.classes, hidden) for _ in range(layers))
        self.output = MaskedLinear(last, self.logits)
        self.output_condition = AddCondition(self.classes, spec.dims * self.logits)
        self.dropout = nn.Dropout(dropout)

    def masks(self, order: Tensor) -> tuple[Tensor, Tensor]:
        """Of the first and of the last layer; those between them are the same in every order."""
        positions = order.argsort()
        return precedes(positions, self.degrees.to(order.device)), precedes(self.ranks(positions), positions + 1)

    def ranks(self, positions: Tensor) -> Tensor:
        """Of what the last layer reads: the units, and with direct connections the inputs."""
        degrees = self.degrees.to(positions.device)
        return torch.cat((degrees, positions + 1)) if self.direct else degrees

    def loss(self, x: Tensor, condition: Condition) -> dict[str, Tensor]:
        k = int(torch.randint(len(self.orders), ())) if len(self.orders) > 1 else 0
        return {"nats": -self.conditionals(x, condition, self.orders[k]).log_prob(x).mean()}

    def conditionals(
        self, x: Tensor, condition: Condition | None = None, order: Tensor | None = None
    ) -> GridDistribution:
        given, x = self.conditioned(condition, len(x)), self.numbers(x)
        order = self.orders[0] if order is None else order
        usual = len(self.orders) == 1 and torch.equal(order, self.orders[0])
        mask, output_mask = (None, None) if usual else self.masks(order)
        h = x
        for layer, add in zip(self.stack, self.conditions, strict=True):
            h, mask = self.dropout(torch.relu(add(layer(h, mask), given))), None
        seen = torch.cat((h, x), dim=1) if self.direct else h
        output = self.output_condition(self.output(seen, output_mask), given)
        return self.everywhere(output.unflatten(1, (-1, self.logits)))

    def steps(self, n: int, condition: Condition | None = None, order: Tensor | None = None) -> MadeSteps:
        return MadeSteps(self, n, self.conditioned(condition, n), self.orders[0] if order is None else order)


class MadeSteps:
    """`Steps` of a MADE: at position p the units of degree p are computed, from prefixes of what is before them.

    What the last layer reads stands in the order in which it becomes known, so that it too is a prefix.
    """

    @torch.no_grad()
    def __init__(self, model: MADE, n: int, given: Condition, order: Tensor) -> None:
        self.model, self.position, dims = model, 0, model.spec.dims
        layers, conditions = (
            cast(list[MaskedLinear], list(model.stack)),
            cast(list[AddCondition], list(model.conditions)),
        )
        self.weights = [layer.weight[:, 0] for layer in layers]
        self.weights[0] = self.weights[0][:, order]
        self.biases = [add(layer.bias.expand(n, -1), given) for layer, add in zip(layers, conditions, strict=True)]

        by_time = model.ranks(order.argsort()).argsort(stable=True)
        self.output = model.output.weight[order][..., by_time]
        bias = model.output_condition(model.output.bias.expand(n, -1), given)
        self.output_biases = bias.unflatten(1, (dims, -1))[:, order].unbind(1)

        positions = torch.arange(dims, device="cpu")
        self.units = torch.searchsorted(model.degrees, positions, right=True).tolist()  # of degrees up to each position
        self.known = [units + model.direct * p for p, units in enumerate(self.units)]  # columns of `seen` at each
        self.inputs = bias.new_zeros(n, dims)
        self.features = [bias.new_zeros(n, len(model.degrees)) for _ in layers[1:]]
        self.seen = bias.new_zeros(n, len(by_time))
        self.minus_one = bias.new_tensor(-1.0)

    @torch.no_grad()
    def look(self) -> GridDistribution:
        p = self.position
        if p and self.units[p] > self.units[p - 1]:
            self._compute_units(p)
        known, weight = self.known[p], self.output[p]
        return self.model.here(torch.addmm(self.output_biases[p], self.seen[:, :known], weight[:, :known].t()))

    def _compute_units(self, p: int) -> None:
        """Those of degree p, layer by layer."""
        begin, end = self.units[p - 1], self.units[p]
        before = self.inputs[:, :p]
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.addmm(bias[:, begin:end], before, weight[begin:end, : before.shape[1]].t()).relu_()
            if i < len(self.features):
                self.features[i][:, begin:end] = h
                before = self.features[i][:, :end]
            else:
                self.seen[:, self.known[p - 1] : self.known[p - 1] + end - begin] = h

    @torch.no_grad()
    def put(self, value: Tensor) -> None:
        p, spec = self.position, self.model.spec
        column = self.inputs[:, p]
        torch.add(self.minus_one, value, alpha=2 / (spec.grid_levels - 1), out=column)
        if self.model.direct and p + 1 < spec.dims:
            self.seen[:, self.known[p + 1] - 1] = column
        self.position += 1
