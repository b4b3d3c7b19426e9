"""Small charts, drawn with Pillow alone: curves, histograms and bars, each in a panel with a title and a legend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLOURS = ((31, 90, 170), (200, 75, 30), (40, 140, 80), (140, 70, 160), (110, 110, 110), (190, 150, 20))
FAINT, INK = (225, 225, 225), (30, 30, 30)
WIDTH, HEIGHT = 420, 230  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 46, 24  # of the room around a chart
SIZE = 13  # of letters
MOST = len(COLOURS)  # lines in one chart
Series = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""By name (x, y), (n,) each."""


def curves(title: str, series: Series, log: bool = False) -> Image.Image:
    """Lines over the steps of a run, the first six; the vertical axis spans the middle 98 % of all values, all of few.

    log: by powers of ten, where all values are positive.
    """
    series = dict(list(series.items())[:MOST])
    values = np.concatenate([y for _, y in series.values()])
    log = log and bool((values > 0).all())
    lines = {name: (x, np.log10(y) if log else y) for name, (x, y) in series.items()}
    low, high = _span(np.concatenate([y for _, y in lines.values()]))
    first, last = _span(np.concatenate([x for x, _ in lines.values()]).astype(float), 0.0)
    ends = [f"{10**end:.3g}" if log else f"{end:.3g}" for end in (low, high)]
    panel = _Panel(f"{title}, log scale" if log else title, list(lines), ends, (f"{first:.0f}", f"step {last:.0f}"))
    for colour, (x, y) in zip(COLOURS, lines.values(), strict=False):
        across, up = (x - first) / (last - first), (np.clip(y, low, high) - low) / (high - low)
        panel.line(list(zip(across, up, strict=True)), colour)
    return panel.image


def histograms(title: str, sets: Mapping[str, Sequence[float]], bins: int = 40) -> Image.Image:
    """Outlines of the shares of values in equal intervals."""
    everything = np.concatenate([np.asarray(own, float) for own in sets.values()])
    low, high = _span(everything)
    counts = {
        name: np.histogram(np.clip(own, low, high), bins, (low, high))[0] / len(own) for name, own in sets.items()
    }
    top = max(float(shares.max()) for shares in counts.values())
    panel = _Panel(title, list(sets), ("0 %", f"{100 * top:.0f} %"), (f"{low:.3g}", f"{high:.3g}"))
    for colour, shares in zip(COLOURS, counts.values(), strict=False):
        corners = [(edge / bins, share / top) for i, share in enumerate(shares) for edge in (i, i + 1)]
        panel.line([(0.0, 0.0), *corners, (1.0, 0.0)], colour)
    return panel.image


def bars(title: str, values: Sequence[float]) -> Image.Image:
    """Values from the largest to the smallest, none below 0."""
    ordered = np.sort(np.maximum(np.asarray(values, float), 0))[::-1]
    top = float(ordered[0]) or 1.0
    panel = _Panel(title, [], ("0", f"{top:.3g}"), ("1", str(len(ordered))))
    for i, value in enumerate(ordered):
        panel.bar(i / len(ordered), (i + 1) / len(ordered), value / top)
    return panel.image


def _span(values: np.ndarray, tail: float = 1.0) -> tuple[float, float]:
    """From one percentile to another, which of few values are the least and the greatest; never empty."""
    low, high = (
        float(np.percentile(values, tail, method="lower")),
        float(np.percentile(values, 100 - tail, method="higher")),
    )
    return (low, high) if high > low else (low - 0.5, low + 0.5)


class _Panel:
    """A chart whose points are (across, up), shares of its width and height."""

    def __init__(self, title: str, names: Sequence[str], up: Sequence[str], across: Sequence[str]) -> None:
        self.image = Image.new("RGB", (WIDTH, HEIGHT), "white")
        self.draw = ImageDraw.Draw(self.image)
        font, bold = ImageFont.load_default(size=SIZE), ImageFont.load_default(size=SIZE + 2)
        self.draw.text((8, 4), title, fill=INK, font=bold)
        left = LEFT
        for name, colour in zip(names, COLOURS, strict=False):
            self.draw.text((left, 26), name, fill=colour, font=font)
            left += math.ceil(font.getlength(name)) + SIZE
        x0, y0, x1, y1 = LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM
        self.draw.rectangle((x0, y0, x1, y1), outline=FAINT)
        self.draw.text((x0 - 4, y1), up[0], fill=INK, font=font, anchor="rs")
        self.draw.text((x0 - 4, y0), up[1], fill=INK, font=font, anchor="rt")
        self.draw.text((x0, y1 + 4), across[0], fill=INK, font=font)
        self.draw.text((x1, y1 + 4), across[1], fill=INK, font=font, anchor="ra")

    def at(self, across: float, up: float) -> tuple[float, float]:
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Sequence[tuple[float, float]], colour: tuple[int, int, int]) -> None:
        placed = [self.at(*point) for point in points]
        if len(placed) == 1:
            (x, y), *_ = placed
            self.draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
        else:
            self.draw.line(placed, fill=colour, width=2)

    def bar(self, begin: float, end: float, up: float) -> None:
        (left, top), (right, bottom) = self.at(begin, up), self.at(end, 0)
        self.draw.rectangle((left, top, max(left, right - 1), bottom), fill=COLOURS[0])
