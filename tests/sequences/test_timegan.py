"""TimeGAN: stages that move their own networks, losses by hand, and draws in the units of the data."""

import math
import signal
from dataclasses import replace

import pytest
import torch
from small import before_step, dataset, items, randomise, same, weights

import simulacra as sim
from simulacra.condition import Condition
from simulacra.data import ClassLabel, DataSpec, Levels, Real
from simulacra.errors import NotSupported, UsageError
from simulacra.evaluation.judges import by_energy_distance, usual_judge
from simulacra.sequences import TimeGAN
from simulacra.sequences.timegan import _moments_apart
from simulacra.training import Interrupted
from simulacra.training.loop import Loop
from simulacra.training.options import Options
from simulacra.training.runtime import Runtime
from simulacra.turns import Turn

SPEC = DataSpec(Real((6, 2)))
LABELLED = DataSpec(Real((6, 2)), {"label": ClassLabel(3, ())})
SMALL = {"latent": 3, "hidden": 5}
HERE = Runtime(torch.device("cpu"), bf16=False)


def lively(spec=SPEC, **given):
    return randomise(TimeGAN(spec, **SMALL | given), 0.5).double().eval()


class Draws:
    """The same items in every batch."""

    def __init__(self, x):
        self.x = x

    def __getitem__(self, draw):
        return self.x, Condition()


