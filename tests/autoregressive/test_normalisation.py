"""p(x) is a probability: over all images there are it adds up to one."""

import pytest
import torch
from small import all_items, condition_of, labels, randomise

from simulacra.autoregressive import GatedPixelCNN
from simulacra.data import DataSpec

SPECS = {
    "512 binary images of 3×3": DataSpec((1, 3, 3), 2),
    "4,096 colour images of 1×2 on 4 levels": DataSpec((3, 1, 2), 4),
    "729 images of 3×2 on 3 levels": DataSpec((1, 3, 2), 3),
}


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_probabilities_of_all_images_add_up_to_one(name, scale):
    model = randomise(GatedPixelCNN(SPECS[name], width=6, layers=3).eval(), scale)
    with torch.no_grad():
        log_prob = model.log_prob(all_items(SPECS[name]))
    assert log_prob.double().exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert log_prob.std() > 0.01  # and they are not all alike


def test_given_each_label_they_add_up_to_one():
    spec = DataSpec((1, 3, 3), 2, labels(3))
    model = randomise(GatedPixelCNN(spec, width=6, layers=3).eval())
    x = all_items(spec)
    for label in range(3):
        with torch.no_grad():
            total = model.log_prob(x, {"label": label}).double().exp().sum().item()
        assert total == pytest.approx(1, abs=1e-5)


def test_draws_are_as_frequent_as_the_model_says():
    """20,000 draws of 16 images against p(x): chi square, 15 degrees of freedom, p = 0.0001."""
    spec = DataSpec((1, 2, 2), 2)
    model = randomise(GatedPixelCNN(spec, width=6, layers=3).eval(), 0.8)
    n = 20_000
    drawn = model.sample(n, generator=torch.Generator().manual_seed(0)).flatten(1).long()
    counts = torch.bincount(drawn @ torch.tensor([8, 4, 2, 1]), minlength=16)
    with torch.no_grad():
        expected = n * model.log_prob(all_items(spec)).exp()
    assert ((counts - expected) ** 2 / expected).sum() < 44.3


@pytest.mark.parametrize("name", SPECS)
def test_log_prob_is_the_sum_of_the_conditionals_met_while_sampling(name):
    spec = SPECS[name]
    model = randomise(GatedPixelCNN(spec, width=6, layers=3).double().eval())
    x = torch.zeros((7, *spec.shape), dtype=torch.uint8)
    total = torch.zeros(7, dtype=torch.float64)
    with torch.no_grad():
        for row in range(spec.shape[1]):
            for column in range(spec.shape[2]):
                for channel in range(spec.shape[0]):
                    here = model.conditionals(x).log_masses()[:, channel, row, column]
                    level = torch.multinomial(here.exp(), 1)
                    x[:, channel, row, column] = level[:, 0].byte()
                    total += here.gather(1, level)[:, 0]
        torch.testing.assert_close(model.log_prob(x), total)


def test_in_training_mode_dropout_moves_the_score_and_in_eval_mode_it_does_not():
    spec = DataSpec((1, 4, 4), 4)
    model = randomise(GatedPixelCNN(spec, width=6, layers=3, dropout=0.5))
    x = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    assert not torch.equal(model.log_prob(x), model.log_prob(x))
    model.eval()
    assert torch.equal(model.log_prob(x), model.log_prob(x))


def test_a_condition_of_one_label_is_that_label_for_all():
    spec = DataSpec((1, 3, 3), 2, labels(3, "a", "b", "c"))
    model = randomise(GatedPixelCNN(spec, width=6, layers=3).eval())
    x = all_items(spec)[:6]
    expected = model.log_prob(x, {"label": torch.full((6,), 1)})
    assert torch.equal(model.log_prob(x, {"label": 1}), expected)
    assert torch.equal(model.log_prob(x, {"label": "b"}), expected)
    assert not torch.equal(model.log_prob(x, condition_of(spec, 6)), expected)
