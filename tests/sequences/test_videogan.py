"""Frames follow from the content and the motion so far; critics see every pixel of every frame; clips of any length."""

import itertools

import pytest
import torch
from small import condition_of, labels, randomise
from torch import Tensor

import simulacra as sim
from simulacra.adversarial import GAN
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels
from simulacra.networks import (
    ClipsCritic,
    DCGenerator,
    MoCoGenerator,
    ResidualCritic,
    SpaceTimeCritic,
    TGenerator,
    TwoStreamGenerator,
)
from simulacra.sequences import videogan

CONTENT, MOTION, FRAMES = 3, 2, 5
SPEC = DataSpec(Levels((FRAMES, 1, 8, 8), 17), labels())
IMAGE = DCGenerator(4)
GENERATORS = {
    "mocogan": MoCoGenerator(MOTION, 6, IMAGE),
    "tgan": TGenerator(6, IMAGE),
    "vgan": TwoStreamGenerator(4, IMAGE),
}
CRITIC = ClipsCritic(ResidualCritic(3), SpaceTimeCritic(3), 2)


def small(generator: str = "mocogan", spec: DataSpec = SPEC, critic: ClipsCritic = CRITIC) -> GAN:
    torch.manual_seed(0)
    return randomise(videogan(spec, CONTENT, GENERATORS[generator], critic)).double().eval()


def codes(model: GAN, n: int = 4, seed: int = 1) -> Tensor:
    return torch.randn(n, model.latent, generator=torch.Generator().manual_seed(seed)).double()


def changed(model: GAN, z: Tensor, other: Tensor) -> list[bool]:
    """Whether each frame differs between two codes, in every item."""
    given = condition_of(SPEC, len(z))
    moved = (model.generator(z, given) - model.generator(other, given)).abs().flatten(2).amax(2)
    assert all(each.all() or not each.any() for each in moved.T)
    return [bool(each.any()) for each in moved.T]


@pytest.mark.parametrize("t", range(FRAMES))
def test_a_frame_depends_on_its_own_motion_and_on_that_before(t):
    model = small()
    z = codes(model)
    other = z.clone()
    place = CONTENT + (1 + t) * MOTION
    other[:, place : place + MOTION] += 1
    assert changed(model, z, other) == [frame >= t for frame in range(FRAMES)]


def test_where_the_motion_begins_enters_every_frame():
    model = small()
    z = codes(model)
    other = z.clone()
    other[:, CONTENT : CONTENT + MOTION] += 1
    assert changed(model, z, other) == [True] * FRAMES


def test_the_content_enters_every_frame_and_no_motion():
    model = small()
    z = codes(model)
    other = torch.cat([z[:, :CONTENT] + 1, z[:, CONTENT:]], dim=1)
    assert changed(model, z, other) == [True] * FRAMES
    given, paths = condition_of(SPEC, 4), []
    model.generator.path.register_forward_hook(lambda _, __, out: paths.append(out[0]))
    model.generator(z, given), model.generator(other, given)
    assert torch.equal(*paths)


@pytest.mark.parametrize("generator", ["mocogan", "tgan"])
def test_all_frames_are_made_by_one_image_generator(generator):
    model = small(generator)
    seen = []
    model.generator.image.register_forward_hook(lambda _, inputs, out: seen.append((*inputs, out)))
    z, given = codes(model), condition_of(SPEC, 4)
    clips = model.generator(z, given)
    ((each, of_frames, _),) = seen
    assert each.shape[0] == 4 * FRAMES
    content = each[:, :CONTENT].unflatten(0, (4, FRAMES))  # the same in all frames of a clip
    assert torch.equal(content, z[:, None, :CONTENT].expand_as(content))
    for i, t in itertools.product(range(4), range(FRAMES)):
        place = i * FRAMES + t
        alone = model.generator.image(each[place : place + 1], Condition(of_frames).rows(slice(place, place + 1)))
        torch.testing.assert_close(alone[0], clips[i, t])


def test_a_clip_is_what_moves_before_a_background_that_does_not():
    model = small("vgan")
    z, given = codes(model), condition_of(SPEC, 4)
    streams = model.generator.streams(z, given)
    assert streams.background.shape == (4, 1, *SPEC.shape[1:])
    assert ((streams.mask > 0) & (streams.mask < 1)).all()
    mixed = streams.mask * streams.moving + (1 - streams.mask) * streams.background
    torch.testing.assert_close(model.generator(z, given), mixed)
    assert streams.moving.flatten(2).std(1).min() > 0


