"""The course of a run: what `fit` has logged of it, by the name of each figure.

A log is read as if a stranger had written it: lines that are none are passed over, and so are values that are no
numbers.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.errors import ModelFileError
from simulacra.files import parse_json, read_regular
from simulacra.training.run import MAX_LOG
from simulacra.weights import read_json

BESIDE = ("step", "epoch", "seconds")  # of every line
JUDGED = "valid_"  # begins the name of a judge's figure
OTHERS = (
    "gradient",
    "skipped",
    "score.",
    "singular.",
    "variety",
)  # begin the names of what is no term of a loss either
LAST = 0.2  # share of a run that is its end


@dataclass(frozen=True, eq=False)
class Curve:
    """A figure at some steps, both (n,), n >= 1."""

    steps: np.ndarray
    values: np.ndarray

    def at_the_end(self) -> float:
        """The median over the last fifth of the steps."""
        return float(np.median(self.values[self.steps > (1 - LAST) * self.steps[-1]]))

    def in_the_beginning(self) -> float:
        """The median over the first fifth of the steps."""
        return float(np.median(self.values[self.steps <= max(LAST * self.steps[-1], self.steps[0])]))


@dataclass(frozen=True, eq=False)
class Course:
    """The curves of a run by name; `outcome` is what run.json says of its end, {} before that."""

    curves: Mapping[str, Curve] = field(default_factory=dict)
    outcome: Mapping[str, Any] = field(default_factory=dict)

    @property
    def judged(self) -> Curve | None:
        """The figure of the judge at every validation, lower is better."""
        return next((curve for name, curve in self.curves.items() if name.startswith(JUDGED)), None)

    def number(self, name: str) -> float | None:
        """A number of the outcome."""
        value = self.outcome.get(name)
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def is_term(name: str) -> bool:
    """Whether a figure of the log is a term of a loss."""
    return not name.startswith((JUDGED, *OTHERS))


def course_of(run: str | os.PathLike[str] | None) -> Course:
    """That of a run folder, or of its `model/` folder; an empty one where nothing was logged."""
    if run is None:
        return Course()
    folder = Path(run)
    folder = folder.parent if folder.name == "model" and not (folder / "run.json").exists() else folder
    return Course(_curves(folder / "metrics.jsonl"), _outcome(folder / "run.json"))


def _curves(path: Path) -> dict[str, Curve]:
    try:
        lines = read_regular(path, MAX_LOG).split(b"\n")
    except (OSError, ModelFileError):
        return {}
    found: dict[str, list[tuple[int, float]]] = {}
    for entry in map(_entry, lines):
        for name, value in entry.items():
            if name not in BESIDE and isinstance(value, int | float) and math.isfinite(value):
                found.setdefault(name, []).append((entry["step"], float(value)))
    return {name: Curve(*map(np.array, zip(*points, strict=True))) for name, points in found.items()}


def _entry(line: bytes) -> dict[str, Any]:
    """A line of the log; {} for what is none."""
    try:
        entry = parse_json(line)
    except (ValueError, json.JSONDecodeError):
        return {}
    return entry if isinstance(entry, dict) and type(entry.get("step")) is int else {}


def _outcome(path: Path) -> Mapping[str, Any]:
    try:
        found = read_json(path).get("finished")
    except (OSError, ModelFileError):
        return {}
    return found if isinstance(found, dict) else {}
