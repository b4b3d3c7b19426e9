"""spade: a map at every size, and a code of the style that is that of the item of the pair."""

import numpy as np
import pytest
import torch
from small import condition_of, items, randomise

import simulacra as sim
from simulacra import registry
from simulacra.adversarial import L1, CrossEntropy, Hinge, MatchedFeatures
from simulacra.data import ClassLabel, DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Classes, LabelMap, Levels
from simulacra.networks import Dense, PatchCritic, SpadeGenerator
from simulacra.structured import Spade
from simulacra.turns import Turn

SPEC = DataSpec(Levels((3, 9, 14), 17), {"map": LabelMap(4, (9, 14)), "label": ClassLabel(3)})


def model(spec: DataSpec = SPEC, **given) -> Spade:
    torch.manual_seed(0)
    parts = {"generator": SpadeGenerator(4, hidden=4), "critic": PatchCritic(4, halvings=1, scales=2)}
    return Spade(spec, 3, **(parts | {"encoder": Dense(8)} | given))


def turn(n: int = 6) -> Turn:
    return Turn(items(SPEC, n), condition_of(SPEC, n))


def test_it_is_the_hinge_game_of_two_scales_with_the_map_beside_x():
    made = registry.find("spade").build(SPEC)
    assert isinstance(made, Spade)
    assert made.game == Hinge()
    assert len(made.critic.body.scales) == 2
    assert made.critic.planes.pictures.count == 4


def test_codes_in_training_are_draws_of_the_style_of_the_item_of_the_pair():
    own = randomise(model())
    own.encoder.body.last.weight.data[1::2] = 0
    own.encoder.body.last.bias.data[1::2] = -6.0  # log σ
    for player in ("critic", "generator"):
        z = own.round(turn(), player).z
        torch.testing.assert_close(z, own.encode(turn().x).mean, rtol=0, atol=0.02)
    noise = [own.round(turn(), "generator").z for _ in range(2)]
    assert not torch.equal(*noise)


def test_the_divergence_is_that_of_gaussians_in_nats():
    own = randomise(model(kl=0.3), 1.0)
    q = own.encode(turn().x)
    variance = q.log_scale.mul(2).exp()
    nats = 0.5 * (q.mean.square() + variance - 1 - variance.log()).sum(1)
    terms = own.generator_loss(turn())
    assert terms.keys() == {"generator", "matched", "l1", "kl"}
    torch.testing.assert_close(terms["kl"], 0.3 * nats.mean())
    assert own.critic_loss(turn()).keys() == {"critic"}


def test_the_encoder_moves_with_the_generator_and_never_with_the_critic():
    own = randomise(model())
    sum(own.critic_loss(turn()).values()).backward()
    assert all(each.grad is None for part in (own.encoder, own.generator) for each in part.parameters())
    owned = {phase.name: set(phase.player.parameters()) for phase in own.phases()}
    assert owned["generator"] == {*own.generator.parameters(), *own.encoder.parameters()}
    assert owned["critic"] == set(own.critic.parameters())
    terms = own.generator_loss(turn())
    (terms["generator"] + terms["matched"]).backward()
    assert all(bool(each.grad.any()) for each in own.encoder.parameters())


def test_what_is_averaged_has_the_encoder():
    own = model()
    assert {id(each) for each in own.averaged()} == {id(own.generator), id(own.encoder)}


def test_a_style_is_that_of_x_alone():
    own, x = randomise(model()).eval(), items(SPEC, 5)
    q = own.encode(x)
    assert q.mean.shape == (5, 3)
    assert torch.equal(q.mean, own.encode(x, condition_of(SPEC, 5)).mean)
    with pytest.raises(UsageError, match="not conditioned on 'mapp'"):
        own.encode(x, {"mapp": 0})
    assert own.decode(q.mean, condition_of(SPEC, 5)).mean.shape == x.shape


def test_the_map_and_the_style_and_the_class_all_show():
    own, given = randomise(model(), 1.0).eval(), condition_of(SPEC, 4)
    z = own.encode(items(SPEC, 4)).mean
    with torch.no_grad():
        made = own.rendered(z, given)
        others = {
            "style": own.rendered(z.flip(0), given),
            "map": own.rendered(z, given | {"map": given["map"].flip(0)}),
            "label": own.rendered(z, given | {"label": (given["label"] + 1) % 3}),
        }
    for what, other in others.items():
        assert (made - other).abs().mean() > 1e-3, what


def test_what_is_derived_of_x_is_met():
    """Given the small image, whatever is made has its area means."""
    spec = DataSpec(Levels((3, 8, 12), 256)).conditioned_on(("down:factor=2",))
    own, small = randomise(model(spec)).eval(), torch.randint(60, 190, (3, 3, 4, 6), dtype=torch.uint8)
    made = own.sample(3, {"down": small}, generator=torch.Generator().manual_seed(0)).float()
    means = made.unflatten(2, (4, 2)).unflatten(4, (6, 2)).mean((3, 5))
    assert (means - small.float()).abs().max() <= 4


def test_a_map_of_a_photograph_has_a_style_too():
    """x of classes has a channel for each in both networks and in the encoder."""
    own = randomise(model(DataSpec(Classes((1, 8, 8), 5), {"photo": Levels((3, 8, 8), 17)})))
    x, given = items(own.spec, 4), condition_of(own.spec, 4)
    assert own.generator_loss(Turn(x, given))["cross-entropy"] > 0
    made = own.decode(own.encode(x).mean, given).mean
    assert made.shape == x.shape
    assert int(made.max()) < 5


def test_data_without_a_picture_are_refused():
    with pytest.raises(UsageError, match="spade networks make a picture of a picture"):
        model(DataSpec(SPEC.x, {"label": ClassLabel(3)}))
    with pytest.raises(UsageError, match="kl"):
        model(kl=0.0)


# Styles and conditions of different items


def test_a_table_has_a_row_for_each_condition_and_a_column_for_each_style():
    own, x = randomise(model(), 1.0).eval(), items(SPEC, 3)
    given = condition_of(SPEC, 2)
    table = sim.restyle(own, x, given)
    assert table.shape == (2, 3, *SPEC.shape)
    assert table.dtype == np.uint8
    for row in range(2):
        for column in range(3):
            z, under = own.encode(x[column : column + 1]).mean, given.rows(slice(row, row + 1))
            assert np.array_equal(table[row, column], own.decode(z, under).mean[0].numpy())


def test_under_its_own_condition_an_item_is_reconstructed():
    own, x, given = randomise(model(), 1.0).eval(), items(SPEC, 3), condition_of(SPEC, 3)
    table = sim.restyle(own, x, given)
    assert np.array_equal(table[range(3), range(3)], sim.reconstruct(own, x, given).numpy())


def test_of_maps_of_classes_the_distance_to_the_pair_is_their_cross_entropy():
    of_maps, of_pictures = model(DataSpec(Classes((1, 8, 8), 4), SPEC.condition)), model()
    distances = [[type(penalty) for penalty in own.penalties] for own in (of_maps, of_pictures)]
    assert distances == [[MatchedFeatures, CrossEntropy], [MatchedFeatures, L1]]
    assert of_maps.penalties[1].weight == of_pictures.penalties[1].weight / 10
