r"""Forecasts: n futures of K steps of each past,

    x_{P+1} ... x_{P+K} ~ p( · | x_1 ... x_P, c)

Of data, whose windows have T steps, the last K of each are forecast from the T - K before them, and stand beside what
came. Of an array or a file of one's own all that is there is the past, and what follows its end is forecast.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from simulacra.capabilities import Forecaster, need
from simulacra.condition import Condition, ConditionLike
from simulacra.data.loading import names, taken
from simulacra.data.series import Series, path_series
from simulacra.errors import UsageError
from simulacra.exploration.forecast_people import of_people, scenes_of, walks_of
from simulacra.feed import feed, slices
from simulacra.model import Model, ModelLike, as_model, evaluating
from simulacra.progress import counted
from simulacra.randomness import generator, some_of
from simulacra.verbs import DataLike, looked_at, verb

BLOCK = 256  # futures that are drawn together


@dataclass(frozen=True)
class Pasts:
    """What is forecast from.

    past:      N arrays (P, ...), whose lengths may differ.
    condition: of each.
    truth:     (N, K, ...) what came, where it is known.
    names:     of each, as "item 12", or the entity.
    times:     of each the times of the steps that follow, by the number of the step; None where rows count as steps.
    """

    past: Sequence[np.ndarray]
    condition: Condition
    truth: np.ndarray | None = None
    names: Sequence[str] = ()
    times: Sequence[Callable[[int], str]] | None = None

    def __len__(self) -> int:
        return len(self.past)


@dataclass(frozen=True)
class Forecasts:
    """Futures (N, n, K, ...) beside their pasts; columns: the names of the numbers of a step."""

    futures: np.ndarray
    given: Pasts = field(repr=False)
    columns: Sequence[str] = ()

    @cached_property
    def mean(self) -> np.ndarray:
        """(N, K, ...)"""
        return self.futures.mean(1)

    def quantiles(self, shares: Sequence[float]) -> np.ndarray:
        """(len(shares), N, K, ...), of the n draws of each step by itself."""
        return np.quantile(self.futures, shares, axis=1)


@verb
def forecast(
    model: ModelLike,
    data: DataLike | None = None,
    steps: int = 1,
    n: int = 100,
    condition: ConditionLike | None = None,
    seed: int = 0,
    *,
    split: str | None = None,
    limit: int | None = None,
) -> np.ndarray:
    """n futures of each of N pasts, (N, n, steps, ...) on the data grid, in the units of the data; of people who walk
    (N, n, steps, P, 2), zeros where nobody is.

    Args:
        model: a model that draws futures (`Forecaster`), or its run folder.
        data: an array or tensor of pasts (P, ...) or (N, P, ...); the path of a table or `.npy` of one's own, with a
            row for each step, of which the end is the past; or data whose windows are known: of each the last `steps`
            are forecast from those before. By default the data of the run. Of people the data, whose scenes have
            their past beside them.
        steps: K, of each future.
        n: futures of each past.
        condition: what the model is conditioned on, where the data do not have it; of people the scenes of one's own.
        seed: of the noise: the same seed gives the same futures.
        split: of data, by default test; of a path: forecast its windows of this split, and not what follows its end.
        limit: at most so many items of data, drawn by seed 0.

    Raises:
        NotSupported: the model draws no futures.
        UsageError: steps or n < 1, as many steps as a window has, a past of another shape or with other columns.
        DataError: a file with a gap, a missing cell, or rows out of order.
    """
    model = as_model(model)
    if of_people(model):
        return walks_of(model, scenes_of(model, data, condition, split, limit), steps, n, seed).futures
    return futures_of(model, pasts_of(model, data, steps, condition, split, limit), steps, n, seed).futures


def futures_of(model: Model, given: Pasts, steps: int, n: int = 100, seed: int = 0) -> Forecasts:
    """`forecast` of pasts that are read already."""
    source = need(model, Forecaster)
    if steps < 1 or n < 1:
        raise UsageError(f"forecast needs steps >= 1 and n >= 1, not steps = {steps} and n = {n}")
    real = model.spec.levels is None
    futures = np.zeros((len(given), n, steps, *model.spec.shape[1:]), np.float32 if real else np.uint8)
    lengths = np.array([len(each) for each in given.past])
    for length in np.unique(lengths):
        own = np.flatnonzero(lengths == length)
        past = torch.from_numpy(np.stack([given.past[int(number)] for number in own])).to(model.device)
        again = np.repeat(np.arange(len(own)), n)
        drawn = np.zeros((len(again), *futures.shape[2:]), futures.dtype)
        for block, part in enumerate(counted(slices(len(again), BLOCK), len(again))):
            rows = torch.from_numpy(again[part]).to(model.device)
            some = given.condition.rows(torch.from_numpy(own).to(model.device)[rows])
            noise = generator(model.device, seed, "forecast", int(length), block)
            with evaluating(model):
                drawn[part] = source.forecast(past[rows], steps, some, noise).cpu().numpy()
        futures[own] = drawn.reshape(len(own), *futures.shape[1:])
    return Forecasts(futures, given, column_names(model))


def column_names(model: Model) -> tuple[str, ...]:
    """The names of the numbers of a step: those of the data that the model was fitted on, or x0, x1, ..."""
    count = int(np.prod(model.spec.shape[1:]))
    known = () if model.origin is None else model.origin.columns
    return known if len(known) == count else tuple(f"x{number}" for number in range(count))


def pasts_of(
    model: Model,
    data: DataLike | None,
    steps: int,
    condition: ConditionLike | None = None,
    split: str | None = None,
    limit: int | None = None,
) -> Pasts:
    """What a model forecasts from; see `forecast`."""
    need(model, Forecaster)
    if isinstance(data, np.ndarray | Tensor):
        return _of_arrays(model, data, condition)
    if split is None and isinstance(data, str | os.PathLike) and data not in names() and "entity" in taken(data):
        return _of_file(model, Path(data).expanduser(), condition)
    return _of_windows(model, data, steps, condition, split, limit)


def _of_arrays(model: Model, data: np.ndarray | Tensor, condition: ConditionLike | None) -> Pasts:
    values = data.detach().cpu().numpy() if isinstance(data, Tensor) else data
    dims = len(model.spec.shape)
    values = values[None] if values.ndim == dims else values
    if values.ndim != dims + 1 or values.shape[2:] != model.spec.shape[1:] or 0 in values.shape:
        step = ", ".join(["P", *map(str, model.spec.shape[1:])])
        raise UsageError(f"a past of this {model.name} is ({step}) or (N, {step}), not of shape {data.shape}")
    if model.spec.levels is None:
        values = values.astype(np.float32)
    return Pasts(list(values), model.conditioned(condition, len(values)), None, _numbered(len(values)))


def _numbered(n: int) -> list[str]:
    return [f"item {number}" for number in range(n)]


def _of_file(model: Model, path: Path, condition: ConditionLike | None) -> Pasts:
    entity = None if model.origin is None else model.origin.recipe.entity
    series = path_series(path, entity)
    wanted = column_names(model)
    if len(series.columns) != len(wanted) or (path.suffix != ".npy" and _named(model) and series.columns != wanted):
        raise UsageError(
            f"the model is for the columns {', '.join(wanted)}, and {path} has {', '.join(series.columns)}"
        )
    most = model.spec.shape[0]
    past = [run.values[-most:].reshape(-1, *model.spec.shape[1:]) for run in series.runs]
    given = dict(condition or {})
    if series.entity and series.entity in model.spec.condition and series.entity not in given:
        given[series.entity] = [run.name for run in series.runs]
    labels = [run.name if series.entity else "" for run in series.runs]
    return Pasts(past, model.conditioned(given, len(past)), None, labels, tuple(_times(series)) or None)


def _named(model: Model) -> bool:
    return model.origin is not None and bool(model.origin.columns)


def _times(series: Series) -> Iterator[Callable[[int], str]]:
    for run in series.runs if series.clock is not None else ():
        yield _Following(series, run.begin + len(run))


@dataclass(frozen=True)
class _Following:
    """The times behind the end of a series."""

    series: Series
    end: int

    def __call__(self, step: int) -> str:
        assert self.series.clock is not None
        return self.series.clock.text(self.end + step)


def _of_windows(
    model: Model,
    data: DataLike | None,
    steps: int,
    condition: ConditionLike | None,
    split: str | None,
    limit: int | None,
) -> Pasts:
    length = model.spec.shape[0]
    if not 1 <= steps < length:
        raise UsageError(
            f"of windows of {length} steps 1 to {length - 1} can be forecast from those before, not {steps}; of an "
            "array or a file, whose end is the past, any number"
        )
    _, items = looked_at(model, data, split or "test", condition)
    index = some_of(len(items), limit, 0, "items")
    x, given = feed(items, index, model.spec, model.device)
    values = x.cpu().numpy()
    labels = [f"item {number}" for number in index]
    return Pasts(list(values[:, : length - steps]), given, values[:, length - steps :], labels)


def as_rows(found: Forecasts, shares: Mapping[str, float]) -> Iterator[list[str]]:
    """The rows of a table, the names of its columns first: one for each item, step and column.

    shares: of the quantiles by their names, such as {"q05": 0.05}.
    """
    given, steps = found.given, found.futures.shape[2]
    quantiles = found.quantiles(list(shares.values()))
    timed, known = given.times is not None, given.truth is not None
    yield ["item", "step", *["time"] * timed, "column", "mean", *shares, *["truth"] * known]
    for item in range(len(given)):
        for step in range(steps):
            when = [given.times[item](step)] if given.times is not None else []
            for number, name in enumerate(found.columns):
                values = [found.mean[item, step, number], *quantiles[:, item, step, number]]
                values += [given.truth[item, step, number]] if given.truth is not None else []
                yield [given.names[item], str(step + 1), *when, name, *(f"{value:.9g}" for value in values)]
