"""Conditional samples of digits: real ones of the class that is asked for, of another, and one item a class."""

import numpy as np
import pytest
import torch

from simulacra.evaluation import Subject, samples


class OfTheClass(torch.nn.Module):
    """A sampler of training items of the class of its condition, moved on by `shift`; at most `most` items a class."""

    name = "of-the-class"

    def __init__(self, data, shift: int = 0, most: int = 1000):
        super().__init__()
        self.spec, self.device, self.data = data.spec.conditioned_on("label"), torch.device("cpu"), data
        label = data.train.field("label")
        self.of = [np.flatnonzero(label == (k + shift) % 10)[:most] for k in range(10)]

    def sample(self, n, condition=None, temperature=1.0, generator=None):
        drawn = torch.rand(n, generator=generator).numpy()
        index = [self.of[k][int(u * len(self.of[k]))] for k, u in zip(condition["label"].tolist(), drawn, strict=True)]
        return torch.from_numpy(np.asarray(self.data.train.x[index]))


@pytest.fixture
def figures(digits):
    return lambda **options: samples.agreement_with_conditions(Subject(OfTheClass(digits, **options), digits))


def test_agreement_is_the_ceiling_for_real_items_of_the_class_and_nothing_for_others(figures):
    real, others = figures()["class_agreement"], figures(shift=1)["class_agreement"]
    assert real.value == pytest.approx(real.floor, abs=0.03)
    assert real.low <= real.value <= real.high
    assert real.floor > 0.95
    assert others.value < 0.05
    assert others.floor == real.floor
    assert "least of label" in real.note


def test_one_item_of_each_class_agrees_and_has_no_recall(figures):
    real, few = figures(), figures(most=1)
    assert few["class_agreement"].value > 0.85
    assert few["class_recall"].value < 0.1
    assert real["class_recall"].value > 0.6
    assert real["class_recall"].value == pytest.approx(real["class_recall"].floor, abs=0.15)
