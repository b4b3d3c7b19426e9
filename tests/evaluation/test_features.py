"""Features that are learnt on the spot, fixed ones, and those of a user's file: what they see, and that they repeat."""

import numpy as np
import pytest
import torch
from scipy import linalg
from scipy.ndimage import gaussian_filter
from small import SPECS, dataset, small_model

import simulacra as sim
from simulacra import registry
from simulacra.errors import UsageError
from simulacra.evaluation import given_features
from simulacra.evaluation.convolutions import RandomConvolutions
from simulacra.evaluation.embedding import Projection
from simulacra.evaluation.fidelity import PixelPCA, frechet_distance, frechet_distances
from simulacra.evaluation.learned import TURNS, features_of, learned, targets_of, turned
from simulacra.evaluation.two_samples import at_least, discriminated
from simulacra.fields import Levels


def drawn_from(x: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return x[rng.integers(len(x), size=n)]


def damaged(x: np.ndarray, label: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """n items of x (N, 1, 8, 8) each: as they are, without classes, blurred, and a few of them again and again."""
    rng = np.random.default_rng(0)
    good = rng.permutation(len(x))[:n]
    blurred = np.rint(gaussian_filter(x[good].astype(float), (0, 0, 0.6, 0.6))).astype(np.uint8)
    lost = {f"without {k}": drawn_from(x[label >= k], n, rng) for k in (1, 3, 6)}
    return {"good": x[good], **lost, "blurred": blurred, "copied": drawn_from(x[good][:20], n, rng)}


@pytest.mark.parametrize("kind", ["learned", "random", "pixels"])
def test_figures_move_with_the_damage(kind, digits):
    """As of 448 digits in 32 dimensions: 2.8 to 3.5 floors without one class, 10 to 34 without six, 19 of 20 copies."""
    own = learned(digits)
    features = {
        "learned": own,
        "random": RandomConvolutions(digits.spec),
        "pixels": PixelPCA.fit(digits.train.x, 17, 64),
    }[kind]
    x, label = (np.asarray(values[own.kept]) for values in (digits.train.x, digits.train.field("label")))
    n = len(digits.test)
    at = Projection.fit(features, features(x), n)
    real = at(np.asarray(digits.test.x))
    distance = {name: frechet_distance(at(items), real) for name, items in damaged(x, label, n).items()}
    assert distance["good"] < distance["without 1"] < distance["without 3"] < distance["without 6"]
    assert distance["without 6"] > (12 if kind == "learned" else 4) * distance["good"]
    assert distance["blurred"] > 4 * distance["good"]
    assert distance["copied"] > 4 * distance["good"]


def test_a_classifier_learns_the_classes_and_says_how_well(digits):
    own = learned(digits)
    test = np.asarray(digits.test.x)
    right = (own.classes(test, "label") == digits.test.field("label")).mean()
    assert right > 0.95
    assert right == pytest.approx(own.accuracy["label"], abs=0.03)
    assert "right on 419 others" in own.protocol
    assert len(own.kept) + own.learnt == len(digits.train)
    state = torch.get_rng_state()
    again = learned(digits)
    assert again.name == own.name
    np.testing.assert_array_equal(again(test[:9]), own(test[:9]))
    np.testing.assert_allclose(own(test[:9])[4:5], own(test[4:5]), atol=1e-5)
    assert torch.equal(torch.get_rng_state(), state)


def test_without_classes_it_learns_turns_and_without_images_nothing():
    grey, vectors = dataset(SPECS["grey"], (60, 10, 40)), dataset(SPECS["continuous"], (60, 10, 40))
    assert targets_of(grey.spec) == {TURNS: 4}
    assert learned(grey).accuracy.keys() == {TURNS}
    assert learned(vectors) is None
    assert learned(dataset(SPECS["grey"], (2, 2, 2))) is None
    x = np.arange(6).reshape(1, 2, 3)
    assert {turned(x, k).tobytes() for k in range(4)} == {
        np.ascontiguousarray(each).tobytes() for each in (x, x[:, ::-1], x[..., ::-1], x[:, ::-1, ::-1])
    }


def test_hidden_labels_are_passed_over():
    data = dataset(SPECS["grey-labelled"], (60, 10, 40))
    data.train.condition["label"][::2] = -1
    own = learned(data)
    assert np.isfinite(features_of(own.network, np.asarray(data.test.x))).all()
    assert 0 <= own.accuracy["label"] <= 1


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 9), (1, 1, 1), (3, 64, 48)])
def test_features_are_made_of_images_of_any_size(shape):
    data = dataset(sim.data.DataSpec(Levels(shape, 256)), (24, 4, 4))
    assert learned(data)(np.asarray(data.test.x)).shape == (4, 64)
    fixed = RandomConvolutions(data.spec)
    assert np.isfinite(fixed(np.asarray(data.test.x))).all()
    assert fixed.name == RandomConvolutions(data.spec).name


