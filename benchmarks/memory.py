"""Memory stays flat as data grow: `fit` on a .npy of a million 28×28 images against one of a thousand.

Each fit runs in a fresh process, from an empty cache, while a thread samples the *anonymous* memory of the process
(RssAnon): what it really holds, without the pages of mapped files that the system may drop. Reading the file, building
the cache and 300 steps are all in it. Target: at most 300 MB between the two peaks. Needs 2 GB of disk in $TMPDIR.

    python benchmarks/memory.py
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from record import conclude, parser

MANY, FEW, STEPS = 1_000_000, 1_000, 300
CHUNK = 10_000
SAMPLED_EVERY = 0.005  # seconds


def main() -> None:
    smoke = parser(__doc__).parse_args().smoke
    many, steps = (30_000, 20) if smoke else (MANY, STEPS)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["SIMULACRA_CACHE"] = f"{scratch}/cache"
        few_images, many_images = (fit_measured(Path(scratch), n, steps) for n in (FEW, many))
    difference = many_images["peak_mb"] - few_images["peak_mb"]
    figures = {f"{FEW} images": few_images, f"{many} images": many_images, "difference_mb": difference}
    data = {"name": "uniform noise, 28×28, 256 levels", "split": "train"}
    conclude("memory", figures, smoke=smoke, data=data, seeds=[0], notes=f"vae, {steps} steps; anonymous memory")


def fit_measured(folder: Path, n: int, steps: int) -> dict[str, float]:
    """Write n images and fit to them, both in a process of their own."""
    path = folder / f"images-{n}.npy"
    write_noise(path, n)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(fit_watched, path, folder / f"run-{n}", steps).result()


def write_noise(path: Path, n: int) -> None:
    """A few megabytes at a time."""
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (n, 28, 28))
    rng = np.random.default_rng(0)
    for start in range(0, n, CHUNK):
        part = images[start : start + CHUNK]
        part[:] = rng.integers(0, 256, part.shape, np.uint8)
    images.flush()


def fit_watched(path: Path, out: Path, steps: int) -> dict[str, float]:
    import simulacra

    peak, done, began = 0.0, threading.Event(), time.perf_counter()

    def watch() -> None:
        nonlocal peak
        while not done.wait(SAMPLED_EVERY):
            peak = max(peak, anonymous_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        simulacra.fit("vae", path, out, steps=steps)
    finally:
        done.set()
        watcher.join()
    return {"peak_mb": peak, "seconds": time.perf_counter() - began}


def anonymous_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
