"""`simulacra fit`: its flags are the arguments of the model and the training options, read from their signatures."""

from __future__ import annotations

import json
import shlex
import typing
from collections.abc import Sequence
from dataclasses import field, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from simulacra import registry
from simulacra.capabilities import Sampler, can
from simulacra.cli.arguments import Flag, Json, Levels, Resize, as_json, documented, load_data, optional, parse
from simulacra.cli.health import lines
from simulacra.errors import UsageError
from simulacra.evaluation.judges import usual_judge
from simulacra.exploration import has_health, health
from simulacra.model import Model, constructor_arguments
from simulacra.training import Options, Plan, Verdict, carry_out, make_plan, rehearse
from simulacra.training.options import resolve
from simulacra.training.plan import refuse_what_has_no_meaning, training_options
from simulacra.training.progress import terminal
from simulacra.training.runtime import leads

Field = tuple[str, Any, Any]

LOOKED_AT = 500  # validation items whose codes are looked at

_OWN: list[Field] = [
    ("out", Annotated[Path | None, optional("PATH", "the run folder; by default runs/MODEL-DATA")], None),
    ("condition", Annotated[tuple[str, ...], tyro.conf.arg(help="fields to condition on: --condition label")], ()),
    (
        "labels",
        Annotated[int | None, optional("INT", "hide the labels of all but so many training items: fit m2 from few")],
        None,
    ),
    ("fresh", Annotated[Flag, tyro.conf.arg(help="begin anew in a new folder instead of continuing")], False),
    ("dry_run", Annotated[Flag, tyro.conf.arg(help="take a few steps, tell size, time, paths; write nothing")], False),
    ("resize", Resize, None),
    ("levels", Levels, None),
    ("json", Json, False),
]

_USAGE = """usage: simulacra fit MODEL DATA [--out DIR] [--steps N | --epochs N | --minutes M] [options of the model]

Train a model. The same command again continues where the last one stopped; Ctrl-C saves first.
`simulacra fit MODEL --help` lists every option of a model with its default; MODEL is one of:
"""


def main(words: Sequence[str]) -> None:
    if not words or words[0] in ("-h", "--help"):
        print(_USAGE + "\n".join(f"  {entry.name:<16} {entry.paper}" for entry in registry.models()))
        return
    if words[0].startswith("-"):
        raise UsageError("the model comes first: `simulacra fit MODEL DATA [options]`. See `simulacra fit --help`.")
    cls = registry.find(words[0]).model
    flags = [word[2:].partition("=")[0].replace("-", "_") for word in words if word.startswith("--")]
    refuse_what_has_no_meaning(cls, flags)
    asked = vars(parse(_command(cls), f"fit {words[0]}", words[1:]))
    own = {name: asked.pop(name) for name, _, _ in _OWN}
    source = asked.pop("data")
    dataset = load_data(source, own["resize"], own["levels"])
    given = {name: value for name, value in asked.items() if value is not None}
    plan = make_plan(words[0], dataset, own["out"], own["condition"], own["fresh"], given, own["labels"])
    if own["dry_run"]:
        told = rehearse(plan)
        print(as_json(told) if own["json"] else "\n".join(f"{name:<12} {text}" for name, text in told.items()))
        return
    if not leads():
        carry_out(plan, usual_judge(plan.model))
        return
    with terminal() as progress:
        model = carry_out(plan, usual_judge(plan.model), [progress])
    same_data = [source, *(f"--{name} {own[name]}" for name in ("resize", "levels") if own[name] is not None)]
    tell(plan, model, " ".join([shlex.quote(same_data[0]), *same_data[1:]]), own["json"])


def _command(cls: type[Model]) -> type:
    """A record with one field for everything that `fit` with this model can be told."""
    data = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA", help="a named data set or a path")]
    listed: list[Field] = [("data", data, ...), *_model_fields(cls), *_option_fields(cls), *_OWN]
    made = [(name, kind) if default is ... else (name, kind, field(default=default)) for name, kind, default in listed]
    record = make_dataclass("Fit", made)
    record.__doc__ = f"Train {registry.name_of(cls)} ({registry.find(registry.name_of(cls)).paper})."
    return record


def _model_fields(cls: type[Model]) -> list[Field]:
    kinds, told = typing.get_type_hints(cls.__init__), documented(cls, "Args")
    listed = []
    for name, parameter in constructor_arguments(cls).items():
        text = told.get(name, "")
        shown = optional("NUMBER", text) if parameter.default is None else _shown(kinds[name], text)
        listed.append((name, Annotated[kinds[name], shown], parameter.default))
    return listed


def _option_fields(cls: type[Model]) -> list[Field]:
    """Options with the model's own defaults; budgets stay open, so that one which is given replaces the default one."""
    kinds, told, suited = typing.get_type_hints(Options), documented(Options, "Attributes"), resolve(cls.defaults, {})
    kinds["augment"] = tuple[str, ...]
    listed, known = [], training_options(cls)
    for option in (option for option in fields(Options) if option.name in known):
        default, text = getattr(suited, option.name), told[option.name]
        if option.name in ("steps", "epochs", "minutes"):
            text, default = text + (f" (without any budget: {default})" if default else ""), None
        shown = optional("NUMBER", text) if default is None else _shown(kinds[option.name], text)
        listed.append((option.name, Annotated[kinds[option.name], shown], default))
    return listed


def _shown(kind: Any, text: str) -> Any:
    """An argument with a default; of a number that may also be None, only the number is spoken of."""
    return tyro.conf.arg(help=text, metavar="NUMBER" if type(None) in typing.get_args(kind) else None)


def tell(plan: Plan, model: Model, data: str, as_object: bool) -> None:
    """What came out, and what one may do with it; `data` are the words that name the data."""
    record = json.loads((plan.folder.path / "run.json").read_text())
    if as_object:
        told = {"run": str(plan.folder.path), "parameters": model.free_parameters()}
        print(as_json(told | record["finished"]))
        return
    ended = record["finished"]
    figure = f", {Verdict(**ended['judge'])} on {plan.judged_on}" if ended["judge"] else ""
    if plan.closed_form:
        print(f"done: one pass over the training split in {ended['seconds']:.1f} s{figure}")
    else:
        why = "no better for a while" if ended["stopped_by"] == "patience" else "budget spent"
        steps = f"{ended['steps']} steps in {ended['seconds']:.0f} s ({why})"
        which = "best" if ended["judge"] else "nothing judged the weights, which are those"
        print(f"done: {steps}; {which} at step {ended['best_step']}{figure}")
    if has_health(model) and plan.labels is None:  # whose encoder may ask for labels that are hidden
        print("\n".join(lines(health(model, plan.dataset, "valid", limit=LOOKED_AT))))
    run = shlex.quote(str(plan.folder.path))
    if can(model, Sampler):
        print(f"next: simulacra sample {run}   simulacra evaluate {run} {data}")
    else:
        print(f"next: simulacra reconstruct {run} {data}   simulacra encode {run} {data}")
