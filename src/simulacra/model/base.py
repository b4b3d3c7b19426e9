"""A model: a network, what it was constructed with, and how it wants to be trained.

The typed constructor is the schema. Its call is recorded as the model's *recipe*, a registered name with numbers, words
and parts, and becomes `config.json`, the flags of the command line and the arguments that a run is compared by; `load`
replays it (`simulacra.model.files`). A family adds the mathematics and nothing else.
"""

from __future__ import annotations

import itertools
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from simulacra import borders, registry
from simulacra.capabilities import Encoder, Prior, need
from simulacra.condition import Condition, ConditionLike
from simulacra.data.recipe import Origin
from simulacra.data.spec import DataSpec
from simulacra.devices import deterministic
from simulacra.errors import UsageError, did_you_mean
from simulacra.fields import ClassLabel
from simulacra.model.limits import MAX_SIZE_ARGUMENT, out_of_bounds
from simulacra.parts import is_outside, modules_of, to_json

if TYPE_CHECKING:
    from simulacra.turns import Phase

FORMAT = 4


class _RecordedCall(ABCMeta):
    """Convert the arguments of the constructor to their types, and remember them in `model.arguments`."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        given = registry.bound(cls, cls.__name__, args, kwargs)
        own = {name: value for name, value in given.items() if name != "spec"}
        for wrong in out_of_bounds(own, MAX_SIZE_ARGUMENT, reals=False):  # could be trained, and never be loaded
            raise UsageError(f"{cls.__name__}: {wrong}")
        model = super().__call__(**given)
        model.arguments = own
        return model


class Model(nn.Module, metaclass=_RecordedCall):
    """Base of all models. A subclass takes `spec` first, then typed arguments: numbers, words or parts, with defaults.

    The spec of a data set, `data.spec`, makes an unconditional model; `data.spec.conditioned_on("label")` one of
    p(x | label). The methods of its abilities check what they are called with; see `simulacra.borders`.

    Attributes:
        arguments: those of the constructor's call, defaults included.
        preset: the name of the preset that made the model, where one did.
        origin: the data that it was fitted on, with the recipe by which they were read; None before it is fitted.
        trained_steps: behind the weights, where that is known: of a model that `fit` returned or that was loaded.
        bf16_from: how many numbers an item has at least, where a CPU that computes in bfloat16 trains the model at
            least 1.3 times as fast in it, and as well (`benchmarks/precision.py`); None where it does not.
        learns_unlabelled: whether losses take -1 for the label of an unlabelled item, and so does the bound, which
            then is one of p(x).
        stratified: whether each batch is to hold as many items of each class, where classes are the condition.
    """

    arguments: dict[str, Any]
    preset: str | None = None
    origin: Origin | None = None
    trained_steps: int | None = None
    bf16_from: ClassVar[int | None] = None
    learns_unlabelled: ClassVar[bool] = False
    stratified: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        borders.guard(cls)

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """Whose turn it is, on which loss: one phase for a likelihood model, two for an adversarial game.

        None at all for a model that is fitted in closed form.
        """

    def refuse_unless_trainable(self) -> None:
        """Raise UsageError for what can be made and loaded, but makes no sense to train as it is composed."""

    def averaged(self) -> Sequence[nn.Module]:
        """The modules whose weights are averaged over the steps of training: all of the model."""
        return [self]

    @property
    def name(self) -> str:
        """By which it is known: that of its preset, else the registered one of its class."""
        if self.preset is not None:
            return self.preset
        try:
            return registry.name_of(type(self))
        except UsageError:
            return type(self).__name__

    @property
    def device(self) -> torch.device:
        return next(itertools.chain(self.parameters(), self.buffers())).device

    @cached_property
    def code_shape(self) -> tuple[int, ...]:
        """The shape of one code, of a model with an encoder or a prior."""
        condition = Condition(
            {name: torch.from_numpy(np.zeros((1, *own.shape), own.dtype)) for name, own in self.spec.columns.items()}
        )
        with evaluating(self):
            if isinstance(self, Encoder):
                (column,) = self.spec.x.columns("").values()
                numbers = (each.dtype for each in itertools.chain(self.parameters(), self.buffers()))
                own = next((dtype for dtype in numbers if dtype.is_floating_point), torch.float32)
                x = torch.from_numpy(np.zeros((1, *column.shape), column.dtype)).to(self.device)
                x = x.to(own) if x.is_floating_point() else x
                return tuple(self.encode(x, condition).mode.shape[1:])
            noise = torch.Generator(self.device).manual_seed(0)
            return tuple(need(self, Prior).prior(1, condition).sample(noise).shape[1:])

    def free_parameters(self) -> int:
        """How many numbers can vary: all parameters, but for the weights under the `mask` of a masked module."""
        hidden = 0
        for module in self.modules():
            weight, mask = getattr(module, "weight", None), getattr(module, "mask", None)
            if isinstance(weight, nn.Parameter) and isinstance(mask, Tensor) and mask.shape == weight.shape:
                hidden += int((mask == 0).sum())
        return sum(parameter.numel() for parameter in self.parameters()) - hidden

    def conditioned(self, condition: ConditionLike | None, n: int | None) -> Condition:
        """Check a condition and bring it to tensors of n items on the model's device; None: of as many as it has.

        One value serves all n items. A `Condition` was checked when it was made; only its names and lengths are looked
        at again. Raises UsageError for a field that is missing, or that the model was not built with, and for a value
        that is none of the field's.
        """
        if isinstance(condition, Condition) and condition.keys() == self.spec.columns.keys():
            checked = self._of_these_columns(condition)
        else:
            checked = self._converted({} if condition is None else condition)
        n = max((len(values) for values in checked.values()), default=1) if n is None else n
        for name, values in checked.items():
            if len(values) not in (1, n):
                raise UsageError(f"{name!r} has {len(values)} values for {n} items")
        return checked.expand(n).to(self.device)

    def _of_these_columns(self, condition: Condition) -> Condition:
        """The same; raises UsageError for a tensor of another shape than that of its column."""
        for name, column in self.spec.columns.items():
            if condition[name].shape[1:] != column.shape or not condition[name].dim():
                raise UsageError(f"{name!r} is (N, *{column.shape}), not {tuple(condition[name].shape)}")
        return condition

    def _converted(self, condition: ConditionLike) -> Condition:
        if not isinstance(condition, Mapping):
            raise UsageError(
                f"a condition gives values by field, such as {{'label': 3}}, and is no {type(condition).__name__}"
            )
        for name in condition:
            if name not in self.spec.condition and name not in self.spec.columns:
                known = f".{did_you_mean(name, self.spec.condition)}" if self.spec.condition else ""
                raise UsageError(
                    f"this {self.name} is not conditioned on {name!r}{known or f'; fit it with --condition {name}'}"
                )
        arrays = {}
        for name, field in self.spec.condition.items():
            columns = field.columns(name)
            if len(columns) > 1 and columns.keys() <= condition.keys():  # of which one may have the field's own name
                arrays |= field.convert(name, {key[len(name) + 1 :]: condition[key] for key in columns}, single=False)
            elif name in condition:
                values = condition[name]
                arrays |= field.convert(name, values, single=field.is_single(values))
            else:
                raise UsageError(f"this {self.name} is conditioned on {name!r}; give condition={{{name!r}: ...}}")
        return Condition({name: torch.from_numpy(array) for name, array in arrays.items()})

    def every_class(self, n: int) -> Condition:
        """A condition for n items that shows all classes in turn; empty for an unconditional model.

        Raises UsageError where a field of the condition is none of classes: its values have to be given.
        """
        for name, field in self.spec.condition.items():
            if not isinstance(field, ClassLabel):
                raise UsageError(f"this {self.name} is conditioned on {name!r}, {field.describe()}: give its values")
        classes = self.spec.classes(self.name)
        return Condition({name: torch.arange(n) % label.count for name, label in classes.items()}).to(self.device)

    @property
    def recipe(self) -> dict[str, Any]:
        """{registered name of the class: its arguments, spelled out}; raises UsageError for what nobody registered."""
        return {registry.name_of(type(self)): to_json(self.arguments)}

    def config(self) -> dict[str, Any]:
        """Everything needed to construct the model again; `imports` are the modules that define parts of it."""
        own = type(self).__module__
        modules = modules_of([self.arguments, self.spec.x, self.spec.condition])
        modules |= {own} if is_outside(own) else set()
        record = {
            "format": FORMAT,
            "model": self.recipe,
            "preset": self.preset,
            "imports": sorted(modules),
            "spec": self.spec.to_json(),
        }
        return record if self.origin is None else record | {"data": self.origin.to_json()}


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """No dropout, no gradients and fixed statistics within the context; the model's mode is restored after it."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), deterministic(model.device):
            yield
    finally:
        model.train(training)
