"""Bits-back coding of held-out images beside the bound of the model and the usual codecs: 500 of a test split.

    python benchmarks/bitsback.py --run runs/vae --mnist runs/vae-8-bit
    python benchmarks/bitsback.py --smoke                              # trains a small model of each for seconds

`--run` is a model of binarized-mnist, `--mnist` one of MNIST with 256 levels; either may be left out. It is asserted
that every image comes back. `over_bound` is by how much the file, header included, is larger than Σ -ELBO / ln 2 of the
same images, in percent; the ELBO has one code for an image and is the mean of many draws. `spread` is the standard
deviation of the size in percent, over the codes that the coder may happen to draw. The other codecs are those of
`codec.py`, and for binary images also PNG with one bit a pixel and xz of packed bits.
"""

from __future__ import annotations

import argparse
import lzma
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from codec import coded, mean_bytes, others, picture, sheet
from record import conclude, parser

import simulacra as sim

IMAGES, DRAWS = 500, 64
SMOKE = {"steps": 30, "network": "dense:hidden=40", "latent": 8, "batch": 64}
SETS = {"binarized-mnist": "run", "mnist": "mnist"}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--run", type=Path, help="the run folder of a model of binarized-mnist")
    options.add_argument("--mnist", type=Path, help="the run folder of a model of mnist")
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        named = {name: vars(args)[flag] for name, flag in SETS.items() if vars(args)[flag]}
        runs = trained(Path(scratch)) if args.smoke else named
        if not runs:
            options.error("give the run folder of a model: --run RUN, --mnist RUN or both (or --smoke)")
        figures = {name: measured(name, run, args) for name, run in runs.items()}
    conclude("bitsback", figures, smoke=args.smoke, data={name: described(name) for name in runs}, seeds=[0])


def trained(folder: Path) -> dict[str, Path]:
    for name in SETS:
        sim.fit("vae", name, folder / name, **SMOKE)
    return {name: folder / name for name in SETS}


def described(name: str) -> dict[str, Any]:
    return {"split": "test", "n": IMAGES, "fingerprint": sim.data.load(name).fingerprint}


def measured(name: str, run: Path, args: argparse.Namespace) -> dict[str, Any]:
    model, test = sim.load(run), sim.data.load(name).test
    x = np.array(test.x[: 20 if args.smoke else IMAGES])
    condition = {field: test.field(field)[: len(x)] for field in model.spec.condition}
    one = len(sim.compress(model, x[:1], condition={field: values[:1] for field, values in condition.items()}))
    ours = coded(model, x, condition) | {"bytes_of_one_image": one} | against_bound(model, x, condition)
    ours["over_bound"] = 100 * (ours["bits_per_dim"] / ours["bound_bits_per_dim"] - 1)
    pixels = x if model.spec.levels != 2 else 255 * x
    table = {"simulacra": ours["bytes_per_image"]} | others(pixels) | (bilevel(x) if model.spec.levels == 2 else {})
    for codec, size in sorted(table.items(), key=lambda row: row[1]):
        print(f"{name:<16} {codec:<24} {size:8.1f} bytes an image {size / x[0].size * 8:7.3f} bits/dim")
    return ours | {"bytes_per_image_of": table, "smallest": min(table, key=lambda codec: table[codec])}


@torch.no_grad()
def against_bound(model: sim.Model, x: np.ndarray, condition: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The bound of these images in bits/dim, labels included at their entropy, and how much a draw of codes varies."""
    torch.manual_seed(0)
    checked = model.conditioned(dict(condition), len(x))
    items = torch.from_numpy(x).to(model.device)
    nats = torch.stack([model.log_weights(items, checked, 1)[0].double() for _ in range(DRAWS)])
    labels = len(x) * sum(math.log2(label.count) for label in model.spec.condition.values())
    bits = labels - nats.mean(0).sum().item() / math.log(2)
    deviation = nats.var(0).sum().sqrt().item() / math.log(2)
    return {
        "bound_bits_per_dim": bits / x.size,
        "bound_standard_error": deviation / math.sqrt(DRAWS) / x.size,
        "spread": 100 * deviation / bits,
    }


def bilevel(x: np.ndarray) -> dict[str, float]:
    """Bytes an image of codecs for two levels; x (N, 1, H, W) of 0 and 1."""
    images = x[:, 0].astype(bool)
    code, read = picture("PNG", optimize=True)

    def decode(data: bytes, like: np.ndarray) -> np.ndarray:
        return read(data, like) > 0

    def unpacked(data: bytes, like: np.ndarray) -> np.ndarray:
        return np.unpackbits(np.frombuffer(lzma.decompress(data), np.uint8), count=like.size).reshape(like.shape) > 0

    tall = sheet(images, 1)
    return {
        "png of one bit, each": mean_bytes(images, code, decode, len(images)),
        "png of one bit, one picture": mean_bytes([tall], code, decode, len(images)),
        "xz of packed bits": mean_bytes(
            [images],
            lambda some: lzma.compress(np.packbits(some).tobytes(), preset=9 | lzma.PRESET_EXTREME),
            unpacked,
            len(images),
        ),
    }


if __name__ == "__main__":
    main()
