r"""NADE: one hidden layer that reads one coordinate after the other, with weights shared by all conditionals,

    a_1 = c,    h_i = f(a_i),    p(x_i | x_<i) = softmax(b_i + V_i h_i),    a_{i+1} = a_i + x_i W_i.

Larochelle & Murray 2011, "The Neural Autoregressive Distribution Estimator", eq. 5 to 9; the running sum makes a
coordinate cost O(H). x_i is a level divided by the highest one, so that level 0 does not change the hidden layer.

All h_i at once would be N·D·H numbers, 157 MB for a batch of 100 binary images of 28×28: training would wait for the
memory. `Outputs` goes in blocks of coordinates that stay in the cache, keeps of each only its first pre-activation, and
uses that the state moves only where x_i is not zero: on binarized MNIST a fifth of the states are different ones.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import Function, FunctionCtx, once_differentiable

from simulacra.autoregressive.chain import Autoregressive
from simulacra.autoregressive.vector import VectorHead, blank
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import GridDistribution
from simulacra.errors import UsageError
from simulacra.nn import AddCondition, Embed
from simulacra.registry import register

BLOCK = 16  # logits of a block: with more of them most products are in vain, with fewer they are too small


def plainly(x: Tensor, start: Tensor, inputs: Tensor, outputs: Tensor, sigmoid: bool) -> Tensor:
    """V_i h_i by the definition: x (N, D), a_1 (N, H), W (D, H), V (D, L, H) -> (N, D, L)."""
    a, found = start, []
    for i in range(x.shape[1]):
        found.append((a.sigmoid() if sigmoid else a.relu()) @ outputs[i].t())
        a = a + x[:, i : i + 1] * inputs[i]
    return torch.stack(found, dim=1)


class Outputs(Function):
    """The same, and its derivatives in all but x, block by block."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, start: Tensor, inputs: Tensor, outputs: Tensor, sigmoid: bool) -> Tensor:
        a, starts, found = start, [], []
        for block in _blocks(outputs):
            starts.append(a)
            which, _, _, h = _states(x[:, block], a, inputs[block], sigmoid)
            each = (h @ outputs[block].flatten(0, 1).t()).unflatten(1, (-1, outputs.shape[1]))
            found.append(each[which, torch.arange(which.shape[1], device=x.device)])
            a = torch.addmm(a, x[:, block], inputs[block])
        ctx.save_for_backward(x, inputs, outputs, *starts)
        ctx.sigmoid = sigmoid  # pyright: ignore[reportAttributeAccessIssue]
        return torch.cat(found, dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, inputs, outputs, *starts = ctx.saved_tensors
        to_inputs, to_outputs, to_a = torch.empty_like(inputs), torch.empty_like(outputs), torch.zeros_like(starts[0])
        for block, start in zip(reversed(_blocks(outputs)), reversed(starts), strict=True):
            which, item, added, h = _states(x[:, block], start, inputs[block], ctx.sigmoid)
            each = h.new_zeros(len(h), which.shape[1], outputs.shape[1])
            each[which, torch.arange(which.shape[1], device=x.device)] = grads[0][:, block]
            to_outputs[block] = (each.flatten(1).t() @ h).view_as(outputs[block])
            to_h = each.flatten(1) @ outputs[block].flatten(0, 1)
            moved = (
                torch.ops.aten.sigmoid_backward(to_h, h)
                if ctx.sigmoid
                else torch.ops.aten.threshold_backward(to_h, h, 0)
            )
            to_inputs[block] = torch.addmm(x[:, block].t() @ to_a, added.t(), moved)
            to_a.index_add_(0, item, moved)
        return None, to_a, to_inputs, to_outputs, None


def _blocks(outputs: Tensor) -> list[slice]:
    dims, logits = outputs.shape[:2]
    size = max(1, BLOCK // logits)
    return [slice(i, min(i + size, dims)) for i in range(0, dims, size)]


def _states(x: Tensor, start: Tensor, inputs: Tensor, sigmoid: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The S different hidden states in a block of k coordinates, x (N, k).

    Returns for every item and coordinate the number of its state (N, k); for every state its item (S,), the multiple of
    each W_j that was added to the item's start (S, k), and h (S, H).
    """
    new = nn.functional.pad(x[:, :-1] != 0, (1, 0), value=True)
    which = new.flatten().cumsum(0).view_as(new) - 1
    item, place = new.nonzero(as_tuple=True)
    added = x[item] * (torch.arange(x.shape[1], device=x.device) < place[:, None])
    a = start.index_select(0, item).addmm_(added, inputs)
    return which, item, added, a.sigmoid_() if sigmoid else a.relu_()


@register(
    "nade",
    paper="Larochelle & Murray 2011, The Neural Autoregressive Distribution Estimator",
    defaults={"learning_rate": 1e-2, "batch": 64, "steps": 1000, "schedule": "cosine"},
)
class NADE(Autoregressive):
    r"""log p(x|c) = Σ_i log p(x_i | x_<i, c) in raster order, from one hidden layer.

    Args:
        spec: what x is: vectors or images, on a grid; with a condition field, p(x | label).
        hidden: H, units of the hidden layer.
        sigmoid: whether f is the logistic function, as in the paper, or else max(0, a).
    """

    def __init__(self, spec: DataSpec, hidden: int = 500, sigmoid: bool = True) -> None:
        super().__init__(spec)
        self.head, self.embed = VectorHead(spec), Embed(spec.condition)
        if hidden < 1:
            raise UsageError(f"nade needs at least one hidden unit, not {hidden}")
        self.sigmoid = sigmoid
        self.inputs = nn.Parameter(torch.empty(spec.dims, hidden))  # rows in the order of the chain, like all below
        self.start = nn.Parameter(torch.zeros(hidden))
        self.outputs = blank(spec.dims, self.head.outputs, hidden)
        self.biases = nn.Parameter(torch.zeros(spec.dims, self.head.outputs))
        self.condition = AddCondition(spec.condition, hidden)
        for weight in (self.inputs, self.outputs):
            nn.init.uniform_(weight, -(hidden**-0.5), hidden**-0.5)

    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> GridDistribution:
        embedded, chain = self.embed(self.conditioned(condition, len(x))), self.own(order)
        x = (self.head.numbers(x, self.start)[:, chain] + 1) / 2
        start = self.condition(self.start.expand(len(x), -1), embedded)
        form = plainly if x.requires_grad else Outputs.apply  # derivatives in x: they prove the autoregressive property
        with torch.autocast(x.device.type, enabled=False):  # a running sum of 784 terms is no place for 8 bits
            output = cast(Tensor, form(x, start, self.inputs, self.outputs, self.sigmoid)) + self.biases
        return self.head.everywhere(output[:, chain.argsort()])

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> NadeSteps:
        self.own(order)
        return NadeSteps(self, n, self.embed(self.conditioned(condition, n)))


class NadeSteps:
    """`Steps` of a NADE: the pre-activations are kept, and a value adds its multiple of one row of weights."""

    @torch.no_grad()
    def __init__(self, model: NADE, n: int, embedded: Condition) -> None:
        self.model, self.position = model, 0
        self.a = model.condition(model.start.repeat(n, 1), embedded)
        self.h = torch.empty_like(self.a)
        self.inputs = (model.inputs / (model.spec.grid_levels - 1)).unbind()
        self.outputs = model.outputs.transpose(1, 2).unbind()
        self.biases = model.biases.unbind()

    def conditional(self) -> GridDistribution:
        if self.model.sigmoid:
            torch.sigmoid(self.a, out=self.h)
        else:
            torch.clamp(self.a, min=0, out=self.h)
        return self.model.head.here(torch.addmm(self.biases[self.position], self.h, self.outputs[self.position]))

    def append(self, value: Tensor) -> None:
        self.a.addr_(value.to(self.a.dtype), self.inputs[self.position])
        self.position += 1
