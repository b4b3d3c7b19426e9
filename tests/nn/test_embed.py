"""How conditions enter networks: padding does not matter, a set has no order, a map keeps its place, all learns."""

import pytest
import torch
from small import condition_of
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.derived import Derived, Down
from simulacra.fields import ClassLabel, Field, Index, LabelMap, Levels, Many, Real, Record, Tokens
from simulacra.nn import AddCondition, Embed, Memory, Vectors
from simulacra.nn.embed import FEATURES, MapFeatures, vector, vector_of

OBJECT = Record({"kind": ClassLabel(3), "box": Real((4,))})
FIELDS: dict[str, Field] = {
    "class": ClassLabel(3),
    "number": Real((1,)),
    "numbers": Real((2, 3)),
    "levels": Levels((5,), 17),
    "picture": Levels((3, 8, 6), 256),
    "real picture": Real((1, 5, 9)),
    "map": LabelMap(4, (8, 8)),
    "tokens": Tokens(("red", "green", "blue"), 4),
    "index": Index("objects", 5),
    "record": OBJECT,
    "many classes": Many(ClassLabel(3), 4),
    "many vectors": Many(Real((2,)), 4),
    "many tokens": Many(Tokens(("red", "green"), 3), 4),
    "many places": Many(Index("objects", 5), 4),
    "many records": Many(OBJECT, 4),
    "derived": Derived(Down(2), Levels((1, 4, 4), 17)),
}
every_field = pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
every_list = pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if isinstance(field, Many)])


def some(field: Field, n: int = 12, seed: int = 0) -> Condition:
    """A condition on one field `f`."""
    return condition_of(DataSpec(Levels((1, 8, 8), 17), {"f": field}), n, seed)


def made(field: Field, width: int = 6) -> nn.Module:
    torch.manual_seed(0)
    return vector_of("f", field, width).double()


def features(embedding: nn.Module, condition: Condition) -> Tensor:
    return vector(embedding, "f", condition)


# Vectors


@every_field
def test_a_field_is_one_vector_of_each_item(field):
    condition, embedding = some(field), made(field)
    together = features(embedding, condition)
    assert together.shape == (12, 6)
    assert torch.isfinite(together).all()
    for i in range(12):
        torch.testing.assert_close(features(embedding, condition.rows(slice(i, i + 1)))[0], together[i])
    assert together.std(0).max() > 1e-3  # items differ, and so do their vectors


@every_field
def test_gradients_reach_every_row_and_weight(field):
    """Of 200 items, in which every class, level, token and place occurs."""
    embedding, condition = made(field), some(field, 200)
    if isinstance(field, Tokens):  # short ones too
        condition = condition | {"f": condition["f"].masked_fill(torch.arange(4) > torch.arange(200)[:, None] % 4, -1)}
    if isinstance(field, Index):
        condition = condition | {"f": condition["f"].masked_fill(torch.arange(200) % 7 == 0, -1)}
    if field is FIELDS["many places"]:
        condition = condition | {"f": condition["f"].masked_fill(torch.arange(200)[:, None] % 7 == 0, -1)}
    (features(embedding, condition) * torch.randn(200, 6).double()).sum().backward()
    for name, parameter in embedding.named_parameters():
        assert parameter.grad is not None, name
        rows = parameter.grad.flatten(1).abs().sum(1) if parameter.dim() > 1 else parameter.grad.abs()
        reached = (rows > 0).double().mean()
        assert reached == 1 if "rows" in name or "table" in name or "places" in name else reached > 0.4, name


def test_each_class_and_each_place_has_a_row_of_its_own():
    for field, values in ((ClassLabel(3), [0, 1, 2]), (Index("o", 3), [-1, 0, 1, 2])):
        found = features(made(field), Condition({"f": torch.tensor(values)}))
        assert len(found.unique(dim=0)) == len(values)


def test_numbers_are_seen_centred():
    """17 levels from -1 to 1: the middle one is zero, and only the biases are left of it."""
    embedding = made(Levels((5,), 17))
    middle = features(embedding, Condition({"f": torch.full((1, 5), 8, dtype=torch.uint8)}))
    bare = embedding.last(torch.relu(embedding.hidden.bias))
    torch.testing.assert_close(middle[0], bare)


# Padding and order


@every_list
def test_a_padded_element_does_not_matter(name):
    """Not even where it holds what is no value: no number, or a class that does not exist."""
    embedding, condition = made(FIELDS[name]), some(FIELDS[name])
    mask, before = condition["f.mask"], features(embedding, condition)
    columns = {key: tensor for key, tensor in condition.items() if key != "f.mask"}
    for key, tensor in columns.items():
        strange = float("nan") if tensor.is_floating_point() else 99
        for value in (tensor.roll(1, 0), torch.full_like(tensor, strange)):
            kept = mask.view(*mask.shape, *[1] * (tensor.dim() - 2))
            changed = condition | {key: torch.where(kept, tensor, value)}
            assert (changed[key] != tensor).any()
            embedding.zero_grad()
            found = features(embedding, changed)
            assert torch.equal(found, before)
            found.square().sum().backward()
            assert all(torch.isfinite(parameter.grad).all() for parameter in embedding.parameters())


