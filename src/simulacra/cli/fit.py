"""`simulacra fit`: its flags are the arguments of the model and the training options, read from their signatures."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from simulacra import registry
from simulacra.capabilities import Sampler, Translator, can
from simulacra.cli.arguments import (
    READING,
    Domains,
    Entity,
    Flag,
    Json,
    Levels,
    Pairs,
    Rate,
    Resize,
    Several,
    Target,
    Window,
    as_json,
    flat,
    load_data,
    optional,
    parse,
)
from simulacra.cli.health import lines
from simulacra.cli.imports import imports_for
from simulacra.cli.parts_help import parts_of
from simulacra.errors import UsageError
from simulacra.evaluation.judges import usual_judge
from simulacra.exploration import Health
from simulacra.exploration.health.watched import HealthLog
from simulacra.fields import ClassLabel
from simulacra.model import Model
from simulacra.parts import kind_of, named, spelled
from simulacra.registry import Entry
from simulacra.schema import Argument, alternatives, arguments, element, may_be_none
from simulacra.training import Options, Plan, Verdict, carry_out, make_plan, rehearse
from simulacra.training.film import Filmed
from simulacra.training.options import BUDGET, resolve
from simulacra.training.plan import refuse_what_has_no_meaning, training_options
from simulacra.training.progress import terminal
from simulacra.training.runtime import leads

Field = tuple[str, Any, Any]

_OWN: list[Field] = [
    ("out", Annotated[Path | None, optional("PATH", "the run folder; by default runs/MODEL-DATA")], None),
    (
        "condition",
        Annotated[
            tuple[tuple[str, ...], ...],
            tyro.conf.UseAppendAction,
            tyro.conf.arg(
                metavar="FIELD ...",
                help="fields to condition on: of the data, such as label, or derived from x: down:factor=2, grey, "
                "edges, mask:kind=half, parts:kept=2",
                help_behavior_hint="",
            ),
        ],
        (),
    ),
    (
        "labels",
        Annotated[
            int | None, optional("INT", "keep the labels of so many training items and hide the others, as for m2")
        ],
        None,
    ),
    ("fresh", Annotated[Flag, tyro.conf.arg(help="begin anew in a new folder instead of continuing")], False),
    (
        "dry_run",
        Annotated[
            Flag, tyro.conf.arg(help="take a few steps and a validation, report size, time, memory; write nothing")
        ],
        False,
    ),
    (
        "film",
        Annotated[
            Flag,
            tyro.conf.arg(
                help="write RUN/film.gif, a film of training, for points of the plane; of a GAN with the critic's score"
            ),
        ],
        False,
    ),
    ("resize", Resize, None),
    ("levels", Levels, None),
    ("target", Target, None),
    ("pairs", Pairs, None),
    ("domains", Domains, None),
    ("rate", Rate, None),
    ("window", Window, None),
    ("entity", Entity, None),
    ("json", Json, False),
]

_USAGE = """usage: simulacra fit MODEL DATA [--out DIR] [--steps N | --epochs N | --minutes M] [options of the model]

Train a model. The same command again continues where the last one stopped; Ctrl-C saves first.
`simulacra fit MODEL --help` lists every option of a model with its default; MODEL is one of:
"""


def main(argv: Sequence[str]) -> None:
    if not argv or argv[0] in ("-h", "--help"):
        wide = max(len(entry.name) for entry in registry.models())
        print(_USAGE + "\n".join(f"  {entry.name:<{wide}} {entry.paper}" for entry in registry.models()))
        return
    if argv[0].startswith("-"):
        raise UsageError("the model comes first: `simulacra fit MODEL DATA [options]`. See `simulacra fit --help`.")
    entry = registry.find(argv[0])
    flags = [argument[2:].partition("=")[0].replace("-", "_") for argument in argv if argument.startswith("--")]
    _refuse_unknown(entry, flags)
    try:
        parsed = vars(parse(_command(entry), f"fit {argv[0]}", argv[1:]))
    except SystemExit:  # after --help
        options = arguments(Options)
        print(parts_of([*entry.arguments.values(), *(options[name] for name in training_options(entry))]))
        raise
    own = {name: parsed.pop(name) for name, _, _ in _OWN}
    source = parsed.pop("data")
    dataset = load_data(source, **{name: own[name] for name in READING})
    chosen = _chosen(parsed)
    if not all(own["condition"]):
        raise UsageError(
            "--condition needs a field of the data, such as label, or one made of x, such as down:factor=2"
        )
    condition = tuple(itertools.chain(*own["condition"]))
    plan = make_plan(argv[0], dataset, own["out"], condition, own["fresh"], chosen, own["labels"])
    filmed = [Filmed(plan)] if own["film"] else []
    if own["dry_run"]:
        found = rehearse(plan, usual_judge(plan.model))
        lines = (f"{name:<12} {text}" for name, text in found.lines().items())
        print(as_json(found.record()) if own["json"] else "\n".join(lines))
        return
    if not leads():
        carry_out(plan, usual_judge(plan.model))
        return
    health_log = HealthLog(plan)
    with terminal() as progress:
        model = carry_out(plan, usual_judge(plan.model), [health_log, *filmed, progress])
    same_data = [source, *(f"--{name} {own[name]}" for name in ("resize", "levels", "target") if own[name] is not None)]
    report(plan, model, " ".join([shlex.quote(same_data[0]), *same_data[1:]]), own["json"], health_log.found)
    if filmed and filmed[0].path.exists() and not own["json"]:
        print(f"film of its training: {filmed[0].path}")


def _chosen(parsed: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that have a value; a flag of several parts that was not given has none, and keeps its default."""
    values = {name: value for name, value in parsed.items() if value is not None and value != ()}
    several = {name for name, value in values.items() if isinstance(value, tuple) and isinstance(value[0], tuple)}
    return {name: flat(value) if name in several else value for name, value in values.items()}


