r"""TimeGAN: a game in the latent space of an autoencoder of series, whose steps a supervisor learns to foresee,

    h = e(x),  x̃ = r(h),   h_t ≈ s(h_1 ... h_{t-1}),   ĥ = s(g(z)),  x̂ = r(ĥ),   z_0, z_t ~ N(0, I)
    R = E (x - x̃)²,   S = E (h_t - s(h_<t))²,   M = E |mean x̂ - mean x| + |deviation x̂ - deviation x|

in three stages: autoencoding min_{e,r} R; next steps in latents min_s S; and the joint game,

    generator       min_{g,s}  U(ĥ) + γ U(g(z)) + η √S + μ M
    autoencoder     min_{e,r}  R + λ S
    critic          max_d      the same game, of h against ĥ and, γ times, against g(z)

where e, r, s and g are recurrent and causal, g reads z_0 and z_t at step t, d reads both ways, and means and deviations
of M are those of each number of each step over a batch. s gives what is generated the dynamics of real latents, which a
critic alone teaches badly. z_0, the paper's noise of static features, is one for a series: it holds what stays, such as
the level, which noise of single steps hardly can.
Yoon, Jarrett & van der Schaar 2019, "Time-series Generative Adversarial Networks", section 4, where the weight of the
supervised loss is η on S itself; its root, M and the game of g(z) are from the authors' training.

The networks see columns in deviations from their means over the items of the first stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor, nn

from simulacra import whole
from simulacra.adversarial.games import Game, NonSaturating
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.directed import ancestral
from simulacra.distributions import Distribution, PointMass
from simulacra.errors import NotSupported, UsageError
from simulacra.fields import Field
from simulacra.model import Model
from simulacra.nn import AddCondition, Embed, Units
from simulacra.parts import within
from simulacra.registry import register
from simulacra.sequences.spec import series_shape
from simulacra.turns import Phase, Player, Turn

AUTOENCODED, SUPERVISED = 0.3, 0.5  # where the first and the second stage end, of the budget
LEAST = 1e-12  # under a root, whose slope at 0 has no end


class Recurrent(nn.Module):
    """Series (N, T, inputs) -> (N, T, outputs), by a GRU that begins in a state of the condition; `both`: both ways."""

    def __init__(
        self, inputs: int, hidden: int, layers: int, outputs: int, fields: Mapping[str, Field], both: bool = False
    ) -> None:
        super().__init__()
        self.hidden, self.states = hidden, layers * (1 + both)
        self.embed = Embed(fields)
        self.condition = AddCondition(fields, hidden)
        self.recurrent = nn.GRU(inputs, hidden, layers, batch_first=True, bidirectional=both)
        self.last = nn.Linear(hidden * (1 + both), outputs)

    def start(self, condition: Condition, n: int) -> Tensor:
        """The state before the first step, (n, hidden)."""
        with torch.autocast(self.last.weight.device.type, enabled=False):
            return self.condition(self.last.weight.new_zeros(n, self.hidden), self.embed(condition))

    def forward(self, x: Tensor, start: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # a recurrence adds up what rounding loses
            states = start.expand(self.states, *start.shape).contiguous()
            return self.last(self.recurrent(x.to(self.last.weight.dtype), states)[0])


@register(
    "timegan",
    paper="Yoon, Jarrett & van der Schaar 2019, Time-series Generative Adversarial Networks",
    defaults={"learning_rate": 1e-3, "batch": 128, "steps": 5000, "every": 250},
)
class TimeGAN(Model):
    """Series (T, D) by a game in latent series h (T, latent), which are the codes: `encode` is e, `decode` is r, and
    `prior` are draws of s(g(z)).

    Args:
        spec: what x is: series (T, D) of real numbers, with any condition.
        latent: numbers in a step of h, all between 0 and 1, and of z, and in z_0.
        hidden: units of each recurrent network.
        layers: of each recurrent network.
        game: of the critic with the generator.
        raw: γ, the weight of the game of g(z) before the supervisor.
        supervised: η, the weight of the supervised loss for the generator.
        moments: μ, the weight of the moments, in deviations of the columns.
        smooth: λ, the weight of the supervised loss for the autoencoder.
    """

    sample = ancestral

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 24,
        hidden: int = 32,
        layers: int = 1,
        game: Game = NonSaturating(),  # noqa: B008 (parts are immutable)
        raw: float = 1.0,
        supervised: float = 100.0,
        moments: float = 20.0,
        smooth: float = 1.0,
    ) -> None:
        super().__init__(spec)
        length, columns = series_shape(spec, "timegan", "gan")
        if length < 2:
            raise UsageError("timegan learns from one step to the next: a series of one step has none; use gan")
        within(1, latent=latent, hidden=hidden, layers=layers)
        within(0, raw=raw, supervised=supervised, moments=moments, smooth=smooth)
        self.latents, self.noise = (length, latent), (1 + length, latent)
        self.game, self.raw, self.supervised, self.moments, self.smooth = game, raw, supervised, moments, smooth
        self.units = Units(columns)
        fields = spec.condition
        self.embedder = Recurrent(columns, hidden, layers, latent, fields)
        self.recovery = Recurrent(latent, hidden, layers, columns, fields)
        self.supervisor = Recurrent(latent, hidden, layers, latent, fields)
        self.generator = Recurrent(2 * latent, hidden, layers, latent, fields)
        self.critic = Recurrent(latent, hidden, layers, 1, fields, both=True)

    # Abilities

    def encode(self, x: Tensor, condition: ConditionLike | None = None) -> PointMass:
        """All mass on h = e(x), codes (N, T * latent)."""
        return PointMass(self.embedded(self.standard(x), self.conditioned(condition, len(x))).flatten(1))

    def prior(self, n: int, condition: ConditionLike | None = None) -> GeneratedLatents:
        """Draws of s(g(z)), codes (n, T * latent), which have no density."""
        given = self.conditioned(condition, n)
        starts = torch.stack([self.generator.start(given, n), self.supervisor.start(given, n)], 1)
        return GeneratedLatents(self, starts)

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> PointMass:
        """All mass on r(h), x (N, T, D) in the units of the data."""
        u = self.recovered(z.view(len(z), *self.latents), self.conditioned(condition, len(z)))
        return PointMass(u * self.units.scale + self.units.mean)

    # Networks

    def standard(self, x: Tensor) -> Tensor:
        """x (N, T, D) in deviations of its columns."""
        return (x.to(self.units.mean.dtype) - self.units.mean) / self.units.scale

    def embedded(self, u: Tensor, condition: Condition) -> Tensor:
        """e: standardised series -> latents (N, T, latent) in (0, 1)."""
        return torch.sigmoid(self.embedder(u, self.embedder.start(condition, len(u))))

    def recovered(self, h: Tensor, condition: Condition) -> Tensor:
        """r: latents -> standardised series (N, T, D)."""
        return self.recovery(h, self.recovery.start(condition, len(h)))

    def foreseen(self, h: Tensor, start: Tensor) -> Tensor:
        """s: latents -> at each step what the next one is to be, (N, T, latent)."""
        return torch.sigmoid(self.supervisor(h, start))

    def generated(self, z: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """g(z) and s(g(z)), latents (N, T, latent).

        z (N, 1 + T, latent) begins with z_0; `starts` (N, 2, hidden) are the states in which g and s begin.
        """
        stays, steps = z[:, :1], z[:, 1:]
        raw = torch.sigmoid(self.generator(torch.cat((steps, stays.expand_as(steps)), 2), starts[:, 0]))
        return raw, self.foreseen(raw, starts[:, 1])

    # Training

    def phases(self) -> Sequence[Phase]:
        autoencoder = Player([self.embedder, self.recovery])
        return [
            Phase(autoencoder, self.autoencoder_loss, end=AUTOENCODED),
            Phase(Player(self.supervisor), self.supervisor_loss, begin=AUTOENCODED, end=SUPERVISED),
            Phase(Player([self.generator, self.supervisor]), self.generator_loss, begin=SUPERVISED),
            Phase(autoencoder, self.joint_loss, begin=SUPERVISED),
            Phase(Player(self.critic), self.critic_loss, begin=SUPERVISED),
        ]

    def averaged(self) -> Sequence[nn.Module]:
        return [self.embedder, self.recovery, self.supervisor, self.generator]

    def autoencoder_loss(self, turn: Turn) -> dict[str, Tensor]:
        """R, in squared deviations; in training mode the units of the columns are learnt too."""
        if self.training:
            self.units.learn(turn.x)
        u = self.standard(turn.x)
        return {"reconstruction": self._left(u, self.embedded(u, turn.condition), turn.condition)}

    def supervisor_loss(self, turn: Turn) -> dict[str, Tensor]:
        """S, of latents as they are."""
        return {"next": self._surprise(self._latents(turn), turn.condition)}

    def joint_loss(self, turn: Turn) -> dict[str, Tensor]:
        """R + λ S, of latents that can be moved."""
        u = self.standard(turn.x)
        h = self.embedded(u, turn.condition)
        next_step = self.smooth * self._surprise(h, turn.condition)
        return {"reconstruction": self._left(u, h, turn.condition), "next": next_step}

    def generator_loss(self, turn: Turn) -> dict[str, Tensor]:
        real, given = self._latents(turn), turn.condition
        raw, made = self._generated(turn)
        of_made, of_raw, *others = self._scores(given, made, raw, *([real] if self.game.paired else []))
        of_real = others[0] if others else None
        surprise = (whole.mean(self._surprise(real, given)) + LEAST).sqrt()
        return {
            "game": self.game.generator(of_made, of_real),
            "raw": self.raw * self.game.generator(of_raw, of_real),
            "next": self.supervised * surprise,
            "moments": self.moments * _moments_apart(self.recovered(made, given), self.standard(turn.x)),
        }

    def critic_loss(self, turn: Turn) -> dict[str, Tensor]:
        with torch.no_grad():
            real, (raw, made) = self._latents(turn), self._generated(turn)
        of_real, of_made, of_raw = self._scores(turn.condition, real, made, raw)
        return {"game": self.game.critic(of_real, of_made), "raw": self.raw * self.game.critic(of_real, of_raw)}

    @torch.no_grad()
    def _latents(self, turn: Turn) -> Tensor:
        return self.embedded(self.standard(turn.x), turn.condition)

    def _generated(self, turn: Turn) -> tuple[Tensor, Tensor]:
        codes = self.prior(len(turn), turn.condition)
        return self.generated(codes.noise(None), codes.starts)

    def _left(self, u: Tensor, h: Tensor, condition: Condition) -> Tensor:
        return (self.recovered(h, condition) - u).square().mean()

    def _surprise(self, h: Tensor, condition: Condition) -> Tensor:
        foreseen = self.foreseen(h[:, :-1], self.supervisor.start(condition, len(h)))
        return (h[:, 1:] - foreseen).square().mean()

    def _scores(self, condition: Condition, *latents: Tensor) -> Sequence[Tensor]:
        """Logits of d for each of some latents (N, T, latent), one for each step, (N * T,); all of them at once."""
        start = self.critic.start(condition, len(latents[0])).repeat(len(latents), 1)
        return self.critic(torch.cat(latents), start).flatten().chunk(len(latents))


def _moments_apart(made: Tensor, real: Tensor) -> Tensor:
    """M of series (N, T, D), over the items of all processes."""
    apart = made.new_zeros(())
    means = [whole.mean(x.mean(0)) for x in (made, real)]
    deviations = [
        (whole.mean((x - mean).square().mean(0)) + LEAST).sqrt() for x, mean in zip((made, real), means, strict=True)
    ]
    for own, other in (means, deviations):
        apart = apart + (own - other).abs().mean()
    return apart


class GeneratedLatents(Distribution):
    """What the generator draws, latents (N, T * latent): draws and no density. starts: see `TimeGAN.generated`."""

    def __init__(self, model: TimeGAN, starts: Tensor) -> None:
        self.model, self.starts = model, starts

    def noise(self, generator: Generator | None) -> Tensor:
        """z (N, 1 + T, latent)"""
        return whole.normal((len(self.starts), *self.model.noise), self.starts, generator)

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        """One draw for each item, from z that `temperature` multiplies."""
        return self.model.generated(temperature * self.noise(generator), self.starts)[1].flatten(1)

    @property
    def mean(self) -> Tensor:
        """What z = 0 gives: not the mean of draws, but one typical code."""
        zeros = self.starts.new_zeros(len(self.starts), *self.model.noise)
        return self.model.generated(zeros, self.starts)[1].flatten(1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Raises NotSupported."""
        raise NotSupported("the latents of timegan have draws but no density; fit mdn-rnn for a density of series")
