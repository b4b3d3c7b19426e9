"""What there is, and where: the probabilities add up to one, draws follow them, and places are learnt once for all."""

import pytest
import torch
from small import all_items, items, randomise

from simulacra.autoregressive import GatedPixelCNN, PixelSNAIL
from simulacra.autoregressive.placed import Extent, Placed, moved
from simulacra.checks.cases import condition_of
from simulacra.condition import Condition
from simulacra.data import ClassLabel, DataSpec, Levels
from simulacra.distributions import AboveLowest, Categorical

NETWORK = GatedPixelCNN(width=4, layers=2, dropout=0.0)
SIZES = [(1, 3, 3), (1, 1, 4), (1, 5, 1), (1, 1, 1), (2, 2, 2)]


def small(spec: DataSpec, network=NETWORK) -> Placed:
    torch.manual_seed(0)
    return randomise(Placed(spec, network, hidden=5)).double().eval()


@pytest.mark.parametrize("network", [NETWORK, PixelSNAIL(width=4, blocks=1, layers=1, components=2, dropout=0.0)])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_probabilities_of_all_pictures_add_up_to_one(size, network):
    spec = DataSpec(Levels(size, 2))
    assert small(spec, network).log_prob(all_items(spec), Condition({})).exp().sum().item() == pytest.approx(1)


def test_draws_follow_the_density():
    """By χ² over all 256 pictures of four pixels of four levels: 99.9 % of such sums are below."""
    spec, n = DataSpec(Levels((1, 2, 2), 4)), 40_000
    model, every = small(spec), all_items(spec)
    drawn = model.sample(n, Condition({}), generator=torch.Generator().manual_seed(0))
    place = 4 ** torch.arange(4)
    expected = torch.empty(256, dtype=torch.float64)
    expected[every.flatten(1).long() @ place] = model.log_prob(every, Condition({})).exp() * n
    found = (drawn.flatten(1).long() @ place).bincount(minlength=256)
    assert ((found - expected) ** 2 / expected).sum() < 330


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_the_walk_and_the_whole_draw_the_same(temperature):
    spec = DataSpec(Levels((2, 3, 4), 3), {"label": ClassLabel(2)})
    chain = small(spec).what
    one, two = (
        chain.sample(30, condition_of(spec, 30), temperature, torch.Generator().manual_seed(1), sampler)
        for sampler in ("cached", "naive")
    )
    assert torch.equal(one, two)
    assert one[:, :, 0].flatten(1).any(1).all()
    assert one[:, :, :, 0].flatten(1).any(1).all()


def test_what_there_is_costs_the_same_wherever_it_is():
    """But for its place, of which each one that it fits into has a probability, and these add up to one."""
    spec = DataSpec(Levels((1, 4, 5), 3))
    model, thing = small(spec), torch.zeros(1, 1, 4, 5, dtype=torch.uint8)
    thing[0, 0, :2, :3] = torch.tensor([[0, 2, 1], [1, 0, 0]])
    everywhere = torch.cat(
        [moved(thing, torch.tensor([down]), torch.tensor([right])) for down in range(3) for right in range(3)]
    )
    assert len(everywhere.unique(dim=0)) == 9
    total = model.log_prob(everywhere, Condition({})).logsumexp(0)
    there = model.some(model.bias.expand(1, 1), {})[0, 0].sigmoid().log()
    assert total.item() == pytest.approx((there + model.what.log_prob(thing)).item())


def test_extents_and_moves():
    x = torch.zeros(2, 2, 6, 7, dtype=torch.uint8)
    x[0, 1, 2:5, 3:5] = items(DataSpec(Levels((1, 3, 2), 3)), 1)[0, 0].clamp(min=1)
    there = Extent.of(x)
    assert there.some.tolist() == [True, False]
    assert [int(each[0]) for each in (there.top, there.left, there.height, there.width)] == [2, 3, 3, 2]
    back = moved(x, -there.top, -there.left)
    assert torch.equal(back[0, :, :3, :2], x[0, :, 2:5, 3:5])
    assert back.sum() == x.sum()
    assert torch.equal(moved(back, there.top, there.left), x)


def test_levels_above_the_lowest():
    masses = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]], dtype=torch.float64).clamp(min=1e-12)
    logits = masses.log().requires_grad_()
    own = AboveLowest(Categorical(logits), torch.tensor([True, False]))
    assert own.log_masses().exp()[0].tolist() == pytest.approx([0, 0.5, 0.5])
    assert own.log_each(torch.tensor([2, 0])).exp().tolist() == pytest.approx([0.5, 1.0])
    assert own.rows(torch.tensor([1])).log_masses().exp()[0].tolist() == pytest.approx([1, 0, 0], abs=1e-9)
    own.log_each(torch.tensor([2, 0])).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
