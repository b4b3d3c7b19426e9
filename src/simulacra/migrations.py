"""Configs of earlier formats, brought to the newest one: {"format": 1, ...} -> {"format": 2, ...}."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor


def newest(record: dict[str, Any], path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A config in the newest format, and the tensors that its weights still hold and the model no longer has."""
    return record, {}
