r"""A pendulum with a motor at its pivot, and a data set of random play with it.

With the angle θ from the upright position, the velocity ω and the torque u, |u| <= limit, it moves as

    dθ/dt = ω,   dω/dt = (g/l) sin θ - friction · ω + u / (m l²),

and u is held during each step. Without torque and friction the energy E = ω²/2 + (g/l) cos θ, per m l², is constant.
After each step a gust adds Gaussian noise to both, so that p(next state | state, action) is a density, known exactly.
The motor is too weak to lift the pendulum at once: it has to swing. A state is seen as (cos θ, sin θ, ω), in which
nothing jumps; what a step does to it is the change (Δθ, Δω), in rad and rad/s, which has two dimensions like the
motion, where the three numbers of the next state have a circle among them, on which no density exists.

The task is that of Doya 2000, "Reinforcement learning in continuous time and space", section 5.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from simulacra.data.dataset import Card
from simulacra.data.source import Batch, Source
from simulacra.errors import UsageError
from simulacra.fields import Real

SUBSTEPS = 8  # of Runge and Kutta within a step
SEED, LENGTH, LONGEST_HOLD = 1, 50, 5  # steps of an episode; for how many of them a torque stays at most
EPISODES = {"train": 80, "valid": 20, "test": 40}  # 5,000 steps to learn from, and 2,000 to measure
FASTEST_START = 2.0  # rad/s
Random = np.random.RandomState | np.random.Generator


@dataclass(frozen=True)
class Pendulum:
    """A point mass on a rod without weight.

    Attributes:
        mass: in kg.
        length: in m.
        gravity: in m/s².
        friction: by which the velocity decays, in 1/s.
        limit: of the torque, in N m; to hold the pendulum level takes m g l, 9.81 by default.
        step: for how long an action lasts, in s.
        gust: standard deviations of the noise of a step, of the angle in rad and of the velocity in rad/s.
    """

    mass: float = 1.0
    length: float = 1.0
    gravity: float = 9.81
    friction: float = 0.05
    limit: float = 4.0
    step: float = 0.1
    gust: tuple[float, float] = (0.01, 0.05)

    def change(self, state: np.ndarray, action: np.ndarray, random: Random | None = None) -> np.ndarray:
        """(Δθ, Δω) of one step, (N, 2), from states (N, 3) and torques (N, 1), which are cut off at the limit.

        random: of the gusts; without it there are none.
        """
        torque = np.clip(np.asarray(action, np.float64)[:, 0], -self.limit, self.limit)
        push = torque / (self.mass * self.length**2)
        start = np.stack([angle(state), np.asarray(state, np.float64)[:, 2]], axis=1)

        def slope(now: np.ndarray) -> np.ndarray:
            pulled = self.gravity / self.length * np.sin(now[:, 0]) - self.friction * now[:, 1] + push
            return np.stack([now[:, 1], pulled], axis=1)

        now, h = start, self.step / SUBSTEPS
        for _ in range(SUBSTEPS):
            a = slope(now)
            b = slope(now + h / 2 * a)
            c = slope(now + h / 2 * b)
            now = now + h / 6 * (a + 2 * b + 2 * c + slope(now + h * c))
        noise = 0.0 if random is None else np.array(self.gust) * random.standard_normal(now.shape)
        return now - start + noise

    def next(self, state: np.ndarray, action: np.ndarray, random: Random | None = None) -> np.ndarray:
        """The states (N, 3) after one step."""
        return moved(state, self.change(state, action, random))

    def energy(self, state: np.ndarray) -> np.ndarray:
        """ω²/2 + (g/l) cos θ of states (N, 3), in 1/s²: the energy per m l²."""
        return 0.5 * state[:, 2] ** 2 + self.gravity / self.length * state[:, 0]

    def log_prob(self, change: np.ndarray, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        """log p(Δθ, Δω | state, action) in nats, (N,); raises UsageError for a pendulum without gusts."""
        std = np.array(self.gust)
        if not (std > 0).all():
            raise UsageError("without gusts the next state is certain, and has no density: give the pendulum a gust")
        z = (change - self.change(state, action)) / std
        return (-0.5 * z**2 - np.log(std) - 0.5 * math.log(2 * math.pi)).sum(1)

    def cost(self, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        """θ² + ω²/10 + u²/1000 of states (N, 3) and the torques (N, 1) that led to them: 0 at rest, upright."""
        return angle(state) ** 2 + 0.1 * state[:, 2] ** 2 + 0.001 * action[:, 0] ** 2


def seen(angle: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Angles and velocities (N,) -> states (N, 3)."""
    return np.stack([np.cos(angle), np.sin(angle), velocity], axis=1)


def angle(state: np.ndarray) -> np.ndarray:
    """θ in (-π, π] of states (N, 3), 0 upright."""
    return np.arctan2(state[:, 1], state[:, 0])


def moved(state: np.ndarray, change: np.ndarray) -> np.ndarray:
    """States (N, 3) that are turned by Δθ, and Δω faster; change (N, 2)."""
    return seen(angle(state) + change[:, 0], state[:, 2] + change[:, 1])


def pendulum_source() -> Source:
    """7,000 steps of random play in episodes of 50: x is (Δθ, Δω), with the fields state and action.

    An episode begins anywhere, at up to 2 rad/s, and keeps each torque, drawn uniformly, for 1 to 5 steps. Episodes lie
    in one split each, their steps one after the other.
    """
    world = Pendulum()

    def batches() -> Iterator[Batch]:
        # The legacy generator, because NumPy promises its stream for ever; that of `default_rng` may change.
        random = np.random.RandomState(SEED)
        for part, count in EPISODES.items():
            state, action, change = (
                each.reshape(count * LENGTH, -1).astype(np.float32) for each in played(world, count, LENGTH, random)
            )
            yield Batch(part, change, {"state": state, "action": action})

    return Source(
        name="pendulum",
        card=Card(
            "random play with a pendulum whose motor is weak", "simulated from a fixed seed", "Apache-2.0",
            "after K. Doya, Reinforcement learning in continuous time and space, Neural Computation 2000",
        ),
        count=sum(EPISODES.values()) * LENGTH,
        batches=batches,
        options=("version=1", *(f"{name}={value}" for name, value in asdict(world).items())),
        fields={"state": Real((3,)), "action": Real((1,))},
    )  # fmt: skip


def played(world: Pendulum, episodes: int, length: int, random: np.random.RandomState) -> tuple[np.ndarray, ...]:
    """States (E, T, 3), actions (E, T, 1) and changes (E, T, 2) of random play."""
    state = seen(random.uniform(-np.pi, np.pi, episodes), random.uniform(-FASTEST_START, FASTEST_START, episodes))
    left, action = np.zeros(episodes, np.int64), np.zeros((episodes, 1))
    steps = []
    for _ in range(length):
        over = left == 0
        drawn = random.uniform(-world.limit, world.limit, (episodes, 1))
        held = random.randint(1, LONGEST_HOLD + 1, episodes)
        action, left = np.where(over[:, None], drawn, action), np.where(over, held, left) - 1
        change = world.change(state, action, random)
        steps.append((state, action, change))
        state = moved(state, change)
    return tuple(np.stack(each, axis=1) for each in zip(*steps, strict=True))
