"""Items as pictures: one PNG grid for images, a scatter plot for points of the plane; rows, completions, heat maps."""

from __future__ import annotations

import colorsys
import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from simulacra.data.spec import DataSpec
from simulacra.derived import Derived, Mask, Parts
from simulacra.errors import UsageError
from simulacra.fields import Classes, ClassLabel, Field, LabelMap, Levels, Real, Tokens
from simulacra.files import write_atomically

SMALL, LARGE = 96, 1200  # pixels: items are enlarged until one has SMALL, unless the grid would then exceed LARGE
UNKNOWN = (70, 110, 190)  # a blue that no grey picture has
HEAT = ((8, 8, 24), (70, 20, 110), (190, 45, 85), (248, 140, 35), (252, 250, 190))  # dark to bright, evenly spaced
GOLDEN = 0.6180339887  # the golden section
PAIRS = 5  # items and their maps to a row
LINE = 32  # letters of a caption in a line, where it is a sentence


def has_picture(spec: DataSpec) -> bool:
    return spec.is_image or spec.is_video or spec.shape == (2,)


def picture(items: np.ndarray, spec: DataSpec, columns: int | None = None) -> Image.Image:
    """Items (N, *shape) as one picture: `columns` to a row, about a square by default. A clip is a row of frames."""
    if not has_picture(spec):
        raise UsageError(f"data of shape {spec.shape} have no picture; write a .npz file instead")
    if spec.is_video:
        return sheet(pixels(items.reshape(-1, *spec.shape[1:]), spec), items.shape[1])
    return _grid(items, spec, columns) if spec.is_image else _scatter(items)


def save_image(image: Image.Image, path: Path) -> None:
    """Write any picture as PNG, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, png(image))


def png(image: Image.Image, smallest: bool = False) -> bytes:
    """A PNG file; the smallest takes five times as long, for some 3 % less."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=smallest)
    return buffer.getvalue()


def pixels(items: np.ndarray, spec: DataSpec) -> np.ndarray:
    """Grid 0..levels-1 (N, C, H, W) -> 8-bit (N, H, W, 3); of maps of classes a colour for each."""
    if isinstance(spec.x, Classes):
        return class_colours(spec.grid_levels)[items[:, 0]]
    bright = np.rint(items.astype(np.float32) * (255.0 / (spec.grid_levels - 1))).astype(np.uint8)
    channels = bright if bright.shape[1] == 3 else bright[:, :1].repeat(3, axis=1)
    return channels.transpose(0, 2, 3, 1)


def _grid(items: np.ndarray, spec: DataSpec, columns: int | None) -> Image.Image:
    columns = min(len(items), columns or math.ceil(math.sqrt(len(items))))
    return sheet(pixels(items, spec), columns)


