"""Who moves when: players and their moments, lazy phases, further draws, names of terms, epochs, parts of a batch."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import SPECS, condition_of, dataset, items, same, small_model, weights
from torch import nn

from simulacra import registry
from simulacra.condition import Condition
from simulacra.errors import UsageError
from simulacra.model import Model
from simulacra.training.loop import Loop
from simulacra.training.options import Options
from simulacra.training.plan import Plan
from simulacra.training.run import RunFolder
from simulacra.training.runtime import Runtime
from simulacra.turns import Phase, Player, Turn, lazy_correction, names, players

HERE = Runtime(torch.device("cpu"), bf16=False)
SPEC = SPECS["vector"]


class Stream:
    """Items that follow from the number of the draw; remembers which draws were read."""

    def __init__(self, spec=SPEC, n: int = 8) -> None:
        self.spec, self.n, self.draws = spec, n, []

    def __getitem__(self, draw: int):
        self.draws.append(draw)
        return items(self.spec, self.n, seed=draw), condition_of(self.spec, self.n)


class Pulled(Model):
    """One number θ, pulled to 3 by as many phases as it is given; each is a list of arguments of `Phase`."""

    def __init__(self, spec=SPEC, plan=({},), shared: bool = True, betas=None, rate: float = 1.0) -> None:
        super().__init__(spec)
        self.theta = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.theta.weight, 5.0)
        self.plan, self.shared, self.betas, self.rate, self.seen = plan, shared, betas, rate, []

    def phases(self):
        one = Player(self.theta, self.rate, self.betas)
        return [Phase(one if self.shared else self.theta, self.loss, **given) for given in self.plan]

    def loss(self, turn):
        self.seen.append(turn)
        return {"pull": ((self.theta.weight - 3) ** 2).sum() / 2}


def loop(model: Model, **options) -> Loop:
    return Loop(model, Options(**({"warmup": 0, "learning_rate": 0.01} | options)), HERE)


# Players


def test_phases_of_one_player_share_its_moments_and_others_do_not():
    one = loop(Pulled(plan=({}, {})))
    two = loop(Pulled(plan=({}, {}), shared=False))
    assert (len(one.optimisers), len(two.optimisers)) == (1, 2)
    for training in (one, two):
        training.step(Stream(), 0.0)
    assert [state["step"].item() for state in one.optimisers[0].state.values()] == [2]
    assert [next(iter(o.state.values()))["step"].item() for o in two.optimisers] == [1, 1]
    assert {name for name in two.tensors() if name.endswith("exp_avg")} == {
        f"optimiser.{number}.theta.weight.exp_avg" for number in (0, 1)
    }


def test_two_turns_of_one_player_are_two_steps_of_adam():
    """θ is moved as by torch's Adam on the same gradients, one after the other."""
    model, plain = Pulled(plan=({}, {})), nn.Parameter(torch.tensor([[5.0]]))
    adam = torch.optim.AdamW([plain], 0.01, weight_decay=0.0)
    training = loop(model)
    for _ in range(3):
        training.step(Stream(), 0.0)
        for _ in range(2):
            adam.zero_grad()
            ((plain - 3) ** 2 / 2).sum().backward()
            adam.step()
    torch.testing.assert_close(model.theta.weight, plain)


def test_a_player_has_each_parameter_once_and_players_may_share_modules():
    inner = nn.Linear(2, 2)
    outer = nn.Sequential(inner, nn.BatchNorm1d(2))
    player = Player([outer, inner])
    assert len(list(player.parameters())) == 4
    assert len(list(player.buffers())) == 3
    other = Player(inner)
    assert set(other.parameters()) < set(player.parameters())
    assert player != Player([outer, inner])  # a player is who it is, not what it is made of
    assert players([Phase(player, print), Phase(inner, print), Phase(player, print)])[0] is player


def test_a_player_has_a_rate_and_betas_of_its_own():
    model = Pulled(rate=0.5, betas=(0.0, 0.9))
    training = loop(model)
    training.step(Stream(), 0.0)
    assert training.optimisers[0].param_groups[0]["betas"] == (0.0, 0.9)
    assert model.theta.weight.item() == pytest.approx(5 - 0.5 * 0.01, abs=1e-6)
    with pytest.raises(UsageError, match="positive, not 0"):
        Player(model.theta, rate=0)


@pytest.mark.parametrize("wrong", [{"every": 0}, {"repeat": 0}, {"draws": 0}, {"begin": 0.5, "end": 0.5}, {"end": 1.5}])
def test_a_phase_that_is_never_due_or_reads_nothing_is_refused(wrong):
    with pytest.raises(UsageError, match="phase 'print' needs"):
        Phase(nn.Linear(1, 1), print, **wrong)


# Lazy phases