@every_list
def test_the_order_of_a_list_does_not_matter(name):
    embedding, condition = made(FIELDS[name]), some(FIELDS[name])
    order = torch.tensor([2, 0, 3, 1])
    turned = Condition({key: tensor[:, order] for key, tensor in condition.items()})
    torch.testing.assert_close(features(embedding, turned), features(embedding, condition))


@every_list
def test_every_element_of_a_list_matters(name):
    embedding, condition = made(FIELDS[name]), some(FIELDS[name])
    full = condition | {"f.mask": torch.ones(12, 4, dtype=torch.bool)}
    without = features(embedding, full | {"f.mask": torch.tensor([True, True, True, False]).expand(12, 4)})
    assert (features(embedding, full) - without).abs().amax(1).median() > 1e-3


@every_list
def test_an_empty_list_is_a_vector_too(name):
    condition = some(FIELDS[name])
    found = features(made(FIELDS[name]), condition | {"f.mask": torch.zeros(12, 4, dtype=torch.bool)})
    assert (found == 0).all()


def test_tokens_have_places_and_padding_does_not_matter():
    embedding = made(FIELDS["tokens"])

    def of(*tokens: int) -> Tensor:
        return features(embedding, Condition({"f": torch.tensor([tokens])}))

    assert not torch.allclose(of(0, 1, -1, -1), of(1, 0, -1, -1))
    assert not torch.allclose(of(0, -1, -1, -1), of(0, 0, -1, -1))
    assert (of(-1, -1, -1, -1) == 0).all()
    before = of(0, 1, -1, -1)
    with torch.no_grad():
        embedding.places[2:] += 1  # of padded tokens
    assert torch.equal(of(0, 1, -1, -1), before)


# Maps


