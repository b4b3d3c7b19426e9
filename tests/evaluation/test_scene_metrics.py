"""Objects and relations that a picture shows: figures against closed cases, and a detector of made-up scenes."""

import numpy as np
import pytest
import torch

from simulacra.data import Card, Dataset, DataSpec, Split
from simulacra.evaluation import Subject, detector, scenes
from simulacra.evaluation.detector import Objects, Scene
from simulacra.evaluation.table import metrics
from simulacra.feed import feed
from simulacra.fields import ClassLabel, Index, Levels, Many, Real, Record, Tokens

SIDE, COLOURS = 24, np.array([[255, 40, 40], [40, 40, 255]])
NAMES, RELATED = ("red", "blue"), ("left of", "above", "likes")
WORDS = ("a", *NAMES, "0", "1", "small", "large", *RELATED)
WHAT = {"shape": ClassLabel(2), "colour": ClassLabel(2, NAMES), "size": ClassLabel(2, ("small", "large"))}
PLACE = Index("objects", 2)
FIELDS = {
    "caption": Tokens(WORDS, 8),
    "objects": Many(Record(WHAT | {"box": Real((4,))}), 2),
    "relations": Many(Record({"one": PLACE, "by": ClassLabel(3, RELATED), "other": PLACE}), 1),
    "combination": ClassLabel(2, ("seen", "unseen")),
}


