r"""Codes of which some numbers are to have a meaning, z = (c_1, ..., c_m, u, ε):

    c_i  one-hot of K_i categories, equally probable      u  uniform in [-1, 1]^C      ε  N(0, I), the rest

all independent. A penalty that rewards the mutual information between c, u and what is generated gives them one.
Chen et al. 2016, "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial
Nets", section 7.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from simulacra import whole
from simulacra.distributions import Distribution
from simulacra.errors import UsageError
from simulacra.latent.sampled_priors import SampledPrior
from simulacra.parts import part, within


class StructuredCodes(Distribution):
    """Codes (N, ΣK_i + C + rest). like (N, 0): their number, device and precision.

    Raises UsageError for a code with fewer numbers than the structure has.
    """

    def __init__(self, n: int, categories: tuple[int, ...], continuous: int, latent: int, like: Tensor) -> None:
        self.categories, self.continuous = categories, continuous
        self.rest = latent - sum(categories) - continuous
        if self.rest < 0:
            raise UsageError(
                f"a code with categories {', '.join(map(str, categories)) or 'none'} and {continuous} continuous "
                f"numbers needs latent >= {latent - self.rest}, not {latent}"
            )
        self.like = like.new_empty(n, 0, dtype=torch.promote_types(like.dtype, torch.float32))

    def split(self, z: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Codes -> their one-hot rows (N, K_i) of each i, u (N, C), and ε (N, rest)."""
        *rows, u, noise = z.split([*self.categories, self.continuous, self.rest], dim=1)
        return list(rows), u, noise

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        """One draw for each item. The temperature scales ε: uniform masses and densities stay what they are."""
        n = len(self.like)
        u = whole.uniform((n, len(self.categories) + self.continuous), self.like, generator)
        noise = whole.normal((n, self.rest), self.like, generator)
        rows = [_one_hot(u[:, i], count) for i, count in enumerate(self.categories)]
        return torch.cat([*rows, 2 * u[:, len(self.categories) :] - 1, temperature * noise], dim=1)

    @property
    def mean(self) -> Tensor:
        return self._each([1 / count for count in self.categories], 0.0, 0.0)

    @property
    def deviations(self) -> Tensor:
        return self._each([math.sqrt(1 / count * (1 - 1 / count)) for count in self.categories], 3**-0.5, 1.0)

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ -log K_i - C log 2 + log N(ε; 0, I), (N,) nats; -inf for rows that are not one-hot and numbers beyond ±1.

        A mass in the categories and a density in all else.
        """
        rows, u, noise = self.split(x)
        inside = (u.abs() <= 1).all(1)
        for row in rows:
            inside = inside & ((row == 0) | (row == 1)).all(1) & (row.sum(1) == 1)
        constant = sum(map(math.log, self.categories)) + self.continuous * math.log(2)
        density = -0.5 * (noise.square() + math.log(2 * math.pi)).sum(1) - constant
        return density.masked_fill(~inside, -math.inf)

    def _each(self, of_categories: list[float], of_continuous: float, of_rest: float) -> Tensor:
        """A number for each coordinate of a code, (N, latent)."""
        row = [value for value, count in zip(of_categories, self.categories, strict=True) for _ in range(count)]
        row += [of_continuous] * self.continuous + [of_rest] * self.rest
        return self.like.new_tensor(row).expand(len(self.like), -1)


def _one_hot(u: Tensor, count: int) -> Tensor:
    """Uniform noise (N,) in [0, 1) -> one-hot rows (N, count)."""
    return F.one_hot((u * count).long().clamp(max=count - 1), count).to(u.dtype)


@part("sampled-prior", "structured")
class Structured(SampledPrior):
    """One-hot categories, uniform numbers, and Gaussian noise for the rest of a code.

    Attributes:
        categories: values of each categorical variable; several, as in (10,10), are independent.
        continuous: uniform numbers between -1 and 1.
    """

    modal: ClassVar[bool] = False
    categories: tuple[int, ...] = (10,)
    continuous: int = 2

    def __post_init__(self) -> None:
        within(0, continuous=self.continuous)
        for count in self.categories:
            within(2, categories=count)
        if not self.categories and not self.continuous:
            raise UsageError("a structured prior has categories or continuous numbers; gaussian has neither")

    def codes(self, mode: Tensor, modes: int, latent: int, like: Tensor) -> StructuredCodes:
        return StructuredCodes(len(mode), self.categories, self.continuous, latent, like)
