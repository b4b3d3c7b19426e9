"""MMD² under both kernels, against plain sums, and at the null."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

from simulacra.evaluation.kernels import cubic, gaussian, median_distance, mmd

KERNELS = [
    (gaussian(1.7), lambda x, y: float(rbf_kernel(x[None], y[None], gamma=1 / (2 * 1.7**2))[0, 0])),
    (cubic, lambda x, y: float(polynomial_kernel(x[None], y[None], degree=3, coef0=1)[0, 0])),
]


@pytest.mark.parametrize(("kernel", "reference"), KERNELS, ids=["gaussian", "cubic"])
def test_mmd_is_the_double_loop_over_pairs_of_different_items(kernel, reference):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(12, 4)), rng.normal(0.5, 2.0, size=(15, 4))
    terms = [
        sum(reference(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j) / (len(x) * (len(x) - 1))
        for x in (a, b)
    ]
    crossed = np.mean([[reference(x, y) for y in b] for x in a])
    assert mmd(a, b, kernel) == pytest.approx(sum(terms) - 2 * crossed, rel=1e-10)


@pytest.mark.parametrize("kernel", [gaussian(1.5), cubic], ids=["gaussian", "cubic"])
def test_mmd_is_unbiased(kernel):
    """400 pairs of one distribution: a mean of zero within 4 s.e., and about half of them negative."""
    rng = np.random.default_rng(0)
    values = np.array([mmd(rng.normal(size=(20, 3)), rng.normal(size=(20, 3)), kernel) for _ in range(400)])
    assert abs(values.mean()) < 4 * values.std() / 20
    assert 0.3 < (values < 0).mean() < 0.8


@pytest.mark.parametrize("kernel", [gaussian(1.5), cubic], ids=["gaussian", "cubic"])
def test_mmd_grows_with_the_shift(kernel):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 200, 3))
    values = [mmd(a, b + shift, kernel) for shift in (0.0, 0.3, 0.6, 1.2)]
    assert values == sorted(values)
    assert values[-1] > 10 * abs(values[0])


def test_the_bandwidth_is_the_median_distance():
    x = np.array([[0.0], [1.0], [3.0]])  # distances 1, 2, 3
    assert median_distance(x) == pytest.approx(2)
