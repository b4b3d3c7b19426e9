r"""Principal directions: along which codes vary most, or change most of what a generator makes of them.

    styles     eigenvectors of the covariance of w = f(z, c), where a generator has a mapping network
    codes      eigenvectors of the covariance of E_q[z], over items of data, where there is an encoder
    response   of draws z, with y the output of the first layer that reads them: the principal coordinates p_k of y, and
               the directions u_k = cov(z, p_k) in z that drive them

Draws of N(0, I) themselves vary alike in all directions, so that the first layer has to say which of them matter. Where
it is linear, y = A z, the u_k are the right singular vectors of A, as of Shen & Zhou 2021, "Closed-Form Factorization
of Latent Semantics in GANs". Härkönen et al. 2020, "GANSpace: Discovering Interpretable GAN Controls", section 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from simulacra.borders import trusted
from simulacra.capabilities import Decoder, Encoder, need
from simulacra.condition import Condition
from simulacra.data import Split
from simulacra.errors import NotSupported
from simulacra.exploration.codes import decoded, mean_codes
from simulacra.exploration.dimensions import Dimensions
from simulacra.exploration.spaces import styles_of, synthesised
from simulacra.model import Model, evaluating
from simulacra.networks import Styled
from simulacra.randomness import some_of

ITEMS = 1000  # encoded at most
LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


@dataclass(frozen=True)
class Directions:
    """Directions in a space of codes, those with the largest share of its variance first.

    space:   "styles", "codes" or "response".
    vectors: (K, D) of length 1.
    mean:    (D,) where a direction has the coordinate 0.
    scale:   (K,) standard deviations of codes along each.
    share:   (K,) of the variance: of w, of E_q[z], or of the response of the first layer.
    """

    space: str
    vectors: Tensor
    mean: Tensor
    scale: Tensor
    share: Tensor

    def put(self, start: Tensor, k: int, setting: float) -> Tensor:
        """A code (D,), or rows of it (..., D), with its coordinate along a direction at so many standard deviations."""
        v = self.vectors[k]
        along = ((start - self.mean) @ v).unsqueeze(-1)
        return start + (setting * self.scale[k] - along) * v


def principal(model: Model, dimensions: Dimensions, given: Condition, split: Split | None, seed: int) -> Directions:
    """The directions of a model under one condition, (1, ...); `split` holds the items that an encoder encodes.

    Raises NotSupported for discrete codes, and for a decoder without a layer that reads codes.
    """
    if dimensions.values:
        raise NotSupported(f"codes of {model.name} are discrete and have no principal directions; traverse dimensions")
    z = dimensions.draws
    if isinstance(getattr(model, "generator", None), Styled):
        w = styles_of(model, z, given.expand(len(z))).mean(1)
        return _components("styles", w)
    if split is not None and isinstance(model, Encoder):
        some = some_of(len(split), ITEMS, seed, "principal")
        means = np.concatenate(list(mean_codes(model, split, some)))
        return _components("codes", torch.from_numpy(means).flatten(1).to(z))
    coordinates, share = _coordinates(_response(model, z, given))
    flat = z.flatten(1)
    mean = flat.mean(0)
    u = coordinates.t() @ (flat - mean).double() / (len(z) - 1)  # (K, D): cov(p_k, z)
    v = (u / u.norm(dim=1, keepdim=True).clamp(min=1e-12)).to(flat)
    return Directions("response", v, mean, ((flat - mean) @ v.t()).std(0), share)


def moved(
    model: Model, found: Directions, z: Tensor, given: Condition, settings: list[float], top: list[int]
) -> Tensor:
    """A code (1, *code) with each direction of `top` at each of the settings, decoded: (top · settings, *shape)."""
    if found.space == "styles":
        w = styles_of(model, z, given)
        return synthesised(model, torch.cat([found.put(w, k, setting) for k in top for setting in settings]))
    flat = torch.cat([found.put(z.flatten(1), k, setting) for k in top for setting in settings])
    return decoded(model, flat.unflatten(1, z.shape[1:]), given)


def _components(space: str, codes: Tensor) -> Directions:
    """Principal components of codes (N, D)."""
    mean = codes.mean(0)
    _, singular, rows = torch.linalg.svd((codes - mean).double(), full_matrices=False)
    variance = singular.square() / (len(codes) - 1)
    return Directions(space, _signed(rows).to(codes), mean, variance.sqrt().to(codes), _shares(variance))


def _coordinates(y: Tensor) -> tuple[Tensor, Tensor]:
    """Responses (N, F) -> coordinates (N, K) of variance 1 along those principal components that vary, and shares."""
    left, singular, rows = torch.linalg.svd((y - y.mean(0)).double(), full_matrices=False)
    varies = singular > 1e-6 * singular.max()
    flip = (_signed(rows) * rows).sum(1).sign()
    coordinates = left * flip * (len(y) - 1) ** 0.5
    return coordinates[:, varies], _shares(singular.square())[varies.cpu()]


def _signed(rows: Tensor) -> Tensor:
    """Vectors (K, D), of which a decomposition leaves the sign open, with their largest number positive."""
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return rows * torch.where(largest < 0, -1.0, 1.0)


def _shares(variance: Tensor) -> Tensor:
    return (variance / variance.sum().clamp(min=1e-300)).float().cpu()


def _response(model: Model, z: Tensor, given: Condition) -> Tensor:
    """What the first layer that reads codes makes of them, (N, F)."""
    decoder, seen = need(model, Decoder), []

    def hook(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        if not seen and bool((inputs[0] != inputs[0][:1]).any()):  # not a layer that embeds the one condition
            seen.append(output.detach().flatten(1))

    hooks: list[Callable[[], None]] = [
        module.register_forward_hook(hook).remove for module in model.modules() if isinstance(module, LAYERS)
    ]
    try:
        with evaluating(model), trusted():
            decoder.decode(z, given.expand(len(z)))
    finally:
        for remove in hooks:
            remove()
    if not seen:
        raise NotSupported(f"{model.name} has no layer that reads codes, by which directions could be told apart")
    return seen[0]
