"""What a method of an ability is called with, checked once, where it enters the model.

    x: (N, *shape) on the grid      z: (N, *code)      unknown: (*shape) or (N, *shape), truths      n, samples >= 1
    past: (N, P, ...), steps like those of x

Every model gets the checks with its abilities (`Model.__init_subclass__`). Only the outermost call is checked: what a
model calls of itself is its own affair. Shapes and types are looked at always, which costs microseconds; values where
that makes no device wait for the host: not in training, except on a CPU.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral, Real
from typing import Any, Protocol

import torch
from torch import Tensor

from simulacra.capabilities import ABILITIES
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Paths

METHODS = {
    "log_prob_completion",
    *(name for own in ABILITIES.values() for name in vars(own.protocol) if not name.startswith("_")),
}


CHECKED = "checked_at_the_border"  # an attribute of a method that has its checks


class Bordered(Protocol):
    """What the checks read of a model."""

    spec: DataSpec
    training: bool

    @property
    def name(self) -> str: ...
    @property
    def code_shape(self) -> tuple[int, ...]: ...
    @property
    def device(self) -> torch.device: ...


class _Here(threading.local):
    """Whether this thread is within a method that was checked."""

    within = False


_here = _Here()


@contextlib.contextmanager
def trusted() -> Iterator[None]:
    """Within the context nothing is checked: for losses in the loop of `fit`, whose items were checked as they were
    read."""
    before, _here.within = _here.within, True
    try:
        yield
    finally:
        _here.within = before


def guard(cls: type) -> None:
    """Give every method of an ability that a class of models has, its own or inherited, the checks of its arguments."""
    for name in METHODS:
        method = getattr(cls, name, None)
        if inspect.isfunction(method) and not hasattr(method, CHECKED):
            setattr(cls, name, _guarded(method))


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    parameters = inspect.signature(method).parameters
    names = list(parameters)[1:]
    checks = {name: check for name, check in CHECKS.items() if name in names}
    optional = {name for name in checks if parameters[name].default is None}

    @functools.wraps(method)
    def checked(self: Bordered, *args: Any, **kwargs: Any) -> Any:
        if _here.within:
            return method(self, *args, **kwargs)
        _here.within = True
        try:
            values = dict(zip(names, args, strict=False)) | kwargs
            for name, check in checks.items():
                if name in values and not (values[name] is None and name in optional):
                    check(self, values[name])
            return method(self, *args, **kwargs)
        finally:
            _here.within = False

    setattr(checked, CHECKED, True)
    return checked


def check_items(model: Bordered, x: Any) -> None:
    """Raise UsageError unless x is a tensor (N, *shape) of integers on the model's grid, or of finite real numbers."""
    spec = model.spec
    wanted = f"this {model.name} is for {spec.x.describe()}"
    if not isinstance(x, Tensor):
        raise UsageError(f"{wanted} as a tensor, not {type(x).__name__}; torch.from_numpy makes one of an array")
    if x.shape[1:] != spec.shape or x.dim() == 0:
        raise UsageError(f"{wanted}: x is {_batch_of(spec.shape)}, not {tuple(x.shape)}")
    _check_place(model, x=x)
    discrete = isinstance(spec.x, Levels)
    if discrete == (x.is_floating_point() or x.is_complex()):
        grid = f"integers 0 to {spec.grid_levels - 1}" if discrete else "real numbers"
        raise UsageError(f"{wanted}: x holds {grid}, not {str(x.dtype).removeprefix('torch.')}")
    if not x.numel() or (model.training and x.device.type != "cpu"):
        return
    if not discrete:
        if not model.training and not bool(torch.isfinite(x).all()):
            raise UsageError(f"{wanted}: x has values that are not finite")
    elif x.dtype != torch.bool:
        low, high = (int(end) for end in torch.aminmax(x))
        if low < 0 or high >= spec.grid_levels:
            raise UsageError(f"{wanted}: x holds integers 0 to {spec.grid_levels - 1}, not {low if low < 0 else high}")