def moved(model, training, done):
    """The networks that a step with `done` of the budget spent changes."""
    before = weights(model)
    training.step(Draws(items(SPEC, 8)), done)
    return {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def test_each_stage_moves_its_own_networks_and_no_other():
    torch.manual_seed(0)
    model = TimeGAN(SPEC, **SMALL)
    training = Loop(model, Options(warmup=0), HERE)
    assert moved(model, training, 0.0) == {"embedder", "recovery", "units"}
    assert moved(model, training, 0.4) == {"supervisor"}
    assert moved(model, training, 0.6) == {"embedder", "recovery", "supervisor", "generator", "critic"}


def test_a_loss_of_the_game_reaches_all_of_its_player():
    model, turn = lively(LABELLED), Turn(items(SPEC, 8).double(), Condition({"label": torch.arange(8) % 3}))
    for phase in model.phases():
        model.zero_grad(set_to_none=True)
        sum(phase.loss(turn).values()).backward()
        assert all(parameter.grad is not None for parameter in phase.player.parameters()), phase.name


@torch.no_grad()
def test_the_supervised_loss_is_the_mean_square_of_what_comes_next():
    """Of a supervisor that foresees σ(b) whatever it reads."""
    model, x = lively(), items(SPEC, 9).double()
    model.supervisor.last.weight.zero_()
    h = model.encode(x).value.view(9, 6, 3)
    expected = (h[:, 1:] - torch.sigmoid(model.supervisor.last.bias)).square().mean()
    turn = Turn(x)
    torch.testing.assert_close(model.supervisor_loss(turn)["next"], expected)
    torch.testing.assert_close(model.joint_loss(turn)["next"], expected)
    torch.testing.assert_close(model.generator_loss(turn)["next"], 100 * expected.sqrt())


@torch.no_grad()
def test_a_critic_that_knows_nothing_gives_the_losses_of_a_coin():
    model, turn = lively(raw=0.5), Turn(items(SPEC, 9).double())
    model.critic.last.weight.zero_()
    model.critic.last.bias.zero_()
    found, game = model.critic_loss(turn), model.generator_loss(turn)
    assert [float(found[name]) for name in ("game", "raw")] == pytest.approx([2 * math.log(2), math.log(2)])
    assert [float(game[name]) for name in ("game", "raw")] == pytest.approx([math.log(2), math.log(2) / 2])


def test_moments_are_those_of_each_number_of_each_step():
    x = torch.randn(50, 4, 2).double()
    expected = (x.mean(0) + 1).abs().mean() + x.std(0, correction=0).mean()
    torch.testing.assert_close(_moments_apart(2 * x + 1, x), expected)
    assert float(_moments_apart(x[torch.randperm(50)], x)) < 1e-12


@pytest.mark.parametrize("network", ["embedder", "recovery", "supervisor", "generator"])
def test_no_step_depends_on_a_later_one(network):
    own = getattr(lively(), network)
    x = torch.randn(1, 6, own.recurrent.input_size).double().requires_grad_()
    y = own(x, own.start(Condition(), 1))
    for step in range(6):
        (gradient,) = torch.autograd.grad(y[0, step].sum(), x, retain_graph=True)
        assert not gradient[0, step + 1 :].any()
        assert gradient[0, : step + 1].any(1).all()


@torch.no_grad()
def test_a_sample_depends_on_its_own_noise_alone():
    model = lively()
    codes = model.prior(5)
    z = torch.randn(5, 7, 3).double()
    other = torch.cat([z[:2], torch.randn(3, 7, 3).double()])
    one, two = (model.generated(noise, codes.starts)[1] for noise in (z, other))
    torch.testing.assert_close(one[:2], two[:2], rtol=0, atol=0)
    assert (one[2:] != two[2:]).any((1, 2)).all()


@torch.no_grad()
def test_one_code_reaches_every_step_and_the_others_no_earlier_one():
    model = lively()
    starts, z = model.prior(1).starts, torch.randn(1, 7, 3).double()
    whole = model.generated(z, starts)[1]
    for place in range(7):
        other = z.clone()
        other[:, place] += 1
        moved = (model.generated(other, starts)[1] != whole).any(2)[0]
        assert moved.tolist() == [step >= place - 1 for step in range(6)]


@torch.no_grad()
def test_the_units_of_a_column_are_those_of_draws_and_change_no_code():
    x, scale, shift = items(SPEC, 40).double(), torch.tensor([1e3, 1e-2]).double(), torch.tensor([5e4, 1.0]).double()
    models = [lively() for _ in range(2)]
    drawn, codes = [], []
    for model, values in zip(models, (x, x * scale + shift), strict=True):
        model.units.learn(values.flatten(0, 1))
        drawn.append(model.sample(7, generator=torch.Generator().manual_seed(0)))
        codes.append(model.encode(values).value)
    torch.testing.assert_close(drawn[1], drawn[0] * scale + shift)
    torch.testing.assert_close(codes[1], codes[0])


def test_the_units_of_a_column_do_not_change_what_is_picked():
    found, data = [], dataset(SPEC, (40, 20, 20))
    for scale in (torch.ones(2), torch.tensor([1e6, 1e-3])):
        splits = [replace(split, x=split.x * scale.numpy()) for split in (data.train, data.valid, data.test)]
        own = replace(data, train=splits[0], valid=splits[1], test=splits[2])
        model = lively().float()
        model.units.learn(torch.from_numpy(splits[0].x))
        assert usual_judge(model) is by_energy_distance
        found.append(by_energy_distance(model, own, 0).value)
    assert found[1] == pytest.approx(found[0], rel=1e-3)


def test_draws_come_to_have_the_moments_of_the_data_at_each_step():
    torch.manual_seed(0)
    slope, steps = torch.randn(400, 1, 1), torch.linspace(-1, 2, 6)[None, :, None]
    x = 10 + slope * steps + steps + 0.05 * torch.randn(400, 6, 2)
    model = TimeGAN(SPEC, latent=6, hidden=12)
    training = Loop(model, Options(learning_rate=0.01, warmup=0, clip=5.0), HERE)
    for step in range(200):
        training.step(Draws(x[torch.randint(400, (64,))]), step / 200)
    with torch.no_grad():
        drawn = model.eval().sample(2000, generator=torch.Generator().manual_seed(1))
        left = model.decode(model.encode(x).value).value - x
    assert float(left.square().mean()) < 0.1 * float(x.var())
    assert float((drawn.mean(0) - x.mean(0)).abs().mean()) < 0.2 * float(x.std())
    assert float((drawn.std(0) - x.std(0)).abs().mean()) < 0.2 * float(x.std())


@pytest.mark.parametrize("step", [2, 4, 6])
def test_stopped_in_any_stage_it_ends_as_if_it_had_not(tmp_path, step):
    def fit(name):
        options = {"steps": 10, "batch": 8, "every": 5, "warmup": 1}
        return sim.fit("timegan", dataset(SPEC), tmp_path / name, **SMALL, **options)

    whole = fit("whole")
    with pytest.raises(Interrupted), before_step(step, lambda: signal.raise_signal(signal.SIGTERM)):
        fit("run")
    assert same(fit("run").state_dict(), whole.state_dict())


def test_what_it_is_not_for_is_refused():
    with pytest.raises(UsageError, match=r"timegan is for series .* use gan"):
        TimeGAN(DataSpec(Levels((1, 8, 8), 17)))
    with pytest.raises(UsageError, match="a series of one step has none"):
        TimeGAN(DataSpec(Real((1, 2))))
    with pytest.raises(NotSupported, match="no density"):
        lively().prior(2).log_prob(torch.zeros(2, 18))
