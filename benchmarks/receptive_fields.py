"""The receptive field of each autoregressive model for the pixel in the middle of an image, drawn for the docs.

For fresh random weights, default arguments and random binary images of 15×15: the size of the derivative of the middle
pixel's factor by every other pixel (`simulacra.checks.causality`), averaged over several networks. Tables have no
derivatives: there it is shown whether another value changes the factor. Draws docs/pictures/receptive_fields.png,
in about two minutes:

    python benchmarks/receptive_fields.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from record import parser

import simulacra as sim
from simulacra import registry
from simulacra.capabilities import ClosedForm
from simulacra.fields import Levels

MODELS = [
    ["independent", "markov", "fvbn", "nade", "orderless-nade", "made", "pixelcnn"],
    ["gated-pixelcnn", "pixelrnn-row", "pixelrnn-diagonal", "multiscale-pixelrnn", "pixelcnn++", "pixelsnail"],
]
SIDE, CELL, GAP, TEXT = 15, 10, 24, 26  # pixels of an image; of the picture for each of them, between maps, for a name
DECADES = 4  # from the darkest to the palest blue
FUTURE, UNSEEN, ITSELF, PALE, DARK = (255, 255, 255), (222, 222, 222), (230, 95, 30), (214, 228, 245), (12, 44, 112)
LEGEND = [
    (ITSELF, ITSELF, "the pixel that is predicted"),
    (FUTURE, FUTURE, "what comes after it"),
    (UNSEEN, UNSEEN, "before it, but not seen"),
    (PALE, DARK, f"seen: derivatives from 1/{10**DECADES:,} to 1 of the largest"),
]
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "receptive_fields.png"


def main() -> None:
    args = parser(__doc__).parse_args()
    known = {entry.name for entry in sim.models()}
    rows = [[name for name in row if name in known] for row in MODELS]
    maps = [[(name, field(name, networks=1 if args.smoke else 8)) for name in row] for row in rows]
    picture = sheet(maps)
    if args.smoke:
        print("smoke run: no picture written")
        return
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    picture.save(PICTURE, "PNG", optimize=True)
    print(f"{PICTURE}: {picture.width}×{picture.height}")


def field(name: str, networks: int) -> Image.Image:
    """The map of one model; prints how much of the past reaches the pixel."""
    middle, spec = SIDE * SIDE // 2, sim.data.DataSpec(Levels((1, SIDE, SIDE), 2))
    size = torch.zeros(SIDE * SIDE, dtype=torch.float64)
    past = torch.zeros(SIDE * SIDE, dtype=torch.bool)
    for seed in range(networks):
        torch.manual_seed(seed)
        model = registry.build(name, spec).eval()
        if isinstance(model, ClosedForm):
            model.estimate([(torch.randint(2, (200, *spec.shape), dtype=torch.uint8), {})])
        found = sim.checks.causality(model, factors=[middle], randomise=True)
        assert found.causal, f"{name}: {found}"
        size, past = size + found.dependence[0], found.past[0]
    print(f"{name}: {(size[past] != 0).double().mean():.0%} of the past", flush=True)
    strength = (1 + (size / size.max().clamp(min=1e-300)).log10() / DECADES).clamp(0, 1).numpy()
    colours = blend(strength)
    colours[(size == 0).numpy()] = FUTURE
    colours[(past & (size == 0)).numpy()] = UNSEEN
    colours[middle] = ITSELF
    image = Image.fromarray(colours.reshape(SIDE, SIDE, 3).round().astype(np.uint8))
    return image.resize((SIDE * CELL, SIDE * CELL), Image.Resampling.NEAREST)


def blend(strength: np.ndarray, first: tuple[int, ...] = PALE, last: tuple[int, ...] = DARK) -> np.ndarray:
    """(n,) of 0 to 1 -> colours (n, 3)."""
    return np.array(first) + strength[:, None] * (np.array(last) - first)


def sheet(rows: list[list[tuple[str, Image.Image]]]) -> Image.Image:
    """All maps, each framed and under its name, and what the colours mean."""
    step, line, font = SIDE * CELL + GAP, SIDE * CELL + TEXT + GAP, ImageFont.load_default(size=16)
    ends = np.cumsum([5 * CELL + int(font.getlength(meaning)) + GAP for _, _, meaning in LEGEND]).tolist()
    width = max(max(map(len, rows)) * step, ends[-1]) + GAP
    whole = Image.new("RGB", (width, len(rows) * line + TEXT + GAP), "white")
    draw = ImageDraw.Draw(whole)

    def paste(image: Image.Image, left: int, top: int) -> None:
        whole.paste(image, (left, top))
        draw.rectangle((left - 1, top - 1, left + image.width, top + image.height), outline="#999999")

    for number, row in enumerate(rows):
        for place, (name, image) in enumerate(row):
            left, top = GAP + place * step, GAP // 2 + number * line
            draw.text((left, top), name, fill="black", font=font)
            paste(image, left, top + TEXT)
    top = GAP // 2 + len(rows) * line
    for left, (first, last, meaning) in zip([0, *ends], LEGEND, strict=False):
        bar = blend(np.linspace(0, 1, 4 * CELL), first, last).round().astype(np.uint8)
        paste(Image.fromarray(np.repeat(bar[None], CELL + CELL // 2, 0)), left + GAP, top + 3)
        draw.text((left + GAP + 5 * CELL, top), meaning, fill="black", font=font)
    return whole


if __name__ == "__main__":
    main()
