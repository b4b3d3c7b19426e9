"""`simulacra.fit`: training, with the usual judge of the model's abilities."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Any, Literal

from simulacra.data import Dataset
from simulacra.evaluation.judges import usual_judge
from simulacra.exploration.health.watched import HealthLog
from simulacra.model import Model
from simulacra.training import Judge, Observer, carry_out, make_plan
from simulacra.training.film import Filmed
from simulacra.training.progress import watched
from simulacra.training.runtime import leads


def fit(
    model: str | Model,
    data: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str] | None = None,
    *,
    condition: Sequence[str] | str = (),
    labels: int | None = None,
    fresh: bool = False,
    observers: Sequence[Observer] = (),
    judge: Judge | None = None,
    progress: Observer | Literal["auto"] | None = "auto",
    film: bool = False,
    **options: Any,
) -> Model:
    """Train a model and return it, ready to sample and score.

    The weights that are kept are the best of all validations, by `simulacra.evaluation.judges`: a likelihood or a bound
    of it where there is one, else a Fréchet distance of samples, else the error of reconstructions; or by a judge of
    your own. The run ends with a verdict on its health, in health.json and health.png; see `simulacra.health`.

    Args:
        model: a registered name, or a model that was constructed by hand.
        data: a named set, a path, or a loaded data set.
        out: the run folder, `runs/<model>-<data>` by default. If it holds the beginning of the same run, that run is
            continued; a finished run is returned as it is.
        condition: fields to condition on, such as "label".
        labels: learn with the labels of so many training items, drawn by the seed, and hide all others, those of the
            validation split too, which is judged by a bound of p(x); for models that learn from unlabelled items.
        fresh: begin anew, in a new folder beside `out` where `out` is taken.
        observers: see `simulacra.training.Observer`; they follow the training on the leading rank.
        judge: of the weights at each validation (`simulacra.training.Judge`); by default the one that suits the model.
        progress: what is shown meanwhile: by default a bar on a terminal, lines in a notebook and nothing in a script;
            None shows nothing anywhere, and an observer of your own takes their place.
        film: of points of the plane, whether `film.gif` in the run folder shows how training went, with the surface of
            the critic, or the density of a model that has one; see `simulacra.training.film`.
        options: training options (`simulacra.training.Options`), and, where `model` is a name, arguments of the model.

    Raises:
        UsageError: an unknown model, data set or option, a folder with a run made with other settings, or a film of
            what are no points of the plane.
        TrainingError: a loss that is not finite, a full disk, a second process in the same folder.
        Interrupted: after SIGTERM or Ctrl-C, once the state is saved.
    """
    plan = make_plan(model, data, out, condition, fresh, options, labels)
    filmed = [Filmed(plan)] if film else []
    with watched() if progress == "auto" and leads() else contextlib.nullcontext(progress) as seen:
        own = [seen] if isinstance(seen, Observer) else []
        return carry_out(plan, judge or usual_judge(plan.model), [HealthLog(plan), *observers, *filmed, *own])
