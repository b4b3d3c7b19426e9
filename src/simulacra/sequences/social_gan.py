r"""Social GAN: min_G max_D of a game about whole scenes, with variety among k forecasts of each.

    ŷ_i(z) = line_i + G(past of i, pool of the others, z),   one z ~ N(0, I) for all people of a scene
    L_G = a E game + E min_k Σ_i |y_i - ŷ_i(z_k)| / E people + b E Σ_i |y_i - ŷ_i(0)| / E people

The line is that of constant velocity, which is hard to beat: the generator learns what to change of it. The least of
k distances leaves a code free to be wrong where others are right, so that codes spread over what may come (the variety
loss). In training the past is blurred a little (`jitter`): some recordings are noisy, and the last velocity of these is
a bad line. ŷ(0) is the one forecast that errs least, for who wants one. |·| is the mean distance over steps: what is
measured, and not its square, which a few runners would rule.
Gupta et al. 2018, "Social GAN: Socially Acceptable Trajectories with Generative Adversarial Networks". There positions
come one by one out of an LSTM, with no line and no frames; here the steps come all at once, which is faster.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from simulacra import whole
from simulacra.adversarial.games import Game, NonSaturating
from simulacra.data.spec import DataSpec
from simulacra.parts import within
from simulacra.registry import register
from simulacra.sequences.crowd import Crowd, Pooling
from simulacra.sequences.walker import TRAINING, Reader, Walker
from simulacra.turns import Phase, Player, Turn

WIDTH = 64  # of the hidden layers behind the reader
TEMPERED = 0.1  # how much smaller the weights of the last layer begin: at first all is the line


class PathGenerator(nn.Module):
    """Codes (K, N, latent) of N scenes -> what to add to the line, (K, M, steps, 2) metres."""

    def __init__(self, steps: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.steps = steps
        self.reader = Reader(hidden)
        self.of_past = nn.Linear(self.reader.width, WIDTH)
        self.of_code = nn.Linear(latent, WIDTH, bias=False)
        self.layers = nn.Sequential(nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2 * steps))
        with torch.no_grad():
            for parameter in self.layers[-1].parameters():
                parameter *= TEMPERED

    def forward(self, crowd: Crowd, z: Tensor) -> Tensor:
        features = self.of_past(self.reader(crowd)) + self.of_code(z)[:, crowd.scene]
        own = self.layers(features).to(crowd.past.dtype).view(len(z), len(crowd), self.steps, 2)
        return crowd.outward(own.cumsum(2).transpose(0, 1)).transpose(0, 1)


class PathCritic(nn.Module):
    """Where the people of N scenes went -> a score of each scene, (N,): the mean over its people."""

    def __init__(self, steps: int, hidden: int) -> None:
        super().__init__()
        self.read = nn.Sequential(nn.Linear(2 * steps, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.ReLU())
        self.pool = Pooling(hidden, hidden)
        self.score = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1))

    def forward(self, crowd: Crowd, future: Tensor) -> Tensor:
        whole_path = torch.cat([crowd.past, future], 1)
        own = self.read(crowd.inward(whole_path.diff(dim=1)).flatten(1))
        return crowd.means(self.score(torch.cat([own, self.pool(crowd, own)], 1)).squeeze(1).float())


@register(
    "social-gan",
    paper="Gupta et al. 2018, Social GAN: Socially Acceptable Trajectories with Generative Adversarial Networks",
    defaults=TRAINING,
)
class SocialGAN(Walker):
    """Args:
    spec: what x is, `Paths`, given where people come from.
    latent: numbers in the code of a scene.
    hidden: features of a person's past, and of the pool of the others.
    draws: k, forecasts of which the nearest counts.
    middle: b, the weight of the one forecast with z = 0.
    adversarial: a, the weight of the game; 0 leaves out the critic.
    game: of the two.
    jitter: metres; in training the places seen of each scene are blurred by noise of a deviation between 0 and this, so
        that velocities of badly measured places are not taken at their word.
    residual: whether constant velocity is the line; else everybody stands still, and the generator does it all.
    """

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 8,
        hidden: int = 48,
        draws: int = 8,
        middle: float = 1.0,
        adversarial: float = 0.01,
        game: Game = NonSaturating(),  # noqa: B008 (parts are immutable)
        jitter: float = 0.05,
        residual: bool = True,
    ) -> None:
        super().__init__(spec)
        within(1, latent=latent, hidden=hidden, draws=draws)
        within(0, middle=middle, adversarial=adversarial, jitter=jitter)
        self.latent, self.draws, self.middle, self.adversarial = latent, draws, middle, adversarial
        self.game, self.jitter, self.residual = game, jitter, residual
        self.generator = PathGenerator(self.steps, hidden, latent)
        self.critic = PathCritic(self.seen - 1 + self.steps, hidden)

    def paths(self, crowd: Crowd, z: Tensor) -> Tensor:
        """ŷ(z) of codes (K, N, latent), (K, M, steps, 2)."""
        line = crowd.straight(self.steps) if self.residual else crowd.past[:, -1:]
        return line + self.generator(crowd, z)

    def codes(self, crowd: Crowd, draws: int, generator: Generator | None = None) -> Tensor:
        """(draws, N, latent)"""
        n = len(crowd.mask)
        return whole.normal((draws * n, self.latent), crowd.past, generator).view(draws, n, self.latent)

    def drawn(self, crowd: Crowd, temperature: float, generator: Generator | None) -> Tensor:
        return self.paths(crowd, temperature * self.codes(crowd, 1, generator))[0]

    def drawn_often(self, crowd: Crowd, k: int, generator: Generator | None) -> Tensor:
        return self.paths(crowd, self.codes(crowd, k, generator))

    def likeliest(self, crowd: Crowd) -> Tensor:
        return self.paths(crowd, crowd.past.new_zeros(1, len(crowd.mask), self.latent))[0]

    def phases(self) -> Sequence[Phase]:
        painter = Phase(Player(self.generator), self.generator_loss)
        return [Phase(Player(self.critic), self.critic_loss), painter] if self.adversarial else [painter]

    def averaged(self) -> Sequence[nn.Module]:
        return [self.generator]

    def blurred(self, turn: Turn) -> Crowd:
        """Those of a turn, at places as badly measured as some are."""
        past, mask = turn.condition[self.past], turn.condition[f"{self.past}.mask"]
        if self.jitter:
            deviation = self.jitter * whole.uniform((len(past), 1, 1, 1), past)
            past = past + deviation * whole.normal(past.shape, past)
        return self._crowd(past, mask)

    def generator_loss(self, turn: Turn) -> dict[str, Tensor]:
        crowd = self.blurred(turn)
        z = torch.cat([self.codes(crowd, self.draws), crowd.past.new_zeros(1, len(crowd.mask), self.latent)])
        made, true = self.paths(crowd, z), turn.x[crowd.mask]
        people = whole.mean(crowd.mask.float().sum(1).mean()).clamp(min=1)
        away = crowd.sums((made - true).norm(dim=-1).mean(-1)) / people
        terms = {"variety": away[:-1].amin(0).mean(), "middle": self.middle * away[-1].mean()}
        if not self.adversarial:
            return terms
        real = self.critic(crowd, true) if self.game.paired else None
        game = self.game.generator(self.critic(crowd, made[0]), real)
        return terms | {"game": self.adversarial * game.float()}

    def critic_loss(self, turn: Turn) -> dict[str, Tensor]:
        crowd = self.blurred(turn)
        with torch.no_grad():
            made = self.paths(crowd, self.codes(crowd, 1))[0]
        real, fake = self.critic(crowd, turn.x[crowd.mask]), self.critic(crowd, made)
        return {"game": self.game.critic(real, fake).float()}
