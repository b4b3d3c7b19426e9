"""Words that are found in pictures: what tells sentences apart, where boxes may lie, and that they come to lie so."""

import math

import pytest
import torch
from small import randomise

from simulacra.adversarial import GAN, Hinge
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.fields import Levels, Tokens
from simulacra.networks import PatchCritic, Reading, WordLayoutGenerator
from simulacra.networks.grounding import Grounding, Looks, told_apart
from simulacra.structured import Grounded
from simulacra.structured.grounded import in_common, misplaced, named
from simulacra.structured.objects import shared

COLOURS = ("red", "blue", "and")
TEXT = Tokens(COLOURS, 3)
SIDE = 16
SPEC = DataSpec(Levels((3, SIDE, SIDE), 256), {"caption": TEXT})


def squares(n: int, seed: int = 0) -> tuple[torch.Tensor, Condition, torch.Tensor]:
    """n pictures with a square for each colour that their words name, these words, and the squares' boxes (n, 2, 4)."""
    random = torch.Generator().manual_seed(seed)
    x, boxes = torch.full((n, 3, SIDE, SIDE), 20), torch.full((n, 2, 4), -1.0)
    tokens = torch.full((n, 3), -1)
    for i in range(n):
        many = int(torch.randint(1, 3, (), generator=random))
        colours = torch.randperm(2, generator=random)[:many].tolist()
        halves = torch.randperm(2, generator=random).tolist()  # squares that do not meet: one on each side
        for place, colour in enumerate(colours):
            left = 8 * halves[place] + int(torch.randint(4, (), generator=random))
            top = int(torch.randint(SIDE - 4, (), generator=random))
            x[i, 2 * colour, top : top + 4, left : left + 4] = 235
            tokens[i, 2 * place] = colour
            boxes[i, colour] = torch.tensor([left, top, left + 4, top + 4]) / SIDE
        if many == 2:
            tokens[i, 1] = 2
    return x, Condition({"caption": tokens}), boxes


def model() -> GAN:
    torch.manual_seed(0)
    generator = WordLayoutGenerator(8, features=16, hidden=16, mask=4)
    penalties = (Grounded(features=16, width=8),)
    return GAN(SPEC, 4, generator, PatchCritic(4, halvings=1, normalise="none"), Hinge(), penalties, Reading(6))


def test_a_sentence_is_told_from_those_that_differ_and_from_none_that_is_equal():
    fits = torch.randn(4, 4)
    names = ["a", "b", "a", "c"]
    alike = torch.tensor([[one == other for other in names] for one in names])
    nats = told_apart(fits, alike)
    for i in range(4):
        wrong = [j for j in range(4) if names[j] != names[i]]
        among = 0.0
        for row in (fits[i, wrong], fits[wrong, i]):
            own = math.exp(fits[i, i])
            among -= math.log(own / (own + sum(map(math.exp, row))))
        assert nats[i].item() == pytest.approx(among, rel=1e-5)


def test_a_picture_fits_a_sentence_by_the_best_of_its_places_and_padding_asks_nothing():
    net = Grounding({"caption": TEXT}, (3, SIDE, SIDE), 4, 4)
    queries, places = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    fits = net.fits(Looks(places, queries, mask))
    for n in range(2):
        for m in range(2):
            each = [torch.exp(places[n] @ queries[m, t] / 2).mean().log() for t in range(3) if mask[m, t]]
            torch.testing.assert_close(fits[n, m], math.e * torch.stack(each).mean())
    roomy = Grounding({"caption": Tokens(COLOURS, 5)}, (3, SIDE, SIDE), 4, 4)
    randomise(net)
    roomy.load_state_dict(net.state_dict())
    x, given, _ = squares(6)
    longer = Condition({"caption": torch.nn.functional.pad(given["caption"], (0, 2), value=-1)})
    one, other = net(x / 127.5 - 1, given), roomy(x / 127.5 - 1, longer)
    torch.testing.assert_close(net.fits(one), roomy.fits(other))
    boxes, same = net.boxes(one), roomy.boxes(other)
    torch.testing.assert_close(boxes[one.mask], same[other.mask])


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 13, 21), (3, 32, 24)], ids=str)
def test_boxes_lie_within_pictures_of_any_size(shape):
    net = randomise(Grounding({"caption": TEXT}, shape, 8, 4))
    given = Condition({"caption": torch.tensor([[0, 2, 1]] * 4)})
    boxes = net.boxes(net(4 * torch.randn(4, *shape), given))
    assert (boxes[..., :2] >= -1e-6).all()
    assert (boxes[..., 2:] <= 1 + 1e-6).all()
    assert (boxes[..., 2:] - boxes[..., :2] >= 0.04 - 1e-6).all()


