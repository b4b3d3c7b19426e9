"""Priors known by their draws: where these lie, whose class they are, and what is asked of a function of one's own."""

import math

import pytest
import torch
from small import SPECS, items, labels

from simulacra import parts
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.distributions import DiagonalGaussian
from simulacra.errors import ModelFileError, NotSupported, UsageError
from simulacra.fields import Levels
from simulacra.latent import WAEMMD, Draws, Modes
from simulacra.model import load, save
from simulacra.networks import Dense
from simulacra.parts import as_part, part, table
from simulacra.turns import Turn

N = 4000
LIKE = torch.zeros(1)


def codes(name: str, mode: torch.Tensor, modes: int = 10, latent: int = 2):
    return as_part("sampled-prior", name).codes(mode, modes, latent, LIKE)


def drawn(name: str, mode: int, modes: int = 10) -> torch.Tensor:
    return codes(name, torch.full((N,), mode), modes).sample(torch.Generator().manual_seed(0))


def angle(z: torch.Tensor) -> torch.Tensor:
    return torch.atan2(z[:, 1], z[:, 0]) % (2 * math.pi)


@pytest.mark.parametrize("modes", [3, 10])
def test_a_mode_of_the_ring_is_long_outwards_and_narrow_across(modes):
    for mode in range(modes):
        turn = torch.tensor(2 * math.pi * mode / modes)
        outwards = torch.stack([turn.cos(), turn.sin()])
        z = drawn("ring", mode, modes)
        along, across = z @ outwards, z @ torch.stack([-outwards[1], outwards[0]])
        assert (along.mean(), across.mean()) == pytest.approx((2, 0), abs=0.03)
        assert (along.std(), across.std()) == pytest.approx((0.4, 0.1), rel=0.05)


def test_the_modes_of_the_ring_lie_apart():
    """Each draw is nearer in angle to its own of the ten than to any other, but for a few near the middle."""
    for mode in range(10):
        nearest = (angle(drawn("ring", mode)) / (2 * math.pi / 10)).round() % 10
        assert (nearest == mode).double().mean() > 0.995


def test_the_swiss_roll_is_a_spiral_of_two_turns_whose_sections_follow_each_other():
    for mode in range(10):
        z = drawn("swiss-roll", mode)
        radius = z.norm(dim=1)
        s = radius / 3  # the angle that belongs to this radius is 4πs; noise turns the inner draws further
        off = (angle(z) - 4 * math.pi * s + math.pi) % (2 * math.pi) - math.pi
        assert (off.abs() * radius < 6 * 0.05 * (1 + radius * 4 * math.pi / 3)).all()
        place = s**2 * 10 - mode  # of the tenth of the arc, from 0 to 1
        assert place.mean() == pytest.approx(0.5, abs=0.05)
        assert ((place > -0.5) & (place < 1.5)).double().mean() > 0.98  # at the outer end noise is a third of a section


@pytest.mark.parametrize("name", ["ring", "swiss-roll"])
def test_without_a_label_all_ten_modes_are_drawn_alike(name):
    z = drawn(name, -1)
    number = angle(z) / (2 * math.pi / 10) + 0.5 if name == "ring" else z.norm(dim=1).div(3).square() * 10
    share = torch.bincount(number.long() % 10, minlength=10) / N
    assert share.sub(0.1).abs().max() < 0.03


def test_draws_follow_from_the_generator_and_not_from_the_temperature_or_from_other_items():
    mode = torch.tensor([0, 1, 2, 3])
    draw = lambda mode, seed, **more: codes("ring", mode).sample(torch.Generator().manual_seed(seed), **more)  # noqa: E731
    assert torch.equal(draw(mode, 1), draw(mode, 1, temperature=0.1))
    assert not torch.equal(draw(mode, 1), draw(mode, 2))
    assert torch.equal(draw(torch.tensor([0, 7, 2, 7]), 1)[[0, 2]], draw(mode, 1)[[0, 2]])


def test_the_mean_is_that_of_each_items_mode():
    turn = 2 * math.pi * torch.tensor([1.0, 4.0, 1.0]) / 10
    found = codes("ring", torch.tensor([1, 4, 1])).mean
    torch.testing.assert_close(found, 2 * torch.stack([turn.cos(), turn.sin()], 1), atol=0.03, rtol=0)
    assert torch.equal(found[0], found[2])
    assert codes("ring", torch.tensor([-1])).mean.abs().max() < 0.1


def test_a_prior_that_is_only_drawn_from_gives_no_density_and_the_gaussian_does():
    with pytest.raises(NotSupported, match="'ring' has draws but no density"):
        codes("ring", torch.tensor([1])).log_prob(torch.zeros(1, 2))
    assert isinstance(codes("gaussian", torch.tensor([-1]), latent=5), DiagonalGaussian)


def test_draws_are_repeated_with_their_modes():
    p = codes("ring", torch.tensor([0, 5])).repeat(3)
    assert (p.sample()[:, 0] > 0).tolist() == [True, False] * 3


# Priors of one's own


class Square(Draws):
    """Uniform within a cube of side 2 · half."""

    half: float = 1.0

    def draw(self, n, latent, generator):
        return self.half * (2 * torch.rand(n, latent, generator=generator) - 1)


