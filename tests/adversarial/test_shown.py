"""What a critic is shown: changes that are differentiable, alike for real and generated items, and that do not leak."""

import itertools

import pytest
import torch
from small import items

from simulacra.adversarial import GAN, Adaptive, DiffAugment, Hinge, LeastSquares, NonSaturating, Relativistic
from simulacra.adversarial.adaptive import scaled
from simulacra.adversarial.diffaugment import coloured, translated, without_square
from simulacra.adversarial.games import margins
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real
from simulacra.networks import DenseCritic, DenseGenerator
from simulacra.parts import as_part, spelled
from simulacra.turns import Turn

SPECS = {name: DataSpec(Levels(shape, 17)) for name, shape in (("grey", (1, 8, 8)), ("colour", (3, 8, 16)))}
ALL = [DiffAugment(), Adaptive(begin=0.8)]
GEOMETRY = ("flip", "rotation", "translation")


def images(spec: DataSpec, n: int = 6) -> torch.Tensor:
    return spec.centred(items(spec, n))


def small(augmentation=None, **arguments) -> GAN:
    torch.manual_seed(0)
    networks = {"generator": DenseGenerator(hidden=8), "critic": DenseCritic(hidden=8), "penalties": ()}
    return GAN(SPECS["grey"], 4, augmentation=augmentation, **({"game": NonSaturating()} | networks | arguments))


def one(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


@pytest.mark.parametrize("part", ALL, ids=spelled)
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_image_passes_its_gradient_on(part, spec):
    augment = part.build(spec)
    x = images(spec).requires_grad_()
    changed = augment(x)
    assert changed.shape == x.shape
    assert not torch.equal(changed, x)
    (gradient,) = torch.autograd.grad(changed.square().sum(), x)
    assert gradient.isfinite().all()
    assert (gradient.flatten(1).abs().sum(1) > 0).all()


@pytest.mark.parametrize("part", ALL, ids=spelled)
def test_the_derivative_is_that_of_differences(part):
    """By the same noise: T(x + εv) - T(x - εv) over 2ε, all of it weighed at random."""
    augment, v, w = part.build(SPECS["colour"]).double(), *torch.randn(2, 6, 3, 8, 16).double()
    x = images(SPECS["colour"]).double().requires_grad_()

    def fixed(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        return (w * augment(x)).sum()

    (gradient,) = torch.autograd.grad(fixed(x), x)
    slope = (fixed(x + 1e-4 * v) - fixed(x - 1e-4 * v)) / 2e-4
    torch.testing.assert_close((gradient * v).sum(), slope, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_with_probability_zero_nothing_is_changed(spec):
    x = images(spec)
    assert torch.equal(Adaptive().build(spec)(x), x)


def test_colours_by_hand():
    x = torch.rand(3, 3, 4, 4)
    same = one(1.0, 1.0, 1.0)
    assert torch.equal(coloured(x, 0 * same, same, same), x)
    torch.testing.assert_close(coloured(x, one(0.1, 0.2, 0.3), same, same), x + one(0.1, 0.2, 0.3))
    grey = coloured(x, 0 * same, 0 * same, same)
    torch.testing.assert_close(grey, x.mean(1, keepdim=True).expand_as(x))
    flat = coloured(x, 0 * same, same, 0 * same)
    torch.testing.assert_close(flat, x.mean((1, 2, 3), keepdim=True).expand_as(x))
    black = torch.rand(2, 1, 4, 4)  # has no saturation
    assert torch.equal(coloured(black, one(0.0, 0.0), one(0.0, 2.0), one(1.0, 1.0)), black)


def test_places_by_hand():
    x = torch.arange(1.0, 17).view(1, 1, 4, 4)
    moved = translated(x, one(1).long(), one(-2).long())
    expected = torch.zeros(4, 4)
    expected[1:, :2] = x[0, 0, :3, 2:]
    assert torch.equal(moved[0, 0], expected)
    for row, column in itertools.product(range(4), range(4)):
        left = without_square(x, one(row).long(), one(column).long())[0, 0]
        hole = torch.zeros(4, 4, dtype=torch.bool)
        hole[max(0, row - 1) : row + 1, max(0, column - 1) : column + 1] = True
        assert torch.equal(left == 0, hole)


def test_an_image_is_enlarged_about_its_middle():
    x = torch.linspace(-1, 1, 9).expand(2, 1, 9, 9)
    twice = scaled(x, one(2.0, 1.0))
    torch.testing.assert_close(twice[0, 0, 4, 2:7], torch.linspace(-0.25, 0.25, 5))
    assert torch.equal(twice[1], x[1])


# Nothing leaks


def operator(policy: tuple, p: float, draws: int = 20_000) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """T as a matrix over the images that it makes of one that has no symmetry: columns are distributions of T(x)."""
    spec = DataSpec(Levels((1, 3, 3), 2))
    augment = Adaptive(begin=p, most=p, policy=policy).build(spec)
    first = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 0]]).view(1, 1, 3, 3)
    orbit = [
        turned for k in range(4) for turned in (torch.rot90(first, k, (2, 3)), torch.rot90(first, k, (2, 3)).flip(3))
    ]
    if "flip" not in policy:
        orbit = orbit[::2]
    columns = []
    for each in orbit:
        made = augment(each.expand(draws, -1, -1, -1))
        columns.append(torch.stack([(made == other).flatten(1).all(1).float().mean() for other in orbit]))
    return torch.stack(columns, 1), orbit


