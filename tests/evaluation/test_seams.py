"""Seams and loose parts: chance for what is drawn right, steps and strangers at the border, parts that recur."""

import numpy as np
import pytest
import torch

from simulacra.data import DataSpec
from simulacra.derived import Derived
from simulacra.evaluation import Subject, recurrence, seams
from simulacra.evaluation.table import metrics
from simulacra.feed import feed
from simulacra.fields import Levels

SPEC = DataSpec(Levels((1, 8, 8), 256))
HALF = np.arange(8)[:, None].repeat(8, 1) < 4


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(seams, "STEPS", 60)


def seen(real: np.ndarray, fake: np.ndarray, seed: int = 0, within: bool = False) -> seams.Seen:
    """Of items of which the upper half was given; crops on the border, or within the lower half."""
    inside, rng = np.broadcast_to(HALF, (len(real), 8, 8)), np.random.default_rng(seed)
    allowed = (seams.off_border if within else seams.on_border)(inside, 4)
    return seams.seen(SPEC, real, fake, inside, seams.Places.drawn(allowed, 4, rng), rng)


def noise(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 160, (n, 1, 8, 8)).astype(np.uint8)


def flat(n: int, seed: int) -> np.ndarray:
    """Pictures of one brightness each, any of them."""
    return np.random.default_rng(seed).integers(0, 256, (n, 1, 1, 1)).astype(np.uint8).repeat(8, 2).repeat(8, 3)


# The critic


def test_crops_on_the_border_and_off_it_are_those_of_a_plain_loop():
    inside = np.random.default_rng(0).random((3, 7, 9)) < 0.5
    inside[1, :4], inside[1, 4:] = True, False
    on, off = seams.on_border(inside, 4), seams.off_border(inside, 4)
    assert on.shape == off.shape == (3, 4, 6)
    for i, row, column in np.ndindex(on.shape):
        middle = inside[i, row + 1 : row + 3, column + 1 : column + 3]
        assert on[i, row, column] == (middle.any() and not middle.all())
        assert off[i, row, column] == (not inside[i, row : row + 4, column : column + 4].any())
    assert on[1].sum() == 6  # of an edge between two rows


def test_crops_are_cut_where_they_may_be():
    allowed = np.random.default_rng(0).random((5, 5, 5)) < 0.2
    allowed[2] = False  # an item without a border has no crops
    places = seams.Places.drawn(allowed, 4, np.random.default_rng(0))
    assert len(places) == 4
    assert set(places.item) == {0, 1, 3, 4}
    assert allowed[places.item, places.row, places.column].all()
    x = noise(5, 0)
    for crop, i, row, column in zip(places.cut(x), places.item, places.row, places.column, strict=True):
        assert (crop == x[i, :, row : row + 4, column : column + 4]).all()


def test_the_same_pictures_are_chance_exactly():
    x = noise(40, 0)
    found = seen(x, x)
    assert (found.value, found.low, found.high, found.n) == (0.5, 0.5, 0.5, 20)


def test_intervals_of_what_is_drawn_as_the_data_are_cover_chance(monkeypatch):
    """Pixels are independent: the upper half with a fresh lower one is a draw of p(x | c)."""
    monkeypatch.setattr(seams, "STEPS", 15)
    covered = []
    for seed in range(20):
        x = noise(60, 2 * seed)
        found = seen(x, np.where(HALF, x, noise(60, 2 * seed + 1)), seed)
        covered.append(found.low <= 0.5 <= found.high)
    assert np.mean(covered) >= 0.85


def test_a_step_of_brightness_at_the_border_is_found():
    x = noise(120, 0)
    assert seen(x, np.where(HALF, x, noise(120, 1) + 40)).low > 0.8


def test_strangers_are_found_at_the_border_alone():
    """Both halves are as in the data, and only where they meet is it seen that they do not belong together."""
    x = flat(200, 0)
    fake = np.where(HALF, x, flat(200, 1))
    at_border, within = seen(x, fake), seen(x, fake, within=True)
    assert at_border.low > 0.8
    assert within.low <= 0.5 <= within.high or within.value < 0.6


