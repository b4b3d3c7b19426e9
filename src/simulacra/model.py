"""A model: a network, what it was constructed with, and how it wants to be trained.

The typed constructor is the schema. Its call is recorded and becomes `config.json`, the flags of the command line and
the arguments that a run is compared by; `load` replays it. A family adds the mathematics and nothing else.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from simulacra import registry
from simulacra.capabilities import Condition
from simulacra.data.spec import ClassLabel, DataSpec
from simulacra.errors import ModelFileError, SimulacraError, UsageError, did_you_mean
from simulacra.weights import read_json, read_tensors, tensors_in, write_atomically, write_tensors

if TYPE_CHECKING:
    from simulacra.turns import Phase

FORMAT = 1
MAX_SIZE_ARGUMENT = 1 << 16  # a width or depth beyond this in a config.json is an attack or a mistake


class _RecordedCall(ABCMeta):
    """Remember the arguments of the constructor, defaults included, in `model.arguments`."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        model = super().__call__(*args, **kwargs)
        call = inspect.signature(cls.__init__).bind(model, *args, **kwargs)
        call.apply_defaults()
        model.arguments = {name: call.arguments[name] for name in constructor_arguments(cls)}
        return model


def constructor_arguments(cls: type) -> dict[str, inspect.Parameter]:
    """The arguments by which a class of models is configured: all of its constructor's but `spec`."""
    own = inspect.signature(cls.__init__).parameters
    return {name: parameter for name, parameter in own.items() if name not in ("self", "spec")}


class Model(nn.Module, metaclass=_RecordedCall):
    """Base of all models. A subclass takes `spec` first, then typed arguments that JSON can hold, all with defaults.

    `defaults` are the training options that suit the family; whatever the user gives goes before them.
    `learns_unlabelled` says that its losses take -1 for the label of an item whose label nobody told, and so does its
    bound, which then is one of p(x).
    """

    arguments: dict[str, Any]
    defaults: ClassVar[Mapping[str, Any]] = {}
    learns_unlabelled: ClassVar[bool] = False

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """Whose turn it is, on which loss: one phase for a likelihood model, two for an adversarial game.

        None at all for a model that is fitted in closed form.
        """

    def averaged(self) -> Sequence[nn.Module]:
        """The modules whose weights are averaged over training: all, unless some only help the others to learn."""
        return [self]

    @property
    def device(self) -> torch.device:
        return next(itertools.chain(self.parameters(), self.buffers())).device

    def free_parameters(self) -> int:
        """How many numbers can vary: all parameters, but for the weights under the `mask` of a masked module."""
        hidden = 0
        for module in self.modules():
            weight, mask = getattr(module, "weight", None), getattr(module, "mask", None)
            if isinstance(weight, nn.Parameter) and isinstance(mask, Tensor) and mask.shape == weight.shape:
                hidden += int((mask == 0).sum())
        return sum(parameter.numel() for parameter in self.parameters()) - hidden

    def conditioned(self, condition: Condition | None, n: int) -> dict[str, Tensor]:
        """Check a condition and bring it to tensors of n items on the model's device.

        One number or class name serves all n items. Raises UsageError for a field that is missing, or that the model
        was not built with, and for a class that does not exist.
        """
        condition = condition or {}
        for name in condition:
            if name not in self.spec.condition:
                known = f".{did_you_mean(name, self.spec.condition)}" if self.spec.condition else ""
                raise UsageError(
                    f"this model is not conditioned on {name!r}{known or '; fit it with --condition label'}"
                )
        resolved = {}
        for name, label in self.spec.condition.items():
            if name not in condition:
                raise UsageError(f"this model is conditioned on {name!r}; give condition={{{name!r}: ...}}")
            index = _class_indices(label, condition[name])
            if len(index) not in (1, n):
                raise UsageError(f"{name!r} has {len(index)} values for {n} items")
            resolved[name] = index.expand(n).to(self.device)
        return resolved

    def every_class(self, n: int) -> dict[str, Tensor]:
        """A condition for n items that shows all classes in turn; empty for an unconditional model."""
        return {name: torch.arange(n) % label.count for name, label in self.spec.condition.items()}

    def config(self) -> dict[str, Any]:
        """Everything needed to construct the model again."""
        return {
            "format": FORMAT,
            "type": registry.name_of(type(self)),
            "spec": self.spec.to_json(),
            "arguments": self.arguments,
        }


