"""Text to image: what the generator and the critic read of words, both stages, the terms by hand, what is refused."""

import pytest
import torch
import torch.nn.functional as F
from small import items, randomise

from simulacra.adversarial import GAN, R1, Described, Hinge, Matching, SentenceKL
from simulacra.adversarial.sentences import kl
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel, Levels, Tokens
from simulacra.networks import (
    AttentionalGenerator,
    DenseCritic,
    Generator,
    PatchCritic,
    Reading,
    WordLayoutGenerator,
)
from simulacra.nn.boxes import spread
from simulacra.structured import Grounded, StarGAN, text2image
from simulacra.turns import Turn

WORDS = ("a", "b", "c", "d")
GREY = Levels((1, 8, 8), 17)
SPEC = DataSpec(GREY, {"caption": Tokens(WORDS, 4)})
SMALL = {"latent": 3, "critic": PatchCritic(4, halvings=1), "conditioning": Reading(6), "game": Hinge()}
TERMS = (Matching(), Described())
PLACES = WordLayoutGenerator(4, features=6, hidden=8, mask=3)
GIVEN = {"caption": ["a b", "c", "b a d c"]}


def attends(**given) -> AttentionalGenerator:
    return AttentionalGenerator(4, 16, words=6, **given)


def small(spec: DataSpec = SPEC, generator: Generator | None = None, **given) -> GAN:
    torch.manual_seed(0)
    return text2image(spec, generator=generator or attends(), **SMALL | {"penalties": TERMS} | given)


def turn(spec: DataSpec = SPEC) -> Turn:
    model = small(spec)
    return Turn(
        items(spec, 3), model.conditioned(GIVEN | ({"label": [0, 1, 2]} if "label" in spec.condition else {}), 3)
    )


@pytest.mark.parametrize(
    "generator",
    [attends(), attends(stages=2), attends(augmented=2), PLACES],
    ids=["one", "two", "augmented", "word-layout"],
)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 13, 10), (1, 24, 17)], ids=str)
def test_items_follow_from_their_own_code_and_words_alone(generator, shape):
    spec = DataSpec(Levels(shape, 256), SPEC.condition)
    model = randomise(small(spec, generator)).eval().double()
    z, condition = torch.randn(3, 3, dtype=torch.float64), model.conditioned(GIVEN, 3)
    made = model.generator(z, condition)
    assert made.shape == (3, *shape)
    for i in range(3):
        torch.testing.assert_close(model.generator(z[i : i + 1], condition.rows(slice(i, i + 1)))[0], made[i])
    assert (model.generator(z, condition.rows(torch.tensor([1, 2, 0]))) - made).abs().amax((1, 2, 3)).min() > 1e-3
    assert (model.generator(z.flip(0), condition) - made).abs().amax((1, 2, 3))[0] > 1e-3


@pytest.mark.parametrize("generator", [attends(), attends(stages=2), PLACES], ids=["one", "two", "word-layout"])
def test_room_for_more_words_changes_neither_picture_nor_score(generator):
    roomy = DataSpec(GREY, {"caption": Tokens(WORDS, 7)})
    model, other = randomise(small(generator=generator)).eval(), small(roomy, generator).eval()
    other.load_state_dict(model.state_dict())
    z, x = torch.randn(3, 3), torch.rand(3, 1, 8, 8)
    made, scored = [], []
    for each in (model, other):
        condition = each.conditioned(GIVEN, 3)
        made.append(each.generator(z, condition))
        scored.append(each.critic(x, condition))
    torch.testing.assert_close(*made)
    torch.testing.assert_close(*scored)


def test_the_second_stage_adds_to_what_the_first_one_made():
    model = small(generator=attends(stages=2)).generator
    for parameter in model.second.last.parameters():
        parameter.data.zero_()
    made = model(torch.randn(3, 3), turn().condition)
    assert torch.equal(made, F.interpolate(made[..., ::2, ::2], scale_factor=2, mode="nearest"))
    assert made.std() > 0


