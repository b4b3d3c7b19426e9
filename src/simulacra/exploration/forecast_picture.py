"""Forecasts as a picture: the past, the middle and the outer part of the draws as bands, what came; or as a film."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from simulacra.exploration.forecast import Forecasts

SHARES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
OUTER, MIDDLE, MEDIAN = (206, 222, 244), (150, 186, 232), (31, 90, 170)
INK, TRUTH, FAINT = (60, 60, 60), (200, 75, 30), (225, 225, 225)
WIDTH, HEIGHT = 420, 230  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 30, 24
SIZE = 13
MOST_ITEMS, MOST_COLUMNS = 4, 4
PAST = 3  # futures in the length of the past that is shown


def forecast_picture(found: Forecasts) -> Image.Image:
    """A row for each of the first items, a panel for each of the first columns of a step."""
    items = min(len(found.given), MOST_ITEMS)
    columns = min(len(found.columns), MOST_COLUMNS)
    sheet = Image.new("RGB", (columns * WIDTH, items * HEIGHT + 24), "white")
    legend = ImageDraw.Draw(sheet)
    font, across = ImageFont.load_default(size=SIZE), 8
    parts = [("past", INK), ("median", MEDIAN), ("50 % of the draws", MIDDLE), ("90 %", OUTER)]
    for name, colour in [*parts, *([("what came", TRUTH)] if found.given.truth is not None else [])]:
        legend.rectangle((across, 8, across + 14, 18), fill=colour)
        legend.text((across + 20, 5), name, fill=INK, font=font)
        across += 40 + int(font.getlength(name))
    quantiles = found.quantiles(list(SHARES.values()))
    for item in range(items):
        for column in range(columns):
            panel = _panel(found, quantiles[:, item].reshape(len(SHARES), quantiles.shape[2], -1), item, column)
            sheet.paste(panel, (column * WIDTH, item * HEIGHT + 24))
    return sheet


def forecast_film(found: Forecasts) -> tuple[np.ndarray, int]:
    """Clips (items · columns, P + K, C, H, W) of the first pasts, and the columns: each past goes on as it did, where
    that is known, and as some futures do."""
    rows = []
    for item, past in enumerate(found.given.past[:MOST_ITEMS]):
        came = [] if found.given.truth is None else [found.given.truth[item]]
        futures = [*came, *found.futures[item][: MOST_COLUMNS - len(came)]]
        rows += [np.concatenate((past, future)) for future in futures]
    return np.stack(rows), len(rows) // min(len(found.given), MOST_ITEMS)


def _panel(found: Forecasts, quantiles: np.ndarray, item: int, column: int) -> Image.Image:
    """quantiles (5, K, columns)."""
    given, steps = found.given, quantiles.shape[1]
    past = given.past[item].reshape(len(given.past[item]), -1)[-max(2, PAST * steps) :, column].astype(float)
    truth = None if given.truth is None else given.truth[item].reshape(steps, -1)[:, column].astype(float)
    bands = np.concatenate([np.full((len(SHARES), 1), past[-1]), quantiles[..., column]], axis=1)
    low, high = _range([past, bands, *([] if truth is None else [truth])])
    count = len(past) + steps - 1

    def at(step: float, value: float) -> tuple[float, float]:
        across, up = step / max(1, count), (value - low) / (high - low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def line(values: np.ndarray, begin: int) -> list[tuple[float, float]]:
        return [at(begin + k, value) for k, value in enumerate(values.tolist())]

    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=SIZE)
    now = len(past) - 1
    for outer, inner, colour in ((0, 4, OUTER), (1, 3, MIDDLE)):
        draw.polygon(line(bands[inner], now) + line(bands[outer], now)[::-1], fill=colour)
    draw.rectangle((LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM), outline=FAINT)
    draw.line(line(bands[2], now), fill=MEDIAN, width=2)
    draw.line(line(past, 0), fill=INK, width=2)
    if truth is not None:
        draw.line(line(np.concatenate([past[-1:], truth]), now), fill=TRUTH, width=2)
    title = ": ".join(part for part in (given.names[item], found.columns[column]) if part)
    draw.text((8, 6), title, fill=INK, font=font)
    draw.text((LEFT - 4, HEIGHT - BOTTOM), f"{low:.3g}", fill=INK, font=font, anchor="rs")
    draw.text((LEFT - 4, TOP), f"{high:.3g}", fill=INK, font=font, anchor="rt")
    draw.text((LEFT, HEIGHT - BOTTOM + 4), f"{-now}", fill=INK, font=font)
    draw.text((WIDTH - RIGHT, HEIGHT - BOTTOM + 4), f"step {steps}", fill=INK, font=font, anchor="ra")
    return image


def _range(values: list[np.ndarray]) -> tuple[float, float]:
    together = np.concatenate([each.ravel() for each in values])
    low, high = float(together.min()), float(together.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)
