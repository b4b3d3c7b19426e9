"""The parts that fit the arguments of a model, as text: what each of them is, takes, and takes by default.

--prior, one of
  mixture                  Σ_k w_k N(μ_k, diag σ_k²), all of it learned
    components=500         of the mixture
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable

from simulacra.parts import kind_of, named, spelled
from simulacra.schema import Argument, arguments, element

COLUMN, WIDTH = 28, 100


USAGE = "parts are given as NAME or NAME:ARGUMENT=VALUE,ARGUMENT=VALUE; in parentheses within another part"


def parts_of(listed: Iterable[Argument]) -> str:
    """Of each argument that is a part, those that may stand there, and the derivations for --condition."""
    blocks = [USAGE]
    for argument in listed:
        if (of := kind_of(argument.type)) is not None:
            several = ", any of" if element(argument.type) is not None else ", one of"
            blocks.append(f"--{argument.name.replace('_', '-')}{several}\n{_all_of(of)}")
    return "\n\n".join([*blocks, f"--condition, a field of the data, or made of x by any of\n{_all_of('derivation')}"])


def _all_of(of: str) -> str:
    return "\n".join(line for name, cls in named(of).items() for line in _described(name, cls))


def _described(name: str, cls: type) -> list[str]:
    lines = _entry(f"  {name}", _first_paragraph(cls))
    for argument in arguments(cls).values():
        default = _needed(argument) if argument.required else spelled(argument.default) or "()"
        lines += _entry(f"    {argument.name}={default}", argument.help)
    return lines


def _needed(argument: Argument) -> str:
    """What stands for the value of an argument that has no default: its kind."""
    return (kind_of(argument.type) or "value").upper()


def _entry(left: str, text: str) -> list[str]:
    """A name, and what it means in the column beside it, or below it where the name is too long."""
    lines = textwrap.wrap(text, WIDTH - COLUMN) or [""]
    beside = f"{left:<{COLUMN - 1}} {lines[0]}" if len(left) < COLUMN else f"{left}\n{'':<{COLUMN}}{lines[0]}"
    return [beside.rstrip(), *(f"{'':<{COLUMN}}{line}" for line in lines[1:])]


def _first_paragraph(cls: type) -> str:
    """The first paragraph of the docstring; "" where there is none but the signature that a record has by itself."""
    paragraph = " ".join(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].split())
    return "" if paragraph.startswith(("Attributes:", f"{cls.__name__}(")) else paragraph.rstrip(".")