def test_each_patch_is_judged_beside_the_words_by_itself():
    spec = DataSpec(GREY, SPEC.condition | {"label": ClassLabel(3)})
    head = randomise(Reading(6).head(spec, 5)).eval()
    h, given = torch.randn(3, 4, 5), turn(spec).condition
    scores = head(h, given)
    assert scores.shape == (3, 4)
    torch.testing.assert_close(head(h[:, 2], given), scores[:, 2])
    for field in spec.condition:
        other = given | {field: given[field].roll(1, 0)}
        assert (head(h, other) - scores).abs().min() > 1e-5


def test_masses_of_the_next_word_and_of_the_end_sum_to_one():
    torch.manual_seed(0)
    describer = randomise(small().memories[1].each["caption"])
    sentences = torch.tensor([[2, -1, -1, -1], *([2, word, -1, -1] for word in range(4))])
    masses = torch.exp(-describer(torch.randn(1, 16, 8).expand(5, -1, -1), sentences))
    assert masses[:, 1].sum().item() == pytest.approx(1, rel=1e-5)  # the second: the end, or one of the words
    assert masses[0, 0] < 1
    assert torch.equal(masses[0, 2:], torch.ones(3))


def test_the_critic_describes_real_items_and_the_generator_is_described():
    model, own = small(penalties=(Described(0.5),)), turn()
    describer = model.memories[0].each["caption"]

    def by_hand(side) -> float:
        nats = describer(side.features, own.condition["caption"])
        assert not nats[1, 2:].any()
        return 0.5 * sum((nats[i].sum() / (length + 1)).item() for i, length in enumerate((2, 1, 4))) / 3

    torch.manual_seed(1)
    seen = model.round(own, "generator")
    real, fake = by_hand(seen.real), by_hand(seen.fake)
    torch.manual_seed(1)
    assert model.critic_loss(own)["described"].item() == pytest.approx(real, rel=1e-5)
    torch.manual_seed(1)
    assert model.generator_loss(own)["described"].item() == pytest.approx(fake, rel=1e-5)


def test_a_description_uses_the_words_before_and_never_those_to_come():
    describer = small().memories[1].each["caption"]
    features = torch.randn(2, 16, 8)
    nats = describer(features, torch.tensor([[0, 1, 2, 3], [0, 1, 3, 2]]))
    one = describer(features[:1].expand(2, -1, -1), torch.tensor([[0, 1, 2, 3], [0, 1, 2, 0]]))
    assert torch.equal(one[0, :3], one[1, :3])
    assert not torch.equal(nats[0], nats[1])


def test_augmentation_is_a_gaussian_whose_divergence_is_that_of_torch():
    mean, log_sigma = torch.randn(4, 3), torch.randn(4, 3)
    own = torch.distributions.Normal(mean, log_sigma.exp())
    expected = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl(mean, log_sigma), expected)
    model, own = small(generator=attends(augmented=2)), turn()
    of_sentence = model.generator.of_sentence(model.generator.text(own.condition).sentence)
    assert model.generator_loss(own)["sentence-kl"].item() == pytest.approx(kl(*of_sentence).mean().item(), rel=1e-5)
    assert "sentence-kl" not in model.critic_loss(own)


