"""CycleGAN: what its losses are of known networks, which network an item passes, and the history of generated items."""

import numpy as np
import pytest
import torch
from small import SPECS, items, labels, randomise, small_arguments
from torch import nn

from simulacra import registry, whole
from simulacra.condition import Condition
from simulacra.data import DataSpec, Levels
from simulacra.errors import UsageError
from simulacra.fields import Classes
from simulacra.structured.pool import Pool
from simulacra.turns import Turn

SPEC = SPECS["grey-domains"]
LABEL = torch.tensor([0, 1, 1, 0, 1])


def model(spec=SPEC, **given):
    entry = registry.find("cyclegan")
    torch.manual_seed(0)
    return entry.build(spec, **(small_arguments(entry) | given))


def turn(label=LABEL):
    return Turn(items(SPEC, len(label)), Condition({"label": label}))


class Into(nn.Module):
    """x -> sign · x + shift, of the domain that is wanted."""

    def __init__(self, sign=(1.0, 1.0), shift=(0.0, 0.0)):
        super().__init__()
        self.sign, self.shift = torch.tensor(sign), torch.tensor(shift)

    def forward(self, x, condition):
        wanted = condition["label"].view(-1, 1, 1, 1)
        return self.sign[wanted] * x + self.shift[wanted]


class Constant(nn.Module):
    """A critic of each domain that gives all items one score, two patches each."""

    def __init__(self, scores):
        super().__init__()
        self.scores = torch.tensor(scores)

    def features(self, x, condition):
        return self.scores[condition["label"]].view(-1, 1, 1).expand(-1, 2, 1)

    def head(self, features, condition):
        return features.squeeze(-1)


@pytest.mark.parametrize(
    ("into", "cycle", "identity"),
    [
        (Into(), 0.0, 0.0),
        (Into(shift=(-0.25, 0.25)), 0.0, 5 * 0.25),  # one is the other's inverse, and neither the identity
        (Into(shift=(0.25, 0.25)), 10 * 0.5, 5 * 0.25),
    ],
)
def test_the_cycle_costs_nothing_where_each_generator_is_the_inverse_of_the_other(into, cycle, identity):
    own = model()
    own.generator = into
    terms = own.generator_loss(turn())
    assert float(terms["cycle"]) == pytest.approx(cycle, abs=1e-5)
    assert float(terms["identity"]) == pytest.approx(identity, abs=1e-5)


def test_each_domain_has_its_critic_and_generated_items_that_of_their_target():
    """Of 2 items of domain 0 and 3 of domain 1; ½ (s - 1)² + ½ t², and ½ (t - 1)²."""
    own = model(pool=0)
    own.generator, own.critic = Into(), Constant([0.25, 0.5])
    real = (2 * 0.75**2 + 3 * 0.5**2) / 5
    fake = (3 * 0.25**2 + 2 * 0.5**2) / 5
    assert float(own.critic_loss(turn())["critic"]) == pytest.approx((real + fake) / 2)
    fooled = (3 * 0.75**2 + 2 * 0.5**2) / 5
    assert float(own.generator_loss(turn())["generator"]) == pytest.approx(fooled / 2)


def test_an_item_passes_the_generator_into_the_domain_that_is_wanted():
    own = model().eval()
    x = items(SPEC, 4)
    mixed = own.translate(x, {"label": [0, 1, 1, 0]})
    for domain, rows in ((0, [0, 3]), (1, [1, 2])):
        alone = own.spec.on_grid(own.generator.into[domain](own.spec.centred(x[rows]), {}).detach())
        assert (mixed[rows].int() - alone.int()).abs().max() <= 1  # of a batch of another size
    changed = [own.translate(x, {"label": name}) for name in ("a", "b")]
    assert not torch.equal(*changed)


def test_a_loss_on_one_domain_alone_is_finite_and_reaches_the_networks_of_both():
    """So that processes whose shares of a batch lack a domain have gradients of the same parameters."""
    own = model().train()
    for phase in own.phases():
        own.zero_grad()
        torch.stack(list(phase.loss(turn(torch.tensor([1, 1]))).values())).sum().backward()
        assert all(each.grad is not None and each.grad.isfinite().all() for each in phase.player.parameters())


@pytest.mark.parametrize(
    ("spec", "given", "reason"),
    [
        (SPECS["grey-labelled"], {}, "for two domains, and 'label' has 3 classes; stargan is for more"),
        (SPECS["grey"], {}, "add --condition label"),
        (DataSpec(SPEC.x, labels(2) | {"hair": labels(2)["label"]}), {}, "one field of two domains"),
        (DataSpec(SPEC.x, {"small": Levels((1, 4, 4), 17)}), {}, "conditioned on classes alone"),
        (DataSpec(SPECS["vector"].x, labels(2)), {}, "image"),
        (SPEC, {"game": "relativistic"}, "compares items by one critic"),
        (SPEC, {"pool": -1}, "pool"),
        (SPEC, {"cycle": float("nan")}, "cycle >= 0"),
    ],
)  # fmt: skip
def test_what_it_is_not_for_is_refused(spec, given, reason):
    with pytest.raises(UsageError, match=reason):
        model(spec, **given)


