"""Translators between two kinds of made-up pictures: true ones, copies, and one that hides the item."""

import numpy as np
import pytest
import torch

from simulacra.data import Card, Dataset, DataSpec, Split
from simulacra.evaluation import Subject, translated
from simulacra.fields import ClassLabel, Levels

SHAPE = (1, 8, 8)


@pytest.fixture
def pairs() -> Dataset:
    """Pictures dark (0) or bright (1), with a corner lit or not, and each one's pair in the other domain."""
    rng, parts = np.random.default_rng(0), {}
    for part, n in (("train", 300), ("valid", 8), ("test", 60)):
        label, corner = rng.integers(0, 2, (2, n))
        x = rng.integers(20, 100, (n, *SHAPE), dtype=np.uint8)
        x[np.arange(n), 0, :3, :3] = np.where(corner, 0, 110)[:, None, None]
        pair = np.where(label[:, None, None, None] == 1, x, x + 120).astype(np.uint8)
        x = np.where(label[:, None, None, None] == 1, x + 120, x).astype(np.uint8)
        parts[part] = Split(x, {"label": label, "corner": corner, "pair": pair}, part)
    spec = DataSpec(Levels(SHAPE, 256), {"label": ClassLabel(2), "corner": ClassLabel(2), "pair": Levels(SHAPE, 256)})
    return Dataset("pairs", spec, **parts, card=Card("pairs", "a test", "none"), fingerprint="pairs")


class Shift(torch.nn.Module):
    """The true translation, or none at all ("copy")."""

    name = "shift"

    def __init__(self, data: Dataset, how: str = "true"):
        super().__init__()
        self.spec, self.device, self.how = data.spec.conditioned_on("label"), torch.device("cpu"), how

    def translate(self, x, condition=None, generator=None):
        if self.how == "copy":
            return x
        low, bright = x.int(), x.flatten(1).float().amax(1) > 125
        low = torch.where(bright[:, None, None, None], low - 120, low)
        wanted = condition["label"][:, None, None, None] == 1
        return torch.where(wanted, low + 120, low).clamp(0, 255).to(torch.uint8)


class Hides(Shift):
    """A flat picture in whose lowest bits x is, of pixels at multiples of 16, and from there x again."""

    def translate(self, x, condition=None, generator=None):
        flat = (x.flatten(1).float().std(1) < 8)[:, None, None, None]
        hidden = 128 + x // 16
        return torch.where(flat, (x % 16) * 16, hidden).to(torch.uint8)


def figures(model, data) -> dict:
    subject = Subject(model, data)
    return translated.there_and_back(subject) | translated.domains_of_translations(subject)


def test_a_true_translator_comes_back_and_is_at_the_ceiling(pairs):
    found = figures(Shift(pairs), pairs)
    assert found["cycle_error"].value == found["cycle_error"].ceiling == 0
    assert found["cycle_error_noisy"].value == pytest.approx(found["cycle_error_noisy"].baseline["copy"], rel=0.1)
    assert found["cycle_error"].baseline["random"] > 10
    assert found["domain_agreement"].value == pytest.approx(found["domain_agreement"].ceiling, abs=0.05)
    assert found["domain_agreement"].baseline["copy"] < 0.1
    assert found["classes_kept"].value == pytest.approx(found["classes_kept"].ceiling, abs=0.05)
    assert found["classes_kept"].control < 0.8
    assert found["hidden_psnr"].value == pytest.approx(100)
    assert found["hidden_retrieval_1"].value == 1
    assert found["hidden_retrieval_1"].control == 0
    assert found["hidden_retrieval_1"].baseline.keys() == {"copy", "nearest", "chance"}


def test_a_copy_comes_back_and_changes_nothing(pairs):
    found = figures(Shift(pairs, "copy"), pairs)
    assert found["cycle_error"].value == 0
    for name in ("domain_agreement", "hidden_psnr", "hidden_retrieval_1"):
        assert found[name].value == found[name].baseline["copy"], name
    assert found["classes_kept"].value == found["classes_kept"].ceiling


def test_what_is_hidden_in_a_translation_does_not_outlive_noise(pairs):
    coarse = {
        part: Split(pairs.split(part).x // 16 * 16, pairs.split(part).condition, part) for part in ("train", "test")
    }
    data = Dataset("coarse", pairs.spec, coarse["train"], pairs.valid, coarse["test"], pairs.card, "coarse")
    found = translated.there_and_back(Subject(Hides(data), data))
    assert found["cycle_error"].value == 0
    noisy = found["cycle_error_noisy"]
    assert noisy.low > 5 * noisy.baseline["copy"]
