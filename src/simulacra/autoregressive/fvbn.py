r"""The fully visible belief network: every conditional is a regression on all coordinates before it,

    p(x_i = l | x_<i) = softmax_l(b_il + Σ_{j<i} Σ_k W_iljk T_k(x_j)),

for two levels the logistic one, p(x_i = 1 | x_<i) = σ(b_i + Σ_{j<i} W_ij x_j). Neal 1992, "Connectionist learning of
belief networks"; Frey 1998, "Graphical Models for Machine Learning and Digital Communication". With more levels a value
x_j in [-1, 1] enters through the Chebyshev polynomials T_1 = x, T_2 = 2x² - 1, ...: a log-odds that is linear in x_j
separates dark from bright, but no level from both of its neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from simulacra.autoregressive.chain import Autoregressive
from simulacra.autoregressive.masked import MaskedLinear, precedes
from simulacra.autoregressive.vector import VectorHead
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import GridDistribution
from simulacra.errors import UsageError
from simulacra.nn import AddCondition, Embed
from simulacra.registry import register


@register(
    "fvbn",
    paper="Frey 1998, Graphical Models for Machine Learning and Digital Communication",
    defaults={"learning_rate": 2e-3, "batch": 64, "steps": 3000, "schedule": "cosine", "weight_decay": 0.1},
)
class FVBN(Autoregressive):
    r"""log p(x|c) = Σ_i log p(x_i | x_<i, c) in raster order, each factor a (multinomial) logistic regression.

    Args:
        spec: what x is: vectors or images, on a grid; with a condition field, p(x | label).
        degree: of the polynomials by which a coordinate of more than two levels is read.
    """

    def __init__(self, spec: DataSpec, degree: int = 2) -> None:
        super().__init__(spec)
        self.head, self.embed = VectorHead(spec), Embed(spec.condition)
        if degree < 1:
            raise UsageError(f"fvbn reads coordinates by polynomials of degree 1 or more, not {degree}")
        self.degree = min(degree, spec.grid_levels - 1)  # which already is any function of so many levels
        positions = self.orders[0].argsort()
        mask = precedes(positions.repeat_interleave(self.degree), positions)
        self.regression = MaskedLinear(mask, self.head.outputs)
        nn.init.zeros_(self.regression.weight)  # the loss is convex
        self.condition = AddCondition(spec.condition, spec.dims * self.head.outputs)

    def read(self, x: Tensor) -> Tensor:
        """Numbers (N, n) -> T_1, ..., T_degree of each, (N, n · degree)."""
        polynomials = [torch.ones_like(x), x]
        while len(polynomials) <= self.degree:
            polynomials.append(2 * x * polynomials[-1] - polynomials[-2])
        return torch.stack(polynomials[1:], dim=-1).flatten(1)

    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> GridDistribution:
        self.own(order)
        output = self.regression(self.read(self.head.numbers(x, self.regression.weight)))
        output = self.condition(output, self.embed(self.conditioned(condition, len(x))))
        return self.head.everywhere(output.unflatten(1, (-1, self.head.outputs)))

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> FvbnSteps:
        return FvbnSteps(self, n, self.embed(self.conditioned(condition, n)), self.own(order))


class FvbnSteps:
    """`Steps` of a FVBN: inputs are kept in the order of the chain, so that a factor is one matrix product."""

    @torch.no_grad()
    def __init__(self, model: FVBN, n: int, embedded: Condition, order: Tensor) -> None:
        self.model, self.position, dims = model, 0, model.spec.dims
        weight = model.regression.weight[order].unflatten(2, (dims, -1))[:, :, order]
        self.weights = weight.flatten(2).transpose(1, 2).unbind()
        bias = model.condition(model.regression.bias.expand(n, -1), embedded)
        self.biases = bias.unflatten(1, (dims, -1))[:, order].unbind(1)
        self.known = bias.new_zeros(n, dims * model.degree)

    def conditional(self) -> GridDistribution:
        p, seen = self.position, self.position * self.model.degree
        weight = self.weights[p].narrow(0, 0, seen)
        return self.model.head.here(torch.addmm(self.biases[p], self.known.narrow(1, 0, seen), weight))

    def append(self, value: Tensor) -> None:
        number, degree = self.model.spec.centred(value.to(self.known.dtype)), self.model.degree
        self.known.narrow(1, self.position * degree, degree).copy_(self.model.read(number[:, None]))
        self.position += 1
