r"""StarGAN: one generator into all domains, and one critic that also says of which domain an item is.

    game of D(x, c) and D(G(x, c'), c') + κ E -log P(c | x)                             the critic
    game + κ E -log P(c' | G(x, c')) + λ E |G(G(x, c'), c) - x| + μ E |G(x, c) - x|     the generator

Target domains c' are those of the batch in another order, so that classes of several fields are together as often as
they are in the data. They scale and shift the norms of the generator.
Choi et al. 2018, "StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image Translation", eq. 1,
5 and 6. Of theirs three things differ, for minutes of training: the game is least-squares under spectral norm, with one
update of the critic; the score depends on the domain; and there is μ, without which a generator soon inverts all
colours: the cycle, which passes one network twice, does not see that. Theirs is `--game wasserstein --penalties
gradient auxiliary:generated=false --critic patch:normalise=none --conditioning none --critic-steps 5 --identity 0`.
"""

from __future__ import annotations

import torch

from simulacra import whole
from simulacra.adversarial.acgan import Auxiliary
from simulacra.adversarial.games import Game, LeastSquares
from simulacra.adversarial.penalties import Penalty
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.networks import (
    Conditioning,
    Critic,
    CriticNetwork,
    Generator,
    PatchCritic,
    Projection,
    UNetGenerator,
)
from simulacra.parts import within
from simulacra.registry import register
from simulacra.structured.unpaired import TRAINING, OfItem, Unpaired


@register(
    "stargan",
    paper="Choi et al. 2018, StarGAN: Unified GANs for Multi-Domain Image-to-Image Translation",
    defaults=TRAINING,
)
class StarGAN(Unpaired):
    """One generator G(x, c) and a critic of patches that classifies; images from 8×8 up of several domains: the classes
    of one field, or of several fields at once, such as attributes.

    Args:
        spec: what x is, and the fields of classes that are to be changed.
        generator: unet, or resnet.
        critic: patch, at one or several scales.
        game: of the two.
        penalties: of the critic and the generator, in every step.
        conditioning: how the score, beside the classes that it names, depends on the domain.
        code: numbers for each field that the generator's norms are scaled and shifted by.
        cycle: λ of the way there and back.
        identity: μ of items that are translated to the domain that they are of.
        critic_steps: updates of the critic for one of the generator, each on fresh items.
    """

    def __init__(
        self,
        spec: DataSpec,
        generator: Generator = UNetGenerator(16),  # noqa: B008 (parts are immutable)
        critic: Critic = PatchCritic(),  # noqa: B008
        game: Game = LeastSquares(),  # noqa: B008
        penalties: tuple[Penalty, ...] = (Auxiliary(1.0, generated=False),),
        conditioning: Conditioning = Projection(),  # noqa: B008
        code: int = 16,
        cycle: float = 10.0,
        identity: float = 5.0,
        critic_steps: int = 1,
    ) -> None:
        super().__init__(spec, game, penalties, cycle, identity, critic_steps)
        within(1, code=code)
        self.generator = OfItem(self.form.made, self.domains, generator, code)
        self.critic = CriticNetwork(self.form.made, critic, conditioning, bias=game.boundary is not None)
        self.remember_penalties()

    def targets(self, own: Condition) -> Condition:
        """The domains of the items of the whole batch, in another order."""
        device = next(iter(own.values())).device
        numbers, total = whole.numbers(len(next(iter(own.values()))), device)
        order = torch.randperm(total, generator=whole.common(device), device=device)[numbers]
        return Condition({name: whole.column(name, values)[order] for name, values in own.items()})
