r"""Forecasts of people: n futures of K steps of everybody in N scenes, given where they come from,

    y_1 ... y_P ~ p( · | x_1 ... x_P)

A scene of data has its past in the condition and what came in x; a list of scenes of one's own has the past alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from simulacra.capabilities import Forecaster, Futures, need
from simulacra.condition import Condition, ConditionLike
from simulacra.errors import UsageError
from simulacra.feed import feed, slices
from simulacra.fields import Many, Paths
from simulacra.model import Model, evaluating
from simulacra.progress import counted
from simulacra.randomness import generator, some_of
from simulacra.verbs import DataLike, looked_at

TOGETHER = 64  # scenes
PANEL, COLUMNS, MOST, EDGE, LEGEND, SIZE = 300, 3, 6, 16, 24, 13
PAST, DRAWN, CAME = (60, 60, 60), (150, 186, 232), (200, 75, 30)


@dataclass(frozen=True)
class Scenes:
    """What is forecast from: the condition of N scenes, their names, and what came, (N, P, T, 2), where it is known."""

    condition: Condition
    names: tuple[str, ...]
    truth: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Walks:
    """Futures (N, n, K, P, 2) beside the pasts (N, T, P, 2) and what came (N, K, P, 2), in metres; mask: (N, P) who is
    there."""

    futures: np.ndarray
    past: np.ndarray
    mask: np.ndarray
    names: tuple[str, ...]
    truth: np.ndarray | None


def of_people(model: Model) -> bool:
    """Whether it is one of people who walk."""
    return isinstance(model.spec.x, Paths)


def scenes_of(
    model: Model, data: DataLike | None, condition: ConditionLike | None, split: str | None, limit: int | None
) -> Scenes:
    """The scenes of a condition of one's own, or those of data, by default its test split."""
    if condition:
        own = model.conditioned(condition, None)
        count = len(next(iter(own.values())))
        return Scenes(own, tuple(f"scene {number}" for number in range(count)))
    _, items = looked_at(model, data, split or "test", None)
    index = some_of(len(items), limit, 0, "items")
    x, given = feed(items, index, model.spec, model.device)
    return Scenes(given, tuple(f"scene {number}" for number in index), x.cpu().numpy())


def walks_of(model: Model, given: Scenes, steps: int, n: int = 20, seed: int = 0) -> Walks:
    """n futures of each scene. Raises UsageError for more steps than the model was fitted to, and for none."""
    source, most = cast(Futures, need(model, Forecaster)), model.spec.shape[1]
    if not 1 <= steps <= most or n < 1:
        raise UsageError(f"this {model.name} forecasts 1 to {most} steps, and n >= 1 futures, not {steps} and {n}")
    ((name, _),) = [(name, own) for name, own in model.spec.condition.items() if isinstance(own, Many)]
    drawn = []
    for block, part in enumerate(counted(slices(len(given), TOGETHER), len(given))):
        noise = generator(model.device, seed, "forecast", block)
        with evaluating(model):
            each = source.futures(given.condition.rows(part), n, noise)
        drawn.append(each[..., :steps, :].permute(1, 0, 3, 2, 4).cpu().numpy())
    past, mask = (given.condition[key].cpu() for key in (name, f"{name}.mask"))
    came = None if given.truth is None else given.truth[:, :, :steps].transpose(0, 2, 1, 3)
    return Walks(np.concatenate(drawn), torch.transpose(past, 1, 2).numpy(), mask.numpy(), given.names, came)


def as_rows(found: Walks) -> Iterator[list[str]]:
    """The rows of a table, the names of its columns first: where a person is in a step of a draw, and of what came."""
    yield ["scene", "person", "draw", "step", "x", "y"]
    for scene, person in np.argwhere(found.mask):
        draws = [(str(draw), own) for draw, own in enumerate(found.futures[scene, :, :, person], 1)]
        draws += [] if found.truth is None else [("what came", found.truth[scene, :, person])]
        for draw, path in draws:
            for step, (x, y) in enumerate(path.tolist(), 1):
                yield [found.names[scene], str(person + 1), draw, str(step), f"{x:.6g}", f"{y:.6g}"]


def people_picture(found: Walks) -> Image.Image:
    """A panel for each of the first scenes, seen from above: the past, all draws, what came."""
    count = min(len(found.names), MOST)
    rows, columns = -(-count // COLUMNS), min(count, COLUMNS)
    sheet = Image.new("RGB", (columns * PANEL, rows * PANEL + LEGEND), "white")
    draw, font, across = ImageDraw.Draw(sheet), ImageFont.load_default(size=SIZE), 8
    parts = [("past", PAST), ("draws", DRAWN), *([] if found.truth is None else [("what came", CAME)])]
    for name, colour in parts:
        draw.rectangle((across, 8, across + 14, 18), fill=colour)
        draw.text((across + 20, 5), name, fill=PAST, font=font)
        across += 40 + int(font.getlength(name))
    for scene in range(count):
        sheet.paste(_panel(found, scene), (scene % COLUMNS * PANEL, scene // COLUMNS * PANEL + LEGEND))
    return sheet


def _panel(found: Walks, scene: int) -> Image.Image:
    there = found.mask[scene]
    past, futures = found.past[scene][:, there], found.futures[scene][:, :, there]
    came = None if found.truth is None else found.truth[scene][:, there]
    points = np.concatenate([part.reshape(-1, 2) for part in (past, futures, *([] if came is None else [came]))])
    middle, half = (points.max(0) + points.min(0)) / 2, max(float(np.ptp(points, axis=0).max()) / 2, 0.5)
    scale = (PANEL / 2 - EDGE) / half  # one for both axes: angles are angles

    def line(path: np.ndarray) -> list[tuple[float, float]]:
        return [(PANEL / 2 + (x - middle[0]) * scale, PANEL / 2 - (y - middle[1]) * scale) for x, y in path.tolist()]

    image = Image.new("RGB", (PANEL, PANEL), "white")
    draw = ImageDraw.Draw(image)
    for person in range(past.shape[1]):
        now = past[-1:, person]
        for path in futures[:, :, person]:
            draw.line(line(np.concatenate([now, path])), fill=DRAWN)
    for person in range(past.shape[1]):
        draw.line(line(past[:, person]), fill=PAST, width=2)
        if came is not None:
            draw.line(line(np.concatenate([past[-1:, person], came[:, person]])), fill=CAME, width=2)
    draw.text(
        (6, PANEL - 18), f"{found.names[scene]}, {2 * half:.1f} m", fill=PAST, font=ImageFont.load_default(size=11)
    )
    return image
