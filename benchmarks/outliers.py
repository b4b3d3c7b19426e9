"""Foreign items: corrupted real ones, and pictures of something else. And the models that are tested on them."""

from __future__ import annotations

import argparse
import io
import lzma
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from record import parser

import simulacra as sim
from simulacra.data import Dataset
from simulacra.model import Model
from simulacra.parts import to_json

Spoilt = tuple[np.ndarray, np.ndarray]  # items (N, C, H, W), and where they were changed (N, C, H, W)


def arguments(doc: str | None) -> argparse.Namespace:
    options = parser(doc)
    options.add_argument("--digits", type=Path, help="a run folder of a class-conditional model of digits")
    options.add_argument("--mnist", type=Path, help="a run folder of a class-conditional model of mnist")
    options.add_argument("--limit", type=int, default=1000, help="items of each kind (default: 1000)")
    args = options.parse_args()
    args.limit = 110 if args.smoke else args.limit
    return args


def models(args: argparse.Namespace) -> Iterator[tuple[Dataset, Model]]:
    """The runs that were named; in place of one on digits a gated-pixelcnn that is fitted now."""
    digits = sim.data.load("digits")
    if args.digits is not None:
        yield digits, sim.load(args.digits)
    else:
        with tempfile.TemporaryDirectory() as folder:
            budget = {"steps": 30} if args.smoke else {}
            yield digits, sim.fit("gated-pixelcnn", digits, Path(folder), condition="label", **budget)
    if args.mnist is not None:
        yield sim.data.load("mnist"), sim.load(args.mnist)


def described(model: Model) -> dict:
    return {"model": model.name, "arguments": to_json(model.arguments)}


def corruptions(levels: int, others: np.ndarray) -> dict[str, Callable[[np.ndarray, np.random.Generator], Spoilt]]:
    """Small local faults of items on the grid; `others` are real items from which patches are taken."""

    def pixels(count: int) -> Callable[[np.ndarray, np.random.Generator], Spoilt]:
        def change(x: np.ndarray, rng: np.random.Generator) -> Spoilt:
            chosen = rng.random(x.shape).reshape(len(x), -1).argsort(1).argsort(1).reshape(x.shape) < count
            shifted = (x + rng.integers(1, levels, x.shape)) % levels  # any level but the right one
            return np.where(chosen, shifted, x).astype(np.uint8), chosen

        return change

    def block(fill: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Callable:
        def change(x: np.ndarray, rng: np.random.Generator) -> Spoilt:
            side = x.shape[-1] * 3 // 8
            top, left = rng.integers(0, [x.shape[-2] - side + 1, x.shape[-1] - side + 1], (len(x), 2)).T
            rows, columns = np.arange(x.shape[-2])[:, None], np.arange(x.shape[-1])
            inside = (rows >= top[:, None, None]) & (rows < top[:, None, None] + side)
            inside = inside & (columns >= left[:, None, None]) & (columns < left[:, None, None] + side)
            changed = np.where(inside[:, None], fill(x, rng), x).astype(np.uint8)
            return changed, changed != x

        return change

    return {
        "one pixel": pixels(1),
        "three pixels": pixels(3),
        "block erased": block(lambda x, rng: np.zeros_like(x)),
        "block of another": block(lambda x, rng: others[rng.integers(0, len(others), len(x))]),
        "block of noise": block(lambda x, rng: rng.integers(0, levels, x.shape)),
    }


def transforms(levels: int) -> dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]]:
    """The same pixels where they do not belong, half of them, or with light and dark exchanged."""

    def shuffle_rows(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        order = rng.random(x.shape[:3]).argsort(-1)
        return np.take_along_axis(x, order[..., None], axis=2)

    def erase_lower_half(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Foreign but simple: most of the pixels that cost bits are gone."""
        halved = x.copy()
        halved[:, :, x.shape[2] // 2 :] = 0
        return halved

    return {
        "lower half erased": erase_lower_half,
        "rotated by 90°": lambda x, rng: np.rot90(x, axes=(2, 3)).copy(),
        "rows shuffled": shuffle_rows,
        "inverted": lambda x, rng: levels - 1 - x,
    }


def emoji(shape: tuple[int, ...]) -> np.ndarray | None:
    """(1839, 1, H, W) grey on 0..255, light on a dark ground as digits are; None where $SIMULACRA_DATA has none."""
    path = Path(os.environ.get("SIMULACRA_DATA", "")) / "emoji" / "openmoji_64.npy.xz"
    if not path.exists():
        return None
    colour = np.load(io.BytesIO(lzma.decompress(path.read_bytes())))
    small = [Image.fromarray(image).convert("L").resize(shape[:0:-1], Image.Resampling.LANCZOS) for image in colour]
    return 255 - np.stack([np.asarray(image) for image in small])[:, None]


def outliers(x: np.ndarray, levels: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Every set that applies to real items x (N, C, H, W), of at most as many items."""
    sets = {name: change(x, rng) for name, change in transforms(levels).items()}
    pictures = emoji(x.shape[1:])
    if pictures is not None and x.shape[1] == 1:
        chosen = pictures[rng.permutation(len(pictures))[: len(x)]]
        on_grid = np.rint(chosen * ((levels - 1) / 255)).astype(np.uint8)
        sets |= {"emoji on black": on_grid, "emoji on white": (levels - 1 - on_grid).astype(np.uint8)}
    return sets