@pytest.mark.parametrize("policy", [("rotation",), ("flip",), ("flip", "rotation")])
def test_changes_of_a_group_are_an_operator_with_eigenvalues_from_one_less_p_to_one(policy):
    p = 0.6
    matrix, _ = operator(policy if "rotation" in policy else ("flip",), p)
    torch.testing.assert_close(matrix.sum(0), torch.ones(len(matrix)))  # nothing else is ever made
    eigenvalues = torch.linalg.eigvals(matrix.double()).real.sort().values
    expected = {1: (1 - p), 2: (1 - p) ** 2}[len(policy)]
    assert eigenvalues[0].item() == pytest.approx(expected, abs=0.03)
    assert eigenvalues[-1].item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("p", "leaks"), [(0.6, False), (0.9999, True)])
def test_a_generator_that_learns_through_the_changes_makes_what_is_in_the_data(p, leaks):
    """Against the best critic of T(x) and T(G(z)), for which the game is 2 JSD(Tp, Tq) - log 4: of images of which 70 %
    stand upright and none on their head, so do those that are made, but not where hardly any item is left as it is."""
    matrix, orbit = operator(("rotation",), p)
    real = torch.tensor([0.7, 0.2, 0.0, 0.1])
    assert len(orbit) == 4
    logits = torch.zeros(4, requires_grad=True)
    descent = torch.optim.SGD([logits], 20.0)
    for _ in range(400):
        fake = logits.softmax(0)
        shown, seen = matrix @ fake, matrix @ real
        middle = (shown + seen) / 2
        divergence = (shown * (shown / middle).log() + seen * (seen / middle).log()).sum() / 2
        descent.zero_grad()
        divergence.backward()
        descent.step()
    gap = (logits.softmax(0) - real).abs().max().item()
    assert (gap > 0.3) if leaks else (gap < 0.03)


def test_translations_undo_in_distribution_too():
    """The difference of two uniform integers has a characteristic function that is never negative."""
    augment = Adaptive(begin=0.7, policy=("translation",)).build(SPECS["colour"])
    x = torch.zeros(1, 3, 8, 16)
    x[..., 8] = 1  # moved by at most 2 of 16 columns
    made = augment(x.expand(40_000, -1, -1, -1))[:, 0, 0].mean(0)
    triangle = torch.tensor([1.0, 2, 3, 2, 1]) / 9
    expected = 0.7 * triangle + 0.3 * torch.tensor([0.0, 0, 1, 0, 0])
    torch.testing.assert_close(made[6:11], expected, atol=0.01, rtol=0)
    waves = torch.fft.fft(torch.fft.ifftshift(torch.nn.functional.pad(expected, (6, 5)))).real
    assert waves.min() >= 1 - 0.7 - 1e-6


