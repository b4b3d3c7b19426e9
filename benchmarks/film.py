"""Two games on `ring`, filmed: the critic's surface and the generated points at four moments of each.

    python benchmarks/film.py [--steps 3000]

Draws docs/pictures/film.png, and leaves the films, of a minute each on a core, in runs/film-GAME/film.gif.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import simulacra as sim

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "film.png"
GAMES, SHARES, WIDTH = ("minimax", "relativistic"), (0.02, 0.1, 0.3, 1.0), 300


def stills(path: Path) -> np.ndarray:
    """Frames of a film at shares of its length, side by side."""
    frames = []
    with Image.open(path) as film:
        for share in SHARES:
            film.seek(round(share * (film.n_frames - 1)))
            frame = film.convert("RGB")
            frames.append(frame.resize((WIDTH, WIDTH * frame.height // frame.width), Image.Resampling.LANCZOS))
    return np.concatenate([np.asarray(frame) for frame in frames], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3000)
    steps, rows = parser.parse_args().steps, []
    for game in GAMES:
        run = Path("runs") / f"film-{game}"
        sim.fit("gan", "ring", run, game=game, steps=steps, film=True)
        rows.append(stills(run / "film.gif"))
    picture = Image.fromarray(np.concatenate(rows)).quantize(256, dither=Image.Dither.NONE)
    picture.save(PICTURE, optimize=True)
    print(f"{PICTURE}, {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
