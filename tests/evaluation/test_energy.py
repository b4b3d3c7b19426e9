"""The energy distance: 0 of equal distributions, its closed form of two points, modes that two moments do not see."""

import numpy as np
import pytest
import torch
from small import SPECS, dataset, small_model

from simulacra import registry
from simulacra.data import DataSpec
from simulacra.evaluation import kernels
from simulacra.evaluation.fidelity import frechet_distance
from simulacra.evaluation.judges import by_energy_distance, usual_judge
from simulacra.fields import Real
from simulacra.randomness import generator


def test_of_two_points_it_is_twice_their_distance():
    a, b = np.tile([0.0, 0.0], (5, 1)), np.tile([3.0, 4.0], (5, 1))
    assert kernels.mmd(a, b, kernels.energy) == pytest.approx(10)


@pytest.mark.parametrize(("shift", "expected", "wide"), [(0.0, 0.0, 1.5), (1.0, 0.4298, 1.15)])
def test_it_is_unbiased_and_its_error_is_its_spread(shift, expected, wide):
    """Of N(0, I) and one shifted in the plane; where they are equal the error is somewhat too large."""
    rng, values, errors = np.random.default_rng(0), [], []
    for _ in range(150):
        a, b = rng.normal(size=(200, 2)), rng.normal((shift, 0), size=(200, 2))
        spread = kernels.mmd_spread(a, b, kernels.energy)
        values.append(kernels.mmd(a, b, kernels.energy))
        errors.append(spread.error)
    deviation = np.std(values, ddof=1)
    assert np.mean(values) == pytest.approx(expected, abs=3 * deviation / 150**0.5)
    assert deviation / 1.15 < np.mean(errors) < wide * deviation


def test_modes_that_two_moments_do_not_see():
    rng = np.random.default_rng(0)
    apart, about = rng.choice([-1.0, 1.0], (500, 1)), rng.normal(size=(500, 1))
    assert frechet_distance(apart, about) < 0.02
    spread = kernels.mmd_spread(apart, about, kernels.energy)
    assert kernels.mmd(apart, about, kernels.energy) > 10 * spread.second**0.5


def test_it_judges_what_samples_real_vectors_and_ends_no_run():
    gan = registry.find("gan")
    vector = next(spec for spec in SPECS.values() if spec.levels is None and not spec.is_image)
    model = small_model(gan, vector).eval()
    assert usual_judge(model) is by_energy_distance
    verdict, again = (by_energy_distance(model, dataset(vector), 0) for _ in range(2))
    assert verdict == again
    assert not verdict.stops


def test_the_figure_is_the_distance():
    model = small_model(registry.find("gan"), DataSpec(Real((2,)))).eval()
    with torch.no_grad():
        model.units.mean += 3
    data = dataset(model.spec, (40, 40, 40))
    x = torch.cat([model.sample(40, generator=generator(model.device, 0, "judge"))]).double().numpy()
    assert by_energy_distance(model, data, 0).value == pytest.approx(
        kernels.mmd(x, np.asarray(data.valid.x, float), kernels.energy), rel=0.05
    )
