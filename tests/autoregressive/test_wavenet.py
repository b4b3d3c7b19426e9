"""WaveNet beyond the laws of the family, which it keeps like every chain: what it sees, local conditions, queues."""

import math

import numpy as np
import pytest
import torch
from small import all_items, items, labels, randomise
from torch import nn

import simulacra as sim
from simulacra.autoregressive import WaveNet
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real, Sound, Text

SOUND = Sound((12,), rate=100)


def net(spec: DataSpec, scale: float = 0.5, **given) -> WaveNet:
    model = WaveNet(spec, **{"width": 6, "layers": 4, "head": 8, **given})
    return randomise(model.double(), scale).eval()


def seen_by_the_last(model: WaveNet) -> list[int]:
    """The places that the last conditional depends on, by autograd."""
    x = torch.rand(3, *model.spec.shape, dtype=torch.float64, requires_grad=True)
    last = model.conditionals(x * 3).log_masses()[:, -1]
    weights = torch.linspace(-1, 1, last.shape[-1], dtype=last.dtype)
    (gradient,) = torch.autograd.grad((last * weights).sum(), x)
    return (gradient != 0).any(0).nonzero()[:, 0].tolist()


@pytest.mark.parametrize(("layers", "cycle", "field"), [(1, 1, 2), (3, 10, 8), (4, 2, 7), (5, 3, 11)])
def test_a_level_sees_so_many_before_it_as_the_holes_add_up_to(layers, cycle, field):
    model = net(DataSpec(Levels((20,), 4)), layers=layers, cycle=cycle)
    assert model.receptive_field == field
    assert seen_by_the_last(model) == list(range(19 - field, 19))


@pytest.mark.parametrize("components", [None, 3])
def test_both_heads_are_normalised_and_causal(components):
    model = net(DataSpec(Levels((4,), 4), labels(2)), components=components)
    assert sim.checks.normalisation(model).deviation < 1e-6
    assert sim.checks.causality(model).causal


@pytest.mark.parametrize("components", [None, 3])
@pytest.mark.parametrize("x", [SOUND, Text((9,)), Levels((1, 3, 4), 5)], ids=["sound", "text", "grey"])
def test_the_queues_draw_what_the_whole_model_draws(x, components):
    model = net(DataSpec(x, labels(3)), components=components, cycle=2)
    given = {"label": torch.arange(5) % 3}
    drawn = [
        model.sample(5, given, sampler=sampler, generator=torch.Generator().manual_seed(1))
        for sampler in ("cached", "naive", "fixed-point")
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])
    assert len(drawn[0].unique()) > 3


@pytest.mark.parametrize("layers", [4, 11])
def test_a_level_costs_a_walk_one_product_of_queues_a_layer_whatever_lies_behind_it(layers, monkeypatch):
    """All layers read 2 · width numbers, and one more product each but of the last, however far the holes reach."""
    model, calls, original = net(DataSpec(SOUND), layers=layers), [], torch.addmm
    monkeypatch.setattr(torch, "addmm", lambda *given: calls.append(given[1].shape[1]) or original(*given))
    monkeypatch.setattr(nn.Conv1d, "forward", lambda *_: pytest.fail("a walk convolves nothing"))
    model.sample(3)
    assert len(calls) == 12 * (2 * layers - 1 + 3)
    assert sum(inputs == 12 for inputs in calls) == 12 * layers


# Conditions that run along


LOCAL = DataSpec(SOUND, {"loud": Real((4,)), "voice": Levels((2, 3), 5)} | labels(2))


def given(n: int, seed: int = 0) -> Condition:
    generator = torch.Generator().manual_seed(seed)
    return Condition(
        {
            "loud": torch.randn(n, 4, generator=generator),
            "voice": torch.randint(5, (n, 2, 3), generator=generator).byte(),
            "label": torch.arange(n) % 2,
        }
    )


def test_a_series_among_the_conditions_acts_on_its_own_stretch_and_what_follows():
    """With holes of 1 alone and one layer, a level is conditioned on the value of its stretch."""
    model, x = net(LOCAL, layers=1), items(LOCAL, 3)
    before, own = model.log_each(x, given(3)), given(3)
    own["loud"][:, 2] += 1  # levels 6, 7 and 8
    changed = (model.log_each(x, own) != before).any(0)
    assert changed.nonzero()[:, 0].tolist() == [6, 7, 8]
    own = given(3)
    own["voice"][:, 1] = 4 - own["voice"][:, 1]
    assert (model.log_each(x, own) != before).any(0).nonzero()[:, 0].min() >= 6


