r"""The figures of a run of any family: how its judge's figure went, how steep the loss still is, what was skipped, and
by how much training items are better explained than held-out ones.

overfit   mean over held-out items of -log p(x), less that over training items, bits/dim (nats/dim of a density)
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from simulacra.data import Split
from simulacra.evaluation import intervals
from simulacra.evaluation.likelihood import has_likelihood, score_items
from simulacra.exploration.health.course import JUDGED, Course
from simulacra.exploration.health.findings import Finding
from simulacra.feed import enough
from simulacra.model import Model
from simulacra.randomness import some_of
from simulacra.terminal import number_of

SCORED = 500  # items of each kind


def of_run(course: Course) -> Iterator[tuple[str, Finding]]:
    """What the log of a run says."""
    judged = course.judged
    if judged is not None:
        name = next(name for name in course.curves if name.startswith(JUDGED)).removeprefix(JUDGED).replace("_", " ")
        best = int(judged.values.argmin())
        path = "one validation"
        if len(judged.steps) > 1:
            lowest = f"lowest {judged.values[best]:.4g} at {judged.steps[best]}"
            path = f"{judged.values[0]:.4g} at step {judged.steps[0]}, {lowest}"
        advice = f"{name} of validation items, the last of the run: {path}"
        yield "validation", Finding(float(judged.values[-1]), None, tuple(judged.values.tolist()), advice)
    if "gradient" in course.curves:
        curve = course.curves["gradient"]
        began = f"{curve.in_the_beginning():.3g} in its first" if len(curve.steps) > 1 else "no other"
        yield "gradient", Finding(curve.at_the_end(), None, (), f"median norm in the last fifth of the run, {began}")
    if "skipped" in course.curves:
        skipped = int(course.curves["skipped"].values[-1])
        yield "skipped", Finding(skipped, None, (), f"{number_of(skipped, 'update')} left out by --skip")


def overfit(model: Model, items: Split, index: np.ndarray, train: Split, seed: int) -> Iterator[tuple[str, Finding]]:
    """Of a model with a likelihood: of these held-out items, 500 at most, and as many training items."""
    if not has_likelihood(model) or min(len(index), len(train)) < 2:
        return
    held = index[some_of(len(index), enough(model.spec, SCORED), seed, "overfit")]
    seen = some_of(len(train), len(held), seed, "overfit", "train")
    own, others = (score_items(model, split.rows(rows), seed=seed) for split, rows in ((train, seen), (items, held)))
    unit = model.spec.dims * (1.0 if model.spec.levels is None else math.log(2))
    gap = float(others.mean() - own.mean()) / unit
    error = math.sqrt(own.var(ddof=1) / len(own) + others.var(ddof=1) / len(others)) / unit
    name = "nats/dim" if model.spec.levels is None else "bits/dim"
    advice = f"{name} that held-out items cost more than training items, {own.mean() / unit:.4g}"
    yield "overfit", Finding(gap, None, (), advice, None, intervals.about(gap, error, len(own)))
