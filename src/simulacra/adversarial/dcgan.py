r"""Deep convolutional GAN: min_G max_D of E log D(x) + E log(1 - D(G(z))), with networks that made it stable.

Strided convolutions instead of pooling, batch norm (but not at the generator's output nor the critic's input), ReLU and
tanh in the generator, LeakyReLU in the critic, weights from N(0, 0.02²), Adam with β1 = 0.5.
Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks".
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.adversarial.games import NonSaturating
from simulacra.adversarial.gan import GAN
from simulacra.capabilities import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.nn import halvings, padding
from simulacra.registry import register

SMALLEST = 8  # shorter side of an image, at least
LABEL_SCALE = 0.1  # of a label's row beside z ~ N(0, I): rows as large as z leave little variety within a class


class DCGenerator(nn.Module):
    """z (N, latent) -> x (N, C, H, W) in [-1, 1]: from `coarsest` doubled to the size of the image, then cropped."""

    def __init__(self, shape: tuple[int, ...], latent: int, width: int, classes: dict[str, int]) -> None:
        super().__init__()
        channels, *self.size = shape
        doublings, self.coarsest = halvings(shape)
        widest = width * 2 ** (doublings - 1)
        self.classes = nn.ModuleDict({name: nn.Embedding(count, latent) for name, count in classes.items()})
        codes = latent * (1 + len(classes))
        self.project = nn.Linear(codes, widest * self.coarsest[0] * self.coarsest[1], bias=False)
        self.enter = nn.Sequential(nn.BatchNorm2d(widest), nn.ReLU())
        self.up = nn.Sequential(
            *(_up(width * 2 ** (i + 1), width * 2**i) for i in reversed(range(doublings - 1))),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        z = torch.cat([z, *(table(condition[name]) for name, table in self.classes.items())], dim=1)
        x = self.up(self.enter(self.project(z).unflatten(1, (-1, *self.coarsest))))
        return x[..., : self.size[0], : self.size[1]]


class DCCritic(nn.Module):
    """x (N, C, H, W) -> logits (N,): zero-padded to a multiple of the coarsest size and halved down to it.

    With a condition the score gains the projection of the features on the class (Miyato & Koyama 2018, eq. 3).
    """

    def __init__(self, shape: tuple[int, ...], width: int, classes: dict[str, int]) -> None:
        super().__init__()
        channels = shape[0]
        doublings, coarsest = halvings(shape)
        widest = width * 2 ** (doublings - 1)
        self.padding = padding(shape, doublings, coarsest)
        self.down = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            *(_down(width * 2**i, width * 2 ** (i + 1)) for i in range(doublings - 1)),
        )
        features = widest * coarsest[0] * coarsest[1]
        self.score = nn.Linear(features, 1)
        self.classes = nn.ModuleDict({name: nn.Embedding(count, features) for name, count in classes.items()})

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        h = self.down(F.pad(x, self.padding)).flatten(1)
        score = self.score(h).squeeze(1)
        for name, table in self.classes.items():
            score = score + (table(condition[name]) * h).sum(1)
        return score


def _up(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _down(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
    )


def _initialise(module: nn.Module) -> None:
    """Convolutions and linear maps from N(0, 0.02²), batch norm gains from N(1, 0.02²): section 4 of the paper."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


@register("dcgan", paper="Radford et al. 2016, Unsupervised Representation Learning with Deep Convolutional GANs")
class DCGAN(GAN):
    r"""Convolutional generator and critic under the non-saturating game; images from 8×8 up.

    Args:
        spec: what x is: images with 1 or 3 channels; with a condition field, class-conditional.
        latent: numbers in a code z ~ N(0, I).
        width: channels next to the image; they double with every halving of its sides.
    """

    defaults = {"learning_rate": 2e-4, "betas": (0.5, 0.999), "batch": 64, "steps": 4000, "ema": 0.995}

    def __init__(self, spec: DataSpec, latent: int = 64, width: int = 64) -> None:
        if not spec.is_image or min(spec.shape[1:]) < SMALLEST:
            raise UsageError(f"dcgan models images from 8×8 up, not shape {spec.shape}; try vae")
        if latent < 1 or width < 1 or spec.levels is None:
            raise UsageError("dcgan needs latent >= 1, width >= 1 and images on a grid of levels")
        classes = {name: label.count for name, label in spec.condition.items()}
        generator = DCGenerator(spec.shape, latent, width, classes)
        critic = DCCritic(spec.shape, width, classes)
        super().__init__(spec, generator, critic, NonSaturating(), latent)
        self.apply(_initialise)
        for tables, scale in ((generator.classes, LABEL_SCALE), (critic.classes, 0.02)):
            for table in tables.values():
                nn.init.normal_(cast(nn.Embedding, table).weight, 0.0, scale)
