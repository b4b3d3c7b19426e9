"""Simulacra: deep generative models under one vocabulary. Learn p(x), draw from it, score with it, edit through it.

    import simulacra as sim

    model = sim.fit("vae", "digits", minutes=1)
    x = sim.sample(model, 64)                           # (64, 1, 8, 8) integers on the data grid
    print(sim.score(model, sim.data.load("digits")))    # nats and bits/dim, exact or a bound, with standard error

Everything here is loaded when it is first used: `import simulacra` itself imports no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simulacra import parts, registry
from simulacra.errors import raised_in, warn

if TYPE_CHECKING:
    from simulacra import checks, data
    from simulacra.compression import compress, decompress
    from simulacra.errors import SimulacraError
    from simulacra.evaluation import classify, evaluate, score, score_items, surprise
    from simulacra.exploration import (
        arithmetic,
        attribute,
        complete,
        edit,
        encode,
        health,
        interpolate,
        manifold,
        mix_styles,
        neighbours,
        reconstruct,
        restyle,
        sample,
        translate,
        traverse,
    )
    from simulacra.fitting import fit
    from simulacra.model import Model, load, save
    from simulacra.parts import kind, part
    from simulacra.registry import models, register
    from simulacra.studies import finetune
    from simulacra.turns import Phase, Player, Turn

__version__ = "0.1.0"
__all__ = [
    "Model",
    "Phase",
    "Player",
    "SimulacraError",
    "Turn",
    "arithmetic",
    "attribute",
    "checks",
    "classify",
    "complete",
    "compress",
    "data",
    "decompress",
    "edit",
    "encode",
    "evaluate",
    "finetune",
    "fit",
    "health",
    "interpolate",
    "kind",
    "load",
    "manifold",
    "mix_styles",
    "models",
    "neighbours",
    "part",
    "reconstruct",
    "register",
    "restyle",
    "sample",
    "save",
    "score",
    "score_items",
    "surprise",
    "translate",
    "traverse",
]

FAMILIES = ("autoregressive", "latent", "adversarial", "sequences", "structured")
_HOMES = {
    "Model": "model",
    "Phase": "turns",
    "Player": "turns",
    "Turn": "turns",
    "SimulacraError": "errors",
    "arithmetic": "exploration",
    "attribute": "exploration",
    "classify": "evaluation",
    "complete": "exploration",
    "compress": "compression",
    "decompress": "compression",
    "edit": "exploration",
    "encode": "exploration",
    "evaluate": "evaluation",
    "finetune": "studies",
    "fit": "fitting",
    "health": "exploration",
    "interpolate": "exploration",
    "kind": "parts",
    "load": "model",
    "manifold": "exploration",
    "mix_styles": "exploration",
    "models": "registry",
    "neighbours": "exploration",
    "part": "parts",
    "reconstruct": "exploration",
    "register": "registry",
    "restyle": "exploration",
    "sample": "exploration",
    "save": "model",
    "score": "evaluation",
    "score_items": "evaluation",
    "surprise": "evaluation",
    "translate": "exploration",
    "traverse": "exploration",
}


def _import_families() -> None:
    for room in (*FAMILIES, "training.augmentation"):
        importlib.import_module(f"simulacra.{room}")


def _import_plugins() -> None:
    """Modules that other packages announce in the entry-point group `simulacra.models` register their models."""
    from importlib import metadata

    for plugin in metadata.entry_points(group="simulacra.models"):
        try:
            plugin.load()
        except (Exception, SystemExit) as error:  # of a stranger's module anything may come; the house stands without
            where = raised_in(error, {plugin.module})
            reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
            warn(f"the plug-in {plugin.value} cannot be imported: {where}{': ' if where else ''}{reason}")


def _check_options(defaults: Mapping[str, Any]) -> None:
    """Raise UsageError for training options of a model that do not exist or are out of range."""
    from simulacra.training.options import resolve

    resolve(defaults, {})


parts.filled_by(_import_families)
parts.filled_by(_import_plugins)
registry.options_checked_by(_check_options)


def __getattr__(name: str) -> Any:
    if name in ("checks", "data"):
        return importlib.import_module(f"simulacra.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'simulacra' has no attribute {name!r}")
    return getattr(importlib.import_module(f"simulacra.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