def sheet(tiles: np.ndarray, columns: int, scale: int | None = None, line: int = 128) -> Image.Image:
    """Tiles (N, H, W, 3), `columns` to a row with a line of this brightness between them, each pixel `scale` wide."""
    n, height, width = tiles.shape[:3]
    rows = -(-n // columns)
    canvas = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, 3), line, np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + 1) + 1, i % columns * (width + 1) + 1
        canvas[top : top + height, left : left + width] = tile
    scale = scale or max(1, min(SMALL // max(height, width), LARGE // max(canvas.shape[:2])))
    image = Image.fromarray(canvas)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def _scatter(points: np.ndarray, side: int = 480) -> Image.Image:
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    reach = max(1e-6, float(np.abs(points).max())) * 1.05
    for x, y in (points / reach + 1) / 2 * side:
        draw.ellipse((x - 1.5, side - y - 1.5, x + 1.5, side - y + 1.5), fill=(30, 60, 140))
    return image


def beside(sheets: Mapping[str, Image.Image], margin: int = 16, size: int = 24) -> Image.Image:
    """Pictures side by side, each under its name in letters of `size`."""
    font = ImageFont.load_default(size=size)
    height = max(sheet.height for sheet in sheets.values())
    width = sum(sheet.width for sheet in sheets.values()) + margin * (len(sheets) + 1)
    whole = Image.new("RGB", (width, height + 3 * margin + 8), "white")
    draw, left = ImageDraw.Draw(whole), margin
    for name, sheet in sheets.items():
        draw.text((left, margin // 2), name, fill="black", font=font)
        whole.paste(sheet, (left, 2 * margin + 8))
        left += sheet.width + margin
    return whole


def rows_picture(rows: np.ndarray, spec: DataSpec, captions: Sequence[str], headings: Sequence[str]) -> Image.Image:
    """Items (R, S, C, H, W): a row each behind its caption, and a column each below its heading."""
    if not spec.is_image:
        raise UsageError(f"items of shape {spec.shape} have no picture; write a .npz file instead")
    tiles = pixels(rows.reshape(-1, *spec.shape), spec)
    return labelled(sheet(tiles, rows.shape[1]), rows.shape[:2], captions, headings)


def labelled(
    body: Image.Image, table: tuple[int, int], captions: Sequence[str], headings: Sequence[str], size: int = 16
) -> Image.Image:
    """A sheet of so many (rows, columns) with captions beside it and headings above it, where there are any.

    What would overlap the one before it is left out.
    """
    font = ImageFont.load_default(size=size)
    lines = [caption.split("\n") for caption in captions]
    left = math.ceil(max((font.getlength(line) for caption in lines for line in caption), default=0))
    left, top = left and left + size, 2 * size if any(headings) else 0
    height, width = body.height / table[0], body.width / table[1]
    halves = [font.getlength(heading) / 2 for heading in headings]
    middles = [max(left + (i + 0.5) * width, half) for i, half in enumerate(halves)]
    right = max(map(sum, zip(middles, halves, strict=True)), default=0)
    whole = Image.new("RGB", (max(left + body.width, math.ceil(right)), top + body.height), "white")
    whole.paste(body, (left, top))
    draw, free, above = ImageDraw.Draw(whole), 0.0, -math.inf
    for i, caption in enumerate(captions):
        middle = top + (i + 0.5) * height
        half = size * len(lines[i]) / 2
        if caption and middle - half >= above:
            draw.text((left - size / 2, middle), caption, fill="black", font=font, anchor="rm", align="right")
            above = middle + half
    for heading, middle, half in zip(headings, middles, halves, strict=True):
        if heading and middle - half >= free:
            draw.text((middle, size), heading, fill="black", font=font, anchor="mm")
            free = middle + half + size / 2
    return whole


def shows_conditions(spec: DataSpec) -> bool:
    """Whether items are images, conditioned on pictures or on words beside which they are shown."""
    return spec.is_image and any(_is_picture(field) or isinstance(field, Tokens) for field in spec.condition.values())


def draws_each(spec: DataSpec, n: int) -> int:
    """How many of n items are drawn for each condition where conditions are shown: about a square of them; else 1."""
    return max(1, round(math.sqrt(n))) if shows_conditions(spec) else 1


def conditioned_picture(
    items: np.ndarray, fields: Mapping[str, np.ndarray], spec: DataSpec, truth: np.ndarray | None = None
) -> Image.Image:
    """Items (N, *shape), those of one condition (N, ...) after the other: a row for each condition, with its words and
    pictures in front, and behind them the truth, of items that the conditions are of, where that is known (N, *shape);
    more draws than fit go into further rows, with the same in front. Without pictures or words among the conditions,
    the items alone."""
    if not shows_conditions(spec):
        return picture(items, spec)
    height, width = spec.shape[1:]
    starts = [
        i for i in range(len(items)) if i == 0 or any((array[i] != array[i - 1]).any() for array in fields.values())
    ]
    runs = list(zip(starts, [*starts[1:], len(items)], strict=True))
    across = min(max(stop - start for start, stop in runs), math.ceil(math.sqrt(len(items))))
    pictured = {name: field for name, field in spec.condition.items() if _is_picture(field)}
    fronts = [scaled(field_pixels(fields[name], field), height, width) for name, field in pictured.items()]
    behind = [] if truth is None else [pixels(truth, spec)]
    drawn, rows, captions = pixels(items, spec), [], []
    for start, stop in runs:
        for begin in range(start, stop, across):
            own = drawn[begin : min(begin + across, stop)]
            blank = np.full((across - len(own), height, width, 3), 255, np.uint8)
            ahead, last = ([tiles[start][None] for tiles in each] for each in (fronts, behind))
            rows.append(np.concatenate([*ahead, own, blank, *last]))
            captions.append(_said(fields, spec, start) if begin == start else "")
    headings = [*pictured, "draws", *[""] * (across - 1), *["truth"] * len(behind)]
    return labelled(sheet(np.concatenate(rows), len(headings)), (len(rows), len(headings)), captions, headings)


def _is_picture(field: Field) -> bool:
    own = field.own if isinstance(field, Derived) else field
    return isinstance(own, LabelMap) or (isinstance(own, Levels | Real) and len(own.shape) == 3)


def field_pixels(values: np.ndarray, field: Field) -> np.ndarray:
    """Pictures of a condition (N, C, H, W), on levels or in [-1, 1], or maps of classes (N, H, W), -> (N, H, W, 3);
    what is unknown is blue."""
    own = field.own if isinstance(field, Derived) else field
    if isinstance(own, Levels) and isinstance(field, Derived) and isinstance(field.by, Mask | Parts):
        known = pixels(np.maximum(values, 1) - 1, DataSpec(Levels(own.shape, own.levels - 1)))
        known[(values == 0).any(1)] = UNKNOWN
        return known
    if isinstance(own, Levels):
        return pixels(values, DataSpec(own))
    if isinstance(own, LabelMap):
        return class_colours(own.classes)[values]
    bright = np.rint((np.clip(values, -1, 1) + 1) * 127.5).astype(np.uint8)
    return pixels(bright, DataSpec(Levels(own.columns("")[""].shape, 256)))


def class_colours(classes: int) -> np.ndarray:
    """A colour for each class of a map, (classes, 3): black for 0, and hues a golden section of the circle apart, so
    that neighbouring numbers differ most; every seven of them are darker by turns."""
    numbers = range(1, classes)
    colours = [colorsys.hsv_to_rgb(i * GOLDEN % 1, 0.85, (1.0, 0.7, 0.5)[i // 7 % 3]) for i in numbers]
    return np.rint(np.array([(0, 0, 0), *colours]) * 255).astype(np.uint8)


def scaled(tiles: np.ndarray, height: int, width: int) -> np.ndarray:
    """Tiles (N, h, w, 3) at another size, each pixel the nearest one."""
    rows, columns = (np.arange(new) * old // new for new, old in zip((height, width), tiles.shape[1:3], strict=True))
    return tiles[:, rows][:, :, columns]


def _said(fields: Mapping[str, np.ndarray], spec: DataSpec, i: int) -> str:
    """The classes of the condition of item i, `label 3, shape disc`, and its sentences, each broken into lines."""
    classes = [(name, field) for name, field in spec.condition.items() if isinstance(field, ClassLabel)]
    names = ", ".join(
        f"{name} {field.names[v] if field.names else v}" for name, field in classes for v in [fields[name][i]]
    )
    sentences = [field.sentence(fields[name][i]) for name, field in spec.condition.items() if isinstance(field, Tokens)]
    return "\n".join([*[names] * bool(names), *(textwrap.fill(each, LINE) for each in sentences)])


def there_and_back(frames: Sequence[Image.Image], milliseconds: int = 80) -> bytes:
    """Pictures as a GIF that runs from the first to the last and back, without end."""
    loop, buffer = [*frames, *frames[-2:0:-1]], io.BytesIO()
    loop[0].save(buffer, "GIF", save_all=True, append_images=loop[1:], duration=milliseconds, loop=0)
    return buffer.getvalue()


def clips_gif(clips: np.ndarray, spec: DataSpec, milliseconds: int = 100, columns: int | None = None) -> bytes:
    """Clips (N, T, C, H, W) side by side, so many in a row or about a square of them, as a GIF without end.

    One clip alone has its own size and no line around it. A GIF has 256 colours; frames that are equal become one that
    is shown for longer. Where that matters, write a .npz file.
    """
    columns = columns or math.ceil(math.sqrt(len(clips)))
    if len(clips) == 1:
        frames = [Image.fromarray(frame) for frame in pixels(clips[0], spec)]
    else:
        frames = [sheet(pixels(clips[:, t], spec), columns) for t in range(clips.shape[1])]
    if spec.shape[1] == 1:
        frames = [frame.convert("L") for frame in frames]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "GIF", save_all=True, append_images=frames[1:], duration=milliseconds, loop=0, optimize=False
    )
    return buffer.getvalue()


def completions_picture(x: np.ndarray, unknown: np.ndarray, completed: np.ndarray, spec: DataSpec) -> Image.Image:
    """A row an item: itself, what is known of it (the unknown part blue), and its completions.

    x (N, C, H, W), unknown (N, C, H, W) or (C, H, W), completed (N, samples, C, H, W).
    """
    if not spec.is_image:
        raise UsageError(f"completions of items of shape {spec.shape} have no picture; write a .npz file instead")
    height, width = spec.shape[1:]
    known = pixels(x, spec).copy()
    known[np.broadcast_to(unknown, x.shape).any(1)] = UNKNOWN
    drawn = pixels(completed.reshape(-1, *spec.shape), spec)
    longest = max(len(x) * (height + 1), completed.shape[1] * (width + 1)) + 1
    scale = max(1, min(SMALL // max(height, width), LARGE // longest))
    columns = {"item": (pixels(x, spec), 1), "known": (known, 1), "completions": (drawn, completed.shape[1])}
    return beside({name: sheet(tiles, across, scale) for name, (tiles, across) in columns.items()}, size=16)


def surprise_picture(x: np.ndarray, bits: np.ndarray, captions: Sequence[str], spec: DataSpec) -> Image.Image:
    """Items, each beside the heat map of its bits per pixel, with a caption under both and one scale for all.

    x (N, C, H, W); bits (N, C, H, W), of which a pixel's is the sum over its channels. The few pixels beyond the 99.5 %
    quantile are drawn like it, so that one odd pixel does not darken all others.
    """
    if not spec.is_image:
        raise UsageError(f"data of shape {spec.shape} have no map; use `--per-item FILE.csv` for the nats of each item")
    bits = bits.sum(axis=1)
    top = max(float(np.quantile(bits, 0.995)), 1e-6)
    pairs = [sheet(np.stack(pair), columns=2) for pair in zip(pixels(x, spec), heat(bits / top), strict=True)]
    width, height, line = pairs[0].width + 8, pairs[0].height + 20, 30
    across = min(PAIRS, len(pairs))
    whole = Image.new("RGB", (max(across * width, 340) + 8, -(-len(pairs) // across) * height + line + 8), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(size=12)
    for i, (pair, caption) in enumerate(zip(pairs, captions, strict=True)):
        left, above = 8 + i % across * width, line + 8 + i // across * height
        whole.paste(pair, (left, above))
        draw.text((left, above + pair.height + 1), caption, fill="black", font=font)
    ramp = np.linspace(0, 1, 150)[None, :].repeat(14, axis=0)
    whole.paste(Image.fromarray(heat(ramp)), (26, 12))
    draw.text((10, 12), "0", fill="black", font=font)
    draw.text((184, 12), f"{top:.1f} bits per pixel, or more", fill="black", font=font)
    return whole


def heat(share: np.ndarray) -> np.ndarray:
    """Numbers in [0, 1] (...) -> colours (..., 3), from dark to bright."""
    stops = np.linspace(0, 1, len(HEAT))
    colours = [np.interp(share, stops, channel) for channel in np.array(HEAT, np.float64).T]
    return np.rint(np.stack(colours, axis=-1)).astype(np.uint8)
