"""The abilities that a model may have. A verb asks for an ability and never for a family.

x is on the data grid (N, *shape); `condition` maps field names to tensors with a batch axis; likelihoods are nats per
item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from simulacra.distributions import Distribution

Condition = Mapping[str, Any]


@runtime_checkable
class Density(Protocol):
    """An exact likelihood."""

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """log p(x | condition), exact, (N,) nats."""
        ...


@runtime_checkable
class Bound(Protocol):
    """A lower bound of the likelihood."""

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """A one-sample estimate of a lower bound of log p(x | condition), (N,) nats."""
        ...

    def log_prob_bound(self, x: Tensor, condition: Condition | None = None, samples: int = 1) -> Tensor:
        """The importance-weighted bound with `samples` draws, (N,) nats; it rises to log p(x) with their number."""
        ...


@runtime_checkable
class Sampler(Protocol):
    """Draws new items."""

    def sample(
        self,
        n: int,
        condition: Condition | None = None,
        temperature: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """(n, *shape) on the data grid."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """Tells which codes z explain an item."""

    def encode(self, x: Tensor, condition: Condition | None = None) -> Distribution:
        """q(z | x); a point mass where the encoder is deterministic."""
        ...


@runtime_checkable
class Decoder(Protocol):
    """Makes an item from a code z."""

    def prior(self, n: int, condition: Condition | None = None) -> Distribution:
        """p(z) for n items."""
        ...

    def decode(self, z: Tensor, condition: Condition | None = None) -> Distribution:
        """p(x | z); a point mass for a GAN's generator."""
        ...


ABILITIES: dict[str, type] = {
    "Density": Density,
    "Bound": Bound,
    "Sampler": Sampler,
    "Encoder": Encoder,
    "Decoder": Decoder,
}


def can(model: object, ability: type) -> bool:
    """Whether a model, or a class of models, has an ability."""
    return issubclass(model, ability) if isinstance(model, type) else isinstance(model, ability)


def abilities(model: object) -> list[str]:
    """The names of all abilities of a model, or of a class of models."""
    return [name for name, ability in ABILITIES.items() if can(model, ability)]
