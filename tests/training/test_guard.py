"""Where nobody reads in every turn, as on a GPU: a failure suppresses every later update and is reported when read."""

import math

import pytest
import torch
from small import SPECS, same, weights
from test_skip import HERE, Nothing, Slope, moments
from torch import nn

from simulacra.errors import TrainingError
from simulacra.model import Model
from simulacra.training.guard import STALLED
from simulacra.training.loop import Loop
from simulacra.training.options import Options
from simulacra.turns import Phase


class Fragile(Model):
    """Two numbers, moved in turn; from step `at` on, one term of the second is no number for one step."""

    def __init__(self, at: int, bad: float = math.nan) -> None:
        super().__init__(SPECS["vector"])
        self.first, self.second, self.at, self.bad = nn.Linear(1, 1), nn.Linear(1, 1), at, bad

    def phases(self):
        return [Phase(self.first, self.first_loss), Phase(self.second, self.second_loss)]

    def first_loss(self, turn):
        return {"pull": self.first.weight.square().sum() + self.first.bias.square().sum()}

    def second_loss(self, turn):
        pull = self.second.weight.square().sum() + self.second.bias.square().sum()
        return {"pull": pull, "push": pull * (self.bad if turn.step == self.at else 1.0)}


def lazy(model: Model, **options) -> Loop:
    training = Loop(model, Options(**({"warmup": 0} | options)), HERE)
    training.guard.eager = False
    return training


def test_both_ways_are_the_same_as_long_as_nothing_fails():
    made = []
    for eager in (True, False):
        torch.manual_seed(0)
        training = lazy(Fragile(at=99), clip=1.0)
        training.guard.eager = eager
        values = [training.step(Nothing(), 0.0) for _ in range(5)]
        training.check()
        made.append((values, training.tensors()))
    (one, first), (other, second) = made
    assert all(same(a, b) for a, b in zip(one, other, strict=True))
    assert same(first, second)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_after_a_failure_no_update_happens_whoever_is_due(bad):
    training = lazy(Fragile(at=2, bad=bad))
    for _ in range(2):
        training.step(Nothing(), 0.0)
    second = weights(training.model.second)
    training.step(Nothing(), 0.0)
    assert same(weights(training.model.second), second)
    kept, held = weights(training.model), moments(training)
    for _ in range(3):
        training.step(Nothing(), 0.0)  # whose losses are finite again
    assert same(weights(training.model), kept)
    assert same(moments(training), held)
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"not finite at step 2: term 'push' of second_loss"):
            training.check()
    with pytest.raises(TrainingError, match=r"step 2: term 'push'"):
        training.refuse_unless_finite()


def test_a_gradient_that_is_not_finite_is_a_failure_without_a_clip_too():
    for eager in (True, False):
        training = lazy(Slope(SPECS["vector"], (1.0,)))
        training.guard.eager = eager
        training.model.theta.register_hook(lambda gradient: gradient * math.nan)
        if not eager:
            training.step(Nothing(), 0.0)
        read = training.check if not eager else lambda training=training: training.step(Nothing(), 0.0)
        with pytest.raises(TrainingError, match=r"not finite at step 0: term 'gradient' of loss"):
            read()
        assert training.model.theta.item() == 5.0


def test_a_sum_of_finite_terms_that_is_not():
    class Large(Slope):
        def loss(self, turn):
            return {name: 2e38 + 0 * self.theta.sum() for name in ("one", "two")}

    training = lazy(Large(SPECS["vector"]))
    training.step(Nothing(), 0.0)
    with pytest.raises(TrainingError, match="term 'the sum of the terms' of loss"):
        training.check()


def test_skipped_updates_are_skipped_and_counted_on_the_device():
    path = [1.0, 20.0, -1e6, 1.0, 20.0, 3.0]
    eager = Loop(Slope(SPECS["vector"], path), Options(warmup=0, skip=10.0), HERE)
    late = lazy(Slope(SPECS["vector"], path), skip=10.0)
    for _ in path:
        one, other = eager.step(Nothing(), 0.0), late.step(Nothing(), 0.0)
        assert one["skipped"] == other["skipped"]
    assert other["skipped"].item() == 3
    late.check()
    assert same(eager.tensors(), late.tensors())


def test_a_stalled_run_is_reported_even_if_it_goes_on():
    training = lazy(Slope(SPECS["vector"], [20.0] * STALLED + [1.0]), skip=10.0)
    for _ in range(STALLED - 1):
        training.step(Nothing(), 0.0)
    training.check()
    for _ in range(5):
        training.step(Nothing(), 0.0)
    with pytest.raises(TrainingError, match=rf"step {STALLED - 1}: {STALLED} updates in a row .* 20\).*larger --skip"):
        training.check()
    assert training.model.theta.item() == 5.0
