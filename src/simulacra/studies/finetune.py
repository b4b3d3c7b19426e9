"""`finetune`: test errors of classifiers from few labels, with the codes of a model and without; see `few_labels`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from simulacra.capabilities import Encoder
from simulacra.data import Dataset
from simulacra.data.hidden import hide_labels
from simulacra.devices import choose_device
from simulacra.errors import NotSupported, UsageError, did_you_mean
from simulacra.model import Model, ModelLike
from simulacra.parts import convert
from simulacra.studies.few_labels import METHODS, Encoded, FewLabelTask
from simulacra.training.observers import Moment, Observer
from simulacra.training.runtime import Runtime
from simulacra.verbs import DataLike, subject, verb

WITHOUT_STEPS = 50  # steps that fitting a method in closed form counts as


@dataclass(frozen=True)
class FewLabels:
    """The test error of one method with a number of labels.

    error, standard_deviation: % of the test items, over the draws of the labels; the latter nan for one draw.
    errors:                    % of each draw; draw d is of the seed + d, and is the same for all methods.
    steps, seconds:            training steps, and the wall time of one draw.
    """

    labels: int
    method: str
    error: float
    standard_deviation: float
    errors: tuple[float, ...]
    steps: int
    seconds: float
    protocol: str


@dataclass(frozen=True)
class Finetuning:
    """Test errors of several methods and numbers of labels; `n` test items. `field` is the label."""

    model: str
    data: str
    field: str
    n: int
    draws: int
    seed: int
    results: tuple[FewLabels, ...]


@verb
def finetune(
    model: ModelLike,
    data: DataLike | None = None,
    labels: int | Sequence[int] = 100,
    draws: int = 10,
    methods: Sequence[str] | None = None,
    *,
    field: str = "label",
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    observers: Sequence[Observer] = (),
) -> Finetuning:
    """Learn classifiers from few labels, with the codes of a model and without, and report their test errors.

    Args:
        model: a model with an encoder that was fitted without labels, or its run folder.
        data: a labelled data set of the same shape and levels, its name or path, or a torch `Dataset`; without it that
            of the run.
        labels: number of labelled training items, drawn in equal numbers from all classes; or several numbers.
        draws: how often they are drawn.
        methods: of probe, finetune, scratch, m2, m1+m2; without it all that the codes of the model allow.
        field: which field of the data is the label.
        steps: of training, in place of each method's own number.
        seed: of the first draw; draw d has seed + d.
        device: auto takes a GPU where there is one.
        observers: see `simulacra.training.Observer`; `logged` gets the name of a method and the share of its work done.

    Raises:
        NotSupported: the model has no encoder, or one that is conditioned; or its codes do not allow a method.
        UsageError: data of another shape or grid or without labels, more labels than there are or fewer than classes,
            a method that does not exist, draws or steps < 1.
        TrainingError: a loss that is not finite.
    """
    model, data = subject(model, data)
    counts = convert(tuple[int, ...], labels, "labels")
    _check(model, data, field, draws, steps, methods)
    for count in counts:
        hide_labels(data, field, count, seed)  # raises before anything is trained
    encoded = Encoded(model, data, field, Runtime(choose_device(device), bf16=False))
    chosen = tuple(methods or _possible(encoded))
    for method in chosen:
        encoded.refuse(method)
    jobs = [METHODS[method].steps and (steps or METHODS[method].steps) for _ in counts for method in chosen]
    clock = _Clock([job or WITHOUT_STEPS for job in jobs for _ in range(draws)], observers)
    results = tuple(_judge(encoded, count, method, draws, seed, steps, clock) for count in counts for method in chosen)
    return Finetuning(encoded.name, data.name, field, len(data.test), draws, seed, results)


def _judge(
    encoded: Encoded, labels: int, method: str, draws: int, seed: int, steps: int | None, clock: _Clock
) -> FewLabels:
    how, errors, began = METHODS[method], [], time.monotonic()
    taken = how.steps and (steps or how.steps)
    for draw in range(draws):
        few = hide_labels(encoded.data, encoded.field, labels, seed + draw)
        report = clock.next(f"share of {method} with {labels} labels")
        errors.append(100 * float(how.learn(encoded, FewLabelTask(few, seed + draw, taken, report)).mean()))
    deviation = float(np.std(errors, ddof=1)) if draws > 1 else float("nan")
    seconds = (time.monotonic() - began) / draws
    protocol = f"{how.protocol}; test error over {draws} draws of {labels} labels, validation labels unused"
    return FewLabels(labels, method, float(np.mean(errors)), deviation, tuple(errors), taken, seconds, protocol)


def _possible(encoded: Encoded) -> tuple[str, ...]:
    def allowed(method: str) -> bool:
        try:
            encoded.refuse(method)
        except NotSupported:
            return False
        return True

    return tuple(filter(allowed, METHODS))


def _check(
    model: Model, data: Dataset, field: str, draws: int, steps: int | None, methods: Sequence[str] | None
) -> None:
    if not isinstance(model, Encoder):
        raise NotSupported(f"{_name(model)} has no encoder, and so no codes; fit a vae or an autoencoder")
    if model.spec.condition:
        raise NotSupported(
            f"the encoder of this {_name(model)} is conditioned on {', '.join(model.spec.condition)}, so that its "
            "codes need not hold it; fit it without --condition"
        )
    model.spec.expect(data.spec, data.name)
    data.train.field(field)
    for method in methods or ():
        if method not in METHODS:
            raise UsageError(f"there is no method {method!r}.{did_you_mean(method, METHODS)}")
    if draws < 1 or (steps is not None and steps < 1):
        raise UsageError(f"finetune needs draws >= 1 and steps >= 1, not draws = {draws} and steps = {steps}")


def _name(model: Model) -> str:
    return model.name


class _Clock:
    """Reports the share done of all jobs together, of which each counts as much as it has training steps."""

    def __init__(self, jobs: Sequence[int], observers: Sequence[Observer]) -> None:
        self.jobs, self.observers, self.begun, self.began = jobs, observers, 0, time.monotonic()

    def next(self, name: str) -> Callable[[float], None]:
        """Begin the next job; the function returned is to be called with the share of it that is done."""
        job, self.begun = self.begun, self.begun + 1

        def report(share: float) -> None:
            done = (sum(self.jobs[:job]) + share * self.jobs[job]) / sum(self.jobs)
            seconds = time.monotonic() - self.began
            at = Moment(job + 1, done, seconds * (1 - done) / max(done, 1e-9), 0.0, seconds)
            for observer in self.observers:
                observer.logged(at, {name: share})

        return report