def test_penalties_of_the_critics_slope_have_gradients_in_all_that_reads():
    spec, networks = SPEC, (AttentionalGenerator(4, words=6), PatchCritic(4, halvings=1, normalise="none"))
    torch.manual_seed(0)
    model = randomise(GAN(spec, 3, *networks, Hinge(), (R1(),), Reading(6))).train()
    model.critic_loss(turn())["r1"].backward()
    assert all(p.grad is not None and p.grad.any() for p in model.critic.head.text.parameters())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: text2image(DataSpec(GREY, {"label": ClassLabel(2)})),
            "text2image reads a condition of words, not",
        ),
        (lambda: text2image(DataSpec(GREY)), "reads a condition of words, which this one has not: add a field"),
        (lambda: GAN(DataSpec(GREY), 3, AttentionalGenerator()), "attentional reads a condition of words"),
        (lambda: GAN(DataSpec(GREY), 3, conditioning=Reading()), "critic of conditioning 'reading' reads a condition"),
        (lambda: GAN(DataSpec(GREY), 3, penalties=(Described(),)), "penalty 'described' reads a condition of words"),
        (lambda: GAN(SPEC, 3, penalties=(SentenceKL(),)), "take --generator attentional:augmented=16"),
        (lambda: small(generator=attends(augmented=4)), "of 3 numbers of a code not 4 can be noise of the sentence"),
        (lambda: small(generator=attends(stages=3)), "stages of generator 'attentional' must be 1 to 2"),
        (lambda: small(DataSpec(Levels((1, 5, 5), 4), SPEC.condition)), "attentional networks are for images from 8×8"),
        (lambda: GAN(DataSpec(GREY), 3, PLACES), "word-layout reads a condition of words"),
        (lambda: small(penalties=(Grounded(),)), "'grounded' is for a generator whose words have places"),
        (lambda: Grounded(apart=-1.0), "apart of penalty 'grounded' must be at least 0"),
        (lambda: small(generator=PLACES, penalties=(Grounded(features=5),)), "an even number, not 5"),
        (lambda: Described(first=1.0), "first of penalty 'described' must be at least 0 and below 1"),
        (
            lambda: StarGAN(DataSpec(GREY, {"label": ClassLabel(2)}), penalties=(Described(first=0.1),)),
            "leave out `every` and `first`",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_features_of_items_as_a_whole_are_described_too():
    torch.manual_seed(0)
    model = GAN(SPEC, 3, AttentionalGenerator(4, words=6), DenseCritic(8), Hinge(), (Described(),), Reading(6))
    assert model.critic_loss(turn())["described"].isfinite()


def test_words_cover_their_boxes_at_most_and_padding_nothing():
    generator = randomise(small(generator=PLACES)).generator
    given = small().conditioned(GIVEN, 3)
    words = generator.words(torch.randn(3, 3), given)
    areas = (words.boxes[..., 2:] - words.boxes[..., :2]).prod(-1)
    own = spread(words.masks, words.boxes, generator.size).mean((2, 3))
    there = given["caption"] >= 0
    assert not own[~there].any()
    assert not words.gates[~there].any()
    assert (own[there] > 0).all()
    assert (own <= areas + 1e-5).all()


def test_a_word_is_painted_in_the_box_that_is_given_and_else_in_its_own():
    generator, given = randomise(small(generator=PLACES)).generator, small().conditioned(GIVEN, 3)
    z = torch.randn(3, 3)
    words = generator.words(z, given)
    assert torch.equal(generator.painted(words, given, words.boxes), generator(z, given))
    other = words.boxes.clone()
    other[:, :1] = torch.tensor([0.5, 0.5, 0.75, 0.75])
    assert (generator.painted(words, given, other) - generator(z, given)).abs().amax((1, 2, 3)).min() > 1e-4


def test_what_is_learned_first_moves_the_critic_alone_until_the_game_begins():
    model = small(penalties=(Matching(), Described(first=0.3), R1(every=4)))
    phases = model.phases()
    early, late = ([phase.name for phase in phases if phase.on(done)] for done in (0.0, 0.3))
    assert early == ["described"]
    assert late == ["critic", "r1", "generator"]
    terms = phases[0].loss(turn())
    assert terms.keys() == {"described"}
    terms["described"].backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert any(p.grad is not None and p.grad.any() for p in model.critic.body.parameters())
    assert model.critic_loss(turn()).keys() == {"critic", "matching", "described"}


def test_words_are_found_and_painted_first_by_the_generator_alone():
    model = small(generator=PLACES, penalties=None)
    phases = model.phases()
    assert [phase.name for phase in phases if phase.on(0.0)] == ["grounded"]
    assert [phase.name for phase in phases if phase.on(0.75)] == ["critic", "r1", "r2", "generator"]
    phases[0].loss(turn())["grounded"].backward()
    assert all(p.grad is None for p in model.critic.parameters())
    for learns in (model.generator, model.memories[1]):
        assert all(p.grad is not None and p.grad.any() for p in learns.parameters())
    assert model.generator_loss(turn()).keys() == {"generator", "grounded"}
