"""The times of a table: whole ticks of one clock, in order and without gaps.

A step is a fixed number of seconds, or of months where days of months are alike. What is neither has a gap somewhere,
and a model of steps would take the gap for one of them: that is refused, with the place.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from simulacra.data.table import number_in
from simulacra.errors import DataError

NAMES = ("time", "date", "datetime", "timestamp", "step", "t")
EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Clock:
    """The time of tick k is begin + k · step.

    begin: in seconds since 1970, in months since 1970-01, or in the numbers of the column.
    unit:  "seconds", "months" or "numbers".
    day:   of months, the rest of their times: seconds since a month began.
    """

    begin: float
    step: float
    unit: str
    day: float = 0.0

    @property
    def step_text(self) -> str:
        if self.unit == "seconds":
            return str(timedelta(seconds=self.step))
        return f"{self.step:g} months" if self.unit == "months" else f"{self.step:g}"

    def text(self, tick: int) -> str:
        """The time of a tick; ticks go on behind the end of the data."""
        value = self.begin + tick * self.step
        if self.unit == "numbers":
            return f"{value:g}"
        if self.unit == "months":
            year, month = divmod(round(value), 12)
            return str(datetime(1970 + year, month + 1, 1) + timedelta(seconds=self.day))
        return str(EPOCH + timedelta(seconds=value))


def is_time(name: str, cell: str) -> bool:
    """Whether a column holds times, by its name or its first cell, which is a date and no number."""
    return name.lower() in NAMES or (number_in(cell) is None and _date(cell) is not None)


def clock_of(
    path: Path, name: str, cells: Sequence[tuple[int, str]], members: Mapping[str, np.ndarray]
) -> tuple[Clock, dict[str, np.ndarray]]:
    """(line, cell) of each row, and the rows of each series -> the clock, and the ticks of each series.

    Raises DataError for a cell that is no time, and for rows that are not one step apart.
    """
    texts = [cell for _, cell in cells]
    numbers = [number_in(cell) for cell in texts]
    lines = [line for line, _ in cells]
    if None not in numbers:
        return _ticks(path, name, np.array(numbers, float), texts, lines, members, "numbers")
    dates = [_date(cell) for cell in texts]
    if None in dates:
        at = dates.index(None)
        raise DataError(
            f"{path}, line {lines[at]}: column {name!r} is {texts[at]!r}, and no time such as 2016-07-01 18:30"
        )
    found = [date for date in dates if date is not None]
    months = np.array([12 * (date.year - 1970) + date.month - 1 for date in found], float)
    rest = {(date - datetime(date.year, date.month, 1)).total_seconds() for date in found}
    if len(rest) == 1 and len(set(months)) > 1:
        clock, ticks = _ticks(path, name, months, texts, lines, members, "months")
        return Clock(clock.begin, clock.step, "months", rest.pop()), ticks
    seconds = np.array([(date - EPOCH).total_seconds() for date in found])
    return _ticks(path, name, seconds, texts, lines, members, "seconds")


def _ticks(
    path: Path,
    name: str,
    values: np.ndarray,
    texts: Sequence[str],
    lines: Sequence[int],
    members: Mapping[str, np.ndarray],
    unit: str,
) -> tuple[Clock, dict[str, np.ndarray]]:
    pairs = np.array([pair for index in members.values() for pair in itertools.pairwise(index)])
    if not len(pairs):
        return Clock(float(values.min()), 1.0, unit), {kind: np.zeros(1, np.int64) for kind in members}
    apart = values[pairs[:, 1]] - values[pairs[:, 0]]
    if (apart <= 0).any():
        one, other = pairs[int((apart <= 0).argmax())]
        raise DataError(
            f"{path}, line {lines[other]}: {name!r} goes from {texts[one]} to {texts[other]}: sort the rows by time, "
            "one a step; several series in one table need --entity COLUMN"
        )
    step = float(Counter(np.round(apart, 6).tolist()).most_common(1)[0][0])
    wrong = np.abs(apart - step) > 1e-6 * step
    begin = float(values.min())
    clock = Clock(begin, step, unit)
    if wrong.any():
        one, other = pairs[int(wrong.argmax())]
        raise DataError(
            f"{path}, line {lines[other]}: {name!r} goes from {texts[one]} to {texts[other]}, where a step is "
            f"{clock.step_text}: fill in the rows, or leave the column out, so that each row counts as a step"
        )
    ticks = {kind: np.floor((values[index] - begin) / step + 1e-6).astype(np.int64) for kind, index in members.items()}
    return clock, ticks


def _date(cell: str) -> datetime | None:
    """An ISO date or time; of one with a zone that in UTC."""
    try:
        found = datetime.fromisoformat(cell)
    except ValueError:
        return None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