def test_the_lazy_correction_is_that_of_the_paper():
    """Karras et al. 2020, appendix B: c = k / (k + 1) for a regulariser in every k-th step."""
    module = nn.Linear(1, 1)
    phase = Phase(module, print)
    for k in (2, 4, 16):
        assert lazy_correction([phase, replace(phase, every=k)]) == pytest.approx(k / (k + 1))
    assert lazy_correction([phase, phase]) == lazy_correction([replace(phase, every=4)]) == 1
    assert lazy_correction([replace(phase, repeat=2), replace(phase, every=4, repeat=2)]) == 0.8


def test_a_lazy_phase_uses_its_players_moments_corrected():
    """On a quadratic: Adam by hand with the rate times c and the betas to the power of c, whenever a phase is due."""
    model, k = Pulled(plan=({}, {"every": 3})), 3
    training = loop(model, learning_rate=0.1)
    c = k / (k + 1)
    (b1, b2), theta, m, v, t = (0.9**c, 0.999**c), 5.0, 0.0, 0.0, 0
    for step in range(7):
        training.step(Stream(), 0.0)
        for _ in range(2 if step % k == 0 else 1):
            gradient, t = theta - 3, t + 1
            m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
            theta -= 0.1 * c * (m / (1 - b1**t)) / (math.sqrt(v / (1 - b2**t)) + 1e-8)
    assert model.theta.weight.item() == pytest.approx(theta, abs=1e-5)
    assert training.turns.tolist() == [10]


def test_a_lazy_phase_is_corrected_for_in_its_own_time():
    """Before it begins and after it has ended, the learning rate and the betas of its player are the plain ones."""
    main, lazy = Phase(nn.Linear(1, 1), print), Phase(nn.Linear(1, 1), print, every=3, begin=0.25, end=0.75)
    assert [lazy_correction([main, lazy], done) for done in (0.0, 0.25, 0.5, 0.75, 1.0)] == [1, 0.75, 0.75, 1, 1]
    training = loop(Pulled(plan=({}, {"every": 3, "begin": 0.25, "end": 0.75})), learning_rate=0.1)
    for done, c in ((0.0, 1.0), (0.3, 0.75), (0.5, 0.75), (0.8, 1.0)):
        training.step(Stream(), done)
        (group,) = training.optimisers[0].param_groups
        assert group["lr"] == pytest.approx(0.1 * c)
        assert group["betas"] == pytest.approx((0.9**c, 0.999**c))


# What a turn is


def test_a_turn_knows_the_step_and_the_share_of_its_phase():
    model = Pulled(plan=({"begin": 0.5},))
    training = loop(model)
    for done in (0.0, 0.5, 0.75):
        training.step(Stream(), done)
    assert [(turn.step, turn.share) for turn in model.seen] == [(1, 0.0), (2, 0.5)]


def test_further_draws_are_other_items_and_all_phases_of_a_step_share_what_is_read():
    model, stream = Pulled(plan=({"draws": 2, "repeat": 2}, {}), shared=False), Stream()
    training = loop(model)
    training.step(stream, 0.0)
    training.step(stream, 0.0)
    assert stream.draws == [*range(8)]  # each draw is read once
    first, second, other = model.seen[:3]
    expected = [items(SPEC, 8, seed=draw) for draw in range(4)]
    assert torch.equal(first.x, expected[0])
    assert torch.equal(first.further[0][0], expected[1])
    assert torch.equal(second.x, expected[2])
    assert torch.equal(other.x, expected[0])
    assert other.further == ()


def test_only_what_is_read_is_counted():
    """A lazy phase with many repetitions passes over no items in the steps in which it is not due."""
    training, stream = loop(Pulled(plan=({}, {"every": 4, "repeat": 3}))), Stream()
    for _ in range(8):
        training.step(stream, 0.0)
    assert training.drawn == 2 * 3 + 6
    assert stream.draws == [*range(12)]


def test_rows_of_a_turn_are_rows_of_everything():
    label = torch.arange(6)
    turn = Turn(
        torch.arange(6) * 10, Condition({"label": label}), ((label + 100, Condition({"label": label + 50})),), 7
    )
    part = turn.rows(slice(2, 4))
    assert (part.x.tolist(), part.condition["label"].tolist(), part.step) == ([20, 30], [2, 3], 7)
    assert part.further[0][0].tolist() == [102, 103]
    assert part.further[0][1]["label"].tolist() == [52, 53]
    assert len(part) == 2


# Names and means of terms


class Game(Model):
    """Two phases, whose terms have the same names."""

    def __init__(self, spec=SPEC, repeat: int = 1) -> None:
        super().__init__(spec)
        self.one, self.two, self.repeat, self.count = nn.Linear(1, 1), nn.Linear(1, 1), repeat, 0

    def phases(self):
        return [Phase(self.one, self.critic_loss, repeat=self.repeat), Phase(self.two, self.generator_loss)]

    def critic_loss(self, turn):
        self.count += 1
        return {"critic": self.one.weight.sum() * 0 + self.count, "penalty": self.one.bias.sum() * 0 + 1}

    def generator_loss(self, turn):
        return {"generator": self.two.weight.sum(), "penalty": self.two.bias.sum() * 0 + 2}


