"""Items as pictures: one PNG grid for images, a scatter plot for points of the plane."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.weights import write_atomically

SMALL, LARGE = 96, 1200  # pixels: items are enlarged until one has SMALL, unless the grid would then exceed LARGE


def has_picture(spec: DataSpec) -> bool:
    return spec.is_image or spec.shape == (2,)


def picture(items: np.ndarray, spec: DataSpec, columns: int | None = None) -> Image.Image:
    """Items (N, *shape) as one picture: `columns` to a row, about a square by default."""
    if not has_picture(spec):
        raise UsageError(f"data of shape {spec.shape} have no picture; write a .npz file instead")
    return _grid(items, spec, columns) if spec.is_image else _scatter(items)


def save_picture(items: np.ndarray, spec: DataSpec, path: Path, columns: int | None = None) -> None:
    """Write the picture as PNG, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, png(picture(items, spec, columns)))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def pixels(items: np.ndarray, spec: DataSpec) -> np.ndarray:
    """Grid 0..levels-1 (N, C, H, W) -> 8-bit (N, H, W, 3)."""
    bright = np.rint(items.astype(np.float32) * (255.0 / (spec.grid_levels - 1))).astype(np.uint8)
    channels = bright if bright.shape[1] == 3 else bright[:, :1].repeat(3, axis=1)
    return channels.transpose(0, 2, 3, 1)


def _grid(items: np.ndarray, spec: DataSpec, columns: int | None) -> Image.Image:
    n, height, width = len(items), *spec.shape[1:]
    columns = min(n, columns or math.ceil(math.sqrt(n)))
    rows = -(-n // columns)
    sheet = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, 3), 128, np.uint8)
    for i, tile in enumerate(pixels(items, spec)):
        top, left = i // columns * (height + 1) + 1, i % columns * (width + 1) + 1
        sheet[top : top + height, left : left + width] = tile
    scale = max(1, min(SMALL // max(height, width), LARGE // max(sheet.shape[:2])))
    image = Image.fromarray(sheet)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def _scatter(points: np.ndarray, side: int = 480) -> Image.Image:
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    reach = max(1e-6, float(np.abs(points).max())) * 1.05
    for x, y in (points / reach + 1) / 2 * side:
        draw.ellipse((x - 1.5, side - y - 1.5, x + 1.5, side - y + 1.5), fill=(30, 60, 140))
    return image


def beside(sheets: Mapping[str, Image.Image], margin: int = 16) -> Image.Image:
    """Pictures side by side, each under its name."""
    font = ImageFont.load_default(size=24)
    height = max(sheet.height for sheet in sheets.values())
    width = sum(sheet.width for sheet in sheets.values()) + margin * (len(sheets) + 1)
    whole = Image.new("RGB", (width, height + 3 * margin + 8), "white")
    draw, left = ImageDraw.Draw(whole), margin
    for name, sheet in sheets.items():
        draw.text((left, margin // 2), name, fill="black", font=font)
        whole.paste(sheet, (left, 2 * margin + 8))
        left += sheet.width + margin
    return whole