def test_frechet_distance_of_fewer_items_than_features():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20, 30)), rng.normal(0.3, 2.0, size=(25, 30))
    root = linalg.sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False) + 1e-12 * np.eye(30))
    traces = np.trace(np.cov(a, rowvar=False)) + np.trace(np.cov(b, rowvar=False))
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + traces - 2 * np.real(np.trace(root))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-3)
    rows = np.arange(20) < 12
    assert frechet_distances(a, b[:20], rows[None])[0] == pytest.approx(frechet_distance(a[rows], b[:20][rows]))


def test_a_classifier_test_is_at_chance_at_the_null_and_above_it_elsewhere(digits):
    rng = np.random.default_rng(0)
    x = rng.permutation(np.asarray(digits.train.x))
    same = discriminated(digits.spec, x[:300], x[300:600], rng)
    assert same.n == 300
    assert 0.4 < same.right < 0.6
    other = discriminated(digits.spec, x[:300], np.minimum(x[300:600] + 1, 16), rng)
    assert other.right > 0.9
    assert other.p < 1e-6
    assert at_least(8, 10) == pytest.approx(56 / 1024)
    assert at_least(0, 10) == pytest.approx(1)


class Means(torch.nn.Module):
    """A stand-in for a network in a file: colours 0..255 -> the means of their quarters."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1) / 255


class Counts(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> int:
        return x.shape[0]


@pytest.fixture
def module(tmp_path):
    torch.jit.script(Means()).save(str(tmp_path / "means.pt"))
    return tmp_path / "means.pt"


def test_features_of_a_file_are_called_by_its_name(module, monkeypatch):
    model, data = small_model(registry.find("dcgan"), SPECS["grey"]), dataset(SPECS["grey"], (60, 10, 40))
    found = sim.evaluate(model, data, quick=True, features=module)
    assert "fid" not in found
    distance = found["frechet_distance_file"]
    assert "means.pt@" in distance.protocol
    colours = [np.rint(np.asarray(x) * (255 / 16)) / 255 for x in (found.samples, data.test.x)]
    own = [x.reshape(-1, 1, 2, 4, 2, 4).mean((3, 5)).reshape(-1, 4).repeat(3, 0).reshape(-1, 12) for x in colours]
    assert distance.value == pytest.approx(frechet_distance(*own), rel=1e-3)
    digest = given_features.hashlib.sha256(module.read_bytes()).hexdigest()
    monkeypatch.setattr(given_features, "INCEPTION", digest)
    named = sim.evaluate(model, data, quick=True, features=str(module))
    assert named["fid"].value == distance.value
    assert "kid" in named
    assert "frechet_distance_file" not in named


def test_a_file_that_is_no_network_of_images_is_refused(tmp_path, module):
    model, data = small_model(registry.find("dcgan"), SPECS["grey"]), dataset(SPECS["grey"], (60, 10, 40))
    torch.jit.script(Counts()).save(str(tmp_path / "counts.pt"))
    (tmp_path / "text.pt").write_text("no network")
    for name, why in (
        ("counts", "does not give features"),
        ("text", "is no TorchScript module"),
        ("none", "cannot read"),
    ):
        with pytest.raises(UsageError, match=why):
            sim.evaluate(model, data, quick=True, features=tmp_path / f"{name}.pt")
    vectors = small_model(registry.find("vae"), SPECS["continuous"])
    with pytest.raises(UsageError, match="are for grey or colour images"):
        sim.evaluate(vectors, dataset(SPECS["continuous"], (60, 10, 40)), quick=True, features=module)
