"""StarGAN: target domains, the critic that classifies, and several fields at once."""

import pytest
import torch
from small import SPECS, items, labels, small_arguments
from torch import nn

from simulacra import registry
from simulacra.condition import Condition
from simulacra.data import ClassLabel, DataSpec
from simulacra.errors import UsageError
from simulacra.turns import Turn

SPEC = SPECS["grey-labelled"]
FACES = DataSpec(SPEC.x, {"smile": ClassLabel(2, ("no", "yes")), "glasses": ClassLabel(2), "hair": ClassLabel(3)})


def model(spec=SPEC, **given):
    entry = registry.find("stargan")
    torch.manual_seed(0)
    return entry.build(spec, **(small_arguments(entry) | given))


def test_targets_are_the_domains_of_the_batch_in_another_order():
    """All fields of an item together: what never occurs together is no target."""
    own = Condition({"smile": torch.arange(12) % 2, "glasses": torch.arange(12) % 2, "hair": torch.arange(12) // 4})
    torch.manual_seed(0)
    target = model(FACES).targets(own)
    rows = [sorted(zip(*(each[name].tolist() for name in FACES.condition), strict=True)) for each in (own, target)]
    assert rows[0] == rows[1]
    assert any(not torch.equal(own[name], target[name]) for name in own)


class Same(nn.Module):
    def forward(self, x, condition):
        return x


def test_the_cycle_costs_nothing_where_the_generator_is_the_identity():
    own = model(identity=5.0)
    own.generator = Same()
    terms = own.generator_loss(Turn(items(SPEC, 6), Condition({"label": torch.arange(6) % 3})))
    assert float(terms["cycle"]) == float(terms["identity"]) == 0


def test_the_critic_learns_classes_of_real_items_and_the_generator_those_of_its_targets():
    """Of heads with no weight but a bias b: log Σ exp b - b_c, a mean over the labels that are meant."""
    own = model(penalties=("auxiliary:weight=2,generated=false",))
    head, bias = own.memories[0].heads["label"], torch.tensor([0.0, 1.0, 2.0])
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(bias)
    label = torch.tensor([0, 0, 1, 0])
    expected = 2 * (bias.logsumexp(0) - bias[label]).mean()
    seen = Turn(items(SPEC, 4), Condition({"label": label}))
    for loss in (own.critic_loss, own.generator_loss):
        torch.testing.assert_close(loss(seen)["auxiliary"], expected)  # targets are the same labels in another order
    both = model(penalties=("auxiliary:weight=2",))
    both.load_state_dict(own.state_dict())
    torch.testing.assert_close(both.critic_loss(seen)["auxiliary"], 2 * expected)


def test_the_game_of_the_paper_has_a_gradient_penalty():
    """Of a critic of patches: the slope of the mean of an item's scores."""
    paper = {"game": "wasserstein", "conditioning": "none", "critic_steps": 5, "identity": 0.0}
    paper |= {
        "critic": "patch:width=4,halvings=1,normalise=none",
        "penalties": ("gradient", "auxiliary:generated=false"),
    }
    own = model(**paper).train()
    critic, generator = own.phases()
    assert (critic.repeat, generator.repeat) == (5, 1)
    terms = critic.loss(Turn(items(SPEC, 6), Condition({"label": torch.arange(6) % 3})))
    assert terms.keys() == {"critic", "gradient", "auxiliary"}
    assert all(term.isfinite() for term in terms.values())


def test_several_attributes_are_changed_one_by_one():
    own = model(FACES).eval()
    for parameter in own.generator.parameters():  # norms begin without scale and shift
        nn.init.normal_(parameter, 0.0, 0.3)
    x = items(FACES, 5)
    plain = {"smile": "no", "glasses": 0, "hair": 1}
    made = [own.translate(x, plain | more) for more in ({}, {"smile": "yes"}, {"glasses": 1}, {"hair": 2})]
    assert all(not torch.equal(made[0], other) for other in made[1:])
    with pytest.raises(UsageError, match="glasses"):
        own.translate(x, {"smile": "yes", "hair": 1})


@pytest.mark.parametrize(
    ("spec", "given", "reason"),
    [
        (SPECS["grey"], {}, "add --condition label"),
        (DataSpec(SPECS["vector"].x, labels()), {}, "image"),
        (SPEC, {"penalties": ("auxiliary:every=2",)}, "in every step: leave out `every` and `first` of 'auxiliary'"),
        (SPEC, {"critic_steps": 0}, "critic_steps >= 1"),
        (SPEC, {"code": 0}, "code"),
    ],
)
def test_what_it_is_not_for_is_refused(spec, given, reason):
    with pytest.raises(UsageError, match=reason):
        model(spec, **given)
