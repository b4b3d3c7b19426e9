"""The fully visible belief network: each factor is a logistic regression, with a polynomial for many levels."""

import pytest
import torch
from small import all_items, randomise

from simulacra.autoregressive import FVBN
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, numeric
from simulacra.turns import Turn


@pytest.mark.parametrize("n", [1, 2, 9])
def test_binary_data_have_a_weight_for_each_pair_and_a_bias_for_each_coordinate(n):
    assert FVBN(DataSpec(Levels((n,), 2))).free_parameters() == n * (n + 1) // 2


def test_binary_factors_are_logistic_regressions():
    spec = DataSpec(Levels((4,), 2))
    model, x = randomise(FVBN(spec).double()), all_items(spec)
    weight, bias = model.regression.weight[:, 0], model.regression.bias
    value = 2.0 * x - 1
    for i in range(4):
        logit = bias[i] + value[:, :i].double() @ weight[i, :i]
        expected = torch.where(x[:, i] == 1, logit, -logit).sigmoid().log()
        torch.testing.assert_close(model.log_each(x)[:, i], expected)


def test_it_starts_as_the_uniform_distribution_and_its_loss_is_convex():
    """Along any line the loss lies below its chord."""
    spec = DataSpec(Levels((1, 2, 3), 4))
    model, x = FVBN(spec).double(), all_items(spec)[::7]
    torch.testing.assert_close(model.log_prob(x).exp(), torch.full((len(x),), 4.0**-6, dtype=torch.float64))
    ends = [list(randomise(FVBN(spec).double(), 1.0, seed).parameters()) for seed in (1, 2)]

    def loss(share: float) -> float:
        with torch.no_grad():
            for own, one, other in zip(model.parameters(), *ends, strict=True):
                own.copy_(torch.lerp(one, other, share))
            return model.loss(Turn(x))["nats"].item()

    for share in (0.25, 0.5, 0.75):
        assert loss(share) < (1 - share) * loss(0.0) + share * loss(1.0)


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_with_polynomials_of_the_full_degree_a_level_can_mean_anything(levels):
    """1, T_1, ..., T_{L-1} are independent functions of L levels, and more of them would not be."""
    model = FVBN(DataSpec(numeric((1,), levels)), degree=99)
    assert model.degree == levels - 1
    read = model.read(model.head.numbers(torch.arange(levels)[:, None], model.regression.weight))
    table = torch.cat((torch.ones(levels, 1), read), dim=1)
    assert torch.linalg.matrix_rank(table) == levels
    if levels > 2:
        angle = model.head.numbers(torch.arange(levels)[:, None], model.regression.weight)[:, 0].acos()
        torch.testing.assert_close(read[:, 1], (2 * angle).cos(), rtol=1e-5, atol=1e-5)


def test_what_it_cannot_do_is_refused():
    with pytest.raises(UsageError, match="degree 1 or more"):
        FVBN(DataSpec(Levels((4,), 2)), degree=0)
    with pytest.raises(UsageError, match="--levels"):
        FVBN(DataSpec(Levels((3, 32, 32), 256)))
    with pytest.raises(UsageError, match="raster order only"):
        FVBN(DataSpec(Levels((3,), 2))).steps(1, order=torch.tensor([2, 1, 0]))
