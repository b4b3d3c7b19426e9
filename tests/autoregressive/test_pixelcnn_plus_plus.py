"""What is particular to PixelCNN++: resolutions that share one clock, short-cuts, every activation computed once."""

from collections import Counter

import pytest
import torch
from small import condition_of, items, labels, randomise
from torch.utils._python_dispatch import TorchDispatchMode

import simulacra as sim
from simulacra.autoregressive import Raster, pixelcnn_plus_plus
from simulacra.autoregressive.pixelcnn_plus_plus import Level
from simulacra.data import DataSpec
from simulacra.distributions import Bernoulli, DiscretisedLogisticMixture
from simulacra.errors import UsageError
from simulacra.fields import Levels, numeric
from simulacra.nn import DownConv2d, Grow, RightConv2d, ShrinkDown, ShrinkRight

SHAPES = [(1, 5, 6), (1, 9, 2), (3, 3, 3), (1, 1, 7), (2, 7, 1), (3, 1, 1)]


def plus_plus(shape, levels: int = 5, condition=None, **arguments) -> Raster:
    small = {"width": 5, "blocks": 1, "scales": 9, "components": 2}
    return randomise(
        pixelcnn_plus_plus(DataSpec(numeric(shape, levels), condition or {}), **(small | arguments)).eval(), 0.25
    )


def levels_of(model: Raster) -> list[Level]:
    found = [model.network.level]
    while found[-1].below is not None:
        found.append(found[-1].below)
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_causal_and_walks_through_odd_sizes_and_more_scales_than_there_are(shape):
    model = plus_plus(shape, condition=labels(3)).double()
    assert sim.checks.causality(model).causal
    given, n = condition_of(model.spec, 4), 4
    drawn = [
        model.sample(n, given, sampler=sampler, generator=torch.Generator().manual_seed(0))
        for sampler in ("cached", "naive", "fixed-point")
    ]
    assert all(torch.equal(x, drawn[0]) for x in drawn)
    assert len(drawn[0].unique()) > 2


@pytest.mark.parametrize(
    ("shape", "scales", "sizes"),
    [
        ((1, 8, 8), 3, [(8, 8), (4, 4), (2, 2)]),
        ((1, 9, 5), 9, [(9, 5), (5, 3), (3, 2), (2, 1), (1, 1)]),
        ((1, 1, 3), 9, [(1, 3), (1, 2), (1, 1)]),
        ((1, 1, 1), 3, [(1, 1)]),
        ((1, 6, 6), 1, [(6, 6)]),
    ],
)
def test_there_are_as_many_resolutions_as_are_asked_for_and_the_image_bears(shape, scales, sizes):
    assert [level.size for level in levels_of(plus_plus(shape, scales=scales))] == sizes


@pytest.mark.parametrize("shape", [(1, 7, 8), (3, 4, 3)], ids=str)
def test_there_is_no_blind_spot(shape):
    assert sim.checks.causality(plus_plus(shape, width=12, blocks=2, scales=3), draws=2).coverage == 1


def test_the_row_above_is_seen_without_a_gap_and_farther_from_every_second_row():
    """A row between two rows of the small image sees 4 columns to the right for every block, the others see more."""
    for blocks in (1, 2):
        model = plus_plus((1, 6, 16), width=12, blocks=blocks, scales=2).double()
        between, due = seen(model, 5)[4], seen(model, 4)[3]
        assert torch.equal(between, torch.arange(16) <= 4 * blocks)
        assert due[: 4 * blocks + 2].all()


def seen(model: Raster, row: int) -> torch.Tensor:
    """(H, W) the pixels that the first one of a row depends on."""
    _, height, width = model.spec.shape
    return sim.checks.causality(model, draws=2, factors=[row * width]).dependence.view(height, width) != 0


class Products(TorchDispatchMode):
    """Counts matrix products and convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.count = Counter[str]()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("shape", [(1, 6, 8), (3, 5, 7)], ids=str)
def test_a_walk_computes_every_activation_once(shape):
    """Each horizontal layer takes one product a pixel of its resolution, each vertical one runs once a row."""
    model, calls = plus_plus(shape, blocks=2, scales=3), Counter()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, DownConv2d | ShrinkDown | RightConv2d | ShrinkRight):
                module.register_forward_hook(lambda m, _, output: calls.update([m] if output is not None else []))
        with Products() as products:
            model.sample(2, sampler="cached")
    expected, pixels = {}, 0
    levels = levels_of(model)
    for level, below in zip(levels, [*levels[1:], None], strict=True):
        (rows, columns), own = level.size, set(level.modules()) - (set(below.modules()) if below else set())
        if level is model.network.level:
            own |= set(model.network.children())
        expected |= {layer: rows for layer in own if isinstance(layer, DownConv2d)}
        expected |= {layer: rows * columns for layer in own if isinstance(layer, RightConv2d)}
        if below is not None:
            expected |= {level.shrink_down: below.size[0], level.shrink_right: below.size[0] * below.size[1]}
            pixels += below.size[0] * below.size[1]  # that are grown again, by one product each
    assert calls == expected
    right = [layer for layer in expected if isinstance(layer, RightConv2d | ShrinkRight)]
    assert products.count["addmm"] == sum(expected[layer] for layer in right) + pixels


def test_short_cuts_and_every_other_part_are_learnt():
    model = plus_plus((3, 6, 6), condition=labels(3), blocks=2, scales=3).train()
    model.log_prob(items(model.spec, 3), condition_of(model.spec, 3)).sum().backward()
    still = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert not still
    assert sum(isinstance(module, Grow) for module in model.modules()) == 4


def test_a_binary_image_of_one_channel_has_a_bernoulli_and_others_a_mixture():
    for shape, levels, expected in (
        ((1, 3, 3), 2, Bernoulli),
        ((3, 3, 3), 2, DiscretisedLogisticMixture),
        ((1, 3, 3), 5, DiscretisedLogisticMixture),
    ):
        model = plus_plus(shape, levels)
        assert type(model.conditionals(items(model.spec, 2))) is expected


def test_components_begin_side_by_side():
    """Untrained, the mixture covers the grid: no level is rarer than a tenth of its fair share."""
    torch.manual_seed(0)
    model = pixelcnn_plus_plus(DataSpec(Levels((1, 4, 4), 256)), width=8, blocks=1).eval()
    with torch.no_grad():
        masses = model.conditionals(items(model.spec, 4)).log_masses().exp().mean((0, 1, 2, 3))
    assert masses.min() > 0.1 / 256


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"scales": 0}, "scales of"), ({"blocks": 0}, "blocks of"), ({"dropout": 1.0}, "dropout of .* below 1")],
)
def test_what_makes_no_network_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        plus_plus((1, 4, 4), **arguments)