def _refuse_unknown(entry: Entry, flags: Sequence[str]) -> None:
    """Raise UsageError for a flag that would change nothing, and for one that is the argument of a part."""
    refuse_what_has_no_meaning(entry, flags)
    known = {*entry.arguments, *Options.__dataclass_fields__, *(name for name, _, _ in _OWN)}
    known |= {f"no_{name}" for name in known} | {"help"}
    for flag in flags:
        if flag not in known and (place := entry.place_of(flag, known)):
            raise UsageError(f"{entry.name} has no --{flag.replace('_', '-')}.{place}")


def _command(entry: Entry) -> type:
    """A record with one field for every argument of `fit` with this model."""
    data = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA", help="a named data set or a path")]
    listed: list[Field] = [("data", data, ...), *_model_fields(entry), *_option_fields(entry), *_OWN]
    made = [(name, kind) if default is ... else (name, kind, field(default=default)) for name, kind, default in listed]
    record = make_dataclass("Fit", made)
    record.__doc__ = f"Train {entry.name} ({entry.paper})."
    return record


def _model_fields(entry: Entry) -> list[Field]:
    return [_flag(argument, argument.default, argument.help) for argument in entry.arguments.values()]


def _option_fields(entry: Entry) -> list[Field]:
    """Options with the model's own defaults; budgets stay open, so that one which is given replaces the default one."""
    suited, listed = resolve(entry.defaults, {}), []
    known, described = training_options(entry), arguments(Options)
    for argument in (described[name] for name in known):
        default, text = getattr(suited, argument.name), argument.help
        if argument.name in BUDGET:
            text, default = (
                text
                + (
                    f" (without any budget: {default} on a few thousand items, else 5 to 500 passes)" if default else ""
                ),
                None,
            )
        listed.append(_flag(argument, default, text))
    return listed


def _flag(argument: Argument, default: Any, text: str) -> Field:
    """A flag for an argument: parts are text, and the help lists those of the kind; their arguments stand below it."""
    if (of := kind_of(argument.type)) is not None:
        choices = " | ".join(named(of))
        several = any(element(each) is not None for each in alternatives(argument.type))
        usual = "" if default is None or default == () else f"; by default {spelled(default)}"
        shown = optional("PART ..." if several else "PART", f"{text} [{choices}]{usual}")
        if several:
            return argument.name, Annotated[Several, shown], ()
        return argument.name, Annotated[str | None, shown], None if default is None else spelled(default)
    if default is None:
        return argument.name, Annotated[argument.type, optional("NUMBER", text)], default
    metavar = "NUMBER" if may_be_none(argument.type) else None  # without "or None"
    return argument.name, Annotated[argument.type, tyro.conf.arg(help=text, metavar=metavar)], default


def report(plan: Plan, model: Model, data: str, as_object: bool, found: Health | None) -> None:
    """Print the outcome, its health, and the next commands; `data` is the text that names the data on the command
    line."""
    record = json.loads((plan.folder.path / "run.json").read_text())
    if as_object:
        about = {"run": str(plan.folder.path), "parameters": model.free_parameters()}
        print(as_json(about | record["finished"] | {"verdict": found and asdict(found.verdict)}))
        return
    ended = record["finished"]
    figure = f", {Verdict(**ended['judge'])} on {plan.judged_on}" if ended["judge"] else ""
    if plan.closed_form:
        print(f"done: one pass over the training split in {ended['seconds']:.1f} s{figure}")
    else:
        why = "patience exceeded" if ended["stopped_by"] == "patience" else "budget spent"
        steps = f"{ended['steps']} steps in {ended['seconds']:.0f} s ({why})"
        which = "best" if ended["judge"] else "no judge, so the weights are those"
        print(f"done: {steps}; {which} at step {ended['best_step']}{figure}")
        if ended["still_learning"] and found is None:  # whose verdict says so, too
            fell = f"the validation figure fell by {ended['gain_of_last_fifth']:.3g} in the last fifth of the run"
            print(f"still learning: {fell}; the same command with a larger budget goes on from here")
    if found is not None:
        print("\n".join(lines(found)))
    run = shlex.quote(str(plan.folder.path))
    own = imports_for(model.config()["imports"])
    if can(model, Translator):
        print(f"next: simulacra translate {run} {data}{own} --to DOMAIN   simulacra evaluate {run} {data}{own}")
    elif can(model, Sampler):
        by_class = all(isinstance(field, ClassLabel) for field in model.spec.condition.values())
        print(f"next: simulacra sample {run if by_class else f'{run} {data}'}{own}   ", end="")
        print(f"simulacra evaluate {run} {data}{own}")
    else:
        print(f"next: simulacra reconstruct {run} {data}{own}   simulacra encode {run} {data}{own}")
