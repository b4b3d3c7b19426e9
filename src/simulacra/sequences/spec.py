"""What a model of series is for."""

from __future__ import annotations

from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Real


def series_shape(spec: DataSpec, name: str, other: str) -> tuple[int, int]:
    """(T, D) of series of real numbers; raises UsageError, which points to the model `other`, for anything else."""
    if not isinstance(spec.x, Real) or len(spec.x.shape) != 2:
        raise UsageError(
            f"{name} is for series (T, D) of real numbers, not for {spec.x.describe()}: cut windows with --window, or "
            f"use {other}"
        )
    length, columns = spec.x.shape
    return length, columns
