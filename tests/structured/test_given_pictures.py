"""From pictures to pictures: every pixel is read, answers agree with their conditions, patches see what they say."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small import condition_of, items, labels, randomise, turn
from torch import nn

import simulacra as sim
from simulacra.adversarial import (
    GAN,
    L1,
    Auxiliary,
    CrossEntropy,
    DiffAugment,
    FeatureMatching,
    MatchedFeatures,
    ModeSeeking,
    Relativistic,
    Round,
    Side,
)
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Classes, LabelMap, Levels, Real
from simulacra.networks import Concatenation, CriticNetwork, PatchCritic, ResNetGenerator, UNetGenerator
from simulacra.nn import Imposed, Pictures
from simulacra.structured import pix2pix, srgan
from simulacra.turns import Turn

SIZES = [(1, 8, 8), (3, 9, 14), (1, 28, 28), (3, 15, 31)]
GENERATORS = [UNetGenerator(width=4), UNetGenerator(width=4, halvings=1), ResNetGenerator(width=4, blocks=1)]


def derived(shape: tuple[int, ...], words: str, levels: int = 256) -> DataSpec:
    return DataSpec(Levels(shape, levels)).conditioned_on(words)


def of(spec: DataSpec, n: int, seed: int = 0) -> tuple[torch.Tensor, Condition]:
    """Items that are no noise alone, so that area means differ, with what is derived of them."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, spec.levels, (n, *spec.shape)).astype(np.uint8)
    made = {name: field.by.derive(x, np.arange(n), spec.x) for name, field in spec.condition.items()}
    return torch.from_numpy(x), Condition({name: torch.from_numpy(value) for name, value in made.items()})


# What is read


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("part", GENERATORS, ids=["unet", "shallow", "resnet"])
def test_every_pixel_that_is_given_counts_and_every_pixel_is_made(part, shape):
    spec = DataSpec(Levels(shape, 256), {"source": Real(shape)} | labels(3))
    torch.manual_seed(0)
    network = randomise(part.build(spec, 2).eval(), 0.2)
    source = torch.randn(6, *shape, requires_grad=True)
    given = Condition({"source": source, "label": torch.arange(6) % 3})
    x = network(torch.randn(6, 2), given)
    assert x.shape == (6, *shape)
    assert (torch.autograd.grad(x.square().sum(), source)[0] != 0).any(0).all()
    _, change = torch.func.jvp(lambda z: network(z, given), (torch.randn(6, 2),), (torch.randn(6, 2),))
    assert (change != 0).any(0).all()


def test_maps_become_a_channel_for_each_class_and_are_never_averaged():
    field, classes = LabelMap(3, (4, 4)), torch.tensor([[[0, 0, 1, 1], [0, 2, 1, 2], [2, 2, 0, 0], [2, 1, 0, 1]]])
    same, larger, smaller = (
        Pictures({"map": field}, size)(Condition({"map": classes})) for size in ((4, 4), (8, 8), (2, 2))
    )
    assert torch.equal(same.argmax(1), classes)
    assert torch.equal(larger.argmax(1), classes.repeat_interleave(2, 1).repeat_interleave(2, 2))
    for found in (same, larger, smaller):
        assert set(found.unique().tolist()) == {0.0, 1.0}
        assert (found.sum(1) == 1).all()


def test_a_hole_is_told_from_a_dark_pixel():
    spec = derived((1, 4, 4), "mask:kind=half", levels=3)
    dark = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    value = torch.cat([dark[:, :, :2] + 1, dark[:, :, 2:]], dim=2)
    pixels, known = Pictures(spec.condition, (4, 4))(Condition({"mask": value})).unbind(1)
    assert pixels[0, :2].eq(-1).all()
    assert pixels[0, 2:].eq(0).all()
    assert known[0, :2].eq(1).all()
    assert known[0, 2:].eq(0).all()


# What is made agrees with what is given


@pytest.mark.parametrize(
    "words", ["down:factor=2", "down:factor=3", "grey", "mask:kind=half", "mask:kind=random", "parts"]
)
def test_what_is_imposed_is_what_would_be_derived(words):
    """Of items whose derived values can be met: those of a real item. The rest of the item is near what it was."""
    spec = derived((3, 9, 12), words)
    real, condition = of(spec, 6)
    made = torch.tanh(torch.randn(6, 3, 9, 12, generator=torch.Generator().manual_seed(1)))
    imposed = spec.on_grid(Imposed(spec.condition)(made, condition))
    (field,) = spec.condition.values()
    again = torch.from_numpy(field.by.derive(imposed.numpy(), np.arange(6), spec.x))
    name = words.partition(":")[0]
    assert (again.int() - condition[name].int()).abs().max() <= 1
    assert not torch.equal(imposed, real)


