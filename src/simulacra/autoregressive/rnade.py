r"""RNADE: NADE for real numbers. The running sum of one hidden layer gives every coordinate a mixture of Gaussians,

    a_1 = c, h_i = max(0, ρ_i a_i),  p(x_i | x_<i) = Σ_k π_k(h_i) N(x_i; μ_k(h_i), σ_k(h_i)²), a_{i+1} = a_i + z_i W_i.

Uria, Murray & Larochelle 2013, "RNADE: The real-valued neural autoregressive density-estimator". Two things are added.
The network models z, which is x standardised by the mean and the standard deviation of the items that it was trained
on, so that the units of x do not matter; p is the density of x itself. And the means may depend on the z before them
directly, μ_k(h_i) + Σ_{j<i} z_j L_ji, so that one component is enough for any Gaussian, whatever its covariance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from simulacra.autoregressive.chain import Autoregressive
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import MixtureOfGaussians
from simulacra.errors import UsageError
from simulacra.nn import AddCondition, Embed, Units
from simulacra.registry import register
from simulacra.turns import Turn

MIN_LOG_SCALE, MAX_LOG_SCALE = -7.0, 7.0  # of a component, in standard deviations: a density may not rise without end


@register(
    "rnade",
    paper="Uria, Murray & Larochelle 2013, RNADE: real-valued neural autoregressive density-estimator",
    defaults={
        "learning_rate": 1e-2,
        "batch": 64,
        "steps": 2000,
        "schedule": "cosine",
        "weight_decay": 0.03,
        "every": 100,
    },
)
class RNADE(Autoregressive):
    r"""log p(x|c) = Σ_i log p(x_i | x_<i, c) in raster order, a density; every factor is a mixture of Gaussians.

    Args:
        spec: what x is: continuous; with a condition field, p(x | label).
        hidden: H, units of the hidden layer.
        components: K, Gaussians in the mixture of a coordinate.
        direct: whether the coordinates before x_i also move its means directly.
    """

    def __init__(self, spec: DataSpec, hidden: int = 50, components: int = 10, direct: bool = True) -> None:
        super().__init__(spec)
        if spec.levels is not None:
            raise UsageError(f"rnade is for continuous data, these have {spec.levels} levels; use made or nade")
        if hidden < 1 or components < 1:
            raise UsageError("rnade needs hidden >= 1 and components >= 1")
        self.components = components
        self.units = Units(spec.dims)
        self.embed = Embed(spec.condition)
        self.inputs = nn.Parameter(torch.empty(spec.dims, hidden))  # rows in the order of the chain, like all below
        self.start = nn.Parameter(torch.zeros(hidden))
        self.rates = nn.Parameter(torch.ones(spec.dims, 1))
        self.outputs = nn.Parameter(torch.empty(spec.dims, hidden, 3 * components))
        self.biases = nn.Parameter(torch.zeros(spec.dims, 3 * components))
        self.direct = nn.Parameter(torch.zeros(spec.dims, spec.dims)) if direct else None
        self.condition = AddCondition(spec.condition, hidden)
        self._begin()

    @torch.no_grad()
    def _begin(self) -> None:
        """Components side by side over the range of z, so narrow that each soon finds a peak of its own."""
        hidden = self.inputs.shape[1]
        nn.init.uniform_(self.inputs, -(hidden**-0.5), hidden**-0.5)
        nn.init.uniform_(self.start, -1, 1)
        nn.init.uniform_(self.outputs, -0.1 * hidden**-0.5, 0.1 * hidden**-0.5)
        side_by_side(self.biases, self.components)

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        if self.training:
            self.units.learn(turn.x.flatten(1)[:, self.order()])
        return super().loss(turn)

    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> MixtureOfGaussians:
        embedded, chain = self.embed(self.conditioned(condition, len(x))), self.own(order)
        with torch.autocast(x.device.type, enabled=False):  # running sums and densities are no place for 8 bits
            z = (x.flatten(1)[:, chain].to(self.start.dtype) - self.units.mean) / self.units.scale
            start = self.condition(self.start.expand(len(x), -1), embedded).unsqueeze(1)
            moved = (z[:, :-1, None] * self.inputs[:-1]).cumsum(1)
            a = torch.cat((start, start + moved), dim=1)
            output = torch.einsum("ndh,dho->ndo", torch.relu(self.rates * a), self.outputs) + self.biases
            shift = torch.zeros_like(z) if self.direct is None else z @ self.direct.triu(1)
            numbers = components_of(output, shift, self.units.mean, self.units.scale)
        back = chain.argsort()
        return MixtureOfGaussians(*(each[:, back].unflatten(1, self.spec.shape) for each in numbers))

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> RnadeSteps:
        self.own(order)
        return RnadeSteps(self, n, self.embed(self.conditioned(condition, n)))


@torch.no_grad()
def side_by_side(biases: Tensor, components: int) -> None:
    """Initialise outputs (..., 3K) as components that share out the range of z, narrow ones."""
    shares = (torch.arange(components) + 0.5) / components
    _, means, log_scales = biases.chunk(3, dim=-1)
    means.copy_(torch.special.ndtri(shares).expand_as(means))
    log_scales.fill_(-math.log(components))


def components_of(output: Tensor, shift: Tensor, mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs of a network (N, ..., 3K), of z = (x - mean) / scale, with what shifts its means (N, ...) -> weights,
    means and log scales (N, ..., K) of x."""
    weights, means, log_scales = output.chunk(3, dim=-1)
    mean, scale = mean.unsqueeze(-1), scale.unsqueeze(-1)
    means = mean + scale * (means + shift.unsqueeze(-1))
    return weights, means, log_scales.clamp(MIN_LOG_SCALE, MAX_LOG_SCALE) + scale.log()


class RnadeSteps:
    """`Steps` of an RNADE: the pre-activations and the direct sums are kept, and a value adds its rows of weights."""

    @torch.no_grad()
    def __init__(self, model: RNADE, n: int, embedded: Condition) -> None:
        self.model, self.position = model, 0
        self.a = model.condition(model.start.repeat(n, 1), embedded)
        self.shifts = self.a.new_zeros(n, model.spec.dims)
        self.mean, self.scale = model.units.mean, model.units.scale

    @torch.no_grad()
    def conditional(self) -> MixtureOfGaussians:
        model, i = self.model, self.position
        h = torch.relu(model.rates[i] * self.a)
        output = torch.addmm(model.biases[i], h, model.outputs[i])
        return MixtureOfGaussians(*components_of(output, self.shifts[:, i], self.mean[i], self.scale[i]))

    @torch.no_grad()
    def append(self, value: Tensor) -> None:
        model, i = self.model, self.position
        z = (value.to(self.a.dtype) - self.mean[i]) / self.scale[i]
        self.a.addr_(z, model.inputs[i])
        if model.direct is not None:
            self.shifts[:, i + 1 :].addr_(z, model.direct[i, i + 1 :])
        self.position += 1
