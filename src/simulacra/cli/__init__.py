"""The command line: thin commands. Each is a record of its arguments that can be called; verbs do the work.

Nothing heavy is imported before a command is chosen, so that `simulacra --help` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from simulacra.cli.failures import explain, plain_warnings
from simulacra.cli.imports import import_modules, without_imports
from simulacra.errors import UsageError, did_you_mean
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
    "translate": "pictures and maps translated: items drawn given each, or each mapped to a domain",
    "forecast": "futures of a past, with bands: of the end of a file, or of held-out windows",
    "encode": "codes of items",
    "reconstruct": "items beside their reconstructions",
    "interpolate": "walks from one code to another",
    "traverse": "each dimension of a code moved, the most informative first",
    "manifold": "the plane of two dimensions of a code",
    "mix-styles": "draws with the fine styles of others, of a style network",
    "restyle": "conditions of some items in the style of others",
    "edit": "an image moved along dimensions and attributes",
    "arithmetic": "concepts added and subtracted, with a control",
    "attribute": "the direction of an attribute, for edit",
    "neighbours": "samples beside their nearest training items",
    "health": "whether a run went well: figures, a picture, a verdict and a remedy",
}

OWN_PROGRESS = ("demo", "models", "data", "fit", "finetune")
WATCHED = ("sample", "complete", "translate")  # which have a bar of their own on a terminal


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
            with plain_warnings():
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
    module = importlib.import_module(f"simulacra.cli.{command.replace('-', '_')}")
    if command in OWN_PROGRESS or (command in WATCHED and sys.stderr.isatty()):
        module.main(argv)
        return 0
    from simulacra.cli.progress import shown

    with shown(command):
        module.main(argv)
    return 0


def overview() -> str:
    lines = [f"  {name:<12} {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: simulacra COMMAND ... [--import MODULE] [--debug] | --version",
            "",
            "Deep generative models under one vocabulary: learn p(x), draw from it, score with it, look inside it.",
            "",
            *lines,
            "",
            "Every command takes --import MODULE, repeatable: a module of your own that registers models and parts.",
            "simulacra COMMAND --help describes each. Start with: simulacra demo",
        ]
    )
