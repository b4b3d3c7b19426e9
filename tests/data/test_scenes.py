"""A scene is what is said of it: boxes, maps, graph and caption agree with the picture, and what is held out is."""

import numpy as np
import pytest

import simulacra as sim
from simulacra.data.shipped.scenes import COLOURS, RELATIONS, SIDE, WORDS, scenes_source
from simulacra.errors import UsageError


@pytest.fixture(scope="module")
def scenes(own_cache):
    return sim.data.load("scenes")


def things(split, item):
    """(digit, colour, size, box) of each object of a scene."""
    columns = [np.asarray(split.field(f"objects.{name}")[item]) for name in ("digit", "colour", "size", "box")]
    return list(zip(*columns, strict=True))[: int(split.field("objects.mask")[item].sum())]


def stated(split, item):
    """(place, relation, place) of each relation of a scene."""
    columns = [split.field(f"relations.{name}")[item].tolist() for name in ("subject", "predicate", "object")]
    return list(zip(*columns, strict=True))[: int(split.field("relations.mask")[item].sum())]


def ground_of(split, item):
    """The commonest level."""
    return int(np.bincount(np.asarray(split.x[item]).reshape(-1)).argmax())


def side_by_side(one, other):
    """Of two boxes: which relations hold between their middles, by the larger distance."""
    dx, dy = ((one[i] + one[i + 2] - other[i] - other[i + 2]) for i in (0, 1))
    horizontal = "left of" if dx < 0 else "right of"
    vertical = "above" if dy < 0 else "below"
    return horizontal if abs(dx) > abs(dy) else vertical


def pairs(split, item):
    """Every (digit, left of or above, digit) that holds in a scene."""
    own = things(split, item)
    for a, _, _, one in own:
        for b, _, _, other in own:
            if one is not other and (relation := side_by_side(one, other)) in ("left of", "above"):
                yield int(a), relation, int(b)


def test_boxes_and_maps_are_those_of_the_objects(scenes):
    split = scenes.test
    for item in range(0, 2000, 20):
        instances, classes = split.field("instances")[item], split.field("map")[item]
        for place, (digit, _, _, box) in enumerate(things(split, item)):
            rows, columns = np.nonzero(instances == place + 1)
            found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            assert np.allclose(box * SIDE, found)
            assert (classes[instances == place + 1] == digit + 1).all()
        assert ((classes == 0) == (instances == 0)).all()


def test_the_picture_shows_each_object_in_its_colour_on_an_even_ground(scenes):
    split = scenes.test
    for item in range(0, 2000, 20):
        x, instances = np.asarray(split.x[item], float), split.field("instances")[item]
        ground = ground_of(split, item)
        for place, (_, colour, _, _) in enumerate(things(split, item)):
            brightest = x[:, instances == place + 1].reshape(3, -1)
            paint = np.array(list(COLOURS.values())[colour], float)
            ink = ((brightest - ground) * (paint - ground)[:, None]).sum(0) / ((paint - ground) ** 2).sum()
            assert np.abs(brightest - ground - ink * (paint - ground)[:, None]).max() <= 1.01
            assert 0.49 <= ink.min() <= ink.max() <= 1.01


def test_the_graph_says_where_things_are_and_the_caption_says_the_graph(scenes):
    split = scenes.test
    for item in range(0, 2000, 10):
        own, graph = things(split, item), stated(split, item)
        assert [(s, o) for s, _, o in graph] == [(i, i + 1) for i in range(len(own) - 1)]
        for subject, relation, other in graph:
            assert RELATIONS[relation] == side_by_side(own[subject][3], own[other][3])
        words = [WORDS[token] for token in split.field("caption")[item] if token >= 0]
        told = " ".join(word for word in words if word not in ("small", "large"))
        parts = [f"a {list(COLOURS)[colour]} {digit}" for digit, colour, _, _ in own]
        for place, (_, relation, _) in reversed(list(enumerate(graph))):
            parts.insert(place + 1, RELATIONS[relation])
        assert told == " ".join(parts)
        behind = [words[place + 1] for place, word in enumerate(words) if word == "a"]
        for word, (_, _, size, _) in zip(behind, own, strict=True):
            assert word not in ("small", "large") or word == ("small", "large")[size]


def test_some_sizes_are_told_and_some_are_not(scenes):
    captions = np.asarray(scenes.train.field("caption"))
    told = np.isin(captions, [WORDS.index("small"), WORDS.index("large")]).sum()
    assert abs(told / scenes.train.field("objects.mask").sum() - 0.5) < 0.02


def test_a_tenth_of_the_relations_between_digits_is_in_the_test_split_alone(scenes):
    known = {pair for item in range(16_000) for pair in pairs(scenes.train, item)}
    assert len(known) == 180  # of 2 · 10 · 10
    unseen = np.asarray(scenes.test.field("combination")).astype(bool)
    assert unseen.sum() == 1000
    for item in range(2000):
        assert unseen[item] == (not set(pairs(scenes.test, item)) <= known)
        assert set(pairs(scenes.valid, item)) <= known
    assert not any(np.asarray(split.field("combination")).any() for split in (scenes.train, scenes.valid))


def test_the_handwriting_of_a_split_is_in_no_other(scenes):
    digits = sim.data.load("digits")
    ink = {name: {x.tobytes() for x in np.asarray(getattr(digits, name).x)} for name in ("train", "test")}
    for name, other in (("train", "test"), ("test", "train")):
        tiles = list(small_tiles(getattr(scenes, name), 200))
        assert len(tiles) > 100
        assert all(tile & ink[name] for tile in tiles)
        assert not any(tile & (ink[other] - ink[name]) for tile in tiles)


def small_tiles(split, items):
    """Of each small digit the 8×8 squares of ink, 0 to 16, around it, of which one is that of a digit."""
    for item in range(items):
        for _, colour, size, box in things(split, item):
            left, top, right, bottom = np.rint(box * SIDE).astype(int)
            paint = np.array(list(COLOURS.values())[colour])
            channel, ground = int(paint.argmax()), ground_of(split, item)
            ink = (np.asarray(split.x[item][channel], float) - ground) / (paint[channel] - ground) * 16
            levels = np.rint(ink).astype(np.int64)
            corners = [(y, x) for y in range(bottom - 8, top + 1) for x in range(right - 8, left + 1)]
            around = [levels[y : y + 8, x : x + 8] for y, x in corners if min(y, x) >= 0 and max(y, x) <= SIDE - 8]
            if size == 0:
                yield {each[None].astype(np.uint8).tobytes() for each in around}


def test_a_larger_scene_is_the_same_scene():
    small, large = (next(scenes_source(size).batches()) for size in (None, (64, 64)))
    assert large.x.shape[2:] == (64, 64)
    for name in ("caption", "objects.digit", "relations.predicate"):
        assert (small.fields[name] == large.fields[name]).all()
    mask = small.fields["objects.mask"]
    assert np.abs(small.fields["objects.box"] - large.fields["objects.box"])[mask].max() <= 1.5 / 32


def test_there_are_two_sizes():
    with pytest.raises(UsageError, match="scenes are 32×32 or 64×64, not 48×48"):
        sim.data.load("scenes", resize=48)
