r"""A film of a model of points in the plane: held-out points, generated ones, and a surface, frame by frame.

The surface is a critic's score s(x) or a log-density. A score is coloured by tanh((s - b) / σ) in BANDS bands, with b
the boundary of the game, and where that has none the middle between the mean scores of held-out and of generated
points. σ is one number for the whole film, so that a surface which grows pale means a critic that sees no difference.
For a game with D = sigmoid(s) and σ = 2 the colour is D itself, since sigmoid(s) = (1 + tanh(s / 2)) / 2.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 72  # cells of a surface to a side
BANDS = 16  # of colour, an even number: the boundary lies between two of them
MARGIN = 1.35  # of the window, in units of what the held-out points take up
NATS = 8.0  # of a log-density below its largest values that are told apart
PLOT, HEAD, FOOT, FINE = 400, 34, 40, 2  # pixels; all is drawn FINE times as large, and made smaller
COLOURS = 128
FRAME, LAST = 100, 2500  # milliseconds

LOW, MIDDLE, HIGH = (58, 124, 165), (250, 250, 248), (236, 160, 60)  # generated, undecided, real
INK, FAINT, GENERATED = (38, 42, 48), (120, 124, 130), (190, 24, 93)
CLASSES = (
    (31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (140, 86, 75),
    (227, 119, 194), (23, 190, 207), (188, 189, 34), (255, 127, 14), (70, 70, 70),
)  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """One moment.

    step:      of training.
    generated: (M, 2) points of the same noise in every frame.
    surface:   (SIDE, SIDE) values at `Window.cells`, the lowest row first; of no size where the model has none.
    """

    step: int
    generated: np.ndarray
    surface: np.ndarray


@dataclass(frozen=True)
class Window:
    """The square of the plane that a film shows: its lower left corner and its side."""

    left: float
    low: float
    side: float

    @classmethod
    def around(cls, points: np.ndarray) -> Window:
        """Points (N, 2) in its middle, with room around them."""
        least, most = points.min(0).astype(float), points.max(0).astype(float)
        side = MARGIN * max(float((most - least).max()), 1e-6)
        left, low = (least + most - side) / 2
        return cls(float(left), float(low), side)

    def cells(self) -> np.ndarray:
        """The middles of the cells of a surface, (SIDE · SIDE, 2): row by row from below, each from left to right."""
        middles = (np.arange(SIDE) + 0.5) * self.side / SIDE
        x, y = np.meshgrid(self.left + middles, self.low + middles)
        return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)

    def share(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 2) -> where in the window they lie, 0 to 1 from left to right and from below."""
        return (points - np.array([self.left, self.low])) / self.side


