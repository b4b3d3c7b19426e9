"""Scores of strangeness and how they are judged, against closed forms."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.evaluation.anomaly import auroc, beyond_png, png_bytes, untypicality
from simulacra.fields import Levels


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0, -1.0])
def test_two_gaussians(shift):
    """P(b > a) = Φ(shift / √2)"""
    rng = np.random.default_rng(0)
    found = auroc(rng.normal(size=4000), shift + rng.normal(size=3000))
    exact = (1 + math.erf(shift / 2)) / 2
    assert abs(found.value - exact) < 4 * found.standard_error
    assert found.standard_error < 0.01


def test_two_exponentials():
    """P(b > a) = scale_b / (scale_a + scale_b)"""
    rng = np.random.default_rng(1)
    found = auroc(rng.exponential(1.0, 5000), rng.exponential(3.0, 5000))
    assert abs(found.value - 0.75) < 4 * found.standard_error


def test_every_pair_counts_and_ties_count_half():
    usual, strange = np.array([1.0, 2.0, 2.0, 5.0]), np.array([2.0, 4.0, 6.0])
    pairs = (strange[:, None] > usual) + 0.5 * (strange[:, None] == usual)
    assert auroc(usual, strange).value == pytest.approx(pairs.mean())
    assert auroc(strange, usual).value == pytest.approx(1 - pairs.mean())
    assert auroc(np.zeros(5), np.zeros(7)).value == 0.5
    perfect = auroc(np.arange(3), np.arange(3, 6))
    assert (perfect.value, perfect.standard_error) == (1.0, 0.0)


def test_only_the_order_of_the_scores_matters():
    rng = np.random.default_rng(2)
    usual, strange = rng.normal(size=50), rng.normal(1, 2, size=40)
    assert auroc(np.exp(usual), np.exp(strange)) == auroc(usual, strange)


def test_the_standard_error_is_the_spread_over_repetitions():
    rng = np.random.default_rng(3)
    found = [auroc(rng.normal(size=60), 0.8 + 1.5 * rng.normal(size=40)) for _ in range(500)]
    spread = np.std([one.value for one in found])
    assert np.mean([one.standard_error for one in found]) == pytest.approx(spread, rel=0.12)


@pytest.mark.parametrize("wrong", [np.array([1.0]), np.array([]), np.array([1.0, math.nan])])
def test_scores_that_are_none(wrong):
    with pytest.raises(UsageError, match="two or more numbers"):
        auroc(np.zeros(3), wrong)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_size_is_that_of_a_file_of_the_image(channels):
    spec = DataSpec(Levels((channels, 12, 9), 17))
    x = np.random.default_rng(0).integers(0, 17, (4, *spec.shape), dtype=np.uint8)
    x[0] = 3
    sizes = png_bytes(x, spec)
    shown = np.rint(x * (255 / 16)).astype(np.uint8).transpose(0, 2, 3, 1)
    for image, size in zip(shown, sizes, strict=True):
        file = io.BytesIO()
        Image.fromarray(image if channels == 3 else image[..., 0]).save(file, "PNG", optimize=True)
        assert len(file.getvalue()) == size
    assert sizes[0] < sizes[1:].min()  # plain images are small
    with pytest.raises(UsageError, match="no PNG"):
        png_bytes(np.zeros((2, 5), np.uint8), DataSpec(Levels((5,), 17)))


def test_both_tails_are_untypical():
    reference = np.array([-3.0, -1.0, 0.0, 1.0, 50.0])
    assert untypicality(np.array([-2.0, 0.0, 2.0]), reference).tolist() == [2.0, 0.0, 2.0]


def test_bits_beyond_the_file():
    """A uniform model over 256 levels needs 8 bits a pixel; a file of as many bytes as pixels needs the same."""
    nats = -64 * math.log(256.0)
    assert beyond_png(np.array([nats, nats]), np.array([64, 60])) == pytest.approx([0.0, 32.0])