def test_a_critic_that_is_always_right_has_an_interval():
    found = seams._of_items(np.ones(10))
    assert found.high == 1
    assert 0.6 < found.low < 0.8


# As a figure of models


class Completed(torch.nn.Module):
    """A sampler of the test item of a condition, with a number added to what was not given."""

    name = "completed"

    def __init__(self, data, words: str, step: int = 0):
        super().__init__()
        self.spec, self.device, self.step = data.spec.conditioned_on(words), torch.device("cpu"), step
        x, given = feed(data.test, np.arange(len(data.test)), self.spec, self.device)
        self.known = dict(zip(self.keys(given), x, strict=True))

    def keys(self, condition) -> list[bytes]:
        (value,) = condition.values()
        return [np.ascontiguousarray(each).tobytes() for each in value.numpy()]

    def sample(self, n, condition=None, temperature=1.0, generator=None):
        x, (value,) = torch.stack([self.known[key] for key in self.keys(condition)]), condition.values()
        return torch.where(value > 0, x, (x.int() + self.step).clamp(0, 16).to(x.dtype))


def test_a_model_is_at_chance_and_two_items_put_together_are_not(digits):
    found = seams.seams(Subject(Completed(digits, "parts:kept=2"), digits))["seams"]
    assert found.value == found.floor == 0.5
    assert found.control > 0.55
    assert found.baseline.keys() == {"copy", "nearest"}
    assert found.baseline["copy"] > 0.9
    assert "within what was made 0.5" in found.note
    bad = seams.seams(Subject(Completed(digits, "parts:kept=2", 3), digits))["seams"]
    assert bad.low > 0.6
    assert bad.control == found.control


@pytest.mark.parametrize("words", ["mask:kind=half", "mask:kind=random", "parts", "parts:loose=true"])
def test_models_of_parts_have_the_figure_and_no_others(digits, words):
    (own,) = (each for each in metrics() if each.name == "seams")
    assert own.suits(Subject(Completed(digits, words), digits))
    assert not own.suits(Subject(Completed(digits, "down:factor=2"), digits))
    assert "nothing was learnt" in (own.obstacle("train", 100) or "")
    assert "trains a classifier" in (own.obstacle("test", 100, quick=True) or "")


def test_the_border_of_loose_parts_is_their_grid():
    field = Derived.from_words("parts:grid=2,loose=true", SPEC.x)
    assert field is not None
    inside = seams.given_part(field, np.zeros((3, 1, 8, 8), np.int16))
    on = seams.on_border(inside, 4)
    assert on[:, 2].all() and on[:, :, 2].all()  # noqa: PT018
    assert on.sum() == 3 * (5 + 5 - 1)


# Loose parts


def test_loose_parts_recur_where_they_belong_elsewhere_and_in_other_shades():
    x, index = noise(30, 0), np.arange(30)
    field = Derived.from_words("parts:kept=2,loose=true", SPEC.x)
    assert field is not None
    value = field.by.derive(x, index, SPEC.x)
    turned = np.roll(x, 4, 2)  # each part in the place of another
    for made, distance, place in ((x, 0, 1), (turned, 0, 0), (x + 7, 7, 1)):
        assert recurrence.recurrence(made, value, 2) == pytest.approx(distance)
        assert recurrence.in_place(made, x, value, 2) == pytest.approx(place)
    assert recurrence.recurrence(noise(30, 1), value, 2).min() > 7


def test_a_model_of_loose_parts_has_the_figures_beside_baselines_and_control(digits):
    (own,) = (each for each in metrics() if each.name == "parts")
    assert not own.suits(Subject(Completed(digits, "parts"), digits))
    subject = Subject(Completed(digits, "parts:kept=2,loose=true"), digits)
    assert own.suits(subject)
    found = own(subject)
    assert found["parts_recurrence"].value == found["parts_recurrence"].ceiling == 0
    assert found["parts_recurrence"].baseline["copy"] == 0
    assert found["parts_recurrence"].control > 10
    assert found["parts_in_place"].value == found["parts_in_place"].ceiling == 1
    assert found["parts_in_place"].control < 0.9
