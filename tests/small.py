"""Models and data that are small enough to enumerate, and helpers to look at them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from simulacra import registry
from simulacra.capabilities import ClosedForm, can
from simulacra.data import Card, ClassLabel, Dataset, DataSpec, Split
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real
from simulacra.model import Model
from simulacra.parts import kind_of
from simulacra.registry import Entry

SMALL = {  # whichever of them a model has
    "width": 6,
    "layers": 3,
    "kernel": 3,
    "hidden": 16,
    "latent": 3,
    "blocks": 1,
    "scales": 2,
    "components": 2,
    "codes": 8,
    "dim": 3,
    "critic_hidden": 16,
}
SMALL_PARTS = {  # by the kind of part
    "network": "dense:hidden=16",
    "generator": "dense:hidden=16",
    "critic": "dense:hidden=16",
    "grid-prior": "gated-pixelcnn:width=6,layers=2",
    "ladder-size": "small:width=6,hidden=16,latent=3",
}


def labels(count: int = 3, *names: str) -> dict[str, ClassLabel]:
    return {"label": ClassLabel(count, names)}


SPECS = {
    "grey": DataSpec(Levels((1, 8, 8), 17)),
    "binary": DataSpec(Levels((1, 8, 8), 2)),
    "colour": DataSpec(Levels((3, 8, 9), 4)),
    "vector": DataSpec(Levels((5,), 4)),
    "continuous": DataSpec(Real((2,))),
}
SPECS |= {f"{name}-labelled": DataSpec(s.x, labels(3, "a", "b", "c")) for name, s in SPECS.items()}


def trained_in_steps() -> list[Entry]:
    """All registered models but those in closed form."""
    return [entry for entry in registry.models() if not can(entry.model, ClosedForm)]


def suited(entry: Entry, *names: str) -> DataSpec:
    """The first of these specs that a model takes, with labels where it needs them; else one of continuous data."""
    for name in (*names, *(f"{name}-labelled" for name in names if f"{name}-labelled" in SPECS)):
        with contextlib.suppress(UsageError):
            return small_model(entry, SPECS[name]).spec
    return SPECS["continuous-labelled"] if SPECS[names[0]].condition else SPECS["continuous"]


def small_arguments(entry: Entry) -> dict[str, Any]:
    """The arguments that make a registered model small."""
    parts = {name: SMALL_PARTS.get(kind_of(own.type) or "") for name, own in entry.arguments.items()}
    named = {name: value for name, value in SMALL.items() if name in parts}
    return named | {name: part for name, part in parts.items() if part is not None}


def small_model(entry: Entry, spec: DataSpec, seed: int = 0) -> Model:
    torch.manual_seed(seed)
    return entry.build(spec, **small_arguments(entry)).eval()


def randomise(model: torch.nn.Module, scale: float = 0.3, seed: int = 0) -> torch.nn.Module:
    """Every parameter, biases too, drawn from N(0, scale²): nothing is zero by accident. Tables count a few items."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(scale * noise)
    if isinstance(model, Model) and isinstance(model, ClosedForm):
        some = items(model.spec, 12, seed).repeat(20, *[1] * len(model.spec.shape))
        model.estimate([(some, condition_of(model.spec, len(some)))])
    return model


def items(spec: DataSpec, n: int, seed: int = 0) -> Tensor:
    """n random items on the grid (n, *shape), or standard normal ones where the data are continuous."""
    generator = torch.Generator().manual_seed(seed)
    if spec.levels is None:
        return torch.randn((n, *spec.shape), generator=generator)
    return torch.randint(spec.levels, (n, *spec.shape), generator=generator, dtype=torch.uint8)


def condition_of(spec: DataSpec, n: int) -> dict[str, Tensor]:
    return {name: torch.arange(n) % label.count for name, label in spec.condition.items()}


def all_items(spec: DataSpec) -> Tensor:
    """Every item there is, (levels^dims, *shape)."""
    assert spec.levels is not None
    table = list(itertools.product(range(spec.levels), repeat=spec.dims))
    return torch.tensor(table, dtype=torch.uint8).view(-1, *spec.shape)


def dataset(
    spec: DataSpec, counts: tuple[int, int, int] = (40, 10, 12), name: str = "made-up", seed: int = 0
) -> Dataset:
    """Random items as a data set in memory, with labels where the spec has them."""
    splits = {}
    for i, (part, n) in enumerate(zip(("train", "valid", "test"), counts, strict=True)):
        fields = {field: values.numpy() for field, values in condition_of(spec, n).items()}
        splits[part] = Split(items(spec, n, seed=10 * seed + i).numpy(), fields, part)
    return Dataset(name, spec, **splits, card=Card(name, "a test", "none"), fingerprint=f"{name}-{seed}-{counts}")


def stripes(spec: DataSpec = DataSpec(Levels((1, 6, 6), 2)), n: int = 64) -> Dataset:  # noqa: B008 (it is frozen)
    """Images whose columns are all alike: something that can be learnt in a few steps."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, spec.levels, (2 * n, spec.shape[0], 1, spec.shape[2]), dtype=np.uint8)
    x = np.broadcast_to(rows, (2 * n, *spec.shape)).copy()
    split = {"train": x[:n], "valid": x[n : n + n // 2], "test": x[n + n // 2 :]}
    parts = {name: Split(values, {}, name) for name, values in split.items()}
    return Dataset("stripes", spec, **parts, card=Card("stripes", "a test", "none"), fingerprint=f"stripes-{n}")


def weights(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def saved_weights(run: Path) -> dict[str, Tensor]:
    return load_file(run / "model" / "weights.safetensors")