@pytest.mark.parametrize("words", ["down:factor=2", "grey", "edges", "mask:kind=half"])
def test_a_real_item_is_not_moved(words):
    """But for the rounding of the derived value: half a level, of a pixel where blue alone can move half over 0.114."""
    spec = derived((3, 8, 8), words)
    x, condition = of(spec, 5)
    moved = Imposed(spec.condition)(spec.centred(x), condition)
    assert (moved - spec.centred(x)).abs().max() <= 2 * (0.5 / 0.114 if words == "grey" else 1) / 255


def test_a_gradient_passes_where_nothing_is_imposed():
    spec = derived((1, 6, 6), "mask:kind=half")
    _, condition = of(spec, 2)
    made = torch.zeros(2, 1, 6, 6, requires_grad=True)
    Imposed(spec.condition)(made, condition).sum().backward()
    assert made.grad is not None
    assert made.grad[:, :, 3:].eq(1).all()
    assert made.grad[:, :, :3].eq(0).all()


@pytest.mark.parametrize(("preset", "words"), [(pix2pix, "mask:kind=half"), (srgan, "down:factor=4")])
def test_samples_agree_with_their_condition(preset, words):
    spec = derived((1, 16, 16), words)
    x, condition = of(spec, 4)
    x = torch.from_numpy(np.repeat(np.repeat(x.numpy()[:, :, ::4, ::4], 4, 2), 4, 3))  # area means that can be met
    ((name, field),) = spec.condition.items()
    condition = Condition({name: torch.from_numpy(field.by.derive(x.numpy(), np.arange(4), spec.x))})
    drawn = randomise(preset(spec).eval()).sample(4, condition, generator=torch.Generator().manual_seed(0))
    again = field.by.derive(drawn.numpy(), np.arange(4), spec.x)
    assert np.abs(again.astype(int) - condition[name].numpy().astype(int)).max() <= 2


def test_the_likely_picture_is_learned_before_the_game_and_by_the_generator_alone():
    spec = derived((1, 16, 16), "down:factor=4")
    x, condition = of(spec, 4)
    model = srgan(spec)
    assert [phase.name for phase in model.phases() if phase.on(0.59)] == ["l1"]
    assert [phase.name for phase in model.phases() if phase.on(0.6)] == ["critic", "generator"]
    model.phases()[0].loss(Turn(x, condition))["l1"].backward()
    assert all(p.grad is None for p in model.critic.parameters())
    assert any(p.grad is not None and p.grad.any() for p in model.generator.parameters())
    with pytest.raises(UsageError, match="first of penalty 'l1' must be at least 0 and below 1"):
        L1(first=1.0)


# Patches


def test_a_score_depends_on_its_patch_alone():
    """With two halvings a place of the map sees 18×18 pixels."""
    critic = PatchCritic(width=4, normalise="none").build(DataSpec(Levels((1, 48, 48), 256)), (1, 48, 48))
    x = torch.randn(1, 1, 48, 48, requires_grad=True)
    features = critic(x)
    assert features.shape == (1, 12 * 12, 16)
    (gradient,) = torch.autograd.grad(features.unflatten(1, (12, 12))[0, 6, 6].abs().sum(), x)
    rows = gradient[0, 0].abs().sum(1).nonzero().squeeze(1)
    assert rows.max() - rows.min() + 1 == 18


def test_every_scale_has_a_score_at_every_place_of_the_finest():
    spec = DataSpec(Levels((1, 32, 32), 256))
    one, three = (PatchCritic(width=4, scales=scales).build(spec, (1, 32, 32)) for scales in (1, 3))
    x = torch.randn(2, 1, 32, 32)
    assert three(x).shape[1] == 3 * one(x).shape[1]


def test_a_critic_of_patches_sees_the_picture_as_it_is():
    spec = DataSpec(Levels((1, 16, 16), 256), {"map": LabelMap(3, (16, 16))})
    torch.manual_seed(0)
    critic = CriticNetwork(spec, PatchCritic(width=4), Concatenation()).eval()
    x, one = torch.randn(1, 1, 16, 16), torch.zeros(1, 16, 16, dtype=torch.long)
    other = one.clone()
    other[0, 0, 0] = 1
    changed = (critic(x, Condition({"map": one})) != critic(x, Condition({"map": other}))).view(4, 4)
    assert changed[0, 0]
    assert not changed[3, 3]


