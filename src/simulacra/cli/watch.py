"""Progress while items are drawn: a bar, and on request the items themselves, where stderr is a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from simulacra.data import DataSpec
from simulacra.exploration.drawing import Progress
from simulacra.pictures import pixels, sheet

if TYPE_CHECKING:
    from rich.text import Text

PER_SECOND = 8


@contextlib.contextmanager
def watching(spec: DataSpec, watch: bool) -> Iterator[Progress | None]:
    """A progress callback; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, TaskProgressColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    bar = Bar(BarColumn(24), TaskProgressColumn(), TimeRemainingColumn())
    task, newest = bar.add_task("", total=None), np.zeros((0, *spec.shape))

    def report(items: np.ndarray, done: int, total: int) -> None:
        nonlocal newest
        newest = items
        bar.update(task, completed=done, total=total)

    def shown() -> Group:
        room = (console.width, 2 * (console.height - 2))
        return Group(*([blocks(fitting(newest, spec, *room))] if watch and spec.is_image and len(newest) else []), bar)

    with Live(get_renderable=shown, console=console, refresh_per_second=PER_SECOND, transient=not watch):
        yield report


def fitting(items: np.ndarray, spec: DataSpec, width: int, height: int) -> np.ndarray:
    """As many items as fit, at least one, in a picture (H, W, 3) of at most this size: one pixel a pixel, or fewer."""
    across, down = max(1, (width - 1) // (spec.shape[2] + 1)), max(1, (height - 1) // (spec.shape[1] + 1))
    shown = pixels(items[: across * down], spec)
    image = sheet(shown, min(across, len(shown)), scale=1)
    image.thumbnail((width, height), Image.Resampling.BOX)
    return np.asarray(image)


def blocks(image: np.ndarray) -> Text:
    """A picture (H, W, 3) in characters that show two pixels each, one above the other."""
    from rich.text import Text

    if len(image) % 2:
        image = np.concatenate([image, image[-1:]])
    lines = []
    for above, below in zip(image[::2].tolist(), image[1::2].tolist(), strict=True):
        styles = (
            "rgb({},{},{}) on rgb({},{},{})".format(*one, *other) for one, other in zip(above, below, strict=True)
        )
        lines.append(Text.assemble(*(("▀", style) for style in styles), no_wrap=True))
    return Text("\n").join(lines)