class Line(Modes):
    """Mode k of K at k/K in all coordinates."""

    def draw_modes(self, mode, modes, latent, generator):
        return (mode / modes)[:, None].expand(-1, latent)


class Flat(Draws):
    """Of a wrong shape."""

    def draw(self, n, latent, generator):
        return torch.zeros(n)


@pytest.fixture
def own(monkeypatch):
    """What a test adds to the table is gone after it."""
    monkeypatch.setitem(table._parts, "sampled-prior", dict(parts.named("sampled-prior")))


SMALL = Dense(hidden=8, layers=2)


@pytest.mark.usefixtures("own")
def test_draws_of_ones_own_are_a_prior_of_a_model():
    part("sampled-prior", "square")(Square)
    model = WAEMMD(SPECS["grey"], latent=4, network=SMALL, prior="square")
    z = model.prior(500).sample()
    assert z.shape == (500, 4)
    assert z.abs().max() <= 1
    assert model.distance == pytest.approx(4 * 2 / 3, rel=0.05)  # the variance of a side is 1/3
    assert model.sample(3).shape == (3, 1, 8, 8)
    large = WAEMMD(SPECS["grey"], latent=4, network=SMALL, prior="square:half=10")
    assert 9 < large.prior(500).sample().abs().max() <= 10


@pytest.mark.usefixtures("own")
def test_modes_of_ones_own_are_those_of_the_classes():
    part("sampled-prior", "line")(Line)
    model = WAEMMD(SPECS["grey-labelled"], latent=2, network=SMALL, prior="line")
    assert model.prior(3, {"label": torch.tensor([2, 0, 1])}).sample()[:, 0].tolist() == pytest.approx(
        [2 / 3, 0, 1 / 3]
    )
    assert set(model.prior(100).sample()[:, 0].mul(3).round().tolist()) == {0, 1, 2}  # all classes together


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("kind", [Draws, Modes])
@pytest.mark.parametrize("name", ["gaussian", "ring", "swiss-roll"])
def test_the_name_of_a_prior_that_saved_models_mean_cannot_be_taken(kind, name):
    before = parts.named("sampled-prior")[name]
    mine = {
        "draw": lambda self, n, latent, generator: torch.zeros(n, 2),
        "draw_modes": lambda self, *_: torch.zeros(1, 2),
    }
    with pytest.raises(ValueError, match=f"two parts of the kind 'sampled-prior' are called '{name}'"):
        part("sampled-prior", name)(type("Mine", (kind,), mine))
    assert parts.named("sampled-prior")[name] is before


@pytest.mark.usefixtures("own")
def test_a_prior_of_ones_own_may_be_defined_again():
    """As in a notebook, whose cell is run twice."""
    for height in (0.0, 1.0):

        @part("sampled-prior", "mine")
        class Mine(Draws):
            def draw(self, n, latent, generator, height=height):
                return torch.full((n, latent), height)

    assert (drawn("mine", -1) == 1).all()


@pytest.mark.usefixtures("own")
def test_codes_of_another_shape_are_refused():
    part("sampled-prior", "flat")(Flat)
    with pytest.raises(UsageError, match=r"'flat' drew codes of shape \(5,\), and \(5, 3\) are needed"):
        WAEMMD(SPECS["grey"], latent=3, network=SMALL, prior="flat").prior(5).sample()


def test_a_saved_model_whose_prior_is_not_imported_says_so(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setitem(table._parts, "sampled-prior", dict(parts.named("sampled-prior")))
        part("sampled-prior", "square")(Square)
        save(WAEMMD(SPECS["grey"], latent=3, network=SMALL, prior=Square(half=2.0)), tmp_path)
        assert load(tmp_path).codes == Square(half=2.0)
    with pytest.raises(
        ModelFileError, match=r"no sampled-prior 'square'.*parts of test_sampled_priors: import .*first"
    ):
        load(tmp_path)


# What does not fit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prior": "rign"}, "no sampled-prior 'rign'. Did you mean 'ring'"),
        ({"prior": "ring", "latent": 3}, "'ring' lies in the plane: it needs latent = 2, not 3"),
        ({"prior": "swiss-roll", "latent": 1}, "needs latent = 2, not 1"),
        ({"latent": 0}, "latent cannot be 0"),
        ({"likelihood": "bernoulli"}, "needs binary data"),
    ],
)
def test_a_prior_or_likelihood_that_does_not_fit_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        WAEMMD(SPECS["grey"], **arguments)


def test_one_mode_a_class_is_for_one_field():
    spec = DataSpec(Levels((1, 8, 8), 17), labels(3) | {"colour": labels(2)["label"]})
    with pytest.raises(UsageError, match="one mode for each class of one field, and the condition is label, colour"):
        WAEMMD(spec, latent=2, prior="ring")
    model = WAEMMD(spec, latent=2, network=SMALL)
    given = {"label": torch.tensor([0, 1, 0, 0]), "colour": torch.tensor([1, 1, 0, 1])}
    assert all(torch.isfinite(term) for term in model.loss(Turn(items(spec, 4), Condition(given))).values())