# In a GAN


@pytest.mark.parametrize("part", ALL, ids=spelled)
def test_samples_are_never_changed(part):
    plain, augmented = small().eval(), small(part).eval()
    noise = [torch.Generator().manual_seed(0) for _ in range(2)]
    assert torch.equal(plain.sample(5, generator=noise[0]), augmented.sample(5, generator=noise[1]))


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_the_critic_sees_changed_items_of_both_kinds_and_the_generator_learns_through_them(player):
    model = small("diffaugment")
    seen = model.round(Turn(images(model.spec).round().byte() * 0 + 9), player)
    assert seen.real.x.flatten(1).std(1).min() > 0.01  # all pixels were alike
    loss = getattr(model, f"{player}_loss")(Turn(items(model.spec, 6)))[player]
    loss.backward()
    assert (model.generator.last.weight.grad is not None) == (player == "generator")


def test_p_rises_while_the_critic_is_sure_of_real_items_and_falls_while_it_is_not():
    augment = Adaptive(target=0.5, rise=0.1, begin=0.4).build(SPECS["grey"])
    for _ in range(4):
        augment.adapt(torch.tensor([3.0, 1.0, 2.0, 0.5, -1.0]))  # 0.6 on average
    assert augment.p.item() == pytest.approx(0.4 + 20 / 100)
    for _ in range(3):
        augment.adapt(torch.tensor([3.0, -1.0]))
    assert augment.p.item() == pytest.approx(0.6)  # it changes after every fourth turn
    augment.adapt(torch.tensor([3.0, -1.0]))
    assert augment.p.item() == pytest.approx(0.6 - 8 / 100)
    for _ in range(100):
        augment.adapt(torch.ones(10))
    assert augment.p.item() == pytest.approx(0.8)
    for _ in range(100):
        augment.adapt(-torch.ones(10))
    assert augment.p.item() == 0


def test_what_a_score_is_measured_from_depends_on_the_game():
    real, fake = torch.tensor([0.2, 3.0]), torch.tensor([1.0, 1.0])
    assert torch.equal(margins(Hinge(), real, fake), real)
    torch.testing.assert_close(margins(LeastSquares(), real, fake), torch.tensor([-0.3, 2.5]))
    torch.testing.assert_close(margins(Relativistic(), real, fake), torch.tensor([-0.8, 2.0]))


def test_p_is_part_of_what_is_saved_and_follows_the_critics_turns():
    model = small(Adaptive(rise=0.024))
    assert "shown.p" in model.state_dict()
    with torch.no_grad():
        model.critic.head.score.bias += 100  # all is real
    for _ in range(4):
        model.critic_loss(Turn(items(model.spec, 6)))
        model.generator_loss(Turn(items(model.spec, 6)))
    assert model.shown.p.item() == pytest.approx(0.8)


def test_their_text_is_read():
    for part in (Adaptive(target=0.4, policy=("flip",)), DiffAugment(("colour", "cutout"))):
        assert as_part("shown", spelled(part)) == part


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adaptive(most=1.0), "most of shown 'adaptive' must be at least 0 and below 1, not 1.0"),
        (lambda: Adaptive(begin=0.9), "begins at 0.9, above the 0.8"),
        (lambda: Adaptive(target=2.0), "target of shown 'adaptive' must be -1 to 1"),
        (lambda: Adaptive(policy=()), "one or more of flip, rotation"),
        (lambda: DiffAugment(("colour", "colour")), "each once"),
        (lambda: as_part("shown", "diffaugment:policy=blur"), "policy of shown 'diffaugment' cannot be 'blur'"),
        (lambda: DiffAugment().build(DataSpec(Real((2,)))), "augmentation 'diffaugment' is of images, not of"),
        (lambda: Adaptive().build(DataSpec(Real((2,)))), "augmentation 'adaptive' is of images, not of"),
    ],
)
def test_what_cannot_be_done_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()
