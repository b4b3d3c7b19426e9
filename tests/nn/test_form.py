"""The form in which networks see items: what is made of x is x again, whatever kind of field x is."""

import pytest
import torch

from simulacra.data import ClassLabel, DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Classes, Levels, Real
from simulacra.networks import form_of

LABEL = {"label": ClassLabel(3)}


@pytest.mark.parametrize("x", [Levels((1, 4, 4), 17), Levels((5,), 2), Classes((1, 4, 4), 5), Real((3, 4, 4))])
def test_items_come_back_as_they_were_and_nothing_is_learnt_of_them(x):
    form = form_of(DataSpec(x, LABEL))
    own = torch.randn(6, *x.shape) if isinstance(x, Real) else torch.randint(x.levels, (6, *x.shape)).byte()
    form.learn(own)
    assert form.units is None
    assert form(own).shape == (6, *form.made.shape)
    assert torch.equal(form.items(form(own)), own)
    assert form.made.condition == LABEL


def test_levels_end_at_one_and_are_rounded_to_the_nearest():
    form = form_of(DataSpec(Levels((3,), 5)))
    assert form(torch.tensor([[0, 2, 4]]).byte()).tolist() == [[-1, 0, 1]]
    assert form.items(torch.tensor([[-3.0, 0.2, 0.3]])).tolist() == [[0, 2, 3]]
    assert form.rendered(torch.tensor([[-3.0, 0.2, 0.3]]).double()).dtype == torch.float32


def test_vectors_are_seen_in_standard_deviations_and_made_in_their_own_units():
    form, x = form_of(DataSpec(Real((2,)))), torch.randn(500, 2) * torch.tensor([3.0, 0.1]) + 70
    assert torch.equal(form(x), x)  # before anything is learnt
    form.learn(x[:200])
    form.learn(x[200:])
    seen = form(x)
    torch.testing.assert_close(seen.mean(0), torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(seen.std(0, correction=0), torch.ones(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(form.items(seen), x)
    made = torch.zeros(1, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(form.rendered(made).sum(), made)
    torch.testing.assert_close(slope[0], x.std(0, correction=0), atol=1e-3, rtol=1e-3)


def test_maps_have_a_channel_for_each_class_and_are_that_of_the_largest():
    form = form_of(DataSpec(Classes((1, 1, 2), 3)))
    assert form(torch.tensor([[[[0, 2]]]])).tolist() == [[[[1, -1]], [[-1, -1]], [[-1, 1]]]]
    assert form.items(torch.tensor([[[[0.1, -5.0]], [[0.2, -4.0]], [[0.0, -9.0]]]])).tolist() == [[[[1, 1]]]]
    with pytest.raises(UsageError, match=r"maps \(1, H, W\), not 3×2×2, 4 classes"):
        form_of(DataSpec(Classes((3, 2, 2), 4)))