def changed_at(field: Field, size: tuple[int, int], row: int, column: int) -> Tensor:
    """(H, W) True where features change with one pixel of the map."""
    torch.manual_seed(0)
    embedding, condition = MapFeatures("f", field, 8, size).double(), some(field, 3)
    other = condition["f"].clone()
    levels = getattr(field, "levels", 0) or getattr(field, "classes", 0)
    pixel = other[..., row, column]
    other[..., row, column] = ((pixel.long() + levels // 2) % levels).to(pixel.dtype) if levels else pixel + 3
    return (embedding(condition) != embedding(condition | {"f": other})).any(0).any(0)


def near(size: tuple[int, int], rows: slice, columns: slice) -> Tensor:
    where = torch.zeros(size, dtype=torch.bool)
    where[max(0, rows.start) : rows.stop, max(0, columns.start) : columns.stop] = True
    return where


@pytest.mark.parametrize(
    "field", [Levels((1, 12, 10), 17), Levels((3, 12, 10), 256), Real((2, 12, 10)), LabelMap(4, (12, 10))], ids=str
)
@pytest.mark.parametrize(("row", "column"), [(0, 0), (5, 4), (11, 9), (0, 9)])
def test_a_map_of_the_same_size_keeps_its_place(field, row, column):
    """One pixel changes features within three pixels of it, a 5×5 and a 3×3 window, and its own for sure."""
    changed = changed_at(field, (12, 10), row, column)
    assert changed[row, column]
    assert not (changed & ~near((12, 10), slice(row - 3, row + 4), slice(column - 3, column + 4))).any()


@pytest.mark.parametrize(("row", "column"), [(0, 0), (2, 3), (5, 4)])
def test_a_smaller_map_is_spread_over_squares(row, column):
    changed = changed_at(Levels((1, 6, 5), 17), (12, 10), row, column)
    assert changed[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].all()
    rows, columns = slice(2 * (row - 3), 2 * (row + 4)), slice(2 * (column - 3), 2 * (column + 4))
    assert not (changed & ~near((12, 10), rows, columns)).any()


def test_a_larger_map_becomes_means_of_its_pixels():
    field = Levels((1, 12, 10), 17)
    torch.manual_seed(0)
    fine = MapFeatures("f", field, 8, (12, 10)).double()
    coarse = MapFeatures("f", field, 8, (6, 5)).double()
    coarse.load_state_dict(fine.state_dict())
    condition = some(field, 3)
    torch.testing.assert_close(coarse(condition), nn.functional.avg_pool2d(fine(condition), 2))


@pytest.mark.parametrize("own", [(1, 1), (3, 5), (8, 8), (9, 4), (20, 3)], ids=str)
@pytest.mark.parametrize("size", [(8, 8), (1, 7), (5, 12)], ids=str)
def test_a_map_of_any_size_is_brought_to_any_other(own, size):
    for field in (Levels((2, *own), 17), LabelMap(3, own)):
        embedding = MapFeatures("f", field, 8, size)
        found = embedding(some(field, 4))
        assert found.shape == (4, 8, *size)
        assert torch.isfinite(found).all()


# Embed and AddCondition


MIXED = {name: FIELDS[name] for name in ("class", "numbers", "picture", "map", "tokens", "many records", "derived")}


def mixed(n: int = 24) -> Condition:
    return condition_of(DataSpec(Levels((1, 8, 8), 17), MIXED), n)


@pytest.mark.parametrize("size", [None, (8, 8), (4, 6)])
def test_embed_gives_one_tensor_a_field_and_passes_classes(size):
    embed = Embed(MIXED, size)
    found = embed(mixed())
    assert found.keys() == MIXED.keys()
    assert torch.equal(found["class"], mixed()["class"])
    for name in MIXED.keys() - {"class"}:
        places = size is not None and name in ("picture", "map", "derived")
        assert found[name].shape == ((24, FEATURES, *size) if places else (24, FEATURES)), name


def test_classes_alone_are_embedded_by_the_layers():
    condition = Condition({"class": torch.arange(3)})
    assert Embed({"class": ClassLabel(3)})(condition) is condition
    assert not list(Embed({"class": ClassLabel(3)}).parameters())


@pytest.mark.parametrize("size", [None, (8, 8)])
def test_gradients_reach_every_table_through_embed_and_the_layers(size):
    torch.manual_seed(0)
    embed, layers = Embed(MIXED, size), nn.ModuleList(AddCondition(MIXED, 6, maps=size is not None) for _ in range(2))
    h = torch.randn(24, 6, 8, 8) if size else torch.randn(24, 6)
    embedded = embed(mixed())
    for layer in layers:
        h = torch.tanh(layer(h, embedded))
    h.square().sum().backward()
    for name, parameter in nn.ModuleList([embed, layers]).named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_without_fields_nothing_is_added():
    h = torch.randn(2, 6)
    assert AddCondition({}, 6)(h, Condition()) is h
    assert AddCondition({}, 6).row(Condition()) is None


def test_to_add_a_row_is_to_append_a_one_hot_code_to_the_input():
    add = AddCondition({"class": ClassLabel(3)}, 6)
    linear, x, label = nn.Linear(4, 6), torch.randn(5, 4), torch.tensor([0, 2, 1, 1, 0])
    both = torch.cat([linear.weight, add.tables["class"].weight.t()], dim=1)
    appended = torch.cat([x, nn.functional.one_hot(label, 3).float()], dim=1)
    torch.testing.assert_close(add(linear(x), {"class": label}), appended @ both.t() + linear.bias)


def test_fields_add_up_each_through_a_map_of_its_own():
    add, embedded = AddCondition(MIXED, 6), Embed(MIXED)(mixed())
    parts = [AddCondition({name: field}, 6) for name, field in MIXED.items()]
    for part, name in zip(parts, MIXED, strict=True):
        part.tables[name].load_state_dict(add.tables[name].state_dict())
    torch.testing.assert_close(add.row(embedded), sum(part.row(embedded) for part in parts))


def test_a_map_is_added_where_it_is_and_a_vector_everywhere():
    fields = {"map": FIELDS["map"], "numbers": FIELDS["numbers"]}
    condition = condition_of(DataSpec(Levels((1, 8, 8), 17), fields), 2)
    embed, add = Embed(fields, (8, 8)).double(), AddCondition(fields, 6, maps=True).double()
    zeros = torch.zeros(2, 6, 8, 8).double()
    before = add(zeros, embed(condition))
    moved = condition["map"].clone()
    moved[:, 0, 0] = (moved[:, 0, 0] + 1) % 4
    changed = (add(zeros, embed(condition | {"map": moved})) != before).any(1)
    assert changed[:, 0, 0].all()
    assert not changed[:, 4:].any()
    assert not changed[:, :, 4:].any()
    everywhere = add(zeros, embed(condition | {"numbers": condition["numbers"] + 1})) - before
    torch.testing.assert_close(everywhere, everywhere[:, :, :1, :1].expand_as(everywhere))
    assert everywhere.abs().max() > 1e-3


@pytest.mark.parametrize("names", [["map", "numbers", "class"], ["numbers", "class"]], ids=str)
def test_a_walk_adds_the_row_at_which_it_stands(names):
    fields = {name: FIELDS[name] for name in names}
    embed, add = Embed(fields, (8, 8)), AddCondition(fields, 6, maps=True)
    given = embed(condition_of(DataSpec(Levels((1, 8, 8), 17), fields), 2))
    h = torch.randn(2, 6, 8, 8)
    whole, memory = add(h, given), Memory(2, (1, 8, 8), h)
    for row in range(8):
        assert torch.equal(add(h[:, :, row : row + 1], given, memory), whole[:, :, row : row + 1])
        for _ in range(8):
            memory.advance()


def test_a_field_may_be_called_as_it_likes():
    """Also as what a module has already, and as what differs from another name by a dot alone."""
    names = ["type", "values", "names", "forward", "training", "a.b", "a_b", "", "the small image"]
    fields = {name: Real((2,)) for name in names}
    torch.manual_seed(0)
    vectors = Vectors(fields, 6)
    condition = {name: torch.ones(1, 2) for name in names}
    found = vectors(condition)
    assert list(found) == names
    assert len(torch.cat(list(found.values())).unique(dim=0)) == len(names)
    added = AddCondition(fields, 6)(torch.zeros(1, 6), Embed(fields)(Condition(condition)))
    assert added.shape == (1, 6)
