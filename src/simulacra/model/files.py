"""Models as files: `config.json`, from which a model is constructed again, `weights.safetensors` and `card.md`.

Nothing in a folder is trusted: see `load`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from simulacra import migrations, registry
from simulacra.data.recipe import Origin
from simulacra.data.spec import DataSpec
from simulacra.devices import choose_device
from simulacra.errors import DataError, ModelFileError, SimulacraError, UsageError, cause
from simulacra.files import holds, write_atomically
from simulacra.model.base import FORMAT, Model
from simulacra.model.by_hand import refuse_if_changed_by_hand, warn_of_script
from simulacra.model.limits import MAX_SIZE_ARGUMENT, out_of_bounds
from simulacra.parts import UnknownPart
from simulacra.weights import json_bytes, json_object, read_json, read_tensors, tensors_in, write_tensors

MAX_DIGITS = 16  # of a number of steps


def save(model: Model, folder: str | os.PathLike[str], card: str | None = None) -> None:
    """Write `config.json`, `weights.safetensors` and `card.md`; each file changes in one step.

    Raises UsageError, before anything is written, for a model that could not be loaded again; see
    `refuse_if_changed_by_hand`.
    """
    place = _path(folder, "the folder of a model")
    refuse_if_changed_by_hand(as_model(model))
    warn_of_script(model)
    write(model, place, card)


def write(model: Model, folder: Path, card: str | None) -> None:
    """`save` without its refusal, for whoever has checked once and writes many times."""
    folder.mkdir(parents=True, exist_ok=True)
    config = json.dumps(model.config(), indent=2).encode()
    if not holds(folder / "config.json", config):
        write_atomically(folder / "config.json", config)
    about = {"config": hashlib.sha256(config).hexdigest()} | (
        {} if model.trained_steps is None else {"steps": str(model.trained_steps)}
    )
    write_tensors(folder / "weights.safetensors", model.state_dict(), about)
    if card is not None:
        write_atomically(folder / "card.md", card.encode(errors="backslashreplace"))


def load(run: str | os.PathLike[str], device: str | torch.device = "cpu") -> Model:
    """The model of a run folder (or of its `model/` folder), ready for use; safe in several threads at once.

    Nothing in the folder is trusted: names must be registered, the weights must have exactly the names, shapes and
    types that the config implies, be finite and match their checksum. Raises ModelFileError with what is wrong.
    """
    folder = model_folder(_path(run, "a run folder"))
    content = json_bytes(folder / "config.json")
    migrated = migrations.newest(json_object(folder / "config.json", content), folder / "config.json")
    # Shapes without memory, and no more of them than the file has: a config cannot ask for what the weights lack.
    with torch.device("meta"), _as_many_as(folder / "weights.safetensors"):
        expected = _construct(migrated.record, folder / "config.json").state_dict()
    in_file = {migrated.in_file(name): tensor for name, tensor in expected.items()} | dict(migrated.left_out)
    tensors, metadata = read_tensors(folder / "weights.safetensors", in_file)
    if metadata.get("config") != hashlib.sha256(content).hexdigest():
        raise ModelFileError(f"{folder}: config.json is not the one that weights.safetensors was written with")
    model = _construct(migrated.record, folder / "config.json")
    model.load_state_dict({name: tensors[migrated.in_file(name)] for name in expected})
    model.origin = origin_in(folder) or model.origin
    steps = str(metadata.get("steps", ""))
    model.trained_steps = int(steps) if steps.isdecimal() and len(steps) < MAX_DIGITS else None
    return model.to(device).eval()


def origin_in(run: Path) -> Origin | None:
    """The data that the model of a run folder, or of its `model/` folder, was fitted on; None where nothing says so.

    `run.json` knows where they lie; a model that was saved alone knows their recipe.
    """
    folder = model_folder(run)
    with suppress(ModelFileError, DataError):  # a damaged run.json makes no model useless
        record = read_json((folder.parent if folder.name == "model" else folder) / "run.json")
        source = record.get("source", "")
        return Origin.from_json(record.get("data"), source if isinstance(source, str) else "")
    record = read_json(folder / "config.json")
    return _origin(record, folder / "config.json")


def _origin(record: Mapping[str, Any], path: Path) -> Origin | None:
    if "data" not in record:
        return None
    try:
        return Origin.from_json(record["data"])
    except DataError as error:
        raise ModelFileError(f"{path}: {error}") from None


ModelLike = Model | str | os.PathLike[str]
"""A model, or the path of its run folder or `model/` folder."""


def as_model(model: ModelLike) -> Model:
    """A model itself, where it is, or the one that lies in a run folder, on a GPU where there is one, as on the command
    line; raises UsageError for anything else."""
    if isinstance(model, str | os.PathLike):
        return load(model, choose_device("auto"))
    if not isinstance(model, nn.Module) or not isinstance(getattr(model, "spec", None), DataSpec):
        own = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise UsageError(f"a model or its run folder is needed, not {own}; see simulacra.load")
    return cast(Model, model)  # a stand-in with a spec and abilities will do


def _path(path: Any, what: str) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"{what} is a path, not {type(path).__name__}")
    return Path(path)


def model_folder(run: Path) -> Path:
    """Where the model of a run lies; raises UsageError when there is none."""
    for folder in (run / "model", run):
        if (folder / "config.json").exists():
            return folder
    if not run.exists():
        raise UsageError(f"there is no run folder {run}; `simulacra fit MODEL DATA --out {run}` makes one")
    raise UsageError(f"{run} holds no model (no model/config.json); is it a run folder?")


@contextmanager
def _as_many_as(weights: Path) -> Iterator[None]:
    """Within the context, a constructor that makes more parameters than the file holds raises ModelFileError.

    The hook is that of all threads, and looks away in every thread but this one.
    """
    count, made, here = tensors_in(weights), 0, threading.get_ident()

    def tally(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal made
        made += parameter is not None and threading.get_ident() == here
        if made > count and threading.get_ident() == here:
            raise ModelFileError(f"{weights} does not fit its config, which asks for more tensors than its {count}")

    hook = register_module_parameter_registration_hook(tally)
    try:
        yield
    finally:
        hook.remove()


def _construct(record: dict[str, Any], path: Path) -> Model:
    """The model that a config of the newest format describes."""
    if record.get("format") != FORMAT or record.keys() - {"data"} != {"format", "model", "preset", "imports", "spec"}:
        raise ModelFileError(f"{path} is not a model config of format {FORMAT}")
    recipe, preset, imports = record["model"], record["preset"], record["imports"]
    if not isinstance(recipe, dict) or len(recipe) != 1 or not isinstance(preset, str | None):
        raise ModelFileError(f"{path}: 'model' or 'preset' is malformed")
    if not isinstance(imports, list) or not all(isinstance(module, str) for module in imports):
        raise ModelFileError(f"{path}: 'imports' is no list of modules")
    ((name, arguments),) = recipe.items()
    if not isinstance(arguments, dict):
        raise ModelFileError(f"{path}: the arguments of {name!r} are malformed")
    for wrong in (*out_of_bounds(record, math.inf), *out_of_bounds(arguments, MAX_SIZE_ARGUMENT)):
        raise ModelFileError(f"{path}: {wrong}")
    try:
        model = registry.build(name, DataSpec.from_json(record["spec"]), **arguments)
    except ModelFileError:
        raise
    except UnknownPart as error:
        raise ModelFileError(f"{path}: {error.reason}{_import_first(imports)}") from error
    except (TypeError, KeyError, AttributeError, ValueError, ArithmeticError, RuntimeError, SimulacraError) as error:
        raise ModelFileError(f"{path} does not describe a model: {cause(error)}{_import_first(imports)}") from error
    model.preset, model.origin = preset, _origin(record, path)
    return model


def _import_first(modules: list[str]) -> str:
    """What to import before the model can be loaded, where that is known."""
    if "__main__" in modules:
        return " It was made by a script, in __main__: put what that defines into a module of its own, and fit again"
    flags = " ".join(f"--import {module}" for module in modules)
    return f" It was made with parts of {', '.join(modules)}: import these first, or add {flags}" if modules else ""
