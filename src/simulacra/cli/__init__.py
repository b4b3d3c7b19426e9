"""The command line: thin commands. Each is a record of its arguments that can be called; verbs do the work.

Nothing heavy is imported before a command is chosen, so that `simulacra --help` answers at once.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Sequence

from simulacra.errors import SimulacraError, UsageError, did_you_mean
from simulacra.terminal import escaping

COMMANDS = {
    "demo": "the three families on real digits, side by side, with a report",
    "models": "the models, with their abilities",
    "data": "the named data sets, or a description of one",
    "fit": "train a model; the same command again continues",
    "sample": "draw new items",
    "score": "likelihood of held-out items, in nats and bits/dim",
    "classify": "classes by Bayes' rule; improbable items are refused",
    "finetune": "test error of classifiers from few labels, on a model's codes",
    "evaluate": "every metric that the model's abilities allow",
    "compress": "items as a lossless file, in -log2 p bits or those of a bound",
    "decompress": "the items of such a file",
    "complete": "items with their unknown part drawn",
    "encode": "codes of items",
    "reconstruct": "items beside their reconstructions",
    "interpolate": "walks from one code to another",
    "traverse": "each dimension of a code moved, the most informative first",
    "manifold": "the plane of two dimensions of a code",
    "edit": "an image moved along dimensions and attributes",
    "attribute": "the direction of an attribute, for edit",
    "neighbours": "samples beside their nearest training items",
    "health": "whether the codes are in use, with advice",
}
_NO_MEMORY = re.compile("can't allocate memory|out of memory|Storage size calculation overflowed")  # by torch

OWN_PROGRESS = ("demo", "models", "data", "fit", "finetune")
WATCHED = ("sample", "complete")  # which have a bar of their own on a terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for a wrong call, 1 for a failure, 128 + n after signal n."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in argv
    argv = [argument for argument in argv if argument != "--debug"]
    if not argv or argv[0] in ("-h", "--help"):
        print(overview())
        return 0
    if argv[0] == "--version":
        from simulacra import __version__

        print(f"simulacra {__version__}")
        return 0
    with escaping():
        try:
            argv, modules = without_imports(argv)
            import_modules(modules)
            return run(argv[0], argv[1:])
        except Exception as error:
            if debug:
                raise
            return explain(error)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130


def run(command: str, argv: Sequence[str]) -> int:
    if command not in COMMANDS:
        raise UsageError(f"there is no command {command!r}.{did_you_mean(command, COMMANDS)}")
    module = importlib.import_module(f"simulacra.cli.{command}")
    if command in OWN_PROGRESS or (command in WATCHED and sys.stderr.isatty()):
        module.main(argv)
        return 0
    from simulacra.cli.progress import shown

    with shown(command):
        module.main(argv)
    return 0


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

    Raises UsageError, naming the module, whatever goes wrong in it.
    """
    if names and (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # a user's module may raise anything
            reason = str(error).splitlines()[0] if str(error) else "no message"
            raise UsageError(f"--import {name}: {type(error).__name__}: {reason}") from error


def explain(error: Exception) -> int:
    """One or two lines on stderr: what, where, the remedy; returns the exit code."""
    if isinstance(error, BrokenPipeError):  # the reader has closed the pipe, as in `simulacra models | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, SimulacraError):
        print(f"simulacra: {error}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, OSError):
        print(f"simulacra: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        return 1
    message = str(error).splitlines()[0] if str(error) else "no message"
    if isinstance(error, MemoryError) or _NO_MEMORY.search(message):
        print("simulacra: there is not enough memory: take a smaller model, --batch, -n or --limit", file=sys.stderr)
        return 1
    print(f"simulacra: {type(error).__name__}: {message}\nThis is a bug; add --debug to see where.", file=sys.stderr)
    return 1


def overview() -> str:
    lines = [f"  {name:<12} {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: simulacra COMMAND ... [--import MODULE] [--debug]",
            "",
            "Deep generative models under one vocabulary: learn p(x), draw from it, score with it, look inside it.",
            "",
            *lines,
            "",
            "Every command takes --import MODULE, repeatable: a module of your own that registers models and parts.",
            "simulacra COMMAND --help describes each. Start with: simulacra demo",
        ]
    )
