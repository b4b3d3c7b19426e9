"""How items look to the networks that make and judge them: their form.

    levels on a grid     real numbers in [-1, 1]                                back: the nearest level
    real vectors         standard deviations from the mean of each number       back: into the units of the data
    other real numbers   as they are
    maps of classes      a channel for each class: 1 where it is, else -1       back: the class of the largest channel

A generator makes items in this form and a critic sees real ones in it, so that no network meets what numbers are
measured in, or an order of classes that means nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Classes, Levels
from simulacra.nn import Units


class Form(ABC):
    """The form of items x (N, *shape) of one kind.

    Attributes:
        made: what networks make and see, under the condition of the data.
    """

    made: DataSpec

    @property
    def units(self) -> Units | None:
        """What is learnt of the items of training, to be saved with the networks; None where nothing is."""
        return None

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Items on the grid of the data, or in its units -> as networks see them, (N, *made.shape)."""

    @abstractmethod
    def rendered(self, made: Tensor) -> Tensor:
        """What a network made, before it is rounded, in float32: in [-1, 1] where x lies on a grid, else in the units
        of the data; of maps a channel for each class. Differentiable."""

    @abstractmethod
    def items(self, made: Tensor) -> Tensor:
        """What a network made -> items (N, *shape) on the grid of the data, or in its units."""

    def learn(self, x: Tensor) -> None:
        """Take note of items x of training, where the form depends on them."""
        if self.units is not None:
            self.units.learn(x.flatten(1))


class Centred(Form):
    """Levels in [-1, 1]; real numbers as they are."""

    def __init__(self, spec: DataSpec) -> None:
        self.made = spec

    def __call__(self, x: Tensor) -> Tensor:
        return self.made.centred(x)

    def rendered(self, made: Tensor) -> Tensor:
        return made.float()

    def items(self, made: Tensor) -> Tensor:
        return self.made.on_grid(self.rendered(made))


class Standardised(Form):
    """Vectors of real numbers, in units that are learnt of the items of training."""

    def __init__(self, spec: DataSpec) -> None:
        self.made, self._units = spec, Units(spec.dims)

    @property
    def units(self) -> Units:
        return self._units

    def __call__(self, x: Tensor) -> Tensor:
        return self.units(self.made.centred(x))

    def rendered(self, made: Tensor) -> Tensor:
        return self.units.back(made.float())

    def items(self, made: Tensor) -> Tensor:
        return self.rendered(made)


class ByClass(Form):
    """Maps (N, 1, H, W) of classes as (N, classes, H, W)."""

    def __init__(self, spec: DataSpec) -> None:
        if spec.shape[0] != 1 or not spec.is_image:
            raise UsageError(f"networks that make classes are for maps (1, H, W), not {spec.x.describe()}")
        self.classes = spec.grid_levels
        self.made = DataSpec(Levels((self.classes, *spec.shape[1:]), 2), spec.condition)

    def __call__(self, x: Tensor) -> Tensor:
        return 2.0 * F.one_hot(x[:, 0].long(), self.classes).movedim(-1, 1) - 1.0

    def rendered(self, made: Tensor) -> Tensor:
        return made.float()

    def items(self, made: Tensor) -> Tensor:
        return made.argmax(1, keepdim=True).to(torch.uint8)


def form_of(spec: DataSpec) -> Form:
    """The form of the items of a spec. Raises UsageError for classes that are no map."""
    if isinstance(spec.x, Classes):
        return ByClass(spec)
    return Standardised(spec) if spec.levels is None and not spec.is_image else Centred(spec)
