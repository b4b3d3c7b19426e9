"""What is particular to the Gated PixelCNN: two stacks without a blind spot, whatever their windows."""

import pytest
import torch
from small import condition_of, items, labels, randomise

import simulacra as sim
from simulacra.autoregressive import Raster, gated_pixelcnn
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real
from simulacra.nn import MaskedConv2d

SHAPES = [(1, 5, 5), (1, 3, 7), (1, 6, 2), (1, 1, 6), (1, 6, 1), (3, 4, 3), (3, 1, 3), (3, 3, 1), (2, 2, 3)]
NETWORKS = [
    {"kernel": 1, "layers": 2},
    {"kernel": 3, "inner_kernel": 5},
    {"kernel": 5, "inner_kernel": 1},
    {"kernel": 9, "layers": 1},
]
SPEC = DataSpec(Levels((3, 4, 4), 4), labels(3))


def gated(spec: DataSpec, **arguments) -> Raster:
    """Wide, so that ReLUs which happen to be off hide no dependency, and with random biases everywhere."""
    return randomise(gated_pixelcnn(spec, **({"width": 24, "layers": 4} | arguments)).eval(), 0.25)


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize("shape", [(1, 5, 6), (3, 3, 2)], ids=str)
def test_every_window_is_causal_and_walks(shape, network):
    model = gated(DataSpec(Levels(shape, 4)), width=6, **network).double()
    assert sim.checks.causality(model).causal
    drawn = [
        model.sample(3, sampler=sampler, generator=torch.Generator().manual_seed(0)) for sampler in ("cached", "naive")
    ]
    assert torch.equal(*drawn)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_that_comes_before_reaches_a_sub_pixel(shape):
    """A window of 7 and three layers on top see the whole of these images."""
    assert sim.checks.causality(gated(DataSpec(Levels(shape, 4)))).coverage == 1


@pytest.mark.parametrize(("kernel", "inner_kernel", "layers"), [(3, 3, 2), (5, 3, 1), (3, 5, 2)])
def test_the_receptive_field_is_a_rectangle_above_and_a_run_to_the_left(kernel, inner_kernel, layers):
    """Windows of sides k: Σ (k - 1) / 2 columns on both sides; above, the first of them stands one row higher."""
    model = gated(DataSpec(Levels((1, 9, 9), 4)), kernel=kernel, inner_kernel=inner_kernel, layers=layers)
    found = sim.checks.causality(model, factors=[7 * 9 + 4])
    reach = kernel // 2 + (layers - 1) * (inner_kernel // 2)
    expected = torch.zeros(9, 9, dtype=torch.bool)
    expected[max(0, 7 - 1 - reach) : 7, 4 - reach : 4 + reach + 1] = True
    expected[7, 4 - reach : 4] = True
    assert torch.equal(found.dependence.view(9, 9) != 0, expected)


def test_there_is_no_gradient_outside_a_mask():
    model = gated(SPEC, width=6, layers=3)
    model.log_prob(items(SPEC, 4), condition_of(SPEC, 4)).sum().backward()
    layers = [module for module in model.modules() if isinstance(module, MaskedConv2d)]
    assert len(layers) > 6
    for layer in layers:
        assert layer.weight.grad is not None
        assert (layer.weight.grad[layer.mask == 0] == 0).all()
        assert layer.weight.grad.abs().sum() > 0


def test_what_is_masked_does_not_matter_and_is_no_part_of_the_saved_weights():
    model = gated(SPEC, width=6, layers=3)
    x, given = items(SPEC, 4), condition_of(SPEC, 4)
    before = model.log_prob(x, given)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, MaskedConv2d):
                layer.weight[layer.mask == 0] = 1e6
    assert torch.equal(model.log_prob(x, given), before)
    assert not any("mask" in name for name in model.state_dict())


def test_in_training_mode_dropout_moves_the_score_and_in_eval_mode_it_does_not():
    spec = DataSpec(Levels((1, 4, 4), 4))
    model = gated(spec, dropout=0.5)
    x = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    assert torch.equal(model.log_prob(x), model.log_prob(x))
    model.train()
    assert not torch.equal(model.log_prob(x), model.log_prob(x))


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        (DataSpec(Levels((5,), 4)), {}, "try made or nade"),
        (DataSpec(Levels((1, 4, 4), 4)), {"kernel": 4}, "kernel of .* must be a positive odd number, not 4"),
        (DataSpec(Levels((3, 4, 4), 4)), {"width": 2}, "width of at least 3"),
        (DataSpec(Levels((1, 4, 4), 4)), {"layers": 0}, "layers of .* must be at least 1"),
        (DataSpec(Levels((1, 4, 4), 4)), {"dropout": 1.0}, "dropout of .* must be at least 0 and below 1"),
        (DataSpec(Real((1, 4, 4))), {}, "continuous.*rnade"),
    ],
)
def test_what_it_cannot_model_is_refused(spec, arguments, message):
    with pytest.raises(UsageError, match=message):
        gated_pixelcnn(spec, **arguments)


def test_levels_that_enter_by_a_learned_vector_are_as_causal_and_drawn_alike():
    torch.manual_seed(0)
    spec = DataSpec(Levels((2, 3, 3), 4))
    model = randomise(gated_pixelcnn(spec, width=4, layers=2, kernel=3, embedding=True)).double().eval()
    assert model.network.embedding.weight.shape == (4, 4)
    assert sim.checks.causality(model).causal
    draws = [model.sample(5, sampler=each, generator=torch.Generator().manual_seed(1)) for each in ("cached", "naive")]
    assert torch.equal(*draws)
