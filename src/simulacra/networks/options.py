"""Options that a generator has of its own when items are drawn, beside those of the model around it.

They are the arguments of its method `under_options`, by which it reads the condition in another way; the part that
builds it lists their names. A model passes to it the options that it does not know itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from simulacra.condition import Condition
from simulacra.errors import UsageError, did_you_mean
from simulacra.parts import convert, named
from simulacra.schema import Argument, arguments


@runtime_checkable
class Optioned(Protocol):
    """A generator with options of its own."""

    @property
    def under_options(self) -> Callable[..., Condition]:
        """(condition, **options) -> the condition as it is to be read; every option has a default."""
        ...


@runtime_checkable
class Lasting(Protocol):
    """A generator of sequences of any length: its option `frames` says how many frames they have."""

    def numbers(self, frames: int) -> int:
        """Numbers in the code of a sequence of so many frames; those of a shorter one are its first."""
        ...


def numbers_under(generator: object, latent: int, options: Mapping[str, Any]) -> tuple[int, list[int]]:
    """How many numbers a code of a generator has under its own options, and how many of each further frame are to be
    drawn after the `latent` ones of training, frame by frame, so that those of a shorter sequence stay the same."""
    frames = _frames(generator, options)
    if not isinstance(generator, Lasting) or not frames:
        return latent, []
    numbers, each = generator.numbers(frames), generator.numbers(2) - generator.numbers(1)
    return numbers, [each] * ((numbers - latent) // each)


def shape_under(generator: object, shape: tuple[int, ...], options: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of what a generator makes under its own options; `shape` is that of the data."""
    frames = _frames(generator, options)
    return (frames, *shape[1:]) if frames else shape


def _frames(generator: object, options: Mapping[str, Any]) -> int | None:
    own = options.get("frames") if isinstance(generator, Lasting) else None
    return None if own is None else convert(int, own, "frames")


def options_of(generator: object) -> dict[str, Argument]:
    """A generator's own options of drawing, by name."""
    return options_in(type(generator)) if isinstance(generator, Optioned) else {}


def options_in(generator: type) -> dict[str, Argument]:
    """The options of a class of generators."""
    return arguments(generator.under_options, without=("condition",))  # pyright: ignore[reportAttributeAccessIssue]


def under_options(generator: object, condition: Condition, options: Mapping[str, Any]) -> Condition:
    """A condition as a generator reads it under these options.

    Raises UsageError for an option that it does not have, with the generators that have it, and for a wrong value.
    """
    known = options_of(generator)
    for name in options:
        if name not in known:
            listed = did_you_mean(name, known) if known else " It has none of its own."
            raise UsageError(f"this generator has no sampling option {name!r}.{elsewhere(name) or listed}")
    own = {name: convert(known[name].type, value, name) for name, value in options.items()}
    return generator.under_options(condition, **own) if isinstance(generator, Optioned) else condition


def elsewhere(option: str) -> str:
    """Which generators have an option, as the end of a refusal; "" where none has it."""
    having = [name for name, part in named("generator").items() if option in getattr(part, "options", ())]
    return f" It is one of --generator {' or '.join(having)} alone." if having else ""
