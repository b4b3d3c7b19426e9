"""Planners find known optima, and a pendulum is swung up by a plan."""

from dataclasses import dataclass

import numpy as np
import pytest

import simulacra as sim
from simulacra.data.shipped.pendulum import Pendulum, moved, seen
from simulacra.errors import UsageError
from simulacra.studies.planning import (
    CEM,
    Futures,
    Nothing,
    Shooting,
    control,
    hanging,
    held,
    learned,
    linear,
    upright,
)


@dataclass(frozen=True)
class Cart:
    """s' = s + a + noise at a cost of s'²: the best action is -s, as far as the limit goes."""

    limit: float = 1.0
    std: float = 0.0

    def next(self, state, action, random):
        return state + action + self.std * random.standard_normal(state.shape)

    def cost(self, state, action):
        return state[:, 0] ** 2


STARTS = np.array([[-0.8], [-0.3], [0.1], [0.6], [3.0]])


@pytest.mark.parametrize(
    ("planner", "within"),
    [(Shooting(horizon=1, candidates=300), 0.03), (CEM(horizon=3, candidates=200, rounds=8, elite=20), 0.05)],
)
def test_planners_find_the_optimum_of_a_known_world(planner, within):
    cart, random = Cart(), np.random.default_rng(0)
    plans = planner.plan(Futures(cart.next, cart.cost, STARTS, cart.limit), None, random)
    assert plans.shape == (5, planner.horizon, 1)
    assert plans[:, 0] == pytest.approx(np.clip(-STARTS, -1, 1), abs=within)


def test_the_cost_of_a_sequence_is_the_sum_over_its_future():
    cart, actions = Cart(), np.random.default_rng(1).uniform(-1, 1, (5, 3, 4, 1))
    costs = Futures(cart.next, cart.cost, STARTS, cart.limit).costs(actions, np.random.default_rng(0))
    places = STARTS[:, None] + actions[..., 0].cumsum(2)
    assert costs == pytest.approx((places**2).sum(2))


def test_several_futures_of_a_sequence_are_averaged():
    """E[(s + a + ε)²] = (s + a)² + σ²."""
    cart, actions = Cart(std=0.5), np.zeros((5, 2, 1, 1))
    costs = Futures(cart.next, cart.cost, STARTS, cart.limit, draws=4000).costs(actions, np.random.default_rng(0))
    assert costs == pytest.approx(np.broadcast_to(STARTS**2 + 0.25, (5, 2)), rel=0.1)


def test_the_noise_of_the_world_is_the_same_whoever_plans():
    cart = Cart(std=0.3)
    courses = [control(cart, cart.next, planner, STARTS, 3, seed=4) for planner in (Nothing(), Shooting(2, 10))]
    noises = [course.states[:, 1:] - course.states[:, :-1] - course.actions for course in courses]
    assert noises[0] == pytest.approx(noises[1])
    again = control(cart, cart.next, Shooting(2, 10), STARTS, 3, seed=4)
    assert np.array_equal(again.states, courses[1].states)


def test_random_sequences_keep_their_actions():
    actions = held(np.random.default_rng(0), (2, 200, 12, 1), 4, 2.0)
    assert np.abs(actions).max() <= 2
    changes = (np.diff(actions, axis=2) != 0).sum((2, 3))
    assert set(np.unique(changes)) == {2, 3, 5, 11}  # kept for 4, 3, 2 or 1 of 12 steps


def test_a_plan_with_the_true_model_swings_the_pendulum_up():
    world = Pendulum()
    planner = CEM(horizon=15, candidates=60, rounds=3, elite=6)
    course = control(world, world.next, planner, hanging(2), 50)
    assert upright(course).all()
    assert not upright(control(world, world.next, Nothing(), hanging(2), 50)).any()
    assert course.cost == pytest.approx(course.costs.sum(1))
    assert np.abs(course.actions).max() <= world.limit


def test_upright_is_upright_until_the_end():
    world = Pendulum(gust=(0.0, 0.0))
    still = control(world, world.next, Nothing(), seen(np.zeros(1), np.zeros(1)), 12)
    assert not upright(still).any()  # random torques throw it over
    quiet = Pendulum(gust=(0.0, 0.0), limit=1e-9)
    assert upright(control(quiet, quiet.next, Nothing(), seen(np.zeros(1), np.zeros(1)), 12)).all()


def test_least_squares_find_a_linear_world():
    play, random = sim.data.load("pendulum"), np.random.default_rng(0)
    weights = np.array([[0.1, 0.0], [0.2, 1.0], [0.0, -1.0], [0.1, 0.3], [0.0, 0.5]])
    known = np.concatenate([np.ones((len(play.train), 1)), play.train.field("state"), play.train.field("action")], 1)
    exact = type(play.train)((known @ weights).astype(np.float32), play.train.condition, "train")
    state, action = known[:20, 1:4].astype(np.float64), known[:20, 4:].astype(np.float64)
    assert linear(exact)(state, action, random) == pytest.approx(moved(state, known[:20] @ weights), abs=1e-4)


def test_a_fitted_density_is_planned_with(tmp_path):
    play = sim.data.load("pendulum")
    model = sim.fit("rnade", play, tmp_path, condition=("state", "action"), steps=60, every=60, hidden=20, components=2)
    dynamics = learned(model)
    state, pulled = np.repeat(hanging(1), 200, axis=0), np.full((200, 1), 4.0)
    one, other = (dynamics(state, pulled, np.random.default_rng(seed)) for seed in (0, 1))
    assert one.shape == (200, 3)
    assert (one[:, :2] ** 2).sum(1) == pytest.approx(1)
    assert np.array_equal(one, dynamics(state, pulled, np.random.default_rng(0)))
    assert not np.array_equal(one, other)
    assert one[:, 2].mean() > dynamics(state, -pulled, np.random.default_rng(0))[:, 2].mean() + 0.3
    course = control(Pendulum(), dynamics, CEM(horizon=3, candidates=10, elite=2, rounds=2), hanging(2), 3)
    assert course.states.shape == (2, 4, 3)


def test_what_cannot_be_planned_with_is_refused(tmp_path):
    unconditional = sim.fit("rnade", "pendulum", tmp_path, steps=1)
    with pytest.raises(UsageError, match="--condition state action"):
        learned(unconditional)
    with pytest.raises(UsageError, match="horizon of CEM is at least 1"):
        CEM(horizon=0)
    with pytest.raises(UsageError, match="an elite of 20 is more than 10"):
        CEM(candidates=10, elite=20)
    world = Pendulum()
    with pytest.raises(UsageError, match="starts"):
        control(world, world.next, Nothing(), np.zeros(3), 5)
