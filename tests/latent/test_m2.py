"""M2: with and without its class an item is bounded as the equations say, and learns what it should."""

import math

import pytest
import torch
from small import all_items, condition_of, items, labels, randomise
from torch import Tensor

from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.distributions import DiagonalGaussian
from simulacra.errors import UsageError
from simulacra.fields import Levels
from simulacra.latent import M2
from simulacra.networks import Conv, Dense
from simulacra.turns import Turn

IMAGES = DataSpec(Levels((1, 8, 8), 5), labels(3))
TINY = DataSpec(Levels((1, 2, 2), 2), labels(3))


def of_classes(y: torch.Tensor) -> Condition:
    return Condition({"label": y})


NETWORKS = {"dense": Dense(hidden=8), "conv": Conv(width=4)}


def small(spec: DataSpec = IMAGES, network: str = "dense", **arguments) -> M2:
    return randomise(M2(spec, **({"latent": 2, "network": NETWORKS[network]} | arguments)).double().eval(), 0.5)


@pytest.fixture
def steady(monkeypatch):
    """Draws from a Gaussian that depend on nothing but its parameters."""
    monkeypatch.setattr(DiagonalGaussian, "sample", lambda self, *_: self.mean + 0.3 * self.log_scale.exp())


def by_hand(model: M2, x: Tensor, y: int) -> Tensor:
    """What one item costs, labelled or not, by eq. 6, 7 and 9."""
    log_q = model.log_class_probs(x)[0]
    cost = torch.stack([math.log(3) - model.elbo(x, {"label": c})[0] for c in range(3)])
    if y < 0:
        return (log_q.exp() * cost).sum() + (log_q.exp() * log_q).sum()
    return cost[y] - model.alpha * log_q[y]


@pytest.mark.parametrize("network", ["dense", "conv"])
def test_the_loss_is_the_mean_of_what_items_cost_by_hand(steady, network):
    """Labelled and unlabelled items in one batch, in one pass; also where all are labelled, or none."""
    model, x = small(network=network), items(IMAGES, 6)
    for classes in ([0, -1, 2, -1, -1, 1], [-1] * 6, [2, 1, 0, 0, 1, 1]):
        loss = torch.stack(list(model.loss(Turn(x, of_classes(torch.tensor(classes)))).values())).sum()
        expected = torch.stack([by_hand(model, x[i : i + 1], y) for i, y in enumerate(classes)]).mean()
        torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)


def test_the_bound_of_an_item_whose_class_is_unknown_is_that_of_the_marginal(steady):
    """-1 asks for -U(x), which is what training minimises; labelled items keep their classes, wherever they stand."""
    model, x = small(), items(IMAGES, 6)
    y = torch.tensor([0, -1, 2, -1, -1, 1])
    bounds = model.elbo(x, {"label": y})
    for i, own in enumerate(y.tolist()):
        one = x[i : i + 1]
        alone = (
            model.elbo(one, {"label": own})
            if own >= 0
            else -model.loss(Turn(one, of_classes(y[i : i + 1])))["unlabelled"]
        )
        torch.testing.assert_close(bounds[i], alone.squeeze())


@torch.no_grad()
def exact(model: M2, x: Tensor) -> Tensor:
    """log p(x|y) of each item and class, (N, 3), by the rule of trapezoids over z."""
    z = torch.linspace(-8, 8, 2001, dtype=torch.float64).view(-1, 1)
    log_weight = -0.5 * z[:, 0] ** 2 - 0.5 * math.log(2 * math.pi) + math.log(16 / 2000)
    return torch.stack(
        [
            torch.stack([torch.logsumexp(p.log_prob(item.expand(2001, *item.shape)) + log_weight, 0) for item in x])
            for p in (model.decode(z, {"label": y}) for y in range(3))
        ],
        dim=1,
    )


def test_without_the_class_it_bounds_the_marginal_and_with_it_the_joint():
    model, x = small(TINY, latent=1, alpha=0.0), all_items(TINY)
    nats = exact(model, x)
    assert nats.exp().sum(0).tolist() == pytest.approx([1, 1, 1], abs=1e-9)
    assert (nats[:, 0] - nats[:, 1]).abs().max() > 0.05
    marginal = torch.logsumexp(nats, 1) - math.log(3)
    for i in range(len(x)):
        many = x[i : i + 1].expand(400, *x.shape[1:])
        for term, y, truth in (("unlabelled", -1, marginal[i]), ("labelled", 1, nats[i, 1] - math.log(3))):
            with torch.no_grad():
                bound = -model.loss(Turn(many, of_classes(torch.full((400,), y))))[term]
            assert truth - 20 < bound < truth


def test_the_bound_of_the_marginal_is_tight_where_both_posteriors_are_exact():
    """A decoder that sees the class alone: q(z|x,y) is the prior, and q(y|x) by Bayes' rule makes U(x) = -log p(x)."""
    model, x = small(TINY, latent=1), all_items(TINY)
    with torch.no_grad():
        model.decoder.body.first.weight.zero_()
        for parameter in model.encoder.parameters():
            parameter.zero_()
    nats = exact(model, x)
    model.log_class_probs = lambda x: nats.log_softmax(1)
    cost = model.loss(Turn(x, of_classes(torch.full((16,), -1))))["unlabelled"]
    assert cost.item() == pytest.approx(-(torch.logsumexp(nats, 1) - math.log(3)).mean().item(), abs=1e-6)


def gradients(model: M2, classes: list[int]) -> dict[str, float]:
    model.zero_grad(set_to_none=True)
    torch.stack(
        list(model.loss(Turn(items(IMAGES, len(classes)), of_classes(torch.tensor(classes)))).values())
    ).sum().backward()
    parts = {"classifier": model.classifier, "encoder": model.encoder, "decoder": model.decoder}
    return {name: sum(p.grad.abs().sum().item() for p in part.parameters()) for name, part in parts.items()}


def test_gradients_reach_the_classifier_from_items_told_and_untold():
    assert min(gradients(small(alpha=1.0), [0, 1, 2]).values()) > 0
    assert min(gradients(small(alpha=1.0), [-1, -1, -1]).values()) > 0
    assert min(gradients(small(alpha=0.0), [-1, -1, -1]).values()) > 0
    without = gradients(small(alpha=0.0), [0, 1, 2])  # eq. 6 alone does not train q(y|x), which is why there is eq. 9
    assert without["classifier"] == 0
    assert min(without["encoder"], without["decoder"]) > 0


def test_class_probabilities_add_up_and_are_of_the_item():
    probs = small().log_class_probs(items(IMAGES, 5)).exp()
    torch.testing.assert_close(probs.sum(1), torch.ones(5).double())
    assert probs.std(0).min() > 0.01


def test_the_style_of_an_item_can_be_given_another_class():
    model, x = small(), items(IMAGES, 4)
    z = model.encode(x, condition_of(IMAGES, 4)).mean
    drawn = [model.decode(z, {"label": y}).mean for y in range(3)]
    assert all((one - other).abs().max() > 0.01 for one, other in ((drawn[0], drawn[1]), (drawn[1], drawn[2])))


def test_it_needs_one_field_of_classes():
    with pytest.raises(UsageError, match="--condition label"):
        M2(DataSpec(Levels((1, 8, 8), 5)))
    with pytest.raises(UsageError, match="one field"):
        M2(DataSpec(Levels((1, 8, 8), 5), labels(3) | {"colour": labels(2)["label"]}))
    for wrong in ({"latent": 0}, {"alpha": -1.0}):
        with pytest.raises(UsageError, match="latent >= 1 and alpha >= 0"):
            M2(IMAGES, **wrong)