def _class_indices(label: ClassLabel, values: Any) -> Tensor:
    """A class, several of them by number or name, or a tensor of numbers -> (n,) integers, all of them checked."""
    if not isinstance(values, Tensor):
        listed = [values] if isinstance(values, str) or not hasattr(values, "__len__") else list(values)
        return torch.as_tensor([label.index(value) for value in listed])
    values = values.reshape(-1)
    if values.is_floating_point() or values.is_complex():
        raise UsageError(f"labels are integers, not {values.dtype}")
    beyond = (values < 0) | (values >= label.count)
    if beyond.any():
        label.index(int(values[beyond][0]))  # raises, and says which labels there are
    return values.long()


def save(model: Model, folder: Path, card: str | None = None) -> None:
    """Write `config.json`, `weights.safetensors` and `card.md`; each file changes in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    config = json.dumps(model.config(), indent=2).encode()
    if not (folder / "config.json").exists() or (folder / "config.json").read_bytes() != config:
        write_atomically(folder / "config.json", config)
    write_tensors(folder / "weights.safetensors", model.state_dict(), {"config": hashlib.sha256(config).hexdigest()})
    if card is not None:
        write_atomically(folder / "card.md", card.encode())


def load(run: str | Path, device: str | torch.device = "cpu") -> Model:
    """The model of a run folder (or of its `model/` folder), ready for use.

    Nothing in the folder is trusted: `type` must be a registered name, the weights must have exactly the names, shapes
    and types that the config implies, be finite and match their checksum. Raises ModelFileError with what is wrong.
    """
    folder = model_folder(Path(run))
    # Shapes without memory, and no more of them than the file has: a config cannot ask for what the weights lack.
    with torch.device("meta"), _as_many_as(folder / "weights.safetensors"):
        expected = _construct(folder / "config.json").state_dict()
    tensors, metadata = read_tensors(folder / "weights.safetensors", expected)
    if metadata.get("config") != hashlib.sha256((folder / "config.json").read_bytes()).hexdigest():
        raise ModelFileError(f"{folder}: config.json is not the one that weights.safetensors was written with")
    model = _construct(folder / "config.json")
    model.load_state_dict(tensors)
    return model.to(device).eval()


def as_model(model: Model | str | Path) -> Model:
    """A model itself, or the one that lies in a run folder; raises UsageError for anything else."""
    if isinstance(model, str | Path):
        return load(model)
    if not isinstance(model, nn.Module):
        raise UsageError(f"a model or its run folder is needed, not {type(model).__name__}; see simulacra.load")
    return model


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
    """Within the context, a constructor that makes more parameters than the file holds raises ModelFileError."""
    count, made = tensors_in(weights), 0

    def tally(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal made
        made += parameter is not None
        if made > count:
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
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def _construct(path: Path) -> Model:
    record = read_json(path)
    if record.get("format") != FORMAT or set(record) != {"format", "type", "spec", "arguments"}:
        raise ModelFileError(f"{path} is not a model config of format {FORMAT}")
    arguments = record["arguments"]
    if not isinstance(arguments, dict) or not isinstance(record["type"], str):
        raise ModelFileError(f"{path}: 'type' or 'arguments' is malformed")
    for name, value in arguments.items():
        for number in value if isinstance(value, list) else [value]:
            if not isinstance(number, int | float | str | None) or (
                isinstance(number, int | float) and not abs(number) <= MAX_SIZE_ARGUMENT
            ):
                raise ModelFileError(f"{path}: argument {name!r} is {value!r}, out of bounds")
    try:
        return registry.build(record["type"], DataSpec.from_json(record["spec"]), **arguments)
    except ModelFileError:
        raise
    except (TypeError, KeyError, AttributeError, ValueError, ArithmeticError, RuntimeError, SimulacraError) as error:
        raise ModelFileError(f"{path} does not describe a model: {error}") from error
