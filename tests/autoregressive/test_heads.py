"""What a network says of a pixel is a probability over its colours, for whole images as for one pixel in a walk."""

import pytest
import torch
from small import all_items

from simulacra.autoregressive.heads import LevelHead, MixtureHead
from simulacra.data import DataSpec
from simulacra.distributions import Bernoulli, Categorical
from simulacra.fields import Levels, numeric

SPECS = {
    "grey": DataSpec(Levels((1, 3, 2), 17)),
    "two": DataSpec(Levels((2, 3, 2), 5)),
    "colour": DataSpec(Levels((3, 3, 2), 4)),
}
BINARY = DataSpec(Levels((3, 3, 2), 2))
every_spec = pytest.mark.parametrize("spec", [*SPECS.values(), BINARY], ids=[*SPECS, "binary"])


def heads(spec: DataSpec) -> list:
    return [LevelHead(spec), MixtureHead(spec, 1), MixtureHead(spec, 5)]


def output_and_image(head, spec: DataSpec, n: int = 4):
    output = torch.randn(n, head.outputs, *spec.shape[1:], dtype=torch.float64)
    x = torch.randint(spec.levels, (n, *spec.shape), dtype=torch.uint8)
    return output, x, spec.centred(x.double())


@every_spec
@pytest.mark.parametrize("kind", range(3))
def test_the_masses_of_all_colours_of_a_pixel_add_up_to_one(spec, kind):
    """However the channels are coupled: Σ over all colours of Π over the channels."""
    head, pixel = heads(spec)[kind], DataSpec(numeric((spec.shape[0], 1, 1), spec.levels))
    colours = all_items(pixel)
    output = torch.randn(1, head.outputs, 1, 1, dtype=torch.float64).expand(len(colours), -1, -1, -1)
    p = head.everywhere(2 * output, spec.centred(colours.double()))
    assert p.log_prob(colours).exp().sum().item() == pytest.approx(1, abs=1e-10)
    assert p.log_prob(colours).std() > 0.1


@every_spec
@pytest.mark.parametrize("kind", range(3))
def test_a_sub_pixel_of_a_walk_is_that_of_the_whole_image(spec, kind):
    """It sees no channel that is not known yet: those are NaN here."""
    head = heads(spec)[kind]
    output, x, image = output_and_image(head, spec)
    everywhere = head.everywhere(output, image).log_masses()
    assert everywhere.shape == (*x.shape, spec.levels)
    for channel in range(spec.shape[0]):
        share = output[:, :, 2, 1]
        if head.per_channel:
            share = share.unflatten(1, (spec.shape[0], -1))[:, channel]
        known = image[:, :, 2, 1].clone()
        known[:, channel:] = torch.nan
        here = head.here(share, known, channel).log_masses()
        torch.testing.assert_close(here, everywhere[:, channel, 2, 1], rtol=1e-9, atol=1e-9)


def test_two_levels_are_a_bernoulli_and_more_a_categorical():
    for spec, expected in ((BINARY, Bernoulli), (SPECS["colour"], Categorical)):
        head = LevelHead(spec)
        output, _, image = output_and_image(head, spec)
        assert type(head.everywhere(output, image)) is expected
        assert head.outputs == 3 * (1 if spec.levels == 2 else spec.levels)


def logistic_mass(level, mean, log_scale, levels: int):
    """L(level): of a logistic on [-1, 1], the outermost levels reach to infinity; plain, for moderate parameters."""
    half, centre = 1 / (levels - 1), 2 * level / (levels - 1) - 1
    upper = torch.where(level == levels - 1, torch.inf, (centre + half - mean) / log_scale.exp())
    lower = torch.where(level == 0, -torch.inf, (centre - half - mean) / log_scale.exp())
    return upper.sigmoid() - lower.sigmoid()


def test_a_mixture_is_the_formula_of_pixelcnn_plus_plus():
    """p(r, g, b) = Σ_k π_k L(r; μ_r) L(g; μ_g + α r) L(b; μ_b + β r + γ g), α, β, γ through a tanh."""
    spec, components = SPECS["colour"], 3
    head = MixtureHead(spec, components)
    output, x, image = output_and_image(head, spec)
    parameters = output.unflatten(1, (-1, components)).movedim(2, -1)  # (N, 1 + 3 + 3 + 3, H, W, K)
    weights, means, scales, (alpha, beta, gamma) = (
        parameters[:, 0].softmax(-1),
        parameters[:, 1:4],
        parameters[:, 4:7],
        parameters[:, 7:].tanh().unbind(1),
    )
    r, g = image[:, 0, ..., None], image[:, 1, ..., None]
    shifted = [means[:, 0], means[:, 1] + alpha * r, means[:, 2] + beta * r + gamma * g]
    product = weights
    for channel in range(3):
        product = product * logistic_mass(x[:, channel, ..., None].double(), shifted[channel], scales[:, channel], 4)
    expected = product.sum(-1).log().flatten(1).sum(1)
    torch.testing.assert_close(head.everywhere(output, image).log_prob(x), expected, rtol=1e-9, atol=1e-9)


def test_a_mixture_has_derivatives_in_the_channels_before():
    """Blue depends on red and green through the means and the weights, red on nothing: for real numbers, too."""
    spec = SPECS["colour"]
    head = MixtureHead(spec, 3)
    output, _, image = output_and_image(head, spec, n=1)
    found = torch.autograd.functional.jacobian(lambda i: head.everywhere(output, i).log_masses().sum(-1), image + 0.1)
    reached = (found[0, :, 2, 1, 0, :, 2, 1] != 0).tolist()
    assert reached == [[False, False, False], [True, False, False], [True, True, False]]
    elsewhere = found.clone()
    for row in range(3):
        for column in range(2):
            elsewhere[0, :, row, column, 0, :, row, column] = 0
    assert (elsewhere == 0).all()


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_a_half_precision_network_gets_a_float32_head(half):
    for head in heads(SPECS["colour"]):
        output, x, image = output_and_image(head, SPECS["colour"])
        assert head.everywhere(output.to(half), image.to(half)).log_prob(x).dtype == torch.float32
