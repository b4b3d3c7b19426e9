"""The health of a run as one picture: the verdict, the scores of its critic, the curves of its log, its codes, and a
film strip of its samples, which every validation draws from the same noise."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from simulacra.exploration.health import charts
from simulacra.exploration.health.charts import HEIGHT, INK, WIDTH
from simulacra.exploration.health.course import JUDGED, Course, course_of, is_term
from simulacra.exploration.health.findings import Health
from simulacra.files import open_regular
from simulacra.terminal import printable

COLUMNS = 3  # panels to a row
FRAMES = 8  # pictures of the film strip
MARGIN, LETTERS = 8, 16
FRAME = (COLUMNS * WIDTH - MARGIN) // FRAMES - MARGIN  # side of each
LINE = 150  # characters
BARS = ("active_units", "kl", "layers")


def health_picture(found: Health, run: str | os.PathLike[str] | None = None) -> Image.Image:
    """Everything that there is of it; without a run what was found of the model alone."""
    course = course_of(run)
    tall = [_heading(found), _grid(_panels(found, course))]
    if run is not None and (strip := _film(Path(run) / "samples")) is not None:
        tall.append(strip)
    whole = Image.new("RGB", (COLUMNS * WIDTH, sum(each.height for each in tall)), "white")
    top = 0
    for each in tall:
        whole.paste(each, (0, top))
        top += each.height
    return whole


def _heading(found: Health) -> Image.Image:
    about = f"{found.model} on {found.data}, {found.n:,} {found.split} items"
    verdict = printable(str(found.verdict), one_line=True)
    lines = [printable(about, one_line=True), *textwrap.wrap(verdict, LINE)]
    image = Image.new("RGB", (COLUMNS * WIDTH, MARGIN + (LETTERS + 6) * len(lines)), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=LETTERS)
    for i, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + i * (LETTERS + 6)), line, fill=INK, font=font)
    return image


def _panels(found: Health, course: Course) -> list[Image.Image]:
    panels = []
    if found.scores:
        panels.append(charts.histograms("scores of the critic", found.scores))
    groups: list[tuple[str, Sequence[str], bool]] = [
        ("judged on validation items", [name for name in course.curves if name.startswith(JUDGED)], True),
        ("losses", [name for name in course.curves if is_term(name)], False),
        ("norms of gradients", [name for name in course.curves if name.startswith("gradient")], True),
        ("mean scores", [name for name in course.curves if name.startswith("score.")], False),
        ("variety", [name for name in course.curves if name == "variety"], False),
        ("largest singular values", [name for name in course.curves if name.startswith("singular.")], True),
    ]
    for title, names, log in groups:
        if names:
            series = {name.split(".", 1)[-1]: (course.curves[name].steps, course.curves[name].values) for name in names}
            panels.append(charts.curves(title, series, log))
    for name in BARS:
        if name in found.findings and found.findings[name].each:
            panels.append(charts.bars(f"{name.replace('_', ' ')}, of each", found.findings[name].each))
    return panels


def _grid(panels: Sequence[Image.Image]) -> Image.Image:
    rows = -(-len(panels) // COLUMNS)
    image = Image.new("RGB", (COLUMNS * WIDTH, rows * HEIGHT), "white")
    for i, panel in enumerate(panels):
        image.paste(panel, (i % COLUMNS * WIDTH, i // COLUMNS * HEIGHT))
    return image


def _film(folder: Path) -> Image.Image | None:
    """At most eight pictures of a run, at even distances, the first and the last among them."""
    paths = {int(found[1]): path for path in folder.glob("*.png") if (found := re.fullmatch(r"step-(\d+)", path.stem))}
    if not paths:
        return None
    steps = sorted(paths)
    chosen = sorted({steps[i] for i in np.linspace(0, len(steps) - 1, min(FRAMES, len(steps))).round().astype(int)})
    image = Image.new("RGB", (COLUMNS * WIDTH, FRAME + 2 * LETTERS + 2 * MARGIN), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=LETTERS)
    for i, step in enumerate(chosen):
        left = MARGIN + i * (FRAME + MARGIN)
        draw.text((left, MARGIN), f"step {step:,}", fill=INK, font=font)
        with open_regular(paths[step]) as file, Image.open(file, formats=["PNG"]) as frame:
            small = frame.convert("RGB")
            small.thumbnail((FRAME, FRAME))
            image.paste(small, (left, MARGIN + LETTERS + 6))
    return image