def drawn(n: int, rng: np.random.Generator, unseen: bool) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A square (shape 0) or a bar (1) beside or above another; the caption states no size."""
    x = np.full((n, 3, SIDE, SIDE), 20, np.uint8)
    shape, colour, size = rng.integers(0, 2, (3, n, 2))
    by = rng.integers(0, 2, n)
    box = np.zeros((n, 2, 4), np.float32)
    for i in range(n):
        for place in (0, 1):
            middle = rng.integers(10, 15, 2)
            middle[by[i]] = (6, 18)[place]
            wide, high = ((3, 3), (1, 4))[shape[i, place]]
            x0, y0, x1, y1 = middle[0] - wide, middle[1] - high, middle[0] + wide, middle[1] + high
            x[i, :, y0:y1, x0:x1] = COLOURS[colour[i, place], :, None, None]
            box[i, place] = np.array([x0, y0, x1, y1]) / SIDE
    words = [
        ["a", NAMES[c[0]], str(s[0]), RELATED[b], "a", NAMES[c[1]], str(s[1])]
        for c, s, b in zip(colour, shape, by, strict=True)
    ]
    columns = FIELDS["caption"].convert("caption", words, single=False)
    columns |= {"objects.mask": np.ones((n, 2), bool), "objects.box": box}
    columns |= {"objects.shape": shape, "objects.colour": colour, "objects.size": size}
    columns |= {"relations.mask": np.ones((n, 1), bool), "relations.one": np.zeros((n, 1), np.int64)}
    columns |= {"relations.by": by[:, None], "relations.other": np.ones((n, 1), np.int64)}
    return x, columns | {"combination": rng.integers(0, 2, n) * unseen}


@pytest.fixture(scope="module")
def made() -> Dataset:
    rng = np.random.default_rng(0)
    parts = {
        part: Split(*drawn(n, rng, part == "test"), part) for part, n in (("train", 400), ("valid", 8), ("test", 80))
    }
    card = Card("made-up scenes", "a test", "none")
    return Dataset("made-up", DataSpec(Levels((3, SIDE, SIDE), 256), FIELDS), **parts, card=card, fingerprint="scenes")


class Fake(torch.nn.Module):
    """A sampler of the test item of a condition, or of any training item."""

    name = "fake"

    def __init__(self, data: Dataset, condition: str, perfect: bool):
        super().__init__()
        self.spec, self.device, self.perfect = data.spec.conditioned_on(condition), torch.device("cpu"), perfect
        self.x, self.given = feed(data.test, np.arange(len(data.test)), self.spec, self.device)
        self.pool = torch.from_numpy(np.array(data.train.x))

    def sample(self, n, condition=None, temperature=1.0, generator=None):
        if not self.perfect:
            return self.pool[torch.randint(len(self.pool), (n,), generator=generator)]
        alike = [(own.flatten(1)[:, None] == condition[key].flatten(1)).all(2) for key, own in self.given.items()]
        return self.x[torch.stack(alike).all(0).int().argmax(0)]


@pytest.fixture
def measured(made, monkeypatch):
    monkeypatch.setattr(detector, "STEPS", 120)
    monkeypatch.setattr(detector, "BATCH", 24)
    return lambda condition, perfect: scenes.objects_and_relations(Subject(Fake(made, condition, perfect), made))


@pytest.mark.parametrize("condition", ["caption", "objects"])
def test_a_perfect_model_is_at_the_ceiling_and_one_that_ignores_its_condition_at_its_control(measured, condition):
    perfect, other = measured(condition, True), measured(condition, False)
    names = {"shown_shape", "shown_colour", "object_recall", "relation_accuracy"}
    if condition == "objects":  # the caption does not state sizes
        names |= {"shown_size"}
    groups = {f"{name}{ending}" for name in names for ending in ("", "_seen", "_unseen")}
    assert perfect.keys() == other.keys() == groups
    for name in groups - {"shown_size", "shown_size_seen", "shown_size_unseen"}:
        assert perfect[name].value == pytest.approx(perfect[name].ceiling, abs=0.05), name
        assert perfect[name].control < perfect[name].value, name
        assert other[name].low < other[name].value < other[name].high or other[name].value in (0, 1)
        assert abs(other[name].value - other[name].control) < other[name].high - other[name].low, name
    if condition == "caption":  # sizes are not to be seen
        assert perfect["object_recall"].value > 0.9
        assert perfect["relation_accuracy"].value > 0.9
    assert perfect["shown_colour"].n == perfect["shown_colour_seen"].n + perfect["shown_colour_unseen"].n == 80


def test_it_is_for_captions_graphs_and_layouts_alone(made):
    metric = next(each for each in metrics() if each.name == "scenes")
    assert metric.suits(Subject(Fake(made, "caption", True), made))
    assert not metric.suits(Subject(Fake(made, "combination", True), made))
    assert "quick" in (metric.obstacle("test", 80, quick=True) or "")


# The figures of one picture

BOXES = np.array([[0.0, 0.0, 0.2, 0.2], [0.5, 0.0, 0.7, 0.2], [0.5, 0.5, 0.9, 0.9]])


def scene(kinds: list[int], boxes: np.ndarray = BOXES) -> Scene:
    return Scene({"kind": np.array(kinds, int)}, boxes[: len(kinds)])


def test_attributes_are_compared_as_multisets():
    assert scenes.attribute(np.array([1, 1, 2]), np.array([1, 2, 1])) == 1
    assert scenes.attribute(np.array([1, 1, 2]), np.array([1])) == pytest.approx(1 / 3)
    assert scenes.attribute(np.array([1]), np.array([1, 5, 6, 7])) == 1 / 4  # what was not stated counts against it
    assert scenes.attribute(np.array([1]), np.array([], int)) == 0


def test_each_stated_object_needs_one_of_its_own_and_in_its_place_where_boxes_count():
    assert scenes.recall(scene([3, 3, 4]), scene([3, 4, 3]), at=False) == 1
    assert scenes.recall(scene([3, 3]), scene([3]), at=False) == 0.5
    assert scenes.recall(scene([3, 3, 4]), scene([3, 4, 3]), at=True) == pytest.approx(1 / 3)
    assert scenes.recall(scene([3]), scene([3], np.array([[0, 0, 0.3, 0.3]])), at=True) == 0  # an IoU of 4/9
    assert scenes.recall(scene([3]), scene([]), at=False) == 0
    assert np.isnan(scenes.recall(scene([]), scene([3]), at=False))


def test_relations_are_of_boxes_shown():
    stated = [(0, "left of", 1), (2, "below", 1), (0, "right of", 1)]
    assert scenes.related(scene([3, 4, 5]), stated, scene([3, 4, 5])) == pytest.approx(2 / 3)
    assert scenes.related(scene([3, 4, 5]), stated[:1], scene([3, 5])) == 0
    assert scenes.related(scene([3, 3]), [(0, "left of", 1)], scene([3])) == 0  # two different ones are needed
    assert np.isnan(scenes.related(scene([3]), [], scene([3])))
    assert scenes.stands(np.array([0, 0, 1, 1]), "surrounding", BOXES[0])
    assert scenes.stands(BOXES[0], "inside", np.array([0, 0, 1, 1]))


def test_an_overlap_is_intersection_over_union():
    found = scenes.overlap(np.array([0, 0, 2, 2.0]), np.array([[0, 0, 2, 2], [1, 0, 3, 2], [3, 3, 4, 4.0]]))
    assert found == pytest.approx([1, 2 / 6, 0])


def test_what_a_data_set_has_of_objects_and_relations():
    objects = Objects.of(FIELDS)
    assert objects == Objects("objects", WHAT)
    relations = scenes.Relations.of(FIELDS, objects)
    assert relations is not None
    columns = {"relations.mask": np.ones((2, 1), bool), "relations.one": np.zeros((2, 1), int)}
    columns |= {"relations.by": np.array([[1], [2]]), "relations.other": np.ones((2, 1), int)}
    assert relations.stated(columns) == [[(0, "above", 1)], []]  # "likes" is of no place
    assert Objects.of({"caption": FIELDS["caption"]}) is None