def _check_place(model: Bordered, **tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        if tensor.device != model.device:
            here = f"{name} lies on {tensor.device}, and this {model.name} on {model.device}"
            raise UsageError(f"{here}: give it {name}.to(model.device)")


def check_mask(model: Bordered, unknown: Any) -> None:
    """Raise UsageError unless a mask is a tensor of truths, (*shape) or (N, *shape)."""
    shape = model.spec.shape
    if not isinstance(unknown, Tensor) or unknown.shape[-len(shape) :] != shape or unknown.dim() > len(shape) + 1:
        what = tuple(unknown.shape) if isinstance(unknown, Tensor) else type(unknown).__name__
        raise UsageError(f"a mask of unknown values is a tensor of the shape of the items, {shape}, not {what}")
    if unknown.is_floating_point() or unknown.is_complex():
        raise UsageError(f"a mask of unknown values holds truths, not {str(unknown.dtype).removeprefix('torch.')}")
    _check_place(model, unknown=unknown)


def check_past(model: Bordered, past: Any) -> None:
    """Raise UsageError unless a past is a tensor (N, P, ...) of one step or more, of which each is like one of x.

    People are another number in every scene: their models look at it themselves.
    """
    if isinstance(model.spec.x, Paths):
        return
    step = model.spec.shape[1:]
    if not isinstance(past, Tensor) or past.dim() != len(step) + 2 or past.shape[2:] != step or not past.shape[1]:
        what = tuple(past.shape) if isinstance(past, Tensor) else type(past).__name__
        raise UsageError(f"a past of this {model.name} is a tensor {_batch_of(('P', *step))}, P >= 1, not {what}")
    _check_place(model, past=past)
    if isinstance(model.spec.x, Levels) == past.is_floating_point():
        raise UsageError(f"this {model.name} is for {model.spec.x.describe()}, and a past of {past.dtype} is none")
    if past.is_floating_point() and not bool(torch.isfinite(past).all()):
        raise UsageError("this past has values that are not finite")


def check_codes(model: Bordered, z: Any) -> None:
    """Raise UsageError unless z is a tensor (N, *code) of finite numbers, where a code's shape is that of the model's.

    Not in training, where a loss may decode several draws of an item at once.
    """
    if not isinstance(z, Tensor) or z.dim() == 0:
        raise UsageError(f"codes are a tensor (N, ...), not {type(z).__name__}")
    _check_place(model, z=z)
    if model.training:
        return
    if z.shape[1:] != model.code_shape:
        raise UsageError(f"codes of this {model.name} are {_batch_of(model.code_shape)}, not {tuple(z.shape)}")
    if not bool(torch.isfinite(z).all()):
        raise UsageError("these codes have values that are not finite")


def _batch_of(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(['N', *map(str, shape)])})"


def _check_count(model: Bordered, n: Any, what: str) -> None:
    if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
        raise UsageError(f"{what}, not {n!r:.40}")


def _check_temperature(model: Bordered, temperature: Any) -> None:
    if not isinstance(temperature, Real) or not 0 < float(temperature) < math.inf:
        raise UsageError(f"the temperature is a number above 0, not {temperature!r:.40}")


def _check_condition(model: Bordered, condition: Any) -> None:
    if not isinstance(condition, Mapping):
        raise UsageError(
            f"a condition gives values by field, such as {{'label': 3}}, and is no {type(condition).__name__}"
        )


CHECKS: dict[str, Callable[[Bordered, Any], None]] = {
    "x": check_items,
    "z": check_codes,
    "past": check_past,
    "unknown": check_mask,
    "n": functools.partial(_check_count, what="n is at least one item"),
    "samples": functools.partial(_check_count, what="a bound needs at least one sample"),
    "temperature": _check_temperature,
    "condition": _check_condition,
}
