"""Which data the networks for images, and those for clips of them, refuse; what a frame of a clip is."""

from __future__ import annotations

from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels

SMALLEST = 8  # shorter side of an image, at least


def refuse_unless_images(spec: DataSpec, name: str, on_grid: bool = False) -> None:
    """Raise UsageError for data other than images from 8×8 up, and with `on_grid` for those of real numbers."""
    if not spec.is_image or min(spec.shape[1:]) < SMALLEST:
        raise UsageError(
            f"{name} networks are for images from {SMALLEST}×{SMALLEST} up, not shape {spec.shape}; try dense, the "
            "networks of gan, or a vae"
        )
    if on_grid and spec.levels is None:
        raise UsageError(f"{name} networks are for images on a grid of levels; try dense, the networks of gan")


def refuse_unless_clips(spec: DataSpec, name: str, smallest: int = SMALLEST) -> None:
    """Raise UsageError for data other than clips of frames whose shorter side is at least so long."""
    if not spec.is_video or min(spec.shape[2:]) < smallest:
        raise UsageError(
            f"{name} networks are for clips (T, C, H, W) of frames from {smallest}×{smallest} up, not "
            f"{spec.x.describe()}: read films with --window T"
        )


def frame_of(spec: DataSpec) -> DataSpec:
    """What a frame of a clip is, under the condition of the clip."""
    return DataSpec(Levels(spec.shape[1:], spec.grid_levels), spec.condition)
