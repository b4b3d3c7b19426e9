"""Graph convolution: the order of objects and relations does not matter, nor does padding; lone objects are objects."""

import pytest
import torch

from simulacra.condition import Condition
from simulacra.fields import ClassLabel, Index, Many, Real, Record
from simulacra.nn.graph import GraphEncoder, scene_graph

MOST = 4
FIELDS = {
    "things": Many(Record({"kind": ClassLabel(3), "box": Real((4,))}), MOST),
    "links": Many(
        Record({"subject": Index("things", MOST), "how": ClassLabel(2), "object": Index("things", MOST)}), MOST
    ),
}
KINDS, LINKS = [[2, 0, 1], [1]], [[(0, 1, 1), (2, 0, 1)], []]


def condition(kinds=KINDS, links=LINKS) -> Condition:
    columns = {}
    things = [[{"kind": kind, "box": [0.0, 0.0, 1.0, 1.0]} for kind in own] for own in kinds]
    between = [[{"subject": s, "how": p, "object": o} for s, p, o in own] for own in links]
    for name, values in (("things", things), ("links", between)):
        columns |= FIELDS[name].convert(name, values, single=False)
    return Condition({name: torch.from_numpy(own) for name, own in columns.items()})


@pytest.fixture(scope="module")
def encoder() -> GraphEncoder:
    torch.manual_seed(0)
    graph = scene_graph(FIELDS)
    assert graph is not None
    return GraphEncoder(graph, 5, 6, 8, 3).double()


def encoded(encoder, given: Condition) -> torch.Tensor:
    return encoder(torch.linspace(-1, 1, 5, dtype=torch.float64).expand(len(given["things.mask"]), 5), given)


def test_the_fields_of_a_graph_are_known_by_what_they_are():
    graph = scene_graph({"label": ClassLabel(2), **FIELDS})
    assert graph is not None
    assert (graph.objects, graph.relations, graph.most) == ("things", "links", MOST)
    assert list(graph.attributes) == ["kind"]
    assert list(graph.predicates) == ["how"]
    assert scene_graph({"links": FIELDS["links"]}) is None
    alone = scene_graph({"things": FIELDS["things"]})
    assert alone is not None
    assert alone.relations is None


def test_objects_in_another_order_have_the_same_vectors_in_that_order(encoder):
    order = [2, 0, 1]  # the new place i holds the old object order[i]
    to = {old: new for new, old in enumerate(order)}
    moved = condition(
        [[KINDS[0][old] for old in order], KINDS[1]], [[(to[s], p, to[o]) for s, p, o in LINKS[0]], LINKS[1]]
    )
    assert torch.allclose(encoded(encoder, moved)[0, :3], encoded(encoder, condition())[0, order], atol=1e-12)


def test_relations_have_no_order(encoder):
    turned = condition(links=[LINKS[0][::-1], []])
    assert torch.allclose(encoded(encoder, turned), encoded(encoder, condition()), atol=1e-12)


def test_what_is_padding_has_no_part(encoder):
    plain = condition()
    torch.manual_seed(1)
    junk = {}
    for name, values in plain.items():
        if not name.endswith("mask"):
            mask = plain[f"{name.partition('.')[0]}.mask"]
            other = torch.full_like(values, torch.nan) if values.is_floating_point() else torch.ones_like(values)
            junk[name] = torch.where(mask.view(*mask.shape, *[1] * (values.dim() - 2)), values, other)
    found, wanted = encoded(encoder, plain | junk), encoded(encoder, plain)
    assert torch.equal(found[plain["things.mask"]], wanted[plain["things.mask"]])
    assert found.isfinite().all()


def test_a_relation_with_an_end_that_is_not_there_has_no_part(encoder):
    for wrong in ((0, 1, 3), (3, 1, 0), (-1, 0, 1)):
        more = condition(links=[[*LINKS[0], wrong], []])
        assert torch.allclose(encoded(encoder, more)[0, :3], encoded(encoder, condition())[0, :3], atol=1e-12), wrong


def test_a_lone_object_is_what_it_is_by_itself(encoder):
    beside = condition([[2, 0, 1], [1]], [[(0, 1, 1)], []])
    alone = condition([[1], [1]], [[], []])
    assert torch.allclose(encoded(encoder, beside)[0, 2], encoded(encoder, alone)[0, 0], atol=1e-12)
    assert torch.allclose(encoded(encoder, alone)[0, 0], encoded(encoder, alone)[1, 0], atol=1e-12)


def test_items_without_any_object_or_relation_are_none_the_worse(encoder):
    assert encoded(encoder, condition([[], [1]], [[], []])).isfinite().all()


def test_what_an_object_is_reaches_as_many_relations_away_as_there_are_layers():
    torch.manual_seed(0)
    graph = scene_graph(FIELDS)
    assert graph is not None
    chain = [[(0, 0, 1), (1, 0, 2), (2, 0, 3)]]
    for layers in (1, 2, 3):
        encoder = GraphEncoder(graph, 5, 6, 8, layers).double()
        one, other = (encoded(encoder, condition([[kind, 1, 1, 1]], chain))[0] for kind in (0, 2))
        changed = (one - other).abs().sum(1) > 1e-12
        assert changed.tolist() == [distance <= layers for distance in range(4)]


def test_a_relation_has_a_direction_and_a_kind(encoder):
    seen = [
        encoded(encoder, condition([[1, 1], [1]], [[link], []]))[0, :2] for link in ((0, 0, 1), (1, 0, 0), (0, 1, 1))
    ]
    assert not torch.allclose(seen[0], seen[1])
    assert torch.allclose(seen[0], seen[1].flip(0), atol=1e-12)
    assert not torch.allclose(seen[0], seen[2])


def test_an_index_beyond_the_list_is_none():
    with pytest.raises(Exception, match="a place in 'things', 0 to 3"):
        FIELDS["links"].convert("links", [[{"subject": 0, "how": 0, "object": 7}]], single=False)
