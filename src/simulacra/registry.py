"""name -> model: classes of models, and presets, which are functions that return one.

    @register("vae", paper="Kingma & Welling 2014", defaults={"batch": 128})
    class VAE(Model): ...

    @register("beta-vae", paper="Higgins et al. 2017", defaults={"batch": 64})
    def beta_vae(spec: DataSpec, beta: float = 4.0) -> VAE:
        return VAE(spec, objective=ELBO(beta))

A class is what is saved, with all of its arguments; a preset is a name for some of them. No family is named here: the
front door says how to import them, and plug-ins (`simulacra.parts.filled_by`), done when the table is first read.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from simulacra.errors import UsageError, did_you_mean
from simulacra.parts import OUTSIDE, convert, example, fill, is_outside, kind_of, named, parts_with
from simulacra.schema import Argument, arguments

if TYPE_CHECKING:
    from simulacra.data.spec import DataSpec

BUDGET = ("steps", "epochs", "minutes")  # training options, of which the first one that is spent ends a run
NEAR = 0.7  # how alike two names are where one may be meant by the other
B = TypeVar("B", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry:
    """A registered model.

    Attributes:
        name: by which `fit` and every verb know it.
        build: the class, or the function of a preset: called with a `DataSpec` and the arguments.
        paper: that it follows.
        defaults: the training options that suit it; whatever the user gives goes before them.
    """

    name: str
    build: Callable[..., Any]
    paper: str
    defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def model(self) -> type:
        """The class of the model that comes of it, which says what it can do."""
        return self.build if isinstance(self.build, type) else typing.get_type_hints(self.build)["return"]

    @property
    def family(self) -> str:
        """The room of this package that the preset, the class or its nearest base is from; a class with a mathematics
        of its own from elsewhere is a family by itself, "plug-in (module)"."""
        for base in (self.build, *self.model.__mro__):
            house, *room = base.__module__.split(".")
            if house == "simulacra" and len(room) == 2 and room[0] != "model":  # a file of a room, and no base module
                return room[0]
        return f"plug-in ({self.build.__module__.partition('.')[0]})"

    @property
    def arguments(self) -> dict[str, Argument]:
        """What it takes beside the spec."""
        return arguments(self.build, without=("spec",))

    def place_of(self, name: str, beside: Iterable[str] = ()) -> str:
        """Where an argument that the model has not is found: in the class of a preset, which fixes it, or within the
        parts, by its name or, unless one of `beside` is nearer, the nearest one: a sentence; "" where nowhere."""
        if name not in self.arguments and name in arguments(self.model, without=("spec",)):
            return self._fixed(name)
        found, places = _nearest_in_parts(self.build, name, beside)
        listed = " or ".join(f"--{own.replace('_', '-')} {part}:{found}=..." for own, part in places)
        if not listed:
            return ""
        return (
            f" It is an argument of a part: {listed}" if found == name else f" Did you mean that of a part: {listed}?"
        )

    def _fixed(self, name: str) -> str:
        """That the preset fixes an argument of its class, and the call that leaves it open."""
        general = next((entry.name for entry in _entries.values() if entry.build is self.model), None)
        if general is None:
            return ""
        of = kind_of(arguments(self.model)[name].type)
        chosen = example(of, self.name) if of is not None and self.name in named(of) else "..."
        return (
            f" {self.name} is {general} with its {name} fixed: `simulacra fit {general} DATA "
            f"--{name.replace('_', '-')} {chosen}` leaves it open, and takes the other parts of {self.name} beside it"
        )


_entries: dict[str, Entry] = {}
_check_options: list[Callable[[Mapping[str, Any]], object]] = []


def options_checked_by(check: Callable[[Mapping[str, Any]], object]) -> None:
    """Call `check` with the training options of every model that is registered: it raises UsageError for wrong ones."""
    _check_options.append(check)


def register(name: str, paper: str, defaults: Mapping[str, Any] | None = None) -> Callable[[B], B]:
    """Decorator: make a class of models, or a preset, known to every verb and the contract suite under `name`.

    `defaults` are training options. A preset has those of the class that it returns where it says nothing else; a
    budget of its own takes the place of all budgets of the class.

    Raises ValueError for a name that is taken, for a preset that does not say which class it returns, and for training
    options that do not exist or are out of range.
    """

    def enter(build: B) -> B:
        if not isinstance(build, type) and "return" not in inspect.get_annotations(build):
            raise ValueError(f"preset {name!r} must say what it returns: def {build.__name__}(spec, ...) -> Model")
        known = build if isinstance(build, type) else _preset(name, build)
        taken = _entries.get(name)
        if taken is not None and _origin(taken.build) != _origin(known):
            raise ValueError(f"two models are called {name!r}: {taken.build} and {build}")
        own = dict(defaults or {}) if isinstance(build, type) else _inherited(known, defaults or {})
        for check in _check_options if own else ():
            try:
                check(own)
            except UsageError as error:
                raise UsageError(f"defaults of model {name!r}: {error}") from None
        _entries[name] = Entry(name, known, paper, MappingProxyType(own))
        return known  # pyright: ignore[reportReturnType]

    return enter


def variant(
    name: str, of: type, paper: str, defaults: Mapping[str, Any] | None = None, **changed: Any
) -> Callable[..., Any]:
    """Register the preset `name`: a class with all of its arguments, of which some have other defaults."""

    def preset(*args: Any, **kwargs: Any) -> Any:
        return of(*args, **kwargs)

    own = inspect.signature(of.__init__)
    parameters = [each for each in own.parameters.values() if each.name != "self"]
    listed = [each.replace(default=changed.get(each.name, each.default)) for each in parameters]
    preset.__signature__ = own.replace(parameters=listed)  # pyright: ignore[reportFunctionMemberAccess]
    preset.__annotations__ = {**typing.get_type_hints(of.__init__), "return": of}
    preset.__module__, preset.__qualname__, preset.__doc__ = of.__module__, f"{of.__qualname__}({name})", of.__doc__
    return register(name, paper, defaults)(preset)


def with_part(
    name: str, of: type, part: type, paper: str, defaults: Mapping[str, Any] | None = None
) -> Callable[..., Any]:
    """Register the preset `name`: a class with this part, whose arguments the preset takes in the place of the part.

    `of` has one argument of the part's kind, and leaves no other without a default.
    """
    given = next(own for own, each in arguments(of).items() if kind_of(each.type) == part.__part__[0])  # pyright: ignore[reportAttributeAccessIssue]

    def preset(spec: Any, **own: Any) -> Any:
        return of(spec, **{given: part(**own)})

    spec, listed = inspect.signature(preset).parameters["spec"], inspect.signature(part).parameters.values()
    preset.__signature__ = inspect.Signature([spec, *listed])  # pyright: ignore[reportFunctionMemberAccess]
    types = {own: each.type for own, each in arguments(part).items()}
    preset.__annotations__ = {"spec": arguments(of)["spec"].type, **types, "return": of}
    preset.__module__, preset.__qualname__, preset.__doc__ = part.__module__, f"{of.__qualname__}({name})", part.__doc__
    return register(name, paper, defaults)(preset)


def _inherited(preset: Callable[..., Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The training options of a preset over those of its class."""
    returned = typing.get_type_hints(preset)["return"]
    of_class = next((entry.defaults for entry in _entries.values() if entry.build is returned), {})
    replaced = BUDGET if any(name in defaults for name in BUDGET) else ()
    return {name: value for name, value in of_class.items() if name not in replaced} | dict(defaults)


