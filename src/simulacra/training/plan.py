"""What a call of `fit` comes down to: all names, options and folders resolved, all that can be refused refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from simulacra import data as datasets
from simulacra import registry
from simulacra.capabilities import ClosedForm, can
from simulacra.data import Dataset
from simulacra.data.domains import DOMAIN
from simulacra.data.hidden import HIDDEN, hide_labels
from simulacra.errors import UsageError, did_you_mean
from simulacra.fields import ClassLabel, Paths
from simulacra.model import Model, refuse_if_changed_by_hand, warn_of_script
from simulacra.nn import Comparing
from simulacra.parts import convert
from simulacra.randomness import seed_everything, some_of
from simulacra.registry import Entry
from simulacra.terminal import number_of
from simulacra.training.augmentation import refuse_unless_images
from simulacra.training.batches import Batches
from simulacra.training.judge import Verdict
from simulacra.training.options import OF_ONE_PASS, Options, decisive, resolve
from simulacra.training.run import RunFolder, unused
from simulacra.training.runtime import Runtime, runtime, world_size

LARGE = 10.0  # beyond which a network that sees such numbers at first may give infinite ones
SCALED = 1000  # items whose size is looked at


@dataclass(frozen=True)
class Plan:
    """A model, data, options and a folder; `record` is what a run made by this plan is recognised by.

    `labels` is how many of the training items have a label; None where none are hidden.
    """

    model: Model
    dataset: Dataset
    options: Options
    folder: RunFolder
    record: dict[str, Any]
    labels: int | None = None

    @property
    def closed_form(self) -> bool:
        """Whether one pass over the training split, which then counts as one step, is all there is to do."""
        return can(self.model, ClosedForm)

    def runtime(self) -> Runtime:
        """Where the run is computed."""
        least = self.model.bf16_from
        pays = least is not None and self.model.spec.dims >= least
        return runtime(self.options.device, self.options.precision, pays)

    @property
    def every(self) -> int:
        """Steps between validations: about an epoch, but neither all the time nor hardly ever."""
        return self.options.every or min(1000, max(200, len(self.dataset.train) // self.items_of_a_step))

    @property
    def items_of_a_step(self) -> int:
        return self.options.batch * max((phase.batches for phase in self.model.phases()), default=1)

    @property
    def costs(self) -> str:
        """The budget in words."""
        n, options = len(self.dataset.train), self.options
        if self.closed_form:
            return f"one pass over {number_of(n, 'item')}"
        budgets = []
        if options.steps is not None:
            passes = options.steps * self.items_of_a_step / n
            are = "is" if options.steps == 1 else "are"
            taken = number_of(options.steps, "step")
            budgets.append(f"{taken}, which {are} {passes:.3g} passes over {number_of(n, 'item')}")
        if options.epochs is not None:
            budgets.append(f"{options.epochs:g} pass{'es' * (options.epochs != 1)} over {number_of(n, 'item')}")
        if options.minutes is not None:
            budgets.append(f"{options.minutes:g} minute{'s' * (options.minutes != 1)}")
        return ", or ".join(budgets)

    @property
    def warnings(self) -> list[str]:
        """What may not be meant, each a sentence."""
        train, found = self.dataset.train, []
        if self.options.batch > len(train) and not self.closed_form:
            found.append(f"a batch of {self.options.batch} holds some of the {len(train):,} training items twice")
        if self.model.spec.levels is None and not isinstance(self.model.spec.x, Paths):  # which is in metres
            largest = np.abs(np.asarray(train.x[some_of(len(train), SCALED, 0, "scale")])).max()
            if largest > LARGE:
                found.append(
                    f"coordinates of x are as large as {largest:.3g}; models learn best from numbers of about unit "
                    "size: scale the data first"
                )
        return found

    def epochs(self, steps: int, drawn: int) -> float:
        """Passes over the training split that so many steps are, in which so many batches were read."""
        return float(steps) if self.closed_form else drawn * self.options.batch / len(self.dataset.train)

    def spent(self, steps: int, drawn: int, seconds: float) -> float:
        """Share of the budget that is spent: the largest over steps, epochs and minutes."""
        if self.closed_form:
            return float(steps)
        options, epochs = self.options, self.epochs(steps, drawn)
        pairs = [(steps, options.steps), (epochs, options.epochs), (seconds / 60, options.minutes)]
        return max(spent / budget for spent, budget in pairs if budget)

    @property
    def judged_on(self) -> str:
        """On what the model was picked, in words."""
        return "the validation split" if self.labels is None else "the validation split without its labels"

    def batches(self, where: Runtime) -> Batches:
        """The training items in their order, augmented as the options say."""
        options, stratified = self.options, self.model.stratified
        split, spec = self.dataset.train, self.model.spec
        return Batches(split, spec, options.batch, options.seed, where, options.augment, stratified)

    def card(self, best: Verdict | None, step: int) -> str:
        """What a stranger should know of the weights that lie beside it."""
        source, recipe = self.dataset.card, self.dataset.recipe
        averaged = f"weights averaged with decay {self.options.ema}"
        few = "" if self.labels is None else f", {self.labels} of them with their label"
        newest = f"none, so these are the newest weights, of step {step}"
        figure = newest if best is None else f"{best} on {self.judged_on} at step {step}"
        return (
            f"# {self.model.name} on {self.dataset.name}\n\n"
            f"- data: {self.dataset.spec.describe()}; {len(self.dataset.train)} training items{few}\n"
            f"- files left out because they could not be read: {len(self.dataset.unreadable)}\n"
            f"- source of the data: {source.source}; licence: {source.licence}\n"
            f"- fingerprint of the data: {self.dataset.fingerprint}\n"
            f"- recipe of the data: {recipe.describe() or 'as they are'} ({recipe.digest})\n"
            f"- validation: {figure}\n"
            f"- seed {self.options.seed}; {'estimated in closed form' if self.closed_form else averaged}\n"
        )


def make_plan(
    model: str | Model,
    data: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str] | None,
    condition: Sequence[str] | str,
    fresh: bool,
    options: Mapping[str, Any],
    labels: int | None = None,
) -> Plan:
    """Resolve the arguments of `fit`; raises UsageError for whatever does not exist or fit together."""
    if fresh and world_size() > 1:
        raise UsageError("several processes cannot agree on a new name for --fresh; give a new folder with --out")
    if not isinstance(model, str | Model):
        own = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise UsageError(f"fit takes the name of a model, such as 'vae', or a model, not {own}")
    dataset, labels = datasets.as_dataset(data), convert(int | None, labels, "labels")
    if isinstance(model, str):
        entry = registry.find(model)
        arguments, given = _split(entry, options)
        chosen = _chosen(entry, given, dataset)
        wanted = _names(condition) or (() if dataset.recipe.domains is None else (DOMAIN,))
        seed_everything(chosen.seed, "weights")
        built = _built(entry, dataset, wanted, arguments)
    else:
        if condition:
            raise UsageError(
                f"this {model.name} is constructed and conditioned on {', '.join(model.spec.condition) or 'nothing'}: "
                "leave out condition=, or construct it for data.spec.conditioned_on(...)"
            )
        refuse_if_changed_by_hand(model)
        built, chosen = model, _chosen(registry.find(model.name), options, dataset)
    built.spec.expect(dataset.spec, dataset.name)
    built.refuse_unless_trainable()
    _refuse_batch(built, chosen)
    _refuse_unlabelled(built, dataset)
    _refuse_without_items(built, dataset)
    refuse_unless_images(chosen.augment, built.spec)
    warn_of_script(built)
    built.origin = None  # of an earlier fit
    config = built.config()
    built.origin = dataset.origin
    name = "-".join([built.name, dataset.name, *built.spec.condition])
    source = built.origin.to_json()
    if labels is not None:
        dataset = _with_few_labels(built, dataset, labels, chosen)
        name, source = f"{name}-{labels}", source | {"labels": labels}
    folder = Path(out) if out is not None else Path("runs") / name
    deciding = {"seed": chosen.seed} if can(built, ClosedForm) else decisive(chosen)
    record = json.loads(json.dumps({"model": config, "data": source, "options": deciding}))
    return Plan(built, dataset, chosen, RunFolder(unused(folder) if fresh else folder), record, labels)


def _built(entry: Entry, data: Dataset, wanted: tuple[str, ...], arguments: Mapping[str, Any]) -> Model:
    """The model of x given these fields; a refusal of x without any says which ones the data have."""
    try:
        return entry.build(data.spec.conditioned_on(wanted), **arguments)
    except UsageError as error:
        if wanted or not data.spec.condition or "--condition" not in str(error):
            raise
        raise UsageError(f"{error}.\nThe fields of {data.name}: {', '.join(data.spec.condition)}") from None


def _names(condition: Any) -> tuple[str, ...]:
    """The names of the fields of the condition; raises UsageError for what is none."""
    names = (condition,) if isinstance(condition, str) else condition
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"condition names fields, such as 'label' or ('label', 'scale'), and is no {condition!r:.40}")
    return tuple(names)


def _refuse_batch(model: Model, options: Options) -> None:
    """Raise UsageError for a batch that is too small to be shared, or for a model that compares its items."""
    parts = f" in {options.accumulate} parts" if options.accumulate > 1 else ""
    if options.batch < world_size() * options.accumulate:
        raise UsageError(
            f"a batch of {options.batch} cannot be shared by {world_size()} processes{parts}; use a larger --batch"
        )
    fewest = max((module.fewest for module in model.modules() if isinstance(module, Comparing)), default=1)
    if options.batch // options.accumulate < fewest:
        raise UsageError(
            f"{model.name} compares the items of a batch, and a batch of {options.batch}{parts} has too few: use "
            f"--batch {fewest * options.accumulate} or more"
        )


def _refuse_unlabelled(model: Model, data: Dataset) -> None:
    """Raise UsageError for hidden labels of training items, and a model that needs them all."""
    for name, field in model.spec.condition.items():
        hidden = isinstance(field, ClassLabel) and not model.learns_unlabelled and data.train.field(name) == HIDDEN
        if np.any(hidden):
            raise UsageError(
                f"{name} -1 does not exist: {model.name} does not learn from unlabelled items, and "
                f"{np.sum(hidden):,} of {data.name} are such"
            )


def _refuse_without_items(model: Model, data: Dataset) -> None:
    """Raise UsageError for a class without a training item, and a model that needs items of every class."""
    fields = model.spec.classes(model.name) if model.stratified else {}
    for name, field in fields.items():
        if missing := sorted({*range(field.count)} - {*np.unique(data.train.field(name)).tolist()}):
            own = field.names[missing[0]] if field.names else missing[0]
            raise UsageError(
                f"{data.name} has no training item of {name} {own!r}, and {model.name} needs items of each"
            )


def _with_few_labels(model: Model, data: Dataset, labels: int, options: Options) -> Dataset:
    """The data with all but so many labels hidden; raises UsageError for a model that needs them all."""
    if not model.learns_unlabelled or len(model.spec.condition) != 1:
        able = [entry.name for entry in registry.models() if entry.model.learns_unlabelled]
        raise UsageError(
            f"{model.name} does not learn from unlabelled items, so --labels {labels} "
            f"is not for it; fit {' or '.join(able)} with {data.spec.flag_for_classes()}"
        )
    if options.batch < 2 * world_size():
        raise UsageError(f"half of a batch has labels and half has not: a batch of {options.batch} is too small")
    (field,) = model.spec.condition
    return hide_labels(data, field, labels, options.seed)


def training_options(entry: Entry) -> list[str]:
    """The names of the options by which a model can be trained: few, where it is in closed form."""
    return list(OF_ONE_PASS) if can(entry.model, ClosedForm) else [field.name for field in fields(Options)]


def refuse_what_has_no_meaning(entry: Entry, names: Iterable[str]) -> None:
    """Raise UsageError if a training option is among the names that cannot change how such a model is fitted."""
    known = [*training_options(entry), *entry.arguments]
    for name in names:
        if name in Options.__dataclass_fields__ and name not in known:
            raise UsageError(
                f"{entry.name} is fitted in closed form, in one pass over the training split; "
                f"{name!r} would change nothing: leave it out"
            )


def _chosen(entry: Entry, given: Mapping[str, Any], dataset: Dataset) -> Options:
    refuse_what_has_no_meaning(entry, (name for name, value in given.items() if value is not None))
    return resolve(entry.defaults, given, len(dataset.train))


def _split(entry: Entry, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of the model, and training options; raises UsageError for what is neither, and for what is both."""
    own, training = entry.arguments, [field.name for field in fields(Options)]
    if both := [name for name in own if name in training]:
        raise UsageError(f"{entry.name} calls an argument {both[0]!r}, which is a training option: rename it")
    for name in options:
        if name not in own and name not in training:
            raise UsageError(
                f"{entry.name} has no option {name!r}."
                f"{entry.place_of(name, [*own, *training]) or did_you_mean(name, [*own, *training])}"
            )
    arguments = {name: value for name, value in options.items() if name in own}
    return arguments, {name: value for name, value in options.items() if name not in own}
