"""NADE: the quick form of its outputs is the definition, and so are its derivatives."""

import pytest
import torch
from small import condition_of, items, labels, randomise

from simulacra.autoregressive import NADE
from simulacra.autoregressive.nade import Outputs, plainly
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels

SPECS = {
    "two blocks and a half": DataSpec(Levels((40,), 2)),
    "less than a block": DataSpec(Levels((1, 3, 3), 2)),
    "blocks of three": DataSpec(Levels((3, 2, 2), 5)),
    "a block for each": DataSpec(Levels((5,), 17)),
}


def numbers(dims: int, ink: float) -> torch.Tensor:
    """(6, dims) multiples of 1/4, a share `ink` of which are not zero; one item is blank."""
    generator = torch.Generator().manual_seed(1)
    values = torch.randint(1, 5, (6, dims), generator=generator).double() / 4
    kept = values * (torch.rand(6, dims, generator=generator) < ink)
    kept[2] = 0
    return kept


def parameters(spec: DataSpec, logits: int) -> list[torch.Tensor]:
    generator, hidden = torch.Generator().manual_seed(2), 7
    shapes = ((6, hidden), (spec.dims, hidden), (spec.dims, logits, hidden))
    return [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes]


@pytest.mark.parametrize("sigmoid", [True, False])
@pytest.mark.parametrize("ink", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("name", SPECS)
def test_the_quick_form_is_the_definition_and_has_its_gradients(name, ink, sigmoid):
    spec = SPECS[name]
    given = parameters(spec, 1 if spec.levels == 2 else spec.levels)
    x = numbers(spec.dims, ink)
    quick, plain = Outputs.apply(x, *given, sigmoid), plainly(x, *given, sigmoid)
    torch.testing.assert_close(quick, plain, rtol=1e-12, atol=1e-12)
    towards = torch.randn(plain.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for one, other in zip(*(torch.autograd.grad(form, given, towards) for form in (quick, plain)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_gradients_against_finite_differences():
    x, given = numbers(20, 0.4), parameters(DataSpec(Levels((20,), 2)), 1)
    assert torch.autograd.gradcheck(lambda *tensors: Outputs.apply(x, *tensors, True), given, fast_mode=True)


def test_two_coordinates_by_hand():
    model = randomise(NADE(DataSpec(Levels((2,), 2)), hidden=3).double())
    w, c, v, b = model.inputs, model.start, model.outputs[:, 0], model.biases[:, 0]
    for one in (0, 1):
        first = torch.sigmoid(b[0] + v[0] @ torch.sigmoid(c))
        second = torch.sigmoid(b[1] + v[1] @ torch.sigmoid(c + one * w[0]))
        expected = torch.log((first if one else 1 - first) * second)
        torch.testing.assert_close(model.log_prob(torch.tensor([[one, 1]]))[0], expected)


def test_it_has_a_row_of_weights_in_and_out_for_each_coordinate():
    n, hidden = 9, 13
    assert NADE(DataSpec(Levels((n,), 2)), hidden=hidden).free_parameters() == 2 * n * hidden + n + hidden


def test_half_precision_networks_change_nothing():
    """The running sum of many small terms stays in float32, whatever the rest of a step runs in."""
    spec = DataSpec(Levels((1, 6, 6), 2), labels(3))
    model, x, given = NADE(spec, hidden=20), items(spec, 5), condition_of(spec, 5)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model.log_prob(x, given)
    assert torch.equal(rounded, model.log_prob(x, given))


def test_derivatives_in_x_exist_where_they_are_asked_for():
    model = randomise(NADE(DataSpec(Levels((4,), 3)), hidden=20).double())
    x = torch.tensor([[0.0, 1.0, 0.0, 2.0]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(model.conditionals(x).log_masses()[0, 3, 0], x)
    assert (slope[0, :3] != 0).all()  # at zeros too, which the quick form passes over
    assert slope[0, 3] == 0


def test_another_order_is_refused_with_models_that_take_any():
    model = NADE(DataSpec(Levels((3, 2, 2), 2)), hidden=4)
    assert torch.equal(model.log_each(items(model.spec, 2), order=model.order()), model.log_each(items(model.spec, 2)))
    for call in (
        lambda order: model.steps(1, order=order),
        lambda order: model.log_each(items(model.spec, 2), order=order),
    ):
        with pytest.raises(UsageError, match="raster order only; made and orderless-nade"):
            call(torch.arange(12))
    with pytest.raises(UsageError, match="at least one hidden unit"):
        NADE(model.spec, hidden=0)
