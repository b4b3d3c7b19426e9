"""Whether a model works, whatever its family: figures of its run, its codes or its game, and one verdict on them.

run      how the judge's figure went, gradients, skipped updates, and what training items have over held-out ones
codes    of a model with an encoder: see `simulacra.exploration.health.codes`
game     of a generator and its critic: see `simulacra.exploration.health.state`
verdict  see `simulacra.exploration.health.verdict`
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from simulacra.capabilities import Adversarial, ClosedForm, Encoder, can
from simulacra.data import Split
from simulacra.exploration.health.codes import of_codes
from simulacra.exploration.health.course import Course, course_of
from simulacra.exploration.health.findings import Finding, Health
from simulacra.exploration.health.game import of_game, quantiles
from simulacra.exploration.health.run import of_run, overfit
from simulacra.exploration.health.state import FEWEST, looked_into
from simulacra.exploration.health.verdict import unjudged, verdict
from simulacra.model import Model, ModelLike, as_model
from simulacra.randomness import some_of
from simulacra.terminal import number_of
from simulacra.verbs import DataLike, data_of, split_meant, verb

FEW = 200  # steps, before which a model says nothing of what it will be


@verb
def health(
    model: ModelLike,
    data: DataLike | None = None,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    run: str | os.PathLike[str] | None = None,
) -> Health:
    """Examine a model, and its run, on a split or on `limit` of its items: by default all of an array, and the test
    items of other data.

    Args:
        model: any model, or its run folder.
        data: a data set, its name or path, or an array; without it that of the run.
        split: "train", "valid", "test" or "all".
        limit: at most so many items, drawn by the seed.
        seed: of these items, and of all noise.
        run: the folder of the run whose log is looked at, too; where `model` is a folder, that one.

    A model that was trained for fewer than 200 steps is not judged: its figures come without advice.
    Raises UsageError for data of another shape or grid, limit < 1.
    """
    if run is None and isinstance(model, str | os.PathLike):
        run = model
    model = as_model(model)
    meant = split_meant(data, split)
    found = data_of(model, data, whole=meant == "all")
    items = found.split(meant)
    index = some_of(len(items), limit, seed, "health")
    own = model.origin is not None and model.origin.fingerprint == found.fingerprint
    train = found.train if own and meant not in ("all", "train") else None
    return examined(model, course_of(run), found.name, items, index, train, seed)


def examined(
    model: Model, course: Course, data: str, items: Split, index: np.ndarray, train: Split | None, seed: int = 0
) -> Health:
    """The health on the items of a split with these numbers; `train` are the items that the model has learnt from,
    where they are known."""
    findings: dict[str, Finding] = dict(of_run(course))
    left_out: dict[str, str] = {}
    scores: dict[str, tuple[float, ...]] = {}
    if can(model, Adversarial) and len(index) >= FEWEST:
        game = looked_into(model, items, index, train, seed)
        findings |= dict(of_game(game, course))
        scores = quantiles(game.scores)
    elif can(model, Adversarial):
        few = f"it needs {number_of(FEWEST, 'item')} or more, and these are {len(index)}"
        left_out |= dict.fromkeys(("told_apart", "jensen_shannon", "variety"), few)
    if train is not None:
        findings |= dict(overfit(model, items, index, train, seed))
    if can(model, Encoder):
        own, missing = of_codes(model, items, index, seed)
        findings, left_out = findings | own, left_out | missing
    whole = Health(
        model.name, data, items.name, len(index), findings, verdict(model, findings, course), "", left_out, scores
    )
    steps = course.number("steps") or model.trained_steps  # of the run: the weights that are kept may be early ones
    if steps is None or steps >= FEW or can(model, ClosedForm):
        return whole
    return too_short(whole, int(steps))


def too_short(found: Health, steps: int) -> Health:
    """The same without advice."""
    bare = {name: replace(finding, advice="") for name, finding in found.findings.items()}
    remark = f"trained for {number_of(steps, 'step')}, too few to judge the model by: fit for {FEW} or more"
    return replace(found, findings=bare, remark=remark, verdict=unjudged(remark))


def of_log(model: Model, course: Course, data: str) -> Health:
    """What the log of a run says of it, of no items at all."""
    findings = dict(of_run(course))
    return Health(model.name, data, "valid", 0, findings, verdict(model, findings, course))
