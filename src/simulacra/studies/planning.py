r"""Planning with a model of what actions do: draw futures, and take the first action of the best of them.

From a state s, each of K sequences of H actions is followed through draws s_{t+1} ~ p(s_{t+1} | s_t, a_t), and is worth
the mean over these futures of Σ_t cost(s_{t+1}, a_t). The first action of the best sequence is taken in the world,
and from the state that follows all of it begins anew: model-predictive control.

Random shooting draws the sequences once. The cross-entropy method fits a Gaussian to the best of them and draws again,
for a few rounds, and begins each step with the mean of the step before (de Boer, Kroese, Mannor, Rubinstein 2005, "A
tutorial on the cross-entropy method"; Chua et al. 2018, "Deep reinforcement learning in a handful of trials", for
planning with a learned density).

What is planned with is any `Dynamics`: the world itself, the density of a model that was fitted, or a linear one. So
the worth of a model is measured by the same planner with each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from simulacra.capabilities import Sampler, need
from simulacra.data.dataset import Split
from simulacra.data.shipped.pendulum import angle, moved, seen
from simulacra.errors import UsageError
from simulacra.fields import Real
from simulacra.model import ModelLike, as_model, evaluating

STATE, ACTION = "state", "action"  # the fields of a data set of steps
Dynamics = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""(states (N, S), actions (N, A), noise) -> the states (N, S) after one step, one draw for each."""
After = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(states (N, S), draws of x (N, *shape)) -> the states (N, S) after the step that x says."""
Cost = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(states (N, S), the actions (N, A) that led to them) -> (N,), summed over time and as small as possible."""


class World(Protocol):
    """Where plans are carried out: one step of all states at once, what it costs, and the largest action."""

    @property
    def limit(self) -> float: ...
    def next(self, state: np.ndarray, action: np.ndarray, random: np.random.Generator) -> np.ndarray: ...
    def cost(self, state: np.ndarray, action: np.ndarray) -> np.ndarray: ...


class Planner(Protocol):
    """`plan` returns the best sequence of actions from each of the states (B, S) of `futures`, (B, H, A).

    before: the plans of the step before, (B, H, A); None at the first one.
    """

    @property
    def horizon(self) -> int: ...
    def plan(self, futures: Futures, before: np.ndarray | None, random: np.random.Generator) -> np.ndarray: ...