# Penalties on pairs


def pair_of(real: torch.Tensor, fake: torch.Tensor, critic: nn.Module) -> Round:
    sides = [Side(critic, x, Condition()) for x in (real, fake)]  # pyright: ignore[reportArgumentType]
    return Round(*sides, torch.zeros(len(real), 1), nn.Identity(), Relativistic())


class Squares(nn.Module):
    def features(self, x: torch.Tensor, condition: Condition) -> torch.Tensor:
        return x.flatten(1).square()


def test_distances_of_pairs_in_closed_form():
    real, fake = torch.tensor([[[[1.0]]], [[[-0.5]]]]), torch.tensor([[[[0.0]]], [[[0.5]]]])
    seen = pair_of(real, fake, Squares())
    assert L1(10.0).loss(seen, nn.Module()).item() == pytest.approx(10 * (1 + 1) / 2)
    assert MatchedFeatures(4.0).loss(seen, nn.Module()).item() == pytest.approx(4 * (1 + 0) / 2)


def test_the_cross_entropy_of_maps_is_that_of_the_channel_of_the_true_class():
    classes = torch.tensor([[[0, 2], [1, 1]]])
    real = 2.0 * F.one_hot(classes, 3).movedim(-1, 1) - 1
    fake = torch.randn(1, 3, 2, 2).tanh()
    each = [-torch.log_softmax(5 * fake[0, :, i, j], 0)[classes[0, i, j]] for i in (0, 1) for j in (0, 1)]
    seen = pair_of(real, fake, nn.Identity())
    assert CrossEntropy(3.0).loss(seen, nn.Module()).item() == pytest.approx(3 * torch.stack(each).mean().item())
    assert CrossEntropy(1.0).loss(pair_of(real, real, nn.Identity()), nn.Module()) < 1e-3


def test_of_maps_that_may_be_several_cross_entropy_keeps_the_likeliest_class_and_l1_none():
    """Where p = (0.4, 0.3, 0.3) the one is least at 5 x = log p + constant, the other at no class."""
    p = torch.tensor([0.4, 0.3, 0.3])
    real = 2 * torch.eye(3)[:, :, None, None] - 1

    def risk(penalty, x: torch.Tensor) -> torch.Tensor:
        each = [penalty.loss(pair_of(own[None], x[None, :, None, None], nn.Identity()), nn.Module()) for own in real]
        return (torch.stack(each) * p).sum()

    x = (p.log() / 5 - p.log().mean() / 5).requires_grad_()
    (slope,) = torch.autograd.grad(risk(CrossEntropy(1.0), x), x)
    assert slope.abs().max() < 1e-6
    none = -torch.ones(3)
    assert all(risk(L1(1.0), none) < risk(L1(1.0), own[:, 0, 0]) for own in real)


def test_pix2pix_of_maps_takes_the_cross_entropy_and_of_pictures_l1():
    picture, small = Levels((3, 8, 8), 256), {"generator": UNetGenerator(4, 1), "critic": PatchCritic(4, 1)}
    of_maps = pix2pix(DataSpec(Classes((1, 8, 8), 4), {"photo": picture}), **small)
    of_pictures = pix2pix(DataSpec(picture, {"map": LabelMap(4, (8, 8))}), **small)
    assert [type(model.penalties[0]) for model in (of_maps, of_pictures)] == [CrossEntropy, L1]
    terms = of_maps.generator_loss(turn(of_maps.spec, 4))
    assert terms.keys() == {"generator", "cross-entropy"}
    with pytest.raises(UsageError, match="'cross-entropy' is for maps of classes"):
        GAN(of_pictures.spec, penalties=(CrossEntropy(),))


class Scaled(nn.Module):
    def forward(self, z: torch.Tensor, condition: Condition) -> torch.Tensor:
        return 3.0 * z[:, :, None, None]


def test_what_a_code_changes_counts_in_closed_form():
    """Of G(z) = 3z the items are three times as far apart as the codes, whichever these are."""
    z = torch.randn(5, 4)
    fake = Side(nn.Identity(), Scaled()(z, Condition()), Condition())  # pyright: ignore[reportArgumentType]
    seen = Round(fake, fake, z, Scaled(), Relativistic())
    assert ModeSeeking(2.0).loss(seen, nn.Module()).item() == pytest.approx(2 / 3.01)


