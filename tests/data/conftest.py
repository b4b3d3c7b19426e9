from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    """Every test has a cache of its own, and sees no data sets of the machine that it runs on."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SIMULACRA_CACHE", str(folder))
    monkeypatch.delenv("SIMULACRA_DATA", raising=False)
    return folder


@pytest.fixture
def pixels() -> np.ndarray:
    """40 different grey images (40, 6, 5) uint8 that reach 255."""
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 5), dtype=np.uint8)
    images[:, 0, 0] = 255
    return images


@pytest.fixture
def write_images():
    """Writes arrays (H, W) or (H, W, C) as PNG files 000.png, 001.png, ... into a folder, and returns the folder."""

    def write(folder: Path, images) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{i:03}.png")
        return folder

    return write


@pytest.fixture
def everything():
    """All items of a data set as a sorted list of (bytes, label), whatever the splits: what a reader must preserve."""

    def collect(dataset) -> list[tuple[bytes, int | None]]:
        items = []
        for split in dataset.splits:
            labels = split.condition["label"].tolist() if split.condition else [None] * len(split)
            items += zip((item.tobytes() for item in split.x), labels, strict=True)
        return sorted(items, key=str)

    return collect