@dataclass(frozen=True)
class Futures:
    """The value of actions from states (B, S): by a draw of `dynamics`, or the mean of several, what they cost.

    limit: actions are in [-limit, limit]. size: numbers A of an action. draws: futures of each sequence.
    """

    dynamics: Dynamics
    cost: Cost
    state: np.ndarray
    limit: float
    size: int = 1
    draws: int = 1

    def costs(self, actions: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Sequences (B, K, H, A) -> (B, K), summed over the H steps, the mean over the draws."""
        batch, count, horizon, _ = actions.shape
        state = self.state.repeat(count * self.draws, axis=0)
        each = actions.repeat(self.draws, axis=1).reshape(batch * count * self.draws, horizon, -1)
        total = np.zeros(len(state))
        for t in range(horizon):
            state = self.dynamics(state, each[:, t], random)
            total += self.cost(state, each[:, t])
        return total.reshape(batch, count, self.draws).mean(-1)


@dataclass(frozen=True)
class Shooting:
    """Random shooting: of `candidates` random sequences the cheapest.

    Attributes:
        horizon: steps that are looked ahead.
        candidates: sequences.
        hold: for how many steps a random action is kept at most: a torque that changes its sign at every step goes
            nowhere.
    """

    horizon: int = 15
    candidates: int = 400
    hold: int = 5

    def __post_init__(self) -> None:
        _check_positive(self, "horizon", "candidates", "hold")

    def plan(self, futures: Futures, before: np.ndarray | None, random: np.random.Generator) -> np.ndarray:
        shape = (len(futures.state), self.candidates, self.horizon, futures.size)
        actions = held(random, shape, self.hold, futures.limit)
        if before is not None:
            actions[:, 0] = shifted(before)
        return best(actions, futures.costs(actions, random))[:, 0]


@dataclass(frozen=True)
class CEM:
    """The cross-entropy method: a Gaussian over sequences, fitted `rounds` times to the cheapest of its draws.

    Attributes:
        horizon: steps that are looked ahead.
        candidates: sequences in each round.
        rounds: of draws.
        elite: how many of the candidates the Gaussian is fitted to.
        hold: as in random shooting, for the first round of the first step.
    """

    horizon: int = 15
    candidates: int = 100
    rounds: int = 4
    elite: int = 10
    hold: int = 5

    def __post_init__(self) -> None:
        _check_positive(self, "horizon", "candidates", "rounds", "elite", "hold")
        if self.elite > self.candidates:
            raise UsageError(f"an elite of {self.elite} is more than {self.candidates} candidates; take a tenth")

    def plan(self, futures: Futures, before: np.ndarray | None, random: np.random.Generator) -> np.ndarray:
        shape = (len(futures.state), self.candidates, self.horizon, futures.size)
        actions = held(random, shape, self.hold, futures.limit)
        if before is not None:  # half of the draws near the last plan, half anywhere: the way to the top may change
            near = shifted(before)[:, None] + futures.limit / 2 * random.standard_normal(shape)
            actions[:, ::2] = near.clip(-futures.limit, futures.limit)[:, ::2]
            actions[:, 0] = shifted(before)
        for _ in range(self.rounds - 1):
            elite = best(actions, futures.costs(actions, random), self.elite)
            mean, std = elite.mean(1, keepdims=True), elite.std(1, keepdims=True)
            actions = (mean + std * random.standard_normal(shape)).clip(-futures.limit, futures.limit)
            actions[:, 0], actions[:, 1] = elite[:, 0], mean[:, 0]
        return best(actions, futures.costs(actions, random))[:, 0]


@dataclass(frozen=True)
class Nothing:
    """Random actions, which is what is left without a model."""

    horizon: int = 1

    def plan(self, futures: Futures, before: np.ndarray | None, random: np.random.Generator) -> np.ndarray:
        return random.uniform(-futures.limit, futures.limit, (len(futures.state), 1, futures.size))


@dataclass(frozen=True)
class Course:
    """What happened: states (B, T + 1, S), actions (B, T, A), costs (B, T) of each of B starts."""

    states: np.ndarray
    actions: np.ndarray
    costs: np.ndarray

    @property
    def cost(self) -> np.ndarray:
        """(B,) the sum over all steps."""
        return self.costs.sum(1)


def control(
    world: World,
    dynamics: Dynamics,
    planner: Planner,
    starts: np.ndarray,
    steps: int,
    *,
    draws: int = 1,
    seed: int = 0,
) -> Course:
    """Acts in the world for so many steps from each of `starts` (B, S), all at once, each by its own plan.

    The noise of the world is that of the seed, whatever is planned with and however. draws: futures of a sequence.
    Raises UsageError for starts that are no states, and for steps or draws below 1.
    """
    state = np.asarray(starts, np.float64)
    if state.ndim != 2 or steps < 1 or draws < 1:
        raise UsageError(f"control needs starts (B, S), steps >= 1 and draws >= 1, not {state.shape}, {steps}, {draws}")
    outside, own = (np.random.Generator(np.random.PCG64((seed, which))) for which in (0, 1))
    states, actions, costs, before = [state], [], [], None
    for _ in range(steps):
        before = planner.plan(Futures(dynamics, world.cost, state, world.limit, draws=draws), before, own)
        action = before[:, 0]
        state = world.next(state, action, outside)
        states.append(state)
        actions.append(action)
        costs.append(world.cost(state, action))
    return Course(np.stack(states, 1), np.stack(actions, 1), np.stack(costs, 1))


# What is planned with


def learned(model: ModelLike, after: After = moved) -> Dynamics:
    """Draws of a model of p(x | state, action), and the next states that `after` makes of them.

    after: of the pendulum by default, where x is a change of angle and velocity; `lambda state, x: x` where x is the
    next state itself. Raises UsageError or NotSupported for a model that has no such density to draw from.
    """
    own = as_model(model)
    source, fields = need(own, Sampler), own.spec.condition
    if set(fields) != {STATE, ACTION} or not all(isinstance(field, Real) for field in fields.values()):
        raise UsageError(
            "planning needs a model of p(x | state, action): fit it with --condition state action on steps of random "
            "play, such as 'pendulum'"
        )

    def step(state: np.ndarray, action: np.ndarray, random: np.random.Generator) -> np.ndarray:
        noise = torch.Generator(own.device).manual_seed(int(random.integers(1 << 62)))
        given = {STATE: state.astype(np.float32), ACTION: action.astype(np.float32)}
        with evaluating(own):
            x = source.sample(len(state), {k: torch.from_numpy(v) for k, v in given.items()}, generator=noise)
        return after(state, x.double().cpu().numpy())

    return step


def linear(steps: Split, after: After = moved, features: Callable[[np.ndarray], np.ndarray] | None = None) -> Dynamics:
    """x = W (1, features(state), action) + Gaussian noise, by least squares; the noise has the variances of the errors.

    features: of states (N, S) -> (N, F); by default they are the state itself.
    """

    def inputs(state: np.ndarray, action: np.ndarray) -> np.ndarray:
        own = state if features is None else features(state)
        return np.concatenate([np.ones((len(state), 1)), own, action], axis=1)

    x = np.asarray(steps.x, np.float64)
    known = inputs(*(np.asarray(steps.field(name), np.float64) for name in (STATE, ACTION)))
    weights = np.linalg.lstsq(known, x, rcond=None)[0]
    std = (x - known @ weights).std(0)

    def step(state: np.ndarray, action: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return after(state, inputs(state, action) @ weights + std * random.standard_normal((len(state), x.shape[1])))

    return step


# The swing-up


HANGING, STILL = 0.2, 0.2  # rad and rad/s by which starts differ
UPRIGHT, AT_THE_END = 0.35, 10  # rad from the top; steps


def hanging(count: int, seed: int = 0) -> np.ndarray:
    """Starts (B, 3) at the bottom, up to 0.2 rad beside it and as many rad/s fast."""
    random = np.random.RandomState(seed)
    return seen(np.pi + random.uniform(-HANGING, HANGING, count), random.uniform(-STILL, STILL, count))


def upright(course: Course) -> np.ndarray:
    """(B,) whether the pendulum is within 0.35 rad of the top throughout the last ten steps, which are one second."""
    last = course.states[:, -AT_THE_END:]
    far = np.abs(angle(last.reshape(-1, last.shape[-1]))).reshape(last.shape[:2])
    return np.all(far < UPRIGHT, axis=1)


# Sequences of actions


def held(random: np.random.Generator, shape: Sequence[int], longest: int, limit: float) -> np.ndarray:
    """Uniform actions (B, K, H, A); those of a sequence are kept for as many steps as is drawn for it, to `longest`."""
    batch, count, horizon, size = shape
    free = random.uniform(-limit, limit, shape)
    span = random.integers(1, longest + 1, (batch, count, 1))
    first = np.arange(horizon) // span * span
    return np.take_along_axis(free, np.broadcast_to(first[..., None], (batch, count, horizon, size)), axis=2)


def shifted(actions: np.ndarray) -> np.ndarray:
    """Plans (B, H, A) one step later; the last action is kept."""
    return np.concatenate([actions[:, 1:], actions[:, -1:]], axis=1)


def best(actions: np.ndarray, costs: np.ndarray, count: int = 1) -> np.ndarray:
    """The cheapest sequences of (B, K, H, A), (B, count, H, A), the best first."""
    order = np.argsort(costs, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(actions, order[:, :, None, None], axis=1)


def _check_positive(planner: object, *names: str) -> None:
    for name in names:
        if getattr(planner, name) < 1:
            raise UsageError(f"{name} of {type(planner).__name__} is at least 1, not {getattr(planner, name)}")