@pytest.mark.parametrize("generator", GENERATORS)
def test_items_are_independent_and_of_their_class(generator):
    model = small(generator)
    z, given = codes(model), condition_of(SPEC, 4)
    together = model.generator(z, given)
    scores = model.critic(together, given)
    assert together.shape == (4, *SPEC.shape)
    assert scores.shape == (4, 2)
    for i in range(4):
        own = given.rows(slice(i, i + 1))
        torch.testing.assert_close(model.generator(z[i : i + 1], own)[0], together[i])
        torch.testing.assert_close(model.critic(together[i : i + 1], own)[0], scores[i])
    other = Condition({"label": (given["label"] + 1) % 3})
    assert (model.generator(z, other) - together).flatten(1).abs().amax(1).min() > 1e-6
    assert (model.critic(together, other) - scores).abs().min() > 1e-9


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (5, 3, 9, 13), (16, 1, 16, 8)], ids=str)
@pytest.mark.parametrize("coarse", [1, 2])
def test_every_pixel_of_every_frame_counts(shape, coarse):
    spec = DataSpec(Levels(shape, 256))
    model = small("tgan", spec, ClipsCritic(ResidualCritic(3), SpaceTimeCritic(3, coarse), 3))
    x = torch.randn(2, *shape).double().requires_grad_()
    (gradient,) = torch.autograd.grad(model.critic(x, Condition())[:, 1].sum(), x)
    assert (gradient.abs() > 0).any(0).all()
    for each in GENERATORS:
        assert small(each, spec).generator(codes(small(each, spec), 2), Condition()).shape == (2, *shape)


def test_frames_are_judged_one_by_one_and_clips_by_their_order():
    model = small()
    x, given = torch.randn(3, *SPEC.shape).double(), condition_of(SPEC, 3)
    everything = small(critic=ClipsCritic(ResidualCritic(3), SpaceTimeCritic(3), FRAMES))
    one, other = everything.critic(x, given), everything.critic(x.flip(1), given)
    torch.testing.assert_close(one[:, 0], other[:, 0])
    assert (one[:, 1] - other[:, 1]).abs().min() > 1e-6
    body = model.critic.body.train()
    seen = {tuple(body.some_of(x)[0, :, 0, 0, 0].tolist()) for _ in range(40)}
    assert len({value for each in seen for value in each}) == FRAMES  # all of them, sooner or later
    assert all(len(set(each)) == 2 for each in seen)


def test_a_longer_clip_begins_as_the_shorter_one():
    model = small().float()
    given = {"label": [0, 1, 2, 0]}

    def draw(**own: int) -> Tensor:
        return model.sample(4, given, generator=torch.Generator().manual_seed(3), **own)

    usual, longer, longest, shorter = draw(), draw(frames=7), draw(frames=12), draw(frames=2)
    assert [len(each[0]) for each in (usual, longer, longest, shorter)] == [FRAMES, 7, 12, 2]
    assert torch.equal(longer[:, :FRAMES], usual)
    assert torch.equal(longest[:, :7], longer)
    assert torch.equal(usual[:, :2], shorter)
    assert sim.sample(model, 3, condition={"label": 0}, options={"frames": 9}).shape == (3, 9, 1, 8, 8)
    with pytest.raises(UsageError, match="frames must be at least 1"):
        draw(frames=0)
    with pytest.raises(UsageError, match=r"no sampling option 'frames'.*--generator mocogan"):
        small("tgan").float().sample(4, given, frames=7)


def test_what_it_is_not_for_is_refused():
    with pytest.raises(UsageError, match=r"for clips .T, C, H, W.*--window T"):
        videogan(DataSpec(Levels((1, 8, 8), 17)))
    with pytest.raises(UsageError, match="needs latent > 12, not 12"):
        GAN(SPEC, 12, GENERATORS["mocogan"])
    with pytest.raises(UsageError, match="projection, not by concatenation"):
        GAN(SPEC, 15, GENERATORS["mocogan"], CRITIC, conditioning=sim.networks.Concatenation())
