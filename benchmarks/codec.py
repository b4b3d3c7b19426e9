"""Bytes of the codec on held-out images, beside those of the usual ones: the first 1,000 of MNIST's test split and the
first 200 of CIFAR-10's.

    python benchmarks/codec.py --mnist runs/mnist --cifar10 runs/cifar10
    python benchmarks/codec.py --smoke                                     # trains a small model of each for seconds

Every codec here is lossless, and it is asserted that each gives back what it was given. `over_ideal` is by how much the
file is larger than Σ -log2 p, in percent, as the parallel pass of the model scores the images, with log2 of the number
of classes for each label if the model is conditional. Each of the others codes every image as a file of its own, and
PNG, WebP and JPEG XL also all of them as one picture, below each other (WebP: in a few columns, since its pictures end
at 16,383 rows); xz and bzip2 have all raw bytes at once. JPEG XL takes `pillow-jxl-plugin` and is left out without it.
"""

from __future__ import annotations

import argparse
import bz2
import importlib.util
import io
import lzma
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features
from record import conclude, parser

import simulacra as sim
from simulacra.compression.container import model_digest, unpack
from simulacra.parts import to_json

IMAGES = {"mnist": 1000, "cifar10": 200}
SMOKE = {"steps": 20, "width": 9, "layers": 2, "batch": 16}
WEBP_ROWS = 16383

Coder = Callable[[np.ndarray], bytes]
Decoder = Callable[[bytes, np.ndarray], np.ndarray]


def main() -> None:
    options = parser(__doc__)
    for name in IMAGES:
        options.add_argument(f"--{name}", type=Path, help=f"the run folder of a model of {name}")
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        runs = trained(Path(scratch)) if args.smoke else {n: vars(args)[n] for n in IMAGES if vars(args)[n]}
        if not runs:
            options.error("give the run folder of a model: --mnist RUN, --cifar10 RUN or both (or --smoke)")
        figures = {name: measured(name, run, args) for name, run in runs.items()}
    conclude("codec", figures, smoke=args.smoke, data={name: described(name) for name in runs}, seeds=[0])


def trained(folder: Path) -> dict[str, Path]:
    for name in IMAGES:
        sim.fit("gated-pixelcnn", name, folder / name, **SMOKE)
    return {name: folder / name for name in IMAGES}


def described(name: str) -> dict[str, Any]:
    return {"split": "test", "n": IMAGES[name], "fingerprint": sim.data.load(name).fingerprint}


def measured(name: str, run: Path, args: argparse.Namespace) -> dict[str, Any]:
    model, test = sim.load(run), sim.data.load(name).test
    n = 20 if args.smoke else IMAGES[name]
    x = np.array(test.x[:n])
    ours = by_model(model, test, x)
    table = {"simulacra": ours["bytes_per_image"]} | others(x)
    for codec, size in sorted(table.items(), key=lambda row: row[1]):
        print(f"{name:<8} {codec:<22} {size:8.1f} bytes an image {size / x[0].size * 8:7.3f} bits/dim")
    return ours | {"bytes_per_image_of": table, "smallest": min(table, key=lambda codec: table[codec])}


def by_model(model: sim.Model, test: sim.data.Split, x: np.ndarray) -> dict[str, Any]:
    n, condition = len(x), {name: test.field(name)[: len(x)] for name in model.spec.condition}
    found = coded(model, x, condition)
    labels = sum(n * math.log2(label.count) for label in model.spec.condition.values())
    ideal = (sim.score_items(model, test.rows(slice(n))).sum() / math.log(2) + labels) / 8
    over = {"over_ideal_bytes": found["bytes"] - ideal, "over_ideal": 100 * (found["bytes"] / ideal - 1)}
    return found | {"ideal_bytes": ideal} | over


