"""Figures of pairs of images, and trivial predictions, against closed forms, brute force and plain loops."""

import numpy as np
import pytest

from simulacra.data import DataSpec
from simulacra.derived import Derived
from simulacra.evaluation import baselines, consistency, intervals, retrieval, segmentation, similarity
from simulacra.evaluation.paired import mean_of, next_in_cycle
from simulacra.fields import Classes, ClassLabel, LabelMap, Levels, Many, Real, Record, Tokens

IMAGE = Levels((3, 14, 12), 256)


def images(n: int = 5, field: Levels = IMAGE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, field.levels, (n, *field.shape), dtype=np.uint8)


def test_psnr_of_a_constant_difference_and_of_equal_images():
    a = images() // 2
    assert similarity.psnr(a, a + 10, 255) == pytest.approx(20 * np.log10(255 / 10))
    assert similarity.psnr(a, a, 255) == pytest.approx(similarity.MOST)


def test_ssim_of_equal_and_of_constant_images():
    a, (low, high) = images(), np.float64([40, 200])
    assert similarity.ssim(a, a, 255) == pytest.approx(1)
    assert similarity.ssim(a, images(seed=1), 255) == pytest.approx(similarity.ssim(images(seed=1), a, 255))
    c = (0.01 * 255) ** 2
    flat = [np.full((1, 1, 12, 12), value) for value in (low, high)]
    assert similarity.ssim(*flat, 255) == pytest.approx((2 * low * high + c) / (low**2 + high**2 + c))


