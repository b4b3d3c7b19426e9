"""Models and data that are small enough to enumerate, and helpers to look at them."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from simulacra import checks, registry
from simulacra.capabilities import ClosedForm, can
from simulacra.checks.cases import condition_of, items_of, randomised
from simulacra.data import Card, ClassLabel, Dataset, DataSpec, Split
from simulacra.errors import UsageError
from simulacra.fields import Levels
from simulacra.model import Model
from simulacra.parts import convert
from simulacra.registry import Entry
from simulacra.training.loop import Loop
from simulacra.turns import Turn

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
    "network": "dense:hidden=16,dropout=0.1",
    "size": "small:width=6,hidden=16,latent=3,layers=(1,)",
    "generator": "dense:hidden=16",
    "critic": "dense:hidden=16",
    "critic_hidden": 16,
    "head": 4,
}
OWN = {  # of one model alone
    "raster": {"network": "gated-pixelcnn:width=6,layers=3,kernel=3"},
    "vqvae": {"prior": "gated-pixelcnn:width=6,layers=2"},
    "vqvae2": {"prior": "gated-pixelcnn:width=6,layers=2"},
    "wgan-gp": {"width": 3},
    "sngan": {"width": 3},
    "sagan": {"width": 3, "latent": 20},
    "biggan": {"width": 3},
    "infogan": {"latent": 14},
    "spade": {
        "generator": "spade:width=4,hidden=4",
        "critic": "patch:width=4,halvings=1,scales=2",
        "encoder": "dense:hidden=8",
    },
    "cyclegan": {"generator": "resnet:width=4,halvings=1,blocks=1", "critic": "patch:width=4,halvings=1", "pool": 5},
    "stargan": {"generator": "resnet:width=4,halvings=1,blocks=1", "critic": "patch:width=4,halvings=1"},
    "text2image": {
        "generator": "word-layout:width=4,features=6,hidden=8,mask=3",
        "critic": "patch:width=4,halvings=1,normalise=none",
        "conditioning": "reading:words=6",
    },
    "puzzle-gan": {"width": 4},
    "pix2pix": {"generator": "unet:width=4,halvings=1", "critic": "patch:width=4,halvings=1"},
    "sg2im": {
        "generator": "layout:width=4,features=6,hidden=8,layers=2,mask=4",
        "critic": "patch:width=4,halvings=1",
        "objects": "objects:side=4,width=4",
    },
    "videogan": {
        "content": 3,
        "generator": "mocogan:motion=2,hidden=6,image=(dcgan:width=4)",
        "critic": "clips:frames=(residual:width=3),clips=(space-time:width=3),seen=2",
    },
    "motion-mixture": {"network": "gated-pixelcnn:width=6,layers=2", "reach": 1, "hidden": 6, "width": 3},
    "wavenet": {"layers": 5, "components": None, "head": 8},
    "timegan": {"hidden": 5, "layers": 1},
    "stylegan": {"mapping": 2},
    "stylegan2": {"mapping": 2},
}


def named(value: object) -> str:
    """The name of a test of this value: the same in every process, which an address in memory is not."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))[:60]


def labels(count: int = 3, *names: str) -> dict[str, ClassLabel]:
    return {"label": ClassLabel(count, names)}


SPECS = {name: spec for name, spec in checks.SPECS.items() if not name.endswith("mixed")}
MIXED = checks.SPECS["grey-mixed"]
WORDED = DataSpec(MIXED.x, {"words": MIXED.condition["words"]})
PATHS = checks.OTHERS["paths"]
STRUCTURED = (SPECS["grey-pictured"], SPECS["grey-domains"], WORDED, MIXED)  # the first that such a model takes


def trained_in_steps() -> list[Entry]:
    """All registered models but those in closed form."""
    return [entry for entry in registry.models() if not can(entry.model, ClosedForm)]


def suited(entry: Entry, *names: str) -> DataSpec:
    """The first of these specs that a model takes, with labels where it needs them; else one of continuous data."""
    for name in (*names, *(f"{name}-labelled" for name in names if f"{name}-labelled" in SPECS)):
        with contextlib.suppress(UsageError):
            return small_model(entry, SPECS[name]).spec
    clips = checks.OTHERS["clips-labelled" if SPECS[names[0]].condition else "clips"]
    for spec in {"structured": STRUCTURED, "sequences": (PATHS, clips)}.get(entry.family, ()):
        with contextlib.suppress(UsageError):
            return small_model(entry, spec).spec
    kind = "series" if entry.family == "sequences" else "continuous"
    return SPECS[f"{kind}-labelled"] if SPECS[names[0]].condition else SPECS[kind]


def small_arguments(entry: Entry) -> dict[str, Any]:
    """The arguments that make a registered model small."""
    named = entry.arguments
    given = {name: value for name, value in SMALL.items() if name in named} | OWN.get(entry.name, {})
    return {name: convert(named[name].type, value, name) for name, value in given.items()}


def small_model(entry: Entry, spec: DataSpec, seed: int = 0) -> Model:
    torch.default_generator.manual_seed(seed)
    return entry.build(spec, **small_arguments(entry)).eval()


def randomise(model: Any, scale: float = 0.3, seed: int = 0) -> Any:
    """Every parameter, biases too, drawn from N(0, scale²): nothing is zero by accident. Tables count a few items."""
    return randomised(model, scale, seed)


def items(spec: DataSpec, n: int, seed: int = 0) -> Tensor:
    """n random items on the grid (n, *shape), or standard normal ones where the data are continuous."""
    return items_of(spec, n, seed)


def turn(spec: DataSpec, n: int, seed: int = 0) -> Turn:
    """n random items and their condition, as a loss sees them."""
    return Turn(items(spec, n, seed), condition_of(spec, n))


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


@contextlib.contextmanager
def before_step(number: int, what: Callable[[], object]) -> Iterator[None]:
    """Something happens when so many steps of a loop were taken and the next one begins."""
    step = Loop.step

    def tampered(self: Loop, *given: Any) -> dict[str, Tensor]:
        if self.steps == number:
            what()
        return step(self, *given)

    with mock.patch.object(Loop, "step", tampered):
        yield


def weights(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name].cpu(), other[name].cpu()) for name in one)


def saved_weights(run: Path) -> dict[str, Tensor]:
    return load_file(run / "model" / "weights.safetensors")
