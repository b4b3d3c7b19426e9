"""Wrong conditions: never equal to the own one, uniform over those that differ, the same however a batch is shared."""

import pytest
import torch
from small import items, turn

from simulacra import whole
from simulacra.adversarial import GAN, Hinge, Matching, Relativistic
from simulacra.adversarial.matching import wrong
from simulacra.checks import SPECS
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel, Levels, Tokens
from simulacra.networks import DenseCritic, DenseGenerator
from simulacra.turns import Turn

SPEC = DataSpec(Levels((1, 4, 4), 17), {"caption": Tokens(("a", "b", "c"), 2), "label": ClassLabel(3)})
GIVEN = Condition(
    {
        "caption": torch.tensor([[0, 1], [0, 1], [0, -1], [2, -1], [0, 1], [0, -1]]),
        "label": torch.tensor([0, 0, 1, 1, 2, 1]),
    }
)


def gan(game=Hinge(), weight: float = 0.5, conditioning: str = "projection") -> GAN:  # noqa: B008 (it is frozen)
    torch.manual_seed(0)
    networks = DenseGenerator(hidden=8), DenseCritic(hidden=8)
    return GAN(SPEC, 4, *networks, game, (Matching(weight),), conditioning)


def numbered(condition: Condition) -> list[int]:
    """Which of the different conditions each one is."""
    rows = [(*c.tolist(), label.item()) for c, label in zip(condition["caption"], condition["label"], strict=True)]
    return [sorted({(0, 1, 0), (0, -1, 1), (2, -1, 1), (0, 1, 2)}).index(row) for row in rows]


def test_conditions_are_wrong_in_at_least_one_field_and_drawn_evenly():
    torch.manual_seed(0)
    own = numbered(GIVEN)
    draws = torch.tensor([numbered(wrong(GIVEN)[0]) for _ in range(3000)])
    for i, mine in enumerate(own):
        others = [each for each in own if each != mine]
        counts = torch.bincount(draws[:, i], minlength=4) / len(draws)
        expected = torch.bincount(torch.tensor(others), minlength=4) / len(others)
        assert counts[mine] == 0
        assert (counts - expected).abs().max() < 0.04  # 4 standard errors of a share of a half


@pytest.mark.parametrize("kind", ["grey-labelled", "grey-pictured", "grey-mixed"])
def test_any_field_is_taken_with_all_of_its_columns(kind):
    own = turn(SPECS[kind], 8).condition
    other, there = wrong(own)
    assert there
    assert other.keys() == own.keys()
    rows = [torch.cat([column[i].flatten().double() for column in own.values()]) for i in range(8)]
    for i in range(8):
        mine = torch.cat([column[i].flatten().double() for column in other.values()])
        assert any(torch.equal(mine, row) for row in rows)
        assert not torch.equal(mine, rows[i])


@pytest.mark.parametrize("game", [Hinge(), Relativistic()], ids=["hinge", "relativistic"])
@pytest.mark.parametrize("conditioning", ["projection", "concatenation"])
def test_the_term_is_the_game_of_right_against_wrong_pairs(game, conditioning):
    model = gan(game, 0.5, conditioning)
    own = Turn(items(SPEC, 6), GIVEN)
    torch.manual_seed(1)
    seen = model.round(own, "critic")
    other, _ = wrong(GIVEN)
    expected = 0.5 * game.critic(model.critic(seen.real.x, GIVEN), model.critic(seen.real.x, other))
    torch.manual_seed(1)
    terms = model.critic_loss(own)
    assert terms["matching"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert "matching" not in model.generator_loss(own)


def test_where_all_conditions_are_equal_there_is_no_term():
    model, same = gan(), Condition({name: column[:1].expand(6, *column.shape[1:]) for name, column in GIVEN.items()})
    terms = model.critic_loss(Turn(items(SPEC, 6), same))
    assert terms["matching"].item() == 0
    assert terms["critic"].item() > 0
    terms["matching"].backward()
    assert not any(p.grad is not None and p.grad.any() for p in model.critic.parameters())


def test_a_part_of_a_batch_has_the_wrong_conditions_of_the_whole():
    def seen_by(rows: slice) -> Condition:
        part = whole.Part(rows, 6, 3, (rows.stop - rows.start,), 0, lambda x: x, lambda name: GIVEN[name])
        with whole.seen_from(part):
            return wrong(GIVEN.rows(rows))[0]

    together, shared = seen_by(slice(0, 6)), seen_by(slice(0, 2)).cat(seen_by(slice(2, 6)))
    assert all(torch.equal(together[name], shared[name]) for name in GIVEN)


def test_it_needs_a_condition():
    with pytest.raises(UsageError, match="'matching' shows items under wrong conditions: give one"):
        GAN(DataSpec(SPEC.x), 4, penalties=(Matching(),), game=Hinge())
