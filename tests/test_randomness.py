"""Seeds and uniform numbers are pure functions of what they are for."""

import numpy as np

from simulacra.randomness import mix, uniforms


def splitmix(state: int) -> int:
    """Steele et al. 2014, as in the reference implementation, with Python's integers."""
    z = (state + 0x9E3779B97F4A7C15) % 2**64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
    return z ^ (z >> 31)


def test_each_number_is_that_of_splitmix64():
    index = np.array([0, 1, 7, 2**40])
    found = uniforms(index, 3, 5, "augment", 2)
    assert found.shape == (4, 3)
    for i, row in zip(index.tolist(), found, strict=True):
        state = splitmix(mix(5, "augment", 2) ^ i)
        assert row.tolist() == [(splitmix(state ^ j) >> 11) / 2**53 for j in range(3)]


def test_a_row_knows_nothing_of_the_others():
    whole = uniforms(np.arange(100), 2, 1)
    some = np.array([93, 4, 57])
    assert (uniforms(some, 2, 1) == whole[some]).all()
    assert not (uniforms(np.arange(100), 2, 2) == whole).any()


def test_they_are_uniform_and_independent():
    x = uniforms(np.arange(20_000), 2, 0, "test")
    assert ((x >= 0) & (x < 1)).all()
    counts = np.histogram2d(x[:, 0], x[:, 1], bins=10, range=[[0, 1], [0, 1]])[0]
    chi_squared = ((counts - 200) ** 2 / 200).sum()
    assert 50 < chi_squared < 160  # of 99 degrees of freedom: 99 ± 14
    assert abs(np.corrcoef(x[:-1, 0], x[1:, 0])[0, 1]) < 0.03