def _origin(build: Any) -> tuple[str, str]:
    return build.__module__, build.__qualname__


def _preset(name: str, build: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, with arguments converted to their types, and the name noted in the model that it returns."""

    @functools.wraps(build)
    def made(*args: Any, **kwargs: Any) -> Any:
        model = build(**bound(build, name, args, kwargs))
        model.preset = name
        return model

    return made


def bound(build: Callable[..., Any], name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call, defaults included, each as its type wants it.

    Raises TypeError for arguments that `build`, called `name`, has not, UsageError for a spec that is none, and the
    errors of `parts.convert`.
    """
    signature = inspect.signature(build.__init__ if isinstance(build, type) else build)
    try:
        given = signature.bind(*([None] if isinstance(build, type) else []), *args, **kwargs)
    except TypeError as error:
        unknown = min(kwargs.keys() - arguments(build).keys(), default="")
        found, places = _nearest_in_parts(build, unknown, arguments(build))
        listed = " or ".join(f"{at}='{part}:{found}=...'" for at, part in places)
        said = "It is an argument of a part" if found == unknown else "Did you mean that of a part"
        raise TypeError(f"{name}: {error}{f'. {said}: {listed}' if listed else ''}") from None
    given.apply_defaults()
    own = arguments(build)
    return {
        key: _for_a_model(value, name) if key == "spec" else convert(own[key].type, value, f"{key} of {name}")
        for key, value in given.arguments.items()
        if key != "self"
    }


def _for_a_model(spec: Any, name: str) -> DataSpec:
    """The spec that a model is constructed for: of that of a data set x alone, so that `VAE(data.spec)` is, like
    `fit`, unconditional where no condition is named. Raises UsageError for what is no spec."""
    from simulacra.data.spec import DataSpec  # here, so that to import the package imports no NumPy

    if not isinstance(spec, DataSpec):
        raise UsageError(
            f"{name} is constructed for a DataSpec, such as data.spec.conditioned_on('label'), not for {spec!r:.40}"
        )
    return spec.conditioned_on(()) if spec.of_data else spec


def within_parts(build: Callable[..., Any], name: str) -> list[tuple[str, str]]:
    """The arguments of a call, and of each the parts that may stand there, of which `name` is an argument."""
    kinds = {own: kind_of(argument.type) for own, argument in arguments(build).items()}
    return [(own, part) for own, of in kinds.items() if of for part in parts_with(of, name)]


def _nearest_in_parts(
    build: Callable[..., Any], name: str, beside: Iterable[str] = ()
) -> tuple[str, list[tuple[str, str]]]:
    """The argument of a part of that name, or nearly, and no less nearly than any of `beside`; and its places."""
    kinds = {of for argument in arguments(build).values() if (of := kind_of(argument.type))}
    inner = dict.fromkeys(own for of in kinds for cls in named(of).values() for own in arguments(cls))
    near = [name] if name in inner else difflib.get_close_matches(name, [*inner, *beside], n=1, cutoff=NEAR)
    found = near[0] if near and near[0] in inner else name
    return found, within_parts(build, found)


def outside() -> set[str]:
    """The modules, outside this package, of all models that are registered now."""
    return {module for entry in _entries.values() if is_outside(module := entry.build.__module__)}


def models() -> list[Entry]:
    """All registered models, in the order of their registration: family by family."""
    fill()
    return list(_entries.values())


def find(name: str) -> Entry:
    """The entry called `name`; raises UsageError with the nearest name."""
    fill()
    if name not in _entries:
        raise UsageError(f"there is no model {name!r}.{did_you_mean(name, _entries)}{OUTSIDE}")
    return _entries[name]


def name_of(model: type) -> str:
    """The registered name of a class; raises UsageError for a class that was never registered."""
    for entry in models():
        if entry.build is model:
            return entry.name
    raise UsageError(f"{model.__qualname__} is not registered; put @register(name, paper) above the class")


def build(name: str, *args: Any, **kwargs: Any) -> Any:
    """The model called `name`, constructed with these arguments."""
    return find(name).build(*args, **kwargs)