def coded(model: sim.Model, x: np.ndarray, condition: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """These items coded and decoded again, which must give them back."""
    n, began = len(x), time.perf_counter()
    data = sim.compress(model, x, condition=condition)
    between = time.perf_counter()
    decoded, found = sim.decompress(model, data)
    ended = time.perf_counter()
    assert np.array_equal(decoded, x)
    assert all(np.array_equal(found[field], values) for field, values in condition.items())
    header, payload = unpack(data, "the file")
    return {
        "model": model.name,
        "arguments": to_json(model.arguments),
        "digest": model_digest(model).hex(),
        "n": n,
        "lossless": True,
        "bytes": len(data),
        "header_bytes": len(data) - len(payload),
        "bytes_per_image": len(data) / n,
        "bits_per_dim": 8 * len(data) / x.size,
        "batch": header.batch,
        "encoded_per_second": n / (between - began),
        "decoded_per_second": n / (ended - between),
        "surroundings": header.surroundings.describe(),
    }


def others(x: np.ndarray) -> dict[str, float]:
    """Bytes an image of every codec that is at hand, all of them checked to be lossless."""
    pixels = x.transpose(0, 2, 3, 1) if x.shape[1] == 3 else x[:, 0]
    tall, columns = sheet(pixels, 1), -(-len(pixels) * pixels.shape[1] // WEBP_ROWS)
    found = {"raw": float(x[0].size)}
    for name, (code, decode) in pictures().items():
        found[f"{name}, each"] = mean_bytes(pixels, code, decode, len(pixels))
        found[f"{name}, one picture"] = mean_bytes(
            [sheet(pixels, columns) if name == "webp" else tall], code, decode, len(pixels)
        )
    for name, (code, decode) in archives().items():
        found[f"{name}, all at once"] = mean_bytes([pixels], code, decode, len(pixels))
    if features.check("avif"):
        code, decode = picture("AVIF", quality=100, subsampling="4:4:4", speed=0)
        if all(np.array_equal(decode(code(image), image), image) for image in pixels[:20]):
            found["avif, each"] = mean_bytes(pixels, code, decode, len(pixels))
        else:
            print("avif as Pillow writes it is not lossless here: left out")
    return found


def mean_bytes(items: Sequence[np.ndarray] | np.ndarray, code: Coder, decode: Decoder, images: int) -> float:
    total = 0
    for item in items:
        coded = code(item)
        assert np.array_equal(decode(coded, item), item)
        total += len(coded)
    return total / images


def pictures() -> dict[str, tuple[Coder, Decoder]]:
    found = {
        "png": picture("PNG", optimize=True),
        "webp": picture("WEBP", lossless=True, quality=100, method=6, exact=True),
    }
    if importlib.util.find_spec("pillow_jxl"):
        import pillow_jxl  # noqa: F401 (it makes itself known to Pillow)

        found["jpeg xl"] = picture("JXL", lossless=True, effort=9)
    return found


def archives() -> dict[str, tuple[Coder, Decoder]]:
    def whole(compress: Callable[[bytes], bytes], decompress: Callable[[bytes], bytes]) -> tuple[Coder, Decoder]:
        return lambda x: compress(x.tobytes()), lambda data, like: np.frombuffer(decompress(data), np.uint8).reshape(
            like.shape
        )

    found = {
        "xz": whole(lambda raw: lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME), lzma.decompress),
        "bzip2": whole(lambda raw: bz2.compress(raw, 9), bz2.decompress),
    }
    if importlib.util.find_spec("compression"):  # Python 3.14
        zstd = importlib.import_module("compression.zstd")
        found["zstd"] = whole(lambda raw: zstd.compress(raw, 22), zstd.decompress)
    return found


def picture(format: str, **options: Any) -> tuple[Coder, Decoder]:
    def code(pixels: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format, **options)
        return buffer.getvalue()

    def decode(data: bytes, like: np.ndarray) -> np.ndarray:
        image = Image.open(io.BytesIO(data))
        return np.asarray(image.convert("L" if like.ndim == 2 else "RGB"))

    return code, decode


def sheet(pixels: np.ndarray, columns: int) -> np.ndarray:
    """(N, H, W, ...) -> one picture of so many columns of them, the last column filled up with black."""
    rows = -(-len(pixels) // columns)
    filled = np.concatenate([pixels, np.zeros((rows * columns - len(pixels), *pixels.shape[1:]), np.uint8)])
    return np.concatenate([np.concatenate(list(filled[i * rows : (i + 1) * rows])) for i in range(columns)], axis=1)


if __name__ == "__main__":
    main()