def test_a_domain_that_does_not_exist_or_is_not_given_is_refused():
    own = model().eval()
    for wrong, reason in (({"label": "c"}, "no class 'c'"), (None, "give condition"), ({"label": 2}, "does not exist")):
        with pytest.raises(UsageError, match=reason):
            own.translate(items(SPEC, 2), wrong)


# The history


def numbered(*numbers: int) -> torch.Tensor:
    """Items that say their number, in [-1, 1]."""
    grid = torch.tensor(numbers, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, *SPEC.shape)
    return SPEC.centred(grid)


def shown(pool: Pool, made: torch.Tensor, domain: torch.Tensor) -> list[int]:
    return SPEC.on_grid(pool(made, domain))[:, 0, 0, 0].tolist()


def test_an_item_of_the_past_is_shown_once_with_probability_one_half():
    """The first items fill the places of their domain; from then on what is shown is the new one or one from there."""
    torch.manual_seed(0)
    pool, size, swaps, domain = Pool(SPEC, 2, 4), 4, 0, torch.ones(4, dtype=torch.long)
    assert shown(pool, numbered(0, 1, 2, 3), domain) == [0, 1, 2, 3]
    assert not pool.filled[0].any()
    assert pool.filled[1].all()
    held, rounds = {0, 1, 2, 3}, 400
    for round_ in range(rounds):
        new = [4 + (4 * round_ + i) % 12 for i in range(size)]
        held_before = sorted(pool.items[1, :, 0, 0, 0].tolist())
        seen = shown(pool, numbered(*new), domain)
        older = [s for s, n in zip(seen, new, strict=True) if s != n]
        assert set(older) <= held | set(new)
        held = set(pool.items[1, :, 0, 0, 0].tolist())
        assert sorted([*seen, *pool.items[1, :, 0, 0, 0].tolist()]) == sorted([*new, *held_before])  # none is lost
        swaps += len(older)
    share, error = swaps / (size * rounds), 0.5 / np.sqrt(size * rounds)
    assert abs(share - 0.5) < 5 * error + 1 / 12  # an older item may have the number of the new one
    assert (pool.items[0] == 0).all()


def test_more_items_than_places_are_shown_as_they_are():
    torch.manual_seed(0)
    pool = Pool(SPEC, 1, 2)
    for _ in range(5):
        assert shown(pool, numbered(*range(6)), torch.zeros(6, dtype=torch.long))[2:] == [2, 3, 4, 5]


def test_a_history_changes_in_training_alone():
    pool = Pool(SPEC, 1, 3).eval()
    assert shown(pool, numbered(5, 6), torch.zeros(2, dtype=torch.long)) == [5, 6]
    assert not pool.filled.any()


def test_a_batch_in_parts_has_the_history_of_the_whole():
    made, domain = numbered(*range(1, 7)), torch.tensor([0, 1, 0, 1, 1, 0])

    def of_parts(*ends: int):
        pool, seen = Pool(SPEC, 2, 8), []
        for seed in (1, 2, 3):
            for begin, end in zip((0, *ends), (*ends, 6), strict=True):
                part = whole.Part(slice(begin, end), 6, seed, (end - begin,), 0, lambda v: v, lambda name: domain)
                with whole.seen_from(part):
                    seen += shown(pool, made[begin:end], domain[begin:end])
        return pool, seen

    (one, seen), (other, again) = of_parts(), of_parts(2, 3)
    assert seen == again
    assert torch.equal(one.items, other.items)
    assert seen[6:] != seen[:6] * 2


SWAPPED = torch.tensor([4, 2, 0, 1, 3])  # what each class becomes


class Swapped(nn.Module):
    """Maps of classes -> other classes in the same places."""

    def forward(self, x, condition):
        return x[:, SWAPPED.argsort()]


@pytest.mark.parametrize("name", ["cyclegan", "stargan"])
def test_maps_of_classes_are_translated_by_channels_whose_order_means_nothing(name):
    spec = DataSpec(Classes((1, 8, 8), 5), labels(2))
    entry = registry.find(name)
    torch.manual_seed(0)
    own = randomise(entry.build(spec, **small_arguments(entry)), 0.5)
    x, label = items(spec, 6), {"label": torch.arange(6) % 2}
    for loss in (own.critic_loss, own.generator_loss):
        assert sum(loss(Turn(x, Condition(label))).values()).isfinite()
    found = own.eval().translate(x, label)
    assert found.shape == x.shape
    assert 2 < len(found.unique()) <= 5
    own.generator, own.cycle, own.identity = Swapped(), 0.0, 10.0
    expected = 10 * 2 * 2 / 5 * (SWAPPED[x.long()] != x).float().mean()  # two channels of five are 2 away
    terms = own.generator_loss(Turn(x, Condition(label)))
    assert terms["identity"].item() == pytest.approx(float(expected), rel=1e-5)
