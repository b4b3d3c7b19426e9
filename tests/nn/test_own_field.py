"""A kind of field from outside enters a network by saying how it is read; no network takes one that nobody reads."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Leaf, Levels
from simulacra.latent import VAE
from simulacra.nn import vector_of


@dataclass(frozen=True)
class Angle(Leaf):
    """An angle in radians."""

    shape = ()
    dtype = np.dtype(np.float32)
    wanted = "an angle from 0 up to 2π"

    def wrong(self, values: np.ndarray) -> np.ndarray:
        return (values < 0) | (values >= 2 * math.pi)

    def describe(self) -> str:
        return "an angle"


class Unread(Angle):
    """A field that no network knows."""


class OnCircle(nn.Module):
    """An angle as a point of the circle: 0 and 2π are neighbours."""

    def __init__(self, name: str, width: int) -> None:
        super().__init__()
        self.name, self.last = name, nn.Linear(2, width)

    def forward(self, condition: dict[str, Tensor]) -> Tensor:
        angle = condition[self.name]
        return self.last(torch.stack([angle.sin(), angle.cos()], dim=1).to(self.last.weight.dtype))


@pytest.fixture(autouse=True)
def registered():
    @vector_of.register
    def _(field: Angle, name: str, width: int) -> nn.Module:
        if type(field) is Unread:
            return vector_of.dispatch(object)(field, name, width)
        return OnCircle(name, width)


def vae(field: Leaf) -> VAE:
    torch.manual_seed(0)
    return VAE(DataSpec(Levels((1, 4, 4), 2), {"angle": field}), latent=2, network="dense:hidden=8").eval()


def test_the_ends_of_the_circle_are_one_place():
    model = vae(Angle())
    z = torch.zeros(1, 2)
    start, end, across = (model.decode(z, {"angle": angle}).mean for angle in (0.0, 2 * math.pi - 1e-5, math.pi))
    torch.testing.assert_close(start, end, atol=1e-4, rtol=0)
    assert (start - across).abs().max() > 1e-3


def test_its_values_are_checked():
    with pytest.raises(UsageError, match=r"'angle' is an angle from 0 up to 2π: 7\.0 is none"):
        vae(Angle()).decode(torch.zeros(1, 2), {"angle": 7.0})


def test_a_field_that_nobody_reads_is_refused_with_the_way():
    with pytest.raises(UsageError, match=r"no network reads 'angle', an angle: say how with @simulacra\.nn\.vector_of"):
        vae(Unread())
