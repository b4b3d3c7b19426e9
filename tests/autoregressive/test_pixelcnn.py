"""What is particular to the PixelCNN: a stack of masked windows sees a cone, and nothing on its upper right."""

import pytest
import torch
from small import randomise

import simulacra as sim
from simulacra.autoregressive import pixelcnn
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels


@pytest.mark.parametrize(("kernel", "layers"), [(3, 1), (3, 2), (5, 2), (7, 1)])
def test_the_receptive_field_is_that_of_windows_one_after_the_other(kernel, layers):
    """By dilation: a k×k window without its own pixel, then 3×3 windows with it."""
    model = randomise(pixelcnn(DataSpec(Levels((1, 11, 11), 4)), width=16, layers=layers, kernel=kernel).eval())
    found = sim.checks.causality(model, factors=[8 * 11 + 5])
    seen = {(0, 0)}
    for _ in range(layers):
        seen = {(r + up, c + aside) for r, c in seen for up, aside in [(0, 0), (0, -1), (-1, -1), (-1, 0), (-1, 1)]}
    reach = kernel // 2
    first = [(up, aside) for up in range(-reach, 0) for aside in range(-reach, reach + 1)]
    first += [(0, -aside) for aside in range(1, reach + 1)]
    seen = {(r + up, c + aside) for r, c in seen for up, aside in first}
    expected = torch.zeros(11, 11, dtype=torch.bool)
    for up, aside in seen:
        if 8 + up >= 0 and 0 <= 5 + aside < 11:
            expected[8 + up, 5 + aside] = True
    assert torch.equal(found.dependence.view(11, 11) != 0, expected)
    assert not expected[7, 5 + reach + layers]  # the blind spot, which no depth fills


def test_its_blind_spot_remains_however_many_layers_there_are():
    """Windows of 3: one row up, the second column on the right is never seen, though an image of 4×4 is tiny."""
    model = randomise(pixelcnn(DataSpec(Levels((1, 4, 4), 4)), width=16, layers=5, kernel=3).eval())
    found = sim.checks.causality(model)
    assert found.causal
    assert found.dependence[2 * 4 + 1, 1 * 4 + 3] == 0
    assert found.coverage < 1


@pytest.mark.parametrize("arguments", [{"kernel": 4}, {"layers": 0}, {"dropout": 1.0}])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(UsageError, match=r"(kernel|layers|dropout) of pixel-network 'pixelcnn' must be"):
        pixelcnn(DataSpec(Levels((1, 4, 4), 4)), **arguments)
