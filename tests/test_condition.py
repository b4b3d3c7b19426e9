"""A condition: rows, copies and moves are those of every tensor, and a model's check says what is wrong with it."""

import numpy as np
import pytest
import torch
from hypothesis import given as forall
from hypothesis import strategies as st
from small import labels, randomise

from simulacra.autoregressive import gated_pixelcnn
from simulacra.condition import Condition
from simulacra.data import ClassLabel, DataSpec, Levels
from simulacra.errors import UsageError
from simulacra.fields import Many, Real, Record, Tokens
from simulacra.model import Model

X = Levels((1, 4, 4), 3)


def condition(n: int = 5) -> Condition:
    return Condition(
        {"label": torch.arange(n), "small": torch.arange(6.0 * n).view(n, 1, 2, 3), "on": torch.arange(n) > 2}
    )


def equal(one: Condition, other: Condition) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def by_item(one: Condition) -> list[list[torch.Tensor]]:
    """The values of each item."""
    return [list(values) for values in zip(*one.values(), strict=True)]


def same_items(one: Condition, other: Condition, index: list[int]) -> bool:
    """Whether item i of the first is item index[i] of the second."""
    pairs = zip(by_item(one), [by_item(other)[i] for i in index], strict=True)
    return all(torch.equal(a, b) for mine, theirs in pairs for a, b in zip(mine, theirs, strict=True))


def test_it_is_a_mapping_whose_length_counts_fields():
    one = condition()
    assert (len(one), list(one)) == (3, ["label", "small", "on"])
    assert torch.equal(one["label"], torch.arange(5))
    assert "label" in one
    assert not Condition()
    assert repr(one) == "Condition(label: (5,), small: (5, 1, 2, 3), on: (5,))"
    with pytest.raises(KeyError):
        one["size"]
    with pytest.raises(TypeError):
        one["label"] = torch.zeros(5)


def test_it_is_not_changed_by_what_it_was_made_of():
    tensors = {"label": torch.arange(3)}
    one = Condition(tensors)
    tensors["other"] = torch.zeros(3)
    assert list(one) == ["label"]


@pytest.mark.parametrize(
    ("index", "items"),
    [
        (slice(1, 4), [1, 2, 3]),
        (slice(None, None, 2), [0, 2, 4]),
        (torch.tensor([3, 0, 0]), [3, 0, 0]),
        (torch.tensor([True, False, True, False, True]), [0, 2, 4]),
        (torch.tensor([], dtype=torch.long), []),
    ],
    ids=str,
)
def test_rows_are_those_items_of_every_field(index, items):
    found = condition().rows(index)
    assert same_items(found, condition(), items)
    assert all(len(tensor) == len(items) for tensor in found.values())


@forall(st.integers(1, 4), st.integers(1, 4))
def test_copies(n, times):
    one = condition(n)
    assert same_items(one.repeat(times), one, list(range(n)) * times)
    assert same_items(one.repeat_each(times), one, [i for i in range(n) for _ in range(times)])
    assert same_items(one.repeat(times).rows(slice(0, n)), one, list(range(n)))
    assert same_items(one.repeat_each(times).rows(torch.arange(n) * times), one, list(range(n)))
    assert same_items(one.cat(one), one, [*range(n), *range(n)])
    assert equal(one.cat(one), one.repeat(2))


def test_one_value_is_expanded_without_a_copy():
    one = condition(1)
    many = one.expand(7)
    assert same_items(many, one, [0] * 7)
    assert all(many[name].data_ptr() == one[name].data_ptr() for name in one)
    assert equal(condition(5).expand(5), condition(5))
    with pytest.raises(RuntimeError):
        condition(5).expand(7)


def test_a_second_one_goes_before_the_first():
    both = condition() | {"label": torch.zeros(5), "size": torch.ones(5)}
    assert list(both) == ["label", "small", "on", "size"]
    assert both["label"].sum() == 0
    assert condition()["label"].sum() == 10
    assert isinstance(both, Condition)


def test_it_moves_as_a_whole():
    moved = condition().to("meta")
    assert {tensor.device.type for tensor in moved.values()} == {"meta"}
    assert equal(condition().to("cpu"), condition())


def test_nothing_has_all_of_it():
    for call in (lambda c: c.rows(slice(0, 2)), lambda c: c.repeat(3), lambda c: c.expand(4), lambda c: c.to("cpu")):
        assert equal(call(Condition()), Condition())


# As a model takes it


FIELDS = {
    "label": ClassLabel(3, ("a", "b", "c")),
    "size": Real((2,)),
    "words": Tokens(("red", "blue"), 3),
    "objects": Many(Record({"kind": ClassLabel(2), "at": Real((1,))}), 2),
}
ONE = {"label": "b", "size": [1, 2], "words": "red blue", "objects": [{"kind": 1, "at": [0.5]}]}


def model(fields=FIELDS) -> Model:
    return randomise(gated_pixelcnn(DataSpec(X, fields), width=4, layers=1).eval())


def test_one_value_serves_all_items_and_each_may_have_its_own():
    some = model()
    one = some.conditioned(ONE, 3)
    assert one.keys() == some.spec.columns.keys()
    each = some.conditioned(
        {
            "label": ["b"] * 3,
            "size": np.array([[1, 2]] * 3),
            "words": ["red blue"] * 3,
            "objects": [ONE["objects"]] * 3,
        },
        3,
    )
    assert equal(one, each)
    assert equal(some.conditioned(one, 3), one)  # a condition that was checked
    assert equal(some.conditioned(dict(one), 3), one)  # its columns, by their names
    assert equal(some.conditioned(one.rows(slice(0, 1)), 3), one)
    assert (one["objects.mask"].dtype, one["label"].dtype, one["size"].dtype) == (
        torch.bool,
        torch.int64,
        torch.float32,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": None}, "a label is an integer or a name, not None"),
        ({"label": "d"}, "there is no class 'd'"),
        ({"label": [0, 1]}, "'label' has 2 values for 3 items"),
        ({"size": [1.0]}, r"'size' is finite real numbers of shape \(2,\)"),
        ({"size": [[1.0, 2.0]] * 4}, "'size' has 4 values for 3 items"),
        ({"words": "green"}, "'words': 'green' is not in the vocabulary"),
        ({"words": ["red", "blue"]}, "'words' has 2 values for 3 items"),
        ({"objects": [{"kind": 0, "at": [0]}] * 3}, "'objects' has at most 2 elements, not 3"),
        ({"colour": 1}, "this gated-pixelcnn is not conditioned on 'colour'. Known: label, objects, size, words"),
        ({"lable": 1}, "not conditioned on 'lable'. Did you mean 'label'"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(change, message):
    with pytest.raises(UsageError, match=message):
        model().conditioned(ONE | change, 3)


def test_a_missing_field_is_refused_with_the_way_to_give_it():
    for name in FIELDS:
        rest = {own: value for own, value in ONE.items() if own != name}
        with pytest.raises(
            UsageError, match=f"this gated-pixelcnn is conditioned on '{name}'; give condition={{'{name}'"
        ):
            model().conditioned(rest, 3)
    with pytest.raises(UsageError, match="not conditioned on 'label'; fit it with --condition label"):
        model({}).conditioned({"label": 1}, 3)


def test_all_classes_are_shown_in_turn_and_other_fields_have_to_be_given():
    assert model(labels(3)).every_class(5)["label"].tolist() == [0, 1, 2, 0, 1]
    assert not model({}).every_class(5)
    with pytest.raises(UsageError, match="conditioned on 'size', 2, continuous: give its values"):
        model().every_class(5)
