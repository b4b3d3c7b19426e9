r"""Features of a network that the user has as a file: a TorchScript module, such as Inception's or one of DINOv2.

    x on its grid -> colours 0..255, (N, 3, H, W) float32 -> module -> (N, d)

The module resizes and normalises by itself, as that of Karras et al. 2020 does, which computes what FID is defined by
(Heusel et al. 2017) and is known by its sha256. Of that file alone the Fréchet distance is called FID.
A module is a program: only a file whose origin one trusts is to be given here.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.feed import slices
from simulacra.files import read_regular

INCEPTION = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"  # inception-2015-12-05.pt
MOST_BYTES = 4 << 30
AT_ONCE = 64


class GivenFeatures:
    """φ of a TorchScript module.

    Attributes:
        inception: whether it is the network that FID is defined by.
        name: of the file, with the first digits of its sha256.
    """

    def __init__(self, path: str | os.PathLike[str], spec: DataSpec, device: torch.device) -> None:
        """Raises UsageError for a file that cannot be read or is no module, and for other data than images."""
        if not spec.is_image or spec.levels is None or spec.shape[0] not in (1, 3):
            raise UsageError(f"features of a file are for grey or colour images, and these data are {spec.describe()}")
        where = Path(path).expanduser()
        try:
            content = read_regular(where, MOST_BYTES)
        except OSError as error:
            raise UsageError(f"cannot read {where}: {error.strerror or error}") from error
        try:
            self.module = torch.jit.load(io.BytesIO(content), map_location=device).eval()
        except (RuntimeError, ValueError) as error:
            raise UsageError(
                f"{where} is no TorchScript module: torch.jit.script(network).save(PATH) makes one"
            ) from error
        digest = hashlib.sha256(content).hexdigest()
        self.where, self.spec, self.device = where, spec, device
        self.inception, self.name = digest == INCEPTION, f"{where.name}@{digest[:8]}"

    @torch.no_grad()
    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, C, H, W) on the grid -> (N, d) float64; raises UsageError for a module that does not give that."""
        return np.concatenate([self._of(x[part]) for part in slices(len(x), AT_ONCE)])

    def _of(self, x: np.ndarray) -> np.ndarray:
        levels = self.spec.grid_levels
        colours = torch.from_numpy(np.rint(x * np.float32(255 / (levels - 1)))).to(self.device, torch.float32)
        colours = colours.expand(-1, 3, -1, -1).contiguous()
        try:
            found: Any = self.module(colours, **self._options())
        except RuntimeError as error:
            shape, last = tuple(colours.shape), str(error).strip().splitlines()[-1]
            raise UsageError(f"{self.where} does not take images {shape}, 0 to 255: {last:.100}") from error
        if not isinstance(found, torch.Tensor) or found.flatten(1).shape[:1] != colours.shape[:1] or found.dim() < 2:
            raise UsageError(f"{self.where} does not give features (N, d) of images (N, 3, H, W)")
        features = found.flatten(1).double().cpu().numpy()
        if not np.isfinite(features).all():
            raise UsageError(f"{self.where} gives features that are not finite")
        return features

    def _options(self) -> Mapping[str, bool]:
        """That of the module of Karras et al., which gives classes without it."""
        takes = {argument.name for argument in self.module.forward.schema.arguments}
        return {"return_features": True} if "return_features" in takes else {}
