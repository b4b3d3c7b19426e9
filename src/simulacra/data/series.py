"""Series, and the windows that are items: a table with one row a step, or an array (L, D) or (N, L, D).

    time,store,sold,price            --window 24 --entity store
    2024-01-01 00:00,north,12,3.5    -> items (24, 2), a field `store` of 2 classes
    2024-01-01 01:00,north,15,3.5

A column of times is found by its name or its first cell, and checked: rows of a series in order, one step apart. All
other columns but that of the entity are numbers. Splits are blocks of time; see `windows`. Values stay in the user's
units: models learn the mean and the deviation of each column from training items, and give back what they took.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.data.clock import Clock, clock_of, is_time
from simulacra.data.dataset import Card, Dataset, Split
from simulacra.data.npy import npy_array
from simulacra.data.recipe import Recipe
from simulacra.data.source import Batch, Source, reading
from simulacra.data.spec import DataSpec
from simulacra.data.splits import SPLITS, Fractions, TooFew
from simulacra.data.table import Rows, number_in, read_rows
from simulacra.data.windows import Run, counts, in_order, windows
from simulacra.errors import DataError, UsageError, did_you_mean
from simulacra.fields import ClassLabel, Real, as_array
from simulacra.terminal import number_of, printable


@dataclass(frozen=True)
class Series:
    """Series of the same columns on one clock.

    runs:    by entity, in the order of their names; one where there is no entity.
    columns: names of the numbers of a step.
    clock:   what a tick is; None where rows count as steps.
    entity:  the name of the column that says of which series a row is; "" where there is one.
    """

    runs: tuple[Run, ...]
    columns: tuple[str, ...]
    clock: Clock | None = None
    entity: str = ""

    @property
    def ticks(self) -> int:
        """Of the clock, from the first step of any series to the last one."""
        return max(run.begin + len(run) for run in self.runs)

    @property
    def fields(self) -> dict[str, ClassLabel]:
        return {self.entity: ClassLabel(len(self.runs), tuple(run.name for run in self.runs))} if self.entity else {}


def series_source(
    name: str,
    card: Card,
    files: tuple[Path, ...],
    series: Series,
    window: int,
    part: np.ndarray | None = None,
    whole: bool = False,
) -> Source:
    """The windows of series as a source.

    part: of each tick, (ticks,) indices into `SPLITS` or -1; by default the past for training, then validation, then
        test. whole: all windows are of one part, however few.

    Raises UsageError for a window that is longer than every series, TooFew for series too short for three parts.
    """
    check_window(name, series, window)
    if part is None:
        part = np.zeros(series.ticks, np.int64) if whole else in_order(series.ticks, window, Fractions())
    found = counts(series.runs, part, window)
    if not whole and (empty := [own for own in SPLITS if not found[own]]):
        raise TooFew(f"{name} has no window of {window} steps for {empty[0]}: give longer series or a smaller --window")

    def batches() -> Iterator[Batch]:
        for own, number, x in windows(series.runs, part, window):
            label = {series.entity: np.full(len(x), number, np.int64)} if series.entity else {}
            yield Batch(own, x, label)

    options = (f"window={window}", f"entity={series.entity}")
    remarks = tuple(described(series, part, window))
    n, fields = sum(found.values()), series.fields
    return Source(
        name,
        card,
        n,
        batches,
        files,
        options,
        fields=fields,
        whole=whole,
        remarks=remarks,
        columns=series.columns,
    )


def from_series(
    values: Any, window: int, *, columns: Sequence[str] = (), name: str = "series", whole: bool = False
) -> Dataset:
    """The windows of an array (L, D) or (L,), or of N arrays (N, L, D) on one clock, as a data set in memory.

    Args:
        values: rows are one step apart.
        window: T, steps of an item, (T, D).
        columns: names of the D numbers of a step.
        name: of the data set.
        whole: whether all windows are test items, of which there may be one.

    Splits are blocks of time: the past for training, then validation, then test.
    Raises DataError for a value that is not finite and for series too short to split, UsageError for a window that is
    longer than the series.
    """
    series = array_series(as_array("values", values), name, columns)
    card = Card("arrays in memory", "given in Python", "that of the arrays")
    source = series_source(name, card, (), series, window, whole=whole)
    held: dict[str, list[np.ndarray]] = {
        part: [np.zeros((0, window, len(series.columns)), np.float32)] for part in SPLITS
    }
    for batch in source.batches():
        held["test" if whole else batch.part].append(batch.x)
    x = {part: np.concatenate(several) for part, several in held.items()}
    spec = DataSpec(Real((window, len(series.columns))))
    fingerprint = hashlib.sha256(json.dumps([spec.to_json(), *map(len, x.values())], sort_keys=True).encode())
    for each in x.values():
        fingerprint.update(each.data)
    splits = {part: Split(each, {}, part) for part, each in x.items()}
    own = {"remarks": source.remarks, "columns": series.columns, "recipe": Recipe(window=window)}
    return Dataset(name, spec, **splits, card=card, fingerprint=fingerprint.hexdigest(), **own)


def check_window(name: str, series: Series, window: int) -> None:
    """Raise UsageError for a window longer than every series."""
    longest = max(len(run) for run in series.runs)
    if window > longest:
        raise UsageError(f"{name} has {longest} steps, fewer than a window of {window}: give a smaller --window")


def described(series: Series, part: np.ndarray, window: int) -> Iterator[str]:
    """What was understood, one fact a line."""
    clock = f" of {series.clock.step_text}" if series.clock else ""
    several = f" in each of {len(series.runs)} series" if len(series.runs) > 1 else ""
    of = f"{several} of {series.entity!r}" if series.entity else several
    yield f"a window of {window} steps{clock} from every step on{of}; windows within a split overlap"
    for number, name in enumerate(SPLITS):
        steps = part == number
        if blocks := _blocks(steps):
            when = ", ".join(_when(series, *block) for block in blocks[:3])
            more = f" and {len(blocks) - 3} more" if len(blocks) > 3 else ""
            yield f"{name}: {number_of(int(steps.sum()), 'step')}, {when}{more}"
    if left := int((part < 0).sum()):
        yield f"{number_of(left, 'step')} in no split"
    if short := [run.name for run in series.runs if len(run) < window]:
        yield f"left out as shorter than a window: {len(short)} series, such as {short[0]}"


def _blocks(steps: np.ndarray) -> list[tuple[int, int]]:
    """(first, last) of each stretch of truths."""
    change = np.flatnonzero(np.diff(np.concatenate([[0], steps.astype(np.int8), [0]])))
    return [(int(first), int(end) - 1) for first, end in change.reshape(-1, 2)]


def _when(series: Series, first: int, last: int) -> str:
    clock = series.clock
    ends = (first + 1, last + 1) if clock is None else (clock.text(first), clock.text(last))
    return f"{ends[0]} to {ends[1]}"


def path_series(path: Path, entity: str | None = None) -> Series:
    """The series in a table or an `.npy` file; raises DataError for what is none, naming the place."""
    if path.suffix == ".npy":
        if entity is not None:
            raise UsageError(f"{path} has no columns with names, and so no entity {entity!r}: (N, L, D) are N series")
        with reading(path):
            return array_series(npy_array(path).read(), str(path))
    return table_series(path, entity)


def array_series(values: np.ndarray, where: str, columns: Sequence[str] = ()) -> Series:
    """(L,), (L, D) or (N, L, D) numbers, rows one step apart; N series share their clock.

    Raises DataError for another shape or type, and for a value that is not finite, naming it.
    """
    values = values[:, None] if values.ndim == 1 else values
    if values.dtype.kind not in "fiub" or values.ndim not in (2, 3) or not values.size:
        raise DataError(f"{where} holds {values.dtype} {values.shape}; series are real numbers (L, D) or (N, L, D)")
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        at = np.argwhere(~np.isfinite(values))[0]
        place = f"step {at[-2]}, column {at[-1]}" + (f" of series {at[0]}" if len(at) == 3 else "")
        raise DataError(f"{where}: {values[tuple(at)]} at {place}; fill in a value")
    each = values[None] if values.ndim == 2 else values
    runs = tuple(Run(own, 0, str(number)) for number, own in enumerate(each))
    names = tuple(columns) or tuple(f"x{number}" for number in range(values.shape[-1]))
    if len(names) != values.shape[-1]:
        raise UsageError(f"{len(names)} names for the {values.shape[-1]} columns of {where}")
    return Series(runs, names)


def table_series(path: Path, entity: str | None = None) -> Series:
    """The series of a table, one row a step.

    Raises UsageError for an entity that is no column, DataError, naming line and column, for a cell that is no number,
    and for rows out of order, twice or with a gap in time.
    """
    names, rows = read_rows(path)
    time, of = _roles(path, names, rows, entity)
    own = [number for number in range(len(names)) if number not in (time, of)]
    if not own:
        raise DataError(f"{path} has no column of numbers; each is one coordinate of a step")
    values = np.array([_numbers(path, names, row, own) for row in rows], np.float32)
    kinds = np.array([cells[of] for _, cells in rows]) if of is not None else np.full(len(rows), "")
    members = {str(kind): np.flatnonzero(kinds == kind) for kind in np.unique(kinds)}
    clock, ticks = None, {kind: np.arange(len(index)) for kind, index in members.items()}
    if time is not None:
        clock, ticks = clock_of(path, names[time], [(line, cells[time]) for line, cells in rows], members)
    runs = tuple(Run(values[index], int(ticks[kind][0]), printable(kind)) for kind, index in members.items())
    return Series(runs, tuple(names[number] for number in own), clock, "" if of is None else names[of])


def _roles(path: Path, names: list[str], rows: Rows, entity: str | None) -> tuple[int | None, int | None]:
    """The numbers of the columns of time and of the entity."""
    if entity is not None and entity not in names:
        raise UsageError(f"{path} has no column {entity!r} for --entity.{did_you_mean(entity, names)}")
    of = None if entity is None else names.index(entity)
    first = rows[0][1]
    time = next((i for i, name in enumerate(names) if i != of and is_time(name, first[i])), None)
    return time, of


def _numbers(path: Path, names: list[str], row: tuple[int, list[str]], own: list[int]) -> list[float]:
    line, cells = row
    found = []
    for number in own:
        value = number_in(cells[number])
        if value is None:
            what = f"is {cells[number]!r}, and no number" if cells[number] else "is empty"
            raise DataError(
                f"{path}, line {line}: column {names[number]!r} {what}: fill in a value (a row less would be a gap), "
                "name it in --entity, or leave the column out"
            )
        found.append(value)
    return found
