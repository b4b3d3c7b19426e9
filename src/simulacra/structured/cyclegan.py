r"""CycleGAN: two domains, a generator into each of them, and for each a critic of its own.

    E ½(D_B(G_B(a)) - 1)² + λ E |G_A(G_B(a)) - a| + μ E |G_A(a) - a|,   and the same with A and B exchanged

The critics learn from a history of generated items. Zhu et al. 2017, "Unpaired Image-to-Image Translation using
Cycle-Consistent Adversarial Networks", eq. 3, 5.2 and 7.1; items are taken in batches that hold both domains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from simulacra.adversarial.games import Game, LeastSquares
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel
from simulacra.networks import Critic, CriticNetwork, Generator, PatchCritic, Unconditional, UNetGenerator
from simulacra.parts import called, within
from simulacra.registry import register
from simulacra.structured.pool import Pool
from simulacra.structured.unpaired import TRAINING, OfItem, Unpaired


@register(
    "cyclegan",
    paper="Zhu et al. 2017, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
    defaults=TRAINING,
)
class CycleGAN(Unpaired):
    """Two generators and two critics of patches; images from 8×8 up of two domains, none of which needs a partner.

    Args:
        spec: what x is, and the one field of two classes that says of which domain an item is.
        generator: unet, or resnet.
        critic: patch, at one or several scales.
        game: of the two, by the scores of each item by itself.
        cycle: λ of the way there and back.
        identity: μ of items that are of the domain already.
        pool: generated items of each domain in the history of its critic; 0 for none.
    """

    def __init__(
        self,
        spec: DataSpec,
        generator: Generator = UNetGenerator(16),  # noqa: B008 (parts are immutable)
        critic: Critic = PatchCritic(),  # noqa: B008
        game: Game = LeastSquares(),  # noqa: B008
        cycle: float = 10.0,
        identity: float = 5.0,
        pool: int = 50,
    ) -> None:
        super().__init__(spec, game, (), cycle, identity, critic_steps=1)
        self.field = _field_of_two(self.domains)
        within(0, pool=pool)
        if game.paired:
            raise UsageError(
                f"game {called(game)[1]!r} compares items by one critic, and cyclegan has one of each domain: take "
                "least-squares"
            )
        self.generator = Generators(self.form.made, self.field, generator)
        critics = Critics(self.form.made, self.field, critic, bias=game.boundary is not None)
        self.critic = cast(CriticNetwork, critics)  # it scores as one does
        self.pool = Pool(spec, 2, pool) if pool else None
        self.remember_penalties()

    def targets(self, own: Condition) -> Condition:
        """The other domain."""
        return Condition({self.field: 1 - own[self.field]})

    def shown(self, made: Tensor, target: Condition) -> Tensor:
        return made if self.pool is None else self.pool(made, target[self.field])


class Generators(nn.Module):
    """x (N, *shape) and the domains that are wanted -> x' (N, *shape), by the generator into each domain."""

    def __init__(self, spec: DataSpec, field: str, part: Generator) -> None:
        super().__init__()
        self.field, self.into = field, nn.ModuleList(OfItem(spec, {}, part, 1) for _ in range(2))

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return by_domain([lambda x, g=g: g(x, {}) for g in self.into], condition[self.field], x)


class Critics(nn.Module):
    """A critic for each domain, as one: items x (N, *shape) and their domains -> scores (N,) or (N, P)."""

    def __init__(self, spec: DataSpec, field: str, critic: Critic, bias: bool) -> None:
        super().__init__()
        own = DataSpec(spec.x)
        self.field, self.of = field, nn.ModuleList(CriticNetwork(own, critic, Unconditional(), bias) for _ in range(2))

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return self.head(self.features(x, condition), condition)

    def features(self, x: Tensor, condition: Condition) -> Tensor:
        own = [cast(CriticNetwork, each) for each in self.of]
        return by_domain([lambda x, d=d: d.features(x, Condition()) for d in own], condition[self.field], x)

    def head(self, features: Tensor, condition: Condition) -> Tensor:
        own = [cast(CriticNetwork, each) for each in self.of]
        return by_domain([lambda h, d=d: d.head(h, Condition()) for d in own], condition[self.field], features)


def by_domain(networks: Sequence[Callable[[Tensor], Tensor]], domain: Tensor, x: Tensor) -> Tensor:
    """Items x (N, ...), each through the network of its domain (N,), in their order."""
    rows = [(domain == number).nonzero().flatten() for number in range(len(networks))]
    made = [network(x[own]) for network, own in zip(networks, rows, strict=True)]
    return torch.cat(made)[torch.cat(rows).argsort()]


def _field_of_two(domains: Mapping[str, ClassLabel]) -> str:
    """The one field of two classes; raises UsageError for another number of either."""
    if len(domains) > 1:
        named = " and ".join(map(repr, domains))
        raise UsageError(f"cyclegan is for one field of two domains, not for {named} at once; stargan is for more")
    ((name, field),) = domains.items()
    if field.count != 2:
        raise UsageError(f"cyclegan is for two domains, and {name!r} has {field.count} classes; stargan is for more")
    return name