def test_boxes_reach_into_each_other_by_weight_and_only_beyond_what_is_so_of_the_data():
    apart = torch.tensor([[[0.0, 0.0, 0.4, 0.4], [0.6, 0.6, 1.0, 1.0], [0.6, 0.0, 1.0, 0.4]]])
    over = apart.clone()
    over[0, 1] = over[0, 0]
    weights = torch.tensor([[1.0, 0.5, 0.25]])
    assert shared(over, apart, weights)[0].tolist() == pytest.approx([0.5, 0.5, 0.0])
    assert not shared(over, over, weights).any()
    assert not shared(apart, over, weights).any()


def test_words_of_one_place_may_move_together_and_those_of_others_as_they_like():
    found = torch.tensor([[[0.1, 0.1, 0.3, 0.3], [0.1, 0.1, 0.3, 0.3], [0.6, 0.6, 0.8, 0.8]]])
    weights = torch.tensor([[1.0, 0.5, 1.0]])
    assert not misplaced(found, found, weights).any()
    shift = torch.tensor([0.1, 0.0, 0.1, 0.0])
    together, alone, other = found.clone(), found.clone(), found.clone()
    together[0, :2] += shift
    alone[0, 0] += shift
    other[0, 2] += shift
    assert misplaced(together, found, weights)[0].tolist() == pytest.approx([0.05, 0.025, 0.0])
    assert misplaced(alone, found, weights)[0].tolist() == pytest.approx([0.05 + 0.5 * 0.05, 0.5 * 0.05, 0.0])
    assert misplaced(other, found, weights)[0].tolist() == pytest.approx([0.0, 0.0, 0.05])


def test_what_two_boxes_have_in_common_is_a_share_of_the_smaller_one():
    boxes = torch.tensor([[[0.0, 0.0, 0.4, 0.4], [0.2, 0.0, 0.6, 0.4], [0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 1.0, 1.0]]])
    expected = [[1.0, 0.5, 1.0, 0.0], [0.5, 1.0, 0.5, 0.0], [1.0, 0.5, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    torch.testing.assert_close(in_common(boxes)[0], torch.tensor(expected))


def test_words_come_to_lie_where_their_things_are_by_telling_sentences_apart():
    sought = model().memories[0]
    moved = torch.optim.Adam(sought.parameters(), 5e-3)
    x, given, _ = squares(512)
    for step in range(100):
        rows = slice(32 * (step % 16), 32 * (step % 16 + 1))
        loss = named(sought, sought(x[rows] / 127.5 - 1, given.rows(rows)), given.rows(rows))
        moved.zero_grad()
        loss.backward()
        moved.step()
    unseen, words, boxes = squares(64, seed=1)
    boxed = sought.boxes(sought(unseen / 127.5 - 1, words))
    colour = words["caption"][:, ::2]
    stated = colour >= 0
    true = boxes.gather(1, colour.clamp(min=0)[..., None].expand(-1, -1, 4))[stated]
    middles = (boxed[:, ::2][stated][:, :2] + boxed[:, ::2][stated][:, 2:]) / 2
    within = ((middles >= true[:, :2]) & (middles <= true[:, 2:])).all(1).float().mean()
    assert within > 0.9, within
