"""The picture of translations: input, answers and truth side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from simulacra.data import DataSpec
from simulacra.derived import Derived
from simulacra.errors import UsageError
from simulacra.fields import Field
from simulacra.pictures import field_pixels, labelled, pixels, scaled, sheet


def translations_picture(
    inputs: np.ndarray,
    field: Field,
    answers: np.ndarray,
    truth: np.ndarray | None,
    spec: DataSpec,
    captions: Sequence[str] = (),
) -> Image.Image:
    """A row for each input: itself, what was made of it, and the truth where it is known.

    inputs (N, ...), pictures or maps of a field; answers (N, K, *shape) and truth (N, *shape), items of the spec.
    """
    if not spec.is_image:
        raise UsageError(f"items of shape {spec.shape} have no picture; write a .npz file instead")
    n, each = answers.shape[:2]
    height, width = (max(sides) for sides in zip(spec.shape[1:], _sides(field), strict=True))
    columns = [field_pixels(inputs, field)[:, None], pixels(answers.reshape(-1, *spec.shape), spec)]
    columns[1] = columns[1].reshape(n, each, *columns[1].shape[1:])
    columns += [] if truth is None else [pixels(truth, spec)[:, None]]
    tiles = [scaled(part.reshape(-1, *part.shape[2:]), height, width) for part in columns]
    rows = np.concatenate([part.reshape(n, -1, height, width, 3) for part in tiles], axis=1)
    headings = ["input", *(["answer"] if each == 1 else [f"answer {k + 1}" for k in range(each)])]
    headings += [] if truth is None else ["truth"]
    body = sheet(rows.reshape(-1, *rows.shape[2:]), rows.shape[1])
    return labelled(body, rows.shape[:2], captions or [""] * n, headings)


def _sides(field: Field) -> tuple[int, int]:
    """(H, W) of a picture or a map."""
    own = field.own if isinstance(field, Derived) else field
    height, width = next(iter(own.columns("").values())).shape[-2:]
    return height, width
