r"""Two checks of a model that anybody has written: that its factors look back only, and that its masses add up to one.

    ∂θ_i/∂x_j = 0 exactly, for every j at or after i,          Σ_x p(x) = 1,

where θ_i are the parameters of p(x_i | x_<i). A derivative is taken by autograd in float64, where whatever is masked
gives a zero and not a small number, so that no tolerance decides. Changing x_j by a step and comparing outputs in
float32, as is often done, confuses a leak with rounding.

    model = sim.load("runs/mine")
    print(sim.checks.causality(model))
    print(sim.checks.normalisation(MyModel(DataSpec(Levels((1, 3, 3), 2)))))
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from simulacra.capabilities import Density, can
from simulacra.checks.cases import condition_of
from simulacra.condition import ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.errors import NotSupported, UsageError

MOST_ITEMS = 1 << 16  # that `normalisation` enumerates
ITEMS_AT_ONCE = 1024
CUTS = 8  # places at which `causality` changes all that follows
OTHER_LEVELS = 8  # that a value is changed to where there are no derivatives
TOLERANCE = 1e-5  # of a sum over all items
SHOWN = 5  # leaks


class Leak(NamedTuple):
    """Factor `factor` depends on the value at `source`, which does not come before it; both places in x.flatten(1).

    size: of the derivative, the largest over the items; 1 where there are no derivatives.
    """

    factor: int
    source: int
    size: float


@dataclass(frozen=True, eq=False)
class Causality:
    """What each examined factor of a chain depends on.

    Attributes:
        shape: of an item.
        order: (dims,) places in the flattened item, in the order of the chain.
        factors: (F,) places of the examined factors.
        dependence: (F, dims) the largest |∂ factor / ∂ x_j| over the items, in evaluation mode. A factor stands for a
            random combination of its parameters. With `by` = "values": 1 where another value changes the factor.
        in_training: the same in training mode, where normalisation over a batch or over positions shows.
        between_items: the largest derivative of what is said of one item by another item of the batch, in either mode.
        later_matters: whether a factor changed when all values from its own on were replaced. Found by trial: a table
            that is looked up with a later value has no derivative.
        by: "derivatives", or "values" where the model is not differentiable in x.
        draws: items at which this was found.
    """

    shape: tuple[int, ...]
    order: Tensor
    factors: Tensor
    dependence: Tensor
    in_training: Tensor
    between_items: float
    later_matters: bool
    by: str
    draws: int

    @cached_property
    def past(self) -> Tensor:
        """(F, dims) True where x_j comes before the factor."""
        return self._rank[None, :] < self._rank[self.factors][:, None]

    @property
    def causal(self) -> bool:
        return self.largest == 0 and self.between_items == 0 and not self.later_matters

    @property
    def largest(self) -> float:
        """The largest dependence on a value at or after the factor: exactly 0 in a chain."""
        return self._forbidden.max().item()

    @property
    def reached(self) -> Tensor:
        """(F,) the share of the past that reaches each factor; 1 for the first of the chain, which has none."""
        found = ((self.dependence != 0) & self.past).sum(1)
        return torch.where(self.past.any(1), found / self.past.sum(1).clamp(min=1), 1.0)

    @property
    def coverage(self) -> float:
        """The share of all pairs (factor, value before it) in which the factor depends on the value."""
        return (self.dependence[self.past] != 0).double().mean().item() if self.past.any() else 1.0

    @property
    def leaks(self) -> list[Leak]:
        """All forbidden dependences, the largest first."""
        pairs = self._forbidden.nonzero()
        sizes = self._forbidden[pairs[:, 0], pairs[:, 1]]
        largest_first = sizes.argsort(descending=True, stable=True)
        rows = zip(self.factors[pairs[:, 0]].tolist(), pairs[:, 1].tolist(), sizes.tolist(), strict=True)
        listed = [Leak(*row) for row in rows]
        return [listed[i] for i in largest_first.tolist()]

    def place(self, place: int) -> str:
        """What a place in the flattened item is called."""
        if len(self.shape) == 1:
            return f"value {place}"
        channel, row, column = (int(i) for i in torch.unravel_index(torch.tensor(place), self.shape))
        return f"row {row}, column {column}" + (f", channel {channel}" if self.shape[0] > 1 else "")

    def __str__(self) -> str:
        lines = [self._verdict(), *self._reasons()]
        worst = self.reached.argmin()
        least = f"; factor {self.place(int(self.factors[worst]))} sees least, {self.reached[worst]:.1%}"
        lines.append(
            f"coverage: {self.coverage:.1%} of what comes before a factor reaches it{least * (self.coverage < 1)}"
        )
        return "\n".join(lines)

    def _verdict(self) -> str:
        verdict = "causal" if self.causal else "NOT causal"
        unit = "derivatives" if self.by == "derivatives" else "changes of a value (there are no derivatives)"
        open_doors, doors = int((self._forbidden != 0).sum()), int((~self.past).sum())
        what = f"all {doors:,} forbidden {unit} are exactly zero"
        if open_doors:
            what = f"{open_doors:,} of {doors:,} forbidden {unit} are not zero, the largest {self.largest:.2g}"
        return f"{verdict}: {what} ({len(self.factors)} factors, {self.draws} items)"

    def _reasons(self) -> Iterator[str]:
        leaks = self.leaks
        for leak in leaks[:SHOWN]:
            what = "itself" if leak.source == leak.factor else self.place(leak.source)
            yield f"  factor {self.place(leak.factor)} reads {what} ({leak.size:.2g})"
        if len(leaks) > SHOWN:
            yield f"  ... and {len(leaks) - SHOWN:,} more: see .leaks"
        if leaks and not (self.dependence * ~self.past).any():
            yield "  in training mode only: does a layer normalise over positions?"
        if self.between_items:
            yield f"  an item reads its batch mates ({self.between_items:.2g}): does a layer normalise over the batch?"
        if self.later_matters and not leaks:
            yield "  factors change with later values although no derivative says so: are these looked up in a table?"

    @cached_property
    def _rank(self) -> Tensor:
        return self.order.argsort()

    @cached_property
    def _forbidden(self) -> Tensor:
        return torch.maximum(self.dependence, self.in_training).masked_fill(self.past, 0)


def causality(
    model: Any,
    condition: ConditionLike | None = None,
    order: Tensor | None = None,
    draws: int = 3,
    factors: Sequence[int] | None = None,
    randomise: bool = False,
) -> Causality:
    """Whether every factor of a chain depends on nothing at or after its own place, and on how much of what is before.

    A copy of the model in float64 is examined, at random real-valued items, in evaluation and in training mode; the
    model itself and the global random numbers are left as they are. One backward pass is made for each factor.

    Args:
        model: has `spec`, `order()` and `conditionals(x, condition[, order])`; see `simulacra.capabilities.Chain`.
        condition: one value for all items or one for each; by default all classes in turn.
        order: (dims,) of the chain, for a model that takes any; by default the model's own.
        draws: items, at least 2: what is zero by accident at one of them (a ReLU that is off) shows at another.
        factors: places in the flattened item whose factors are examined; by default all.
        randomise: add noise to every parameter of the copy, so that what starts at zero hides no dependence.

    Raises:
        NotSupported: the model is no chain.
        UsageError: too few draws, or a place that does not exist.
    """
    if not all(hasattr(model, name) for name in ("spec", "order", "conditionals")):
        raise NotSupported(
            f"{type(model).__name__} is no chain: spec, order() and conditionals(x, condition) are needed"
        )
    spec: DataSpec = model.spec
    examined = torch.arange(spec.dims) if factors is None else torch.as_tensor(factors, dtype=torch.long)
    if draws < 2:
        raise UsageError(f"draws must be at least 2, because items of a batch are compared, not {draws}")
    if examined.numel() == 0 or examined.min() < 0 or examined.max() >= spec.dims:
        raise UsageError(f"factors are places 0 to {spec.dims - 1} of the flattened item")
    given = condition_of(spec, draws) if condition is None else condition
    with _own_randomness(model):
        net = _Factors(_double(model, randomise), given, order)
        return _examine(net, examined, draws)


class _Factors:
    """A chain as a function of x alone: the parameters of its factors."""

    def __init__(self, net: Any, condition: ConditionLike, order: Tensor | None) -> None:
        self.net, self.spec, self.condition = net, net.spec, condition
        self.order: Tensor = net.order() if order is None else order.to(_device(net))
        self.chosen = () if order is None else (self.order,)
        self.directions: dict[str, Tensor] = {}

    def parameters(self, x: Tensor) -> dict[str, Tensor]:
        """All tensors of the distribution that have the shape of x, (N, *shape) or (N, *shape, numbers)."""
        p = self.net.conditionals(x.to(self.order.device), self.condition, *self.chosen)
        own = {name: v for name, v in vars(p).items() if isinstance(v, Tensor) and v.shape[: x.dim()] == x.shape}
        if not own:
            raise NotSupported(f"{type(p).__name__} keeps no parameters of the shape of x, as a Factorised does")
        return own

    def word(self, x: Tensor) -> Tensor:
        """(N, dims) for every factor a random combination of its parameters, the same combination in every call."""
        total = torch.zeros((), dtype=torch.float64, device=self.order.device)
        for name, value in self.parameters(x).items():
            numbers = value.double().reshape(*x.shape, -1)
            direction = self.directions.setdefault(name, torch.randn(numbers.shape[-1], dtype=torch.float64))
            total = total + numbers @ direction.to(numbers.device)
        return total.flatten(1)


def _examine(net: _Factors, factors: Tensor, draws: int) -> Causality:
    by, later_matters = "derivatives", False
    net.net.eval()
    found = _by_derivatives(net, factors, draws)
    if found is None:
        by, found = "values", (_by_values(net, factors, draws), 0.0)
        in_training = found
    else:
        later_matters = _later_matters(net, draws)
        net.net.train()
        in_training = _by_derivatives(net, factors, draws) or found
    return Causality(
        shape=net.spec.shape,
        order=net.order.cpu(),
        factors=factors,
        dependence=found[0],
        in_training=in_training[0],
        between_items=max(found[1], in_training[1]),
        later_matters=later_matters,
        by=by,
        draws=draws,
    )


def _by_derivatives(net: _Factors, factors: Tensor, draws: int) -> tuple[Tensor, float] | None:
    """(F, dims) |∂ factor / ∂ x_j| and the largest derivative between items; None if there are no derivatives."""
    scale = 1 if net.spec.levels is None else net.spec.levels - 1
    x = (scale * torch.rand(draws, *net.spec.shape, dtype=torch.float64)).to(net.order.device).requires_grad_()
    word = net.word(x)
    if not word.requires_grad:
        return None
    mates = torch.autograd.grad(word[0].sum(), x, retain_graph=True, materialize_grads=True)[0][1:]
    rows = [
        torch.autograd.grad(word[:, place].sum(), x, retain_graph=True, materialize_grads=True)[0]
        for place in factors.tolist()
    ]
    return torch.stack([row.abs().amax(0).flatten() for row in rows]).cpu(), mates.abs().max().item()


def _by_values(net: _Factors, factors: Tensor, draws: int) -> Tensor:
    """(F, dims) 1 where another value at j changes the factor, bit for bit."""
    x, dims = _items(net.spec, draws), net.spec.dims
    before, changed = net.parameters(x), torch.zeros(dims, dims)
    for j in range(dims):
        for other in _others(net.spec, x.flatten(1)[:, j]):
            moved = x.clone()
            moved.flatten(1)[:, j] = other
            differs = [_per_factor(v != before[name], x) for name, v in net.parameters(moved).items()]
            changed[:, j] = torch.maximum(changed[:, j], torch.stack(differs).any(0).float().cpu())
    return changed[factors]


def _later_matters(net: _Factors, draws: int) -> bool:
    """Whether factors up to a cut change when all values from the cut on are replaced, at several cuts.

    Beyond rounding: a matrix product may add the same numbers in another order.
    """
    dims, order = net.spec.dims, net.order.cpu()
    for cut in torch.linspace(0, dims - 1, min(CUTS, dims)).long().tolist():
        x, other = _items(net.spec, draws), _items(net.spec, draws)
        moved = x.clone()
        moved.flatten(1)[:, order[cut:]] = other.flatten(1)[:, order[cut:]]
        after = net.parameters(moved)
        for name, value in net.parameters(x).items():
            differs = (value - after[name]).abs() > 1e-9 * (1 + value.abs())
            if _per_factor(differs, x)[order[: cut + 1]].any():
                return True
    return False


def _per_factor(differs: Tensor, x: Tensor) -> Tensor:
    """(N, *shape, ...) of bool -> (dims,): whether any parameter of a factor differs in any item."""
    return differs.reshape(*x.shape, -1).any(-1).flatten(1).any(0).cpu()


def _others(spec: DataSpec, values: Tensor) -> Iterator[Tensor]:
    """Other values (N,), all other levels or OTHER_LEVELS of them at random."""
    if spec.levels is None:
        yield from (torch.randn_like(values) for _ in range(OTHER_LEVELS))
        return
    for step in (torch.randperm(spec.levels - 1) + 1)[:OTHER_LEVELS].tolist():
        yield ((values.long() + step) % spec.levels).to(values.dtype)


def _items(spec: DataSpec, n: int) -> Tensor:
    if spec.levels is None:
        return torch.randn(n, *spec.shape)
    return torch.randint(spec.levels, (n, *spec.shape), dtype=torch.uint8)


@dataclass(frozen=True)
class Normalisation:
    """Σ_x p(x | condition) over all items there are.

    Attributes:
        totals: for each condition (for a model without one, a single number).
        items: how many there are.
    """

    totals: tuple[float, ...]
    items: int

    @property
    def deviation(self) -> float:
        """The largest |total - 1|."""
        return max(abs(total - 1) for total in self.totals)

    @property
    def normalised(self) -> bool:
        return self.deviation <= TOLERANCE

    def __str__(self) -> str:
        verdict = "normalised" if self.normalised else "NOT normalised"
        totals = ", ".join(f"{total:.9g}" for total in self.totals)
        given = "" if len(self.totals) == 1 else f" given each of {len(self.totals)} conditions"
        return f"{verdict}: the probabilities of all {self.items:,} items add up to {totals}{given}"


def normalisation(model: Any, condition: ConditionLike | None = None) -> Normalisation:
    """The sum of exp(log_prob) over all items there are, in float64, by a copy of the model.

    The law holds or fails whatever the size, so construct the model for an image of a few pixels: 3×3 binary ones are
    512 items, 1×2 ones with three channels of 2 bits 4,096.

    Args:
        model: has `spec` and an exact `log_prob(x, condition)`.
        condition: one value for all items; by default every class, one after the other.

    Raises:
        NotSupported: the model has no exact likelihood, or one of continuous items.
        UsageError: more than 65,536 items.
    """
    if not can(model, Density) or not hasattr(model, "spec"):
        raise NotSupported(f"{type(model).__name__} has no exact log_prob(x, condition), which is what can be summed")
    spec: DataSpec = model.spec
    if spec.levels is None:
        raise NotSupported("continuous items cannot be enumerated; integrate exp(log_prob) over a grid instead")
    items = spec.levels**spec.dims
    if items > MOST_ITEMS:
        raise UsageError(
            f"{spec.describe()} are {spec.levels}^{spec.dims} items, too many to enumerate (at most {MOST_ITEMS:,}); "
            "construct the model with a tiny spec, such as DataSpec(Levels((1, 3, 3), 2))"
        )
    with _own_randomness(model), torch.no_grad():
        net = _double(model).eval()
        given = [condition] if condition is not None else _each_class(spec)
        return Normalisation(tuple(_total(net, items, one) for one in given), items)


def _total(net: Any, items: int, condition: ConditionLike) -> float:
    powers, device = net.spec.levels ** torch.arange(net.spec.dims).flip(0), _device(net)
    total = 0.0
    for numbers in torch.arange(items, device=device).split(ITEMS_AT_ONCE):
        x = (numbers[:, None] // powers.to(device) % net.spec.levels).byte().view(-1, *net.spec.shape)
        given = {k: v.expand(len(x)) if isinstance(v, Tensor) and v.dim() == 0 else v for k, v in condition.items()}
        total += net.log_prob(x, given).double().exp().sum().item()
    return total


def _each_class(spec: DataSpec) -> Sequence[ConditionLike]:
    """All combinations of classes, one condition each; a single empty one without any."""
    classes = [
        torch.arange(label.count).unbind() for label in spec.classes("normalisation without condition=").values()
    ]
    return [dict(zip(spec.condition, combination, strict=True)) for combination in itertools.product(*classes)]


@contextmanager
def _own_randomness(model: nn.Module) -> Iterator[None]:
    """The same random numbers in every check, and the global ones as if nothing had been drawn."""
    device = _device(model)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield


def _double(model: nn.Module, randomise: bool = False) -> nn.Module:
    """A frozen copy in float64, if asked for with noise on every parameter: 1/√fan-in on weights, 0.1 on vectors."""
    net = copy.deepcopy(model).double().requires_grad_(False)
    for parameter in net.parameters() if randomise else ():
        spread = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.1
        parameter += spread * torch.randn_like(parameter)
    return net


def _device(model: nn.Module) -> torch.device:
    return next(itertools.chain(model.parameters(), model.buffers()), torch.empty(0)).device
