"""`--import MODULE`: modules of a user's own, which register models and parts before a command runs."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Sequence

from simulacra.errors import UsageError, raised_in

_brought: dict[str, set[str]] = {}  # of every module that was imported so, itself and those that came with it


def without_imports(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments but for every `--import MODULE`, and the modules; raises UsageError where a name is missing."""
    kept, modules, left = [], [], iter(argv)
    for argument in left:
        if argument == "--import":
            modules.append(next(left, ""))
        elif argument.startswith("--import="):
            modules.append(argument.removeprefix("--import="))
        else:
            kept.append(argument)
    if "" in modules or not kept:
        raise UsageError(
            "--import needs the name of a module, and a command: simulacra fit mine digits --import my_models"
        )
    return kept, modules


def import_modules(names: Sequence[str]) -> None:
    """Import modules, which register their models and parts, from the current folder too.

    Raises UsageError, naming the module, the line and the reason, whatever goes wrong in it.
    """
    if names and (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    for name in names:
        before = set(sys.modules)
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # a user's module may raise anything
            reason = str(error).splitlines()[0] if str(error) else "no message"
            where = raised_in(error, {name})
            raise UsageError(
                f"--import {name}: {type(error).__name__}: {reason}{f' ({where})' if where else ''}"
            ) from error
        _brought[name] = {name, *(set(sys.modules) - before)}


def imported() -> set[str]:
    """The names of the modules that were imported so."""
    return set(_brought)


def imports_for(modules: Iterable[str]) -> str:
    """` --import MODULE` for each of the modules that brought one of these: what a later command needs as well."""
    needed = set(modules)
    return "".join(f" --import {name}" for name, brought in _brought.items() if needed & brought)