@pytest.mark.parametrize("penalty", ["auxiliary", "features"])
def test_other_penalties_see_a_critic_of_patches_too(penalty):
    spec = DataSpec(Levels((1, 8, 8), 17), {"source": Levels((1, 8, 8), 17)} | labels(3))
    part = {"auxiliary": Auxiliary(), "features": FeatureMatching()}[penalty]
    spec = DataSpec(spec.x, labels(3)) if penalty == "auxiliary" else spec
    model = GAN(spec, 3, critic=PatchCritic(width=4, halvings=1), penalties=(part,))
    terms = model.generator_loss(turn(spec, 6))
    assert all(term.dim() == 0 and term.isfinite() for term in terms.values())


def test_a_penalty_on_pairs_needs_a_condition_and_no_augmentation():
    spec = DataSpec(Levels((1, 8, 8), 256))
    with pytest.raises(UsageError, match=r"penalty 'l1' compares .* give a condition"):
        GAN(spec, penalties=(L1(),))
    paired = DataSpec(spec.x, {"map": LabelMap(3, (8, 8))})
    with pytest.raises(UsageError, match="leave out one of the two"):
        GAN(paired, penalties=(L1(),), augmentation=DiffAugment())


@pytest.mark.parametrize("part", [*GENERATORS[1:]], ids=["unet", "resnet"])
def test_a_network_of_pictures_is_refused_without_one(part):
    with pytest.raises(UsageError, match="give a field that is one"):
        part.build(DataSpec(Levels((1, 8, 8), 4), labels(3)), 2)


def test_a_large_picture_needs_a_smaller_one():
    with pytest.raises(UsageError, match="none is smaller than 8×8"):
        srgan(DataSpec(Levels((1, 8, 8), 4), {"map": LabelMap(3, (8, 8))}))


def test_an_answer_does_not_depend_on_the_other_items_in_training_either():
    """Norms are of an item by itself."""
    spec = DataSpec(Levels((1, 8, 8), 17), {"source": Levels((1, 8, 8), 17)})
    model = randomise(pix2pix(spec, generator=UNetGenerator(width=4))).double().train()
    z, condition = torch.randn(5, 8, dtype=torch.float64), condition_of(spec, 5)
    alone = torch.cat([model.generator(z[i : i + 1], condition.rows(slice(i, i + 1))) for i in range(5)])
    torch.testing.assert_close(model.generator(z, condition), alone)
    model.critic.eval()  # without a power iteration in between
    x = spec.centred(items(spec, 5)).double()
    each = torch.cat([model.critic(x[i : i + 1], condition.rows(slice(i, i + 1))) for i in range(5)])
    torch.testing.assert_close(model.critic(x, condition), each)


def test_larger_pictures_become_means_of_their_pixels():
    field = Real((1, 8, 8))
    value = torch.randn(2, 1, 8, 8)
    assert torch.equal(Pictures({"a": field}, (4, 4))(Condition({"a": value})), F.avg_pool2d(value, 2))


# Maps of classes as what is made


def test_a_gan_of_classes_makes_a_channel_for_each_and_takes_the_largest():
    spec = DataSpec(Classes((1, 8, 8), 5), {"x": Levels((3, 8, 8), 256)})
    model = randomise(pix2pix(spec, generator=UNetGenerator(width=4)), 0.5).eval()
    condition = condition_of(spec, 3)
    z = model.prior(3, condition).sample(torch.Generator().manual_seed(0))
    made = model.rendered(z, model.conditioned(condition, 3))
    assert made.shape == (3, 5, 8, 8)
    assert torch.equal(model.decode(z, condition).value, made.argmax(1, keepdim=True).byte())
    drawn = model.sample(3, condition, generator=torch.Generator().manual_seed(0))
    assert torch.equal(drawn, model.decode(z, condition).value)
    assert len(drawn.unique()) > 2
    x = items(spec, 3)
    model.critic_scores(x, condition)  # sees real maps in the same form
    assert torch.equal(model.form.items(model.form(x)), x)
    with pytest.raises(UsageError, match="x is 1×8×8, 5 classes"):
        model.invert(x, condition)


def test_the_way_back_is_from_pictures_to_maps_of_classes():
    rng = np.random.default_rng(0)
    x, own = rng.integers(0, 256, (60, 3, 8, 8), dtype=np.uint8), rng.integers(0, 4, (60, 8, 8), dtype=np.uint8)
    data = sim.data.from_arrays(x, fields={"map": own}, kinds={"map": LabelMap(4, (8, 8))}, levels=256)
    back = data.target("map")
    assert back.spec.x == Classes((1, 8, 8), 4)
    assert back.spec.condition["x"] == data.spec.x
    assert np.array_equal(back.train.x[:, 0], data.train.field("map"))
