"""Models that are not what their recipe says, or that nobody else could load: looked for before anything is trained."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import nn

from simulacra import registry
from simulacra.errors import UsageError, warn
from simulacra.model.base import Model
from simulacra.parts import is_part


def refuse_if_changed_by_hand(model: Model) -> None:
    """Raise UsageError where a model is not what its recipe says, so that it could be trained and never be loaded.

    A module that was swapped, and a number that was set, after the constructor are unknown to `config.json`.
    """
    recipe = registry.name_of(type(model))
    with torch.random.fork_rng([]), torch.device("meta"):
        again = registry.build(recipe, model.spec, **model.arguments)
    own, built = dict(model.named_modules()), dict(again.named_modules())
    for name, module in own.items():
        if name not in built or type(module) is not type(built[name]) or _size(module) != _size(built[name]):
            raise UsageError(
                f"{name or 'the model'} of this {model.name} is a {type(module).__name__} that its recipe does not "
                "have: such a model could not be loaded again. Make it a part, @part('network', 'mine'), and pass "
                "that to the constructor; see CONTRIBUTING.md"
            )
        for attribute, value in _plain(module).items():
            if attribute in vars(built[name]) and vars(built[name])[attribute] != value:
                place = f"{name}.{attribute}" if name else attribute
                raise UsageError(
                    f"{place} of this {model.name} was set to {value!r} after it was constructed with "
                    f"{vars(built[name])[attribute]!r}, which its config.json would not know; "
                    "pass it to the constructor"
                )
    if missing := sorted(built.keys() - own.keys()):
        raise UsageError(f"this {model.name} lacks {missing[0]!r}, which its recipe has; construct it anew")


def warn_of_script(model: Model) -> None:
    """Warn of a model with parts that `__main__` registers, a script or a notebook, which nobody else can import."""
    if "__main__" in model.config()["imports"]:
        warn(
            f"this {model.name}, or a part of it, is defined in __main__, and can be loaded by this script alone: "
            "put it into a module of its own and import that; on the command line, --import MODULE"
        )


def _size(module: nn.Module) -> dict[str, torch.Size]:
    own = itertools.chain(module.named_parameters(recurse=False), module.named_buffers(recurse=False))
    return {name: tensor.shape for name, tensor in own}


def _plain(module: nn.Module) -> dict[str, Any]:
    """The numbers, words and parts that a module holds."""
    hidden = ("training", "preset", "trained_steps", "arguments", "origin")
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and name not in hidden and (isinstance(value, int | float | str) or is_part(value))
    }