def test_samplers_agree_under_a_series():
    model = net(LOCAL)
    cached, naive = (
        model.sample(4, given(4), sampler=sampler, generator=torch.Generator().manual_seed(2))
        for sampler in ("cached", "naive")
    )
    assert torch.equal(cached, naive)
    assert not torch.equal(cached, model.sample(4, given(4, seed=1), generator=torch.Generator().manual_seed(2)))


def test_a_condition_of_another_length_is_one_for_all_of_the_sound():
    model, x = net(DataSpec(SOUND, {"place": Real((5,))})), items(LOCAL, 2)
    own = [model.log_each(x, {"place": torch.full((2, 5), value)}) for value in (0.0, 1.0)]
    assert not model.series
    assert (own[0] != own[1]).any(0).all()


# Verbs


def test_many_items_at_a_time_have_the_likelihoods_that_they_have_alone(monkeypatch):
    model, x = net(DataSpec(SOUND, labels(3))), items(DataSpec(SOUND), 7)
    whole = model.log_prob(x, {"label": 1})
    monkeypatch.setattr("simulacra.autoregressive.wavenet.MOST_OUTPUTS", 2 * 12 * 256)
    with torch.no_grad():
        torch.testing.assert_close(model.log_prob(x, {"label": 1}), whole)


def test_all_items_of_a_small_grid_are_as_frequent_as_their_likelihood():
    model = net(DataSpec(Levels((3,), 2)), scale=1.0)
    drawn = model.sample(4000, generator=torch.Generator().manual_seed(0)).long()
    counts = torch.bincount(drawn @ torch.tensor([4, 2, 1]), minlength=8)
    expected = 4000 * model.log_prob(all_items(model.spec)).exp().detach()
    assert ((counts - expected) ** 2 / expected).sum() < 29.9  # chi square, 7 degrees of freedom, at 1e-4


def test_the_rest_of_a_sound_is_drawn_from_what_went_before():
    model, x = net(DataSpec(SOUND)), items(DataSpec(SOUND), 3)
    unknown = np.arange(12) >= 7
    found = sim.complete(model, x, unknown, samples=2)
    assert (found.completed[:, :, :7] == x.numpy()[:, None, :7]).all()
    assert (found.completed[:, 0, 7:] != found.completed[:, 1, 7:]).any()
    each = model.log_each(x)[:, 7:].sum(1)
    torch.testing.assert_close(model.log_prob_completion(x, torch.from_numpy(unknown)), each)


def test_sound_is_coded_in_as_many_bits_as_the_model_says():
    pytest.importorskip("constriction")
    model = randomise(WaveNet(DataSpec(Sound((300,), rate=100)), width=6, layers=4, head=8)).eval()
    x = model.sample(4, generator=torch.Generator().manual_seed(0)).numpy()
    data = sim.compress(model, x)
    assert np.array_equal(sim.decompress(model, data)[0], x)
    with torch.no_grad():
        ideal = -float(model.log_prob(torch.from_numpy(x)).sum()) / math.log(2) / 8
    empty = len(sim.compress(model, x[:1])) - ideal / 4
    assert len(data) < 1.01 * ideal + empty + 64


def test_it_learns_a_tone_that_a_markov_chain_cannot(tmp_path):
    """A square wave of period 12 whose start is random: the two levels before one do not tell where it turns."""
    rng = np.random.default_rng(0)
    start = rng.integers(0, 12, 200)
    x = (((np.arange(48) + start[:, None]) // 6) % 2).astype(np.uint8)
    data = sim.data.from_arrays(np.concatenate([x, x ^ 1]))
    model = sim.fit("wavenet", data, tmp_path / "w", width=8, layers=5, head=8, batch=32, steps=150, learning_rate=0.02)
    markov = sim.fit("markov", data, tmp_path / "m", memory=2)
    assert sim.score(model, data).bits_per_dim < 0.5 * sim.score(markov, data).bits_per_dim


def test_what_it_is_not_for_is_refused():
    with pytest.raises(UsageError, match="levels on a grid, not for 3, continuous; try rnade"):
        WaveNet(DataSpec(Real((3,))))
    with pytest.raises(UsageError, match="cycle must be 1 to 20, not 21"):
        WaveNet(DataSpec(SOUND), cycle=21)
    with pytest.raises(UsageError, match="raster order only"):
        net(DataSpec(SOUND)).conditionals(items(DataSpec(SOUND), 1), order=torch.arange(12).flip(0))
