"""A model: a network, what it was constructed with, and how it wants to be trained.

The typed constructor is the schema. Its call is recorded as the model's *recipe*, a registered name with numbers, words
and parts, and becomes `config.json`, the flags of the command line and the arguments that a run is compared by; `load`
replays it. A family adds the mathematics and nothing else.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import threading
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from simulacra import borders, migrations, registry
from simulacra.capabilities import Encoder, Prior, need
from simulacra.condition import Condition, ConditionLike
from simulacra.data.recipe import Origin
from simulacra.data.spec import DataSpec
from simulacra.devices import choose_device, deterministic
from simulacra.errors import DataError, ModelFileError, SimulacraError, UsageError, cause, did_you_mean, warn
from simulacra.fields import ClassLabel
from simulacra.files import holds, write_atomically
from simulacra.parts import UnknownPart, is_outside, is_part, modules_of, to_json
from simulacra.weights import json_bytes, json_object, read_json, read_tensors, tensors_in, write_tensors

if TYPE_CHECKING:
    from simulacra.turns import Phase

FORMAT = 4
MAX_SIZE_ARGUMENT = 1 << 16  # a width or depth beyond this in a config.json is an attack or a mistake
MAX_DEPTH = 32  # parts within parts
MAX_DIGITS = 16  # of a number of steps
MAX_WORD = 1 << 12  # characters of a word


class _RecordedCall(ABCMeta):
    """Convert the arguments of the constructor to their types, and remember them in `model.arguments`."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        given = registry.bound(cls, cls.__name__, args, kwargs)
        own = {name: value for name, value in given.items() if name != "spec"}
        for wrong in _out_of_bounds(own, MAX_SIZE_ARGUMENT, reals=False):  # could be trained, and never be loaded
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
    for wrong in (*_out_of_bounds(record, math.inf), *_out_of_bounds(arguments, MAX_SIZE_ARGUMENT)):
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


def _out_of_bounds(value: Any, most: float, where: str = "", depth: int = 0, reals: bool = True) -> Iterator[str]:
    """What is wrong with each number beyond `most`, with `reals` not integers alone, and each word too long to be one,
    however deep it lies."""
    if depth > MAX_DEPTH:
        yield f"parts are nested deeper than {MAX_DEPTH}"
        return
    value = {each.name: getattr(value, each.name) for each in fields(value)} if is_part(value) else value
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _out_of_bounds(each, most, str(name), depth + 1, reals)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _out_of_bounds(each, most, where, depth + 1, reals)
    elif isinstance(value, str) and len(value) > MAX_WORD:
        yield f"{where!r} is a word of {len(value)} characters, and {MAX_WORD} are the limit"
    elif isinstance(value, int | float if reals else int) and not abs(value) <= most:
        yield f"{where!r} is {value!r:.40}, out of bounds{f': {most} at most' * math.isfinite(most)}"
