"""What the laws of the contract are stated on: kinds of made-up data, and small models on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulacra import registry
from simulacra.capabilities import ClosedForm, abilities
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel, Field, Index, LabelMap, Levels, Many, Paths, Real, Record, Tokens
from simulacra.model import Model
from simulacra.parts import convert
from simulacra.registry import Entry

GREY, BINARY, COLOUR = Levels((1, 8, 8), 17), Levels((1, 8, 8), 2), Levels((3, 8, 9), 4)
VECTOR, CONTINUOUS, SERIES, CLIP = Levels((5,), 4), Real((2,)), Real((5, 2)), Levels((3, 1, 8, 8), 5)
LABEL = {"label": ClassLabel(3, ("a", "b", "c"))}
MIXED: dict[str, Field] = {
    "small": Levels((1, 4, 4), 17),
    "map": LabelMap(4, (8, 8)),
    "attributes": Real((3,)),
    "words": Tokens(("red", "green", "blue"), 3),
    "objects": Many(Record({"kind": ClassLabel(3), "box": Real((4,))}), 3),
    "relations": Many(
        Record({"subject": Index("objects", 3), "predicate": ClassLabel(2), "object": Index("objects", 3)}), 2
    ),
}
SPECS: dict[str, DataSpec] = {
    "grey": DataSpec(GREY),
    "binary": DataSpec(BINARY),
    "colour": DataSpec(COLOUR),
    "vector": DataSpec(VECTOR),
    "continuous": DataSpec(CONTINUOUS),
    "series": DataSpec(SERIES),
}
SPECS |= {f"{name}-labelled": DataSpec(spec.x, LABEL) for name, spec in SPECS.items()}
SPECS["grey-pictured"] = DataSpec(GREY, {name: MIXED[name] for name in ("small", "map")})
SPECS["grey-domains"] = DataSpec(GREY, {"label": ClassLabel(2, ("a", "b"))})
SPECS["grey-mixed"] = DataSpec(GREY, LABEL | MIXED)
SPECS["series-mixed"] = DataSpec(SERIES, LABEL | MIXED)
OTHERS = {  # for models that take none of these
    "paths": DataSpec(Paths((3, 4, 2)), {"past": Many(Real((3, 2)), 3)}),
    "clips": DataSpec(CLIP),
    "clips-labelled": DataSpec(CLIP, LABEL),
    "clips-mixed": DataSpec(CLIP, LABEL | MIXED),
}


@dataclass(frozen=True)
class Case:
    """A registered model on one kind of data.

    Attributes:
        entry: of the registry.
        kind: the name of the spec.
        spec: what x and its condition are.
        given: the arguments that make the model small.
    """

    entry: Entry
    kind: str
    spec: DataSpec
    given: Mapping[str, Any] = field(default_factory=dict)

    def model(self, seed: int = 0) -> Model:
        """As its constructor makes it, in evaluation mode."""
        torch.default_generator.manual_seed(seed)  # torch.manual_seed looks for other devices, 1 ms a call
        return self.entry.build(self.spec, **self.given).eval()

    def lively(self, scale: float = 0.4, seed: int = 2) -> Model:
        """With weights so large, or counts so unequal, that its samples differ and nothing is zero by accident."""
        return randomised(self.model(), scale, seed)

    def items(self, n: int, seed: int = 0) -> Tensor:
        return items_of(self.spec, n, seed)

    def condition(self, n: int) -> Condition:
        return condition_of(self.spec, n)

    @cached_property
    def abilities(self) -> list[str]:
        return abilities(self.entry.model)


def items_of(spec: DataSpec, n: int, seed: int = 0) -> Tensor:
    """n random items on the grid (n, *shape), or standard normal ones where the data are continuous."""
    return values_of(spec.x, n, seed)


def condition_of(spec: DataSpec, n: int, seed: int = 0) -> Condition:
    """A condition for n items, in which classes come in turn and all else is random."""
    columns = {}
    for number, (name, own) in enumerate(spec.condition.items()):
        columns |= _columns(name, own, n, seed + number)
    return Condition(columns)


def values_of(of: Field, n: int, seed: int = 0) -> Tensor:
    """n random values of a field of one tensor."""
    return _columns("", of, n, seed)[""]


def _columns(name: str, of: Field, n: int, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    if isinstance(of, ClassLabel):
        return {name: torch.arange(n) % of.count}
    if isinstance(of, Record):
        return {k: v for own, each in of.fields.items() for k, v in _columns(f"{name}.{own}", each, n, seed).items()}
    if isinstance(of, Many):
        mask = torch.arange(of.most) < 1 + torch.arange(n)[:, None] % of.most
        each = _columns(name, of.field, n * of.most, seed)
        return {f"{name}.mask": mask} | {key: values.unflatten(0, (n, of.most)) for key, values in each.items()}
    ((key, column),) = of.columns(name).items()
    if column.dtype.kind == "f":
        return {key: torch.randn((n, *column.shape), generator=generator)}
    values = torch.randint(_count(of), (n, *column.shape), generator=generator)
    return {key: values.to(torch.from_numpy(np.empty(0, column.dtype)).dtype)}


def _count(of: Field) -> int:
    if isinstance(of, Tokens):
        return len(of.vocabulary)
    return of.levels if isinstance(of, Levels) else of.classes if isinstance(of, LabelMap) else getattr(of, "count", 2)


def randomised(model: Model, scale: float = 0.3, seed: int = 0) -> Model:
    """Every parameter, biases too, drawn from N(0, scale²); of a model in closed form, an estimate from a few items.

    Of a wide layer the scale is at most 3/√inputs: larger weights leave probabilities of zero and one alone. Weights
    that a layer multiplies by its `weight_scale` are of this scale after that.
    """
    scaled: list[Any] = [module for module in model.modules() if hasattr(module, "weight_scale")]
    factors = {id(module.weight): module.weight_scale for module in scaled}
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            inputs = parameter[0].numel() if parameter.dim() > 1 else 1
            parameter.copy_(min(scale, 3 * inputs**-0.5) / factors.get(id(parameter), 1.0) * noise)
    if isinstance(model, ClosedForm):
        some = items_of(model.spec, 12, seed).repeat(20, *[1] * len(model.spec.shape))
        model.estimate([(some, condition_of(model.spec, len(some)))])
    return model


def cases(name: str, /, specs: Mapping[str, DataSpec] | None = None, **given: Any) -> tuple[list[Case], dict[str, str]]:
    """The kinds of data that a registered model takes with these arguments, and why it refuses the others.

    Raises UsageError for a model or an argument that does not exist.
    """
    entry = registry.find(name)
    own = entry.arguments
    for argument in given:
        if argument not in own:
            raise UsageError(f"{name} has no argument {argument!r}; it has {', '.join(own) or 'none'}")
    small = {key: convert(own[key].type, value, key) for key, value in given.items()}
    taken, refused = _taken(entry, specs or SPECS, small)
    if specs is None and not taken:
        taken, others = _taken(entry, OTHERS, small)
        refused |= others
    return taken, refused


def _taken(entry: Entry, specs: Mapping[str, DataSpec], small: Mapping[str, Any]) -> tuple[list[Case], dict[str, str]]:
    taken, refused = [], {}
    for kind, spec in specs.items():
        try:
            entry.build(spec, **small)
            taken.append(Case(entry, kind, spec, small))
        except UsageError as error:
            refused[kind] = str(error)
        except Exception as error:
            raise UsageError(
                f"{entry.name} cannot be constructed for {kind} data: {type(error).__name__}: {error}. What it is not "
                "for it refuses: raise UsageError"
            ) from error
    return taken, refused