def test_terms_of_the_same_name_do_not_overwrite_each_other():
    values = loop(Game()).step(Stream(), 0.0)
    assert {"critic", "critic.penalty", "generator", "generator.penalty"} == values.keys()
    assert (values["critic.penalty"].item(), values["generator.penalty"].item()) == (1, 2)
    assert loop(Pulled()).step(Stream(), 0.0).keys() == {"pull"}


def test_terms_of_repeated_turns_are_means():
    assert loop(Game(repeat=4)).step(Stream(), 0.0)["critic"].item() == 2.5


def test_phases_of_the_same_name_are_numbered():
    phase = Phase(nn.Linear(1, 1), print)
    assert names([phase, Phase(phase.player, len), phase]) == ["print1", "len", "print2"]
    assert loop(Pulled(plan=({}, {}))).step(Stream(), 0.0).keys() == {"loss1.pull", "loss2.pull"}


# Epochs


@pytest.mark.parametrize(
    "plan", [({},), ({"repeat": 5},), ({}, {"repeat": 2, "draws": 2}), ({"every": 2, "repeat": 4},)]
)
def test_an_epoch_reads_the_data_once_however_a_step_reads(plan):
    data, model, options = dataset(SPEC, (80, 4, 4)), Pulled(plan=plan), Options(batch=4, epochs=1)
    made = Plan(model, data, options, RunFolder(Path("nowhere")), {})
    training, batches = Loop(model, options, HERE), made.batches(HERE)
    while made.spent(training.steps, int(training.drawn), 0.0) < 1:
        training.step(batches, 0.0)
    read = {x.numpy().tobytes() for turn in model.seen for x in (turn.x, *(more for more, _ in turn.further))}
    assert training.drawn == len(read) == 20
    seen = np.concatenate([np.frombuffer(batch, np.uint8).reshape(-1, 5) for batch in read])
    assert sorted(map(bytes, seen)) == sorted(map(bytes, data.train.x))


# Parts of a batch


@pytest.mark.parametrize("parts", [2, 3, 8])
@pytest.mark.parametrize("name", ["gated-pixelcnn", "autoencoder", "vae", "m2", "orderless-nade"])
def test_a_batch_in_parts_is_the_batch(name, parts):
    """With the noise of the whole batch."""
    spec = SPECS["grey-labelled"]
    made = []
    for accumulate in (1, parts):
        model = small_model(registry.find(name), spec).double()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        training = loop(model, accumulate=accumulate, batch=8, clip=1.0)
        values = [training.step(Stream(spec), 0.0) for _ in range(3)]
        made.append((weights(model), values))
    (one, first), (other, second) = made
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=1e-6)
    for whole, summed in zip(first, second, strict=True):
        torch.testing.assert_close(whole, summed, rtol=1e-6, atol=1e-6)
    assert not same(one, weights(small_model(registry.find("autoencoder"), spec)))


def test_more_parts_than_items_are_refused(tmp_path):
    with pytest.raises(UsageError, match="a batch of 4 cannot be taken in 5 parts"):
        Options(batch=4, accumulate=5)
    with pytest.raises(UsageError, match="accumulate must be positive"):
        Options(accumulate=0)


# What is averaged


def test_a_critic_is_not_averaged_and_is_the_newest_where_it_is_read():
    for name, expected in (("dcgan", {"generator"}), ("aae", {"encoder", "decoder"})):
        model = small_model(registry.find(name), SPECS["grey"])
        training = loop(model, ema=0.9)
        for _ in range(3):
            training.step(Stream(SPECS["grey"]), 0.0)
        held = {key.split(".")[1] for key in training.tensors() if key.startswith("averaged.")}
        assert held == expected
        fitted = training.fitted
        assert same(weights(fitted.critic), weights(model.critic))
        own = next(iter(expected))
        assert not same(weights(getattr(fitted, own)), weights(getattr(model, own)))
        training.step(Stream(SPECS["grey"]), 0.0)
        assert not same(weights(fitted.critic), weights(model.critic))  # it is copied when it is read
        assert same(weights(training.fitted.critic), weights(model.critic))


# The cost of a step beside its losses


def test_a_step_is_taken_in_training_mode_and_walks_over_modules_only_to_enter_it(monkeypatch):
    training, walks = loop(Pulled(plan=({}, {}), shared=False)), []
    training.model.eval()
    training.step(Stream(), 0.0)
    assert all(module.training for module in training.model.modules())
    for name in ("train", "named_modules", "named_children"):
        original = getattr(nn.Module, name)
        monkeypatch.setattr(
            nn.Module, name, lambda *args, original=original, **given: walks.append(1) or original(*args, **given)
        )
    training.step(Stream(), 0.0)
    assert not walks
