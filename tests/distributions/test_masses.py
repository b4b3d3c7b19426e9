"""Every head is a probability over the levels: masses sum to one, edges included, whatever the parameters."""

import math

import pytest
import torch
from scipy import special

from simulacra.distributions import Bernoulli, Categorical, DiscretisedGaussian, DiscretisedLogisticMixture

CLAMPS = (-7.0, 5.0)  # of the log-scales
MEANS = [-1000.0, -30.0, -1.5, -1.0, -0.999, 0.0, 0.31, 1.0, 1.2, 30.0, 1000.0]
LOG_SCALES = [-100.0, -7.001, -7.0, -6.9, -3.0, 0.0, 4.9, 5.0, 5.1, 80.0]
LEVELS = [2, 3, 16, 17, 255, 256]


def mesh(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Every mean with every log-scale, (1, means, scales) each."""
    means, scales = torch.meshgrid(
        torch.tensor(MEANS, dtype=dtype), torch.tensor(LOG_SCALES, dtype=dtype), indexing="ij"
    )
    return means[None], scales[None]


def gaussian(levels, dtype=torch.float64):
    return DiscretisedGaussian(*mesh(dtype), levels)


def logistic(levels, dtype=torch.float64):
    means, scales = (parameter.unsqueeze(-1) for parameter in mesh(dtype))
    return DiscretisedLogisticMixture(torch.zeros_like(means), means, scales, levels)


def mixture(levels, dtype=torch.float64):
    """Four components at random, weights of very different size."""
    generator = torch.Generator().manual_seed(levels)
    weights, means, scales = (torch.randn(2, 3, 5, 4, generator=generator).to(dtype) for _ in range(3))
    return DiscretisedLogisticMixture(20 * weights, 3 * means, 6 * scales, levels)


def categorical(levels, dtype=torch.float64):
    logits = torch.randn(2, 3, 4, levels, generator=torch.Generator().manual_seed(levels))
    return Categorical((30 * logits).to(dtype))


def bernoulli(levels, dtype=torch.float64):
    return Bernoulli(torch.linspace(-200, 200, 41, dtype=dtype)[None])


HEADS = {"gaussian": gaussian, "logistic": logistic, "mixture": mixture, "categorical": categorical}
CASES = [(name, head, levels) for name, head in HEADS.items() for levels in LEVELS] + [("bernoulli", bernoulli, 2)]
heads = pytest.mark.parametrize(("head", "levels"), [pytest.param(h, n, id=f"{name}-{n}") for name, h, n in CASES])


@heads
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 3e-6)])
def test_masses_sum_to_one(head, levels, dtype, tolerance):
    log_masses = head(levels, dtype).log_masses()
    assert log_masses.shape[-1] == levels
    assert log_masses.dtype == dtype
    assert not log_masses.isnan().any()
    assert (log_masses.double().exp().sum(-1) - 1).abs().max() < tolerance


@heads
def test_log_mass_is_the_entry_of_log_masses(head, levels):
    p = head(levels)
    log_masses = p.log_masses()
    for level in {0, 1, levels // 2, levels - 1}:
        x = torch.full(log_masses.shape[:-1], level, dtype=torch.uint8)
        torch.testing.assert_close(p.log_each(x), log_masses[..., level], rtol=1e-9, atol=1e-9)


@heads
def test_log_prob_adds_up_the_sub_pixels_of_one_item_only(head, levels):
    p = head(levels)
    x = torch.randint(levels, p.log_masses().shape[:-1], dtype=torch.uint8)
    expected = torch.stack([row.sum() for row in p.log_each(x)])
    torch.testing.assert_close(p.log_prob(x), expected)


@heads
def test_the_mean_is_the_sum_of_level_times_mass(head, levels):
    p = head(levels)
    masses = p.log_masses().exp()
    expected = sum(level * masses[..., level] for level in range(levels))
    torch.testing.assert_close(p.mean, expected, rtol=1e-9, atol=1e-9)


def edges(level: int, levels: int) -> tuple[float, float]:
    """Where the bin of a level begins and ends on [-1, 1]; the outermost have no end."""
    width = 2 / (levels - 1)
    lower = -math.inf if level == 0 else -1 + (level - 0.5) * width
    upper = math.inf if level == levels - 1 else -1 + (level + 0.5) * width
    return lower, upper


def log_difference(log_b: float, log_a: float) -> float:
    return log_b + math.log(-math.expm1(log_a - log_b)) if log_a > -math.inf else log_b


def exact_gaussian(level: int, levels: int, mean: float, log_scale: float) -> float:
    """log of the Gaussian mass of a bin, taken in whichever tail keeps its digits."""
    scale = math.exp(min(max(log_scale, CLAMPS[0]), CLAMPS[1]))
    a, b = ((edge - mean) / scale for edge in edges(level, levels))
    a, b = (-b, -a) if a + b > 0 else (a, b)
    return log_difference(float(special.log_ndtr(b)), float(special.log_ndtr(a)))


def exact_logistic(level: int, levels: int, mean: float, log_scale: float) -> float:
    scale = math.exp(min(max(log_scale, CLAMPS[0]), CLAMPS[1]))
    a, b = ((edge - mean) / scale for edge in edges(level, levels))
    a, b = (-b, -a) if a + b > 0 else (a, b)
    return log_difference(float(special.log_expit(b)), float(special.log_expit(a)))


@pytest.mark.parametrize(("head", "exact"), [(gaussian, exact_gaussian), (logistic, exact_logistic)])
@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize(("dtype", "relative"), [(torch.float64, 1e-9), (torch.float32, 5e-3)])
def test_tails_agree_with_an_independent_reference(head, exact, levels, dtype, relative):
    """Also where the distribution function rounds to 0 or 1: a mass of e^-1000000 has the right logarithm."""
    log_masses = head(levels, dtype).log_masses()[0].double()
    for i, mean in enumerate(MEANS):
        for j, log_scale in enumerate(LOG_SCALES):
            for level in {0, 1, levels // 2, levels - 2, levels - 1}:
                expected = exact(level, levels, mean, log_scale)
                assert log_masses[i, j, level].item() == pytest.approx(expected, rel=relative, abs=relative), (
                    f"level {level}, mean {mean}, log-scale {log_scale}"
                )


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["gaussian", "logistic"])
def test_gradients_are_finite_everywhere(levels, dtype, kind):
    """In the far tails and at the clamps, of every level."""
    means, scales = (parameter.clone().requires_grad_() for parameter in mesh(dtype))
    if kind == "gaussian":
        p = DiscretisedGaussian(means, scales, levels)
    else:
        weights = torch.zeros_like(means).unsqueeze(-1)
        p = DiscretisedLogisticMixture(weights, means.unsqueeze(-1), scales.unsqueeze(-1), levels)
    for level in {0, 1, levels // 2, levels - 1}:
        x = torch.full(means.shape, level, dtype=torch.uint8)
        for gradient in torch.autograd.grad(p.log_each(x).sum(), (means, scales), retain_graph=True):
            assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("kind", ["gaussian", "logistic"])
def test_gradients_are_those_of_the_mass(kind):
    """Against finite differences, in float64, centre and tails."""

    def total(means, scales):
        if kind == "gaussian":
            return DiscretisedGaussian(means, scales, 16).log_each(x)
        return DiscretisedLogisticMixture(means[..., None], means[..., None], scales[..., None], 16).log_each(x)

    x = torch.arange(16, dtype=torch.uint8)[None].repeat(2, 1)
    means = torch.linspace(-2.5, 2.5, 16, dtype=torch.float64)[None].repeat(2, 1).requires_grad_()
    scales = torch.tensor([[-3.5], [0.5]], dtype=torch.float64).repeat(1, 16).requires_grad_()
    assert torch.autograd.gradcheck(total, (means, scales))


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("head", [gaussian, logistic, mixture, categorical])
def test_half_precision_networks_get_float32_likelihoods(half, head):
    """The parameters are rounded, the mathematics is not: the same as the rounded parameters in float32."""
    p = head(17, half)
    log_masses = p.log_masses()
    assert log_masses.dtype == torch.float32
    assert (log_masses.exp().sum(-1) - 1).abs().max() < 3e-6
    x = torch.zeros(log_masses.shape[:-1], dtype=torch.uint8)
    assert p.log_prob(x).dtype == torch.float32


def test_half_precision_bernoulli_is_computed_in_float32():
    logits = torch.tensor([[3.0, -5.0, 20.0]])
    x = torch.tensor([[1, 1, 0]], dtype=torch.uint8)
    torch.testing.assert_close(Bernoulli(logits.bfloat16()).log_prob(x), Bernoulli(logits).log_prob(x))