@dataclass(frozen=True)
class Film:
    """What all frames share.

    title:    what is trained on what.
    held_out: (N, 2) points.
    classes:  of held-out and of generated points, by whose colours they are drawn; None of a model without a condition.
    kind:     what the surface is: "score", "density" or "none".
    boundary: the score between real and generated, where the game has one.
    """

    title: str
    held_out: np.ndarray
    classes: tuple[np.ndarray, np.ndarray] | None
    kind: str
    boundary: float | None
    window: Window

    def centre(self, frame: Frame) -> float:
        """The score that is drawn as undecided, b."""
        if self.boundary is not None:
            return self.boundary
        real, made = (self._at(frame, points).mean() for points in (self.held_out, frame.generated))
        return float(real + made) / 2

    def _at(self, frame: Frame, points: np.ndarray) -> np.ndarray:
        """The surface at points (N, 2), each that of its cell."""
        column, row = np.clip(self.window.share(points) * SIDE, 0, SIDE - 1).astype(int).T
        return frame.surface[row, column]

    def unit(self, frames: Sequence[Frame]) -> float:
        """σ of the film: of most frames the scores of their points are within ± σ of the middle."""
        spreads = [
            float(np.sqrt(np.square(self._at(frame, points) - self.centre(frame)).mean()))
            for frame in frames
            for points in (self.held_out, frame.generated)
        ]
        return max(float(np.quantile(spreads, 0.75)), 1e-6)

    def gif(self, frames: Sequence[Frame]) -> bytes:
        """The frames one after the other, the last one longer, without end."""
        drawn = self.draw(frames)
        palette = _palette([drawn[i] for i in sorted({0, len(drawn) // 3, 2 * len(drawn) // 3, len(drawn) - 1})])
        flat = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in drawn]
        times, buffer = [FRAME] * (len(flat) - 1) + [LAST], io.BytesIO()
        flat[0].save(buffer, "GIF", save_all=True, append_images=flat[1:], duration=times, loop=0, optimize=False)
        return buffer.getvalue()

    def draw(self, frames: Sequence[Frame]) -> list[Image.Image]:
        """Each frame as a picture."""
        unit = self.unit(frames) if self.kind == "score" else NATS
        top = max((float(np.quantile(frame.surface, 0.995)) for frame in frames if frame.surface.size), default=0.0)
        return [self._picture(frame, unit, top) for frame in frames]

    def _picture(self, frame: Frame, unit: float, top: float) -> Image.Image:
        size = (PLOT * FINE, (HEAD + PLOT + FOOT) * FINE)
        whole = Image.new("RGB", size, "white")
        whole.paste(self._plot(frame, unit, top), (0, HEAD * FINE))
        draw = ImageDraw.Draw(whole)
        draw.text((10 * FINE, HEAD * FINE / 2), f"step {frame.step:,}", INK, _font(17), anchor="lm")
        draw.text((size[0] - 10 * FINE, HEAD * FINE / 2), self.title, FAINT, _font(13), anchor="rm")
        self._legend(whole, draw, frame, unit, top)
        return whole.resize((size[0] // FINE, size[1] // FINE), Image.Resampling.BOX)

    def _plot(self, frame: Frame, unit: float, top: float) -> Image.Image:
        plot = Image.fromarray(self._field(frame, unit, top))
        draw = ImageDraw.Draw(plot)
        of_real, of_made = self.classes or (None, None)
        for points, classes, made in ((self.held_out, of_real, False), (frame.generated, of_made, True)):
            for i, (across, up) in enumerate(self.window.share(points) * PLOT * FINE):
                colour = CLASSES[classes[i] % len(CLASSES)] if classes is not None else GENERATED if made else INK
                _dot(draw, across, PLOT * FINE - up, colour, made)
        draw.rectangle((0, 0, PLOT * FINE - 1, PLOT * FINE - 1), outline=FAINT, width=1)
        return plot

    def _field(self, frame: Frame, unit: float, top: float) -> np.ndarray:
        """The surface in colour, (H, W, 3)."""
        side = PLOT * FINE
        if not frame.surface.size:
            return np.full((side, side, 3), MIDDLE, np.uint8)
        middle = self.centre(frame) if self.kind == "score" else top
        values = Image.fromarray(frame.surface[::-1].astype(np.float32) - np.float32(middle))
        values = np.asarray(values.resize((side, side), Image.Resampling.BILINEAR))
        if self.kind == "density":
            return _coloured(np.clip(1 + values / unit, 0, 1))
        field = _coloured(np.tanh(values / unit))
        if self.boundary is not None:
            field[_edges(values > 0)] = INK
        return field

    def _legend(self, whole: Image.Image, draw: ImageDraw.ImageDraw, frame: Frame, unit: float, top: float) -> None:
        middle, font = (HEAD + PLOT + FOOT / 2) * FINE, _font(12)
        left = 14 * FINE
        for name, made in (("held out", False), ("generated", True)):
            plain = INK if self.classes is not None or not made else GENERATED
            _dot(draw, left, middle, plain, made)
            draw.text((left + 8 * FINE, middle), name, INK, font, anchor="lm")
            left += font.getlength(name) + 26 * FINE
        if self.kind == "none":
            return
        right, width, half = PLOT * FINE - 48 * FINE, 120 * FINE, 5 * FINE
        score = self.kind == "score"
        share = np.linspace(-1 if score else 0, 1, width, dtype=np.float32)
        ramp = Image.fromarray(_coloured(np.repeat(share[None], 2 * half, 0)))
        whole.paste(ramp, (right - width, round(middle) - half))
        if score and self.boundary is not None:
            draw.line((right - width / 2, middle - half, right - width / 2, middle + half), INK, FINE)
        ends = ("generated", "real") if score else (f"{top - unit:.0f}", f"{top:.0f} nats")
        draw.text((right - width - 5 * FINE, middle), ends[0], FAINT, font, anchor="rm")
        draw.text((right + 5 * FINE, middle), ends[1], FAINT, font, anchor="lm")


def _palette(frames: Sequence[Image.Image]) -> Image.Image:
    """The colours of a film: those of the bands and of the points as they are, and what mixes of them frames have."""
    bands = _coloured(np.linspace(-1, 1, BANDS, endpoint=False, dtype=np.float32) + 1 / BANDS)
    own = [*map(tuple, bands.tolist()), (255, 255, 255), INK, FAINT, GENERATED, *CLASSES]
    strip = Image.fromarray(np.concatenate([np.asarray(each) for each in frames], axis=1))
    mixed = strip.quantize(COLOURS, Image.Quantize.MEDIANCUT).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(level for colour in own for level in colour), *mixed[: 3 * COLOURS]])
    return palette


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size * FINE)


def _dot(draw: ImageDraw.ImageDraw, x: float, y: float, colour: tuple[int, int, int], made: bool) -> None:
    """A generated point is a disc with a white edge, a held-out one is small."""
    outer, inner = (3.1 * FINE, 2.3 * FINE) if made else (0.0, 1.5 * FINE)
    if outer:
        draw.ellipse((x - outer, y - outer, x + outer, y + outer), fill="white")
    draw.ellipse((x - inner, y - inner, x + inner, y + inner), fill=colour)


def _coloured(share: np.ndarray) -> np.ndarray:
    """Numbers in [-1, 1] (...) -> colours (..., 3) of BANDS bands."""
    banded = (np.clip(np.floor((share + 1) / 2 * BANDS), 0, BANDS - 1) + 0.5) / BANDS * 2 - 1
    stops = np.array([LOW, MIDDLE, HIGH], np.float64).T
    return np.rint(np.stack([np.interp(banded, (-1, 0, 1), channel) for channel in stops], axis=-1)).astype(np.uint8)


def _edges(inside: np.ndarray) -> np.ndarray:
    """The points (H, W) around the end of a region, in a line that is 2 · FINE wide."""
    mask = Image.fromarray(inside.astype(np.uint8))
    wide, narrow = (mask.filter(each(2 * FINE + 1)) for each in (ImageFilter.MaxFilter, ImageFilter.MinFilter))
    return np.asarray(wide) != np.asarray(narrow)