@pytest.mark.parametrize("side", [13, 6])
def test_ssim_is_the_mean_over_windows_within_the_image(side):
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 1, 1, side, side + 1))
    window = min(11, (side - 1) // 2 * 2 + 1)
    at = np.arange(window) - window // 2
    weights = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    weights /= weights.sum()
    found = []
    for i in range(side - window + 1):
        for j in range(side + 1 - window + 1):
            p, q = (x[0, 0, i : i + window, j : j + window] for x in (a, b))
            mean_p, mean_q = (weights * p).sum(), (weights * q).sum()
            var_p, var_q = (weights * (p - mean_p) ** 2).sum(), (weights * (q - mean_q) ** 2).sum()
            both = (weights * (p - mean_p) * (q - mean_q)).sum()
            structure = (2 * both + 0.03**2) / (var_p + var_q + 0.03**2)
            found.append((2 * mean_p * mean_q + 0.01**2) / (mean_p**2 + mean_q**2 + 0.01**2) * structure)
    assert similarity.ssim(a, b, 1) == pytest.approx(np.mean(found))


def test_brightness_has_no_chroma_and_grey_no_colour():
    a = images() // 2
    assert similarity.chroma_error(a, a + 60, 255) == pytest.approx(0, abs=1e-3)
    assert similarity.chroma_error(a, images(seed=1), 255).min() > 10
    assert similarity.colourfulness(np.repeat(a[:, :1], 3, 1), 255) == pytest.approx(0)
    red = np.zeros((1, 3, 4, 4))
    red[:, 0, :2] = 1  # half of it red, half black
    assert similarity.colourfulness(red, 1) == pytest.approx(1.3 * np.hypot(255 / 2, 255 / 4))


def test_mean_distance_of_pairs():
    assert similarity.pairwise(np.array([[0.0, 0.0], [3.0, 3.0], [6.0, 6.0]])) == pytest.approx((3 + 3 + 6) / 3)
    assert similarity.pairwise(np.ones((4, 7))) == 0


def test_no_item_stays_in_its_place():
    for n in (2, 3, 10, 51):
        order = next_in_cycle(n, seed=n)
        assert sorted(order) == list(range(n))
        assert (order != np.arange(n)).all()
    assert (next_in_cycle(51, 1) != next_in_cycle(51, 2)).any()


def test_retrieval_of_truths_of_noise_and_of_constants():
    rng, own = np.random.default_rng(0), np.arange(100)
    truth = rng.standard_normal((100, 8))
    for k in (1, 10):
        assert retrieval.found(truth, truth, own, k).mean() == 1
        assert retrieval.found(np.ones((100, 8)), np.ones((100, 8)), own, k) == pytest.approx(k / 100)
        noise = rng.standard_normal((3000, 8))
        hits = retrieval.found(noise, truth, rng.integers(100, size=3000), k).mean()
        low, high = intervals.of_share(float(hits), 3000)
        assert low <= k / 100 <= high


# Trivial predictions


@pytest.mark.parametrize(
    "words", ["down:factor=2", "grey", "edges", "mask:kind=centre", "mask:kind=random", "parts:kept=2,loose=true"]
)
def test_real_items_are_consistent_and_others_are_not(words):
    field, x, index = Derived.from_words(words, IMAGE), images(), np.arange(5)
    assert isinstance(field, Derived)
    value = field.by.derive(x, index, IMAGE)
    assert not consistency.error(field, IMAGE, x, value, index, 255).any()
    assert (consistency.error(field, IMAGE, images(seed=1), value, index, 255) > 0).all()


def test_consistency_of_a_shift_is_that_shift_in_levels_of_255():
    of, index = Levels((1, 4, 4), 16), np.arange(3)
    x = images(3, of) // 2
    for words in ("down:factor=2", "mask:kind=half"):
        field = Derived.from_words(words, of)
        assert isinstance(field, Derived)
        value = field.by.derive(x, index, of)
        assert consistency.error(field, of, x + 3, value, index, 15) == pytest.approx(3 * 17)


def test_a_copy_has_the_condition_that_it_is_made_of():
    x, index = images(), np.arange(5)
    for words in ("down:factor=2", "mask:kind=random", "grey"):
        field = Derived.from_words(words, IMAGE)
        assert isinstance(field, Derived)
        value = field.by.derive(x, index, IMAGE)
        copy = baselines.copied(IMAGE, field, value)
        assert copy is not None
        assert (copy.shape, copy.dtype) == (x.shape, x.dtype)
        assert not consistency.error(field, IMAGE, copy, value, index, 255).any()
    small = baselines.copied(IMAGE, Levels((3, 7, 6), 2), images(5, Levels((3, 7, 6), 2)))
    assert small is not None
    assert set(np.unique(small)) == {0, 255}
    assert baselines.copied(IMAGE, Levels((2, 14, 12), 256), x[:, :2]) is None


def test_bicubic_of_a_plane_is_the_plane_within():
    plane = np.broadcast_to(np.arange(8) * 20, (1, 1, 8, 8)).astype(np.uint8)
    large = baselines.copied(Levels((1, 16, 16), 256), Levels((1, 8, 8), 256), plane, smooth=True)
    assert large is not None
    assert large[0, 0, :, 4:12] == pytest.approx(np.broadcast_to((np.arange(4, 12) - 0.5) * 10, (16, 8)), abs=0.5)


def test_the_mean_item_and_colours_of_classes():
    maps = np.random.default_rng(0).integers(0, 3, (6, 4, 4))
    assert (baselines.mean_item(Classes((1, 4, 4), 3), maps[[0, 0, 1], None]) == maps[0]).all()
    of, colours = Levels((3, 8, 8), 256), np.array([[0, 10, 20], [200, 100, 0], [9, 9, 9]])
    x = colours[maps.repeat(2, 1).repeat(2, 2)].transpose(0, 3, 1, 2).astype(np.uint8)
    assert (baselines.of_classes(of, 3, [(x[:3], maps[:3])], maps[3:]) == x[3:]).all()


def test_the_nearest_conditions_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    own, others = rng.standard_normal((5, 4)), rng.standard_normal((23, 4))
    found = baselines.nearest(own, [others[:7], others[7:8], others[8:]], 3)
    expected = np.argsort(np.square(own[:, None] - others).sum(-1), 1)[:, :3]
    assert (found == expected).all()


def test_features_count_what_differs():
    rng = np.random.default_rng(0)
    fields = {"map": LabelMap(5, (6, 6)), "label": ClassLabel(4)}
    columns = {"map": rng.integers(0, 5, (2, 6, 6)), "label": np.array([1, 3])}
    one, other = baselines.features(fields, columns)
    assert np.square(one - other).sum() == pytest.approx((columns["map"][0] != columns["map"][1]).sum() + 1)
    caption = {"caption": Tokens(("a", "b", "c"), 4)}
    found = baselines.features(caption, {"caption": np.array([[0, 2, 2, -1], [2, 0, 2, -1]])})
    assert found.tolist() == [[1, 0, 2], [1, 0, 2]]


def test_features_of_a_list_know_neither_its_order_nor_its_padding():
    fields = {"of": Many(Record({"kind": ClassLabel(3), "box": Real((4,))}), 3)}
    rng = np.random.default_rng(0)
    kind, box, mask = rng.integers(0, 3, (1, 3)), rng.random((1, 3, 4)), np.array([[True, True, False]])
    columns = {"of.kind": kind, "of.box": box, "of.mask": mask}
    turned = {name: values[:, [1, 0, 2]].copy() for name, values in columns.items()}
    turned["of.box"][:, 2] = 9
    assert baselines.features(fields, turned) == pytest.approx(baselines.features(fields, columns))


def test_what_is_structured():
    assert not baselines.is_structured(DataSpec(IMAGE, {"label": ClassLabel(3)}))
    assert baselines.is_structured(DataSpec(IMAGE, {"label": ClassLabel(3), "small": Levels((3, 7, 6), 256)}))


# Maps


def test_figures_of_maps_are_those_of_a_plain_count():
    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 4, (3, 5, 5)), rng.integers(0, 4, (3, 5, 5))
    truth[0, :2] = 255  # ignored
    known = truth < 4
    total = segmentation.counted(found, truth, 4).total()
    assert segmentation.pixel_accuracy(total)[0] == pytest.approx((found == truth)[known].mean())
    of_each = [(found == k)[truth == k].mean() for k in range(4)]
    assert segmentation.class_accuracy(total)[0] == pytest.approx(np.mean(of_each))
    assert segmentation.of_each_class(total) == pytest.approx(of_each)
    both = [((found == k) & (truth == k)).sum() / (((found == k) | (truth == k)) & known).sum() for k in range(4)]
    assert segmentation.mean_iou(total)[0] == pytest.approx(np.mean(both))
    perfect = segmentation.counted(truth, truth, 4).total()
    assert all(figure(perfect)[0] == 1 for figure, _ in segmentation.FIGURES.values())


def test_intervals_cover_the_mean_of_a_figure_and_of_maps():
    rng, runs, n = np.random.default_rng(0), 150, 60
    shares, covered = rng.beta(4, 2, (runs, n)), {"mean": 0, "map_iou": 0}
    true = rng.integers(5, 60, (runs, n, 3)).astype(float)
    for share, t in zip(shares, true, strict=True):
        _, low, high = mean_of(share)
        covered["mean"] += low <= 4 / 6 <= high
        counts = segmentation.Counted(t * share[:, None], t, t)
        value = float(segmentation.mean_iou(counts.total())[0])
        error = intervals.standard_error(lambda rows, of=counts: segmentation.mean_iou(of.total(rows)), n, rng)
        low, high = intervals.about(value, error)
        covered["map_iou"] += low <= (4 / 6) / (2 - 4 / 6) <= high
    assert all(0.9 <= count / runs <= 0.99 for count in covered.values()), covered
