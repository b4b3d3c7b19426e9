"""What is particular to the PixelRNNs: what their LSTMs see, in how many steps, and that a walk repeats nothing."""

from collections import Counter

import pytest
import torch
from small import condition_of, items, labels, randomise

import simulacra as sim
from simulacra.autoregressive import pixelrnn_diagonal, pixelrnn_row
from simulacra.autoregressive.pixelrnn_diagonal import DiagonalLayer, Diagonals
from simulacra.autoregressive.pixelrnn_row import RowLayer, Rows
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real
from simulacra.turns import Turn

SHAPES = [(1, 5, 6), (1, 7, 2), (1, 2, 7), (1, 1, 6), (1, 6, 1), (3, 3, 3), (2, 3, 2)]
KINDS = [pixelrnn_row, pixelrnn_diagonal]
SIZES = [(3, 4), (4, 3), (1, 5), (5, 1), (1, 1)]


def wide(kind, spec: DataSpec, **arguments):
    """So that ReLUs which happen to be off hide no dependency, and with random biases everywhere."""
    return randomise(kind(spec, **({"width": 18, "layers": 2} | arguments)).eval())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_diagonal_layer_sees_all_that_comes_before(shape):
    found = sim.checks.causality(wide(pixelrnn_diagonal, DataSpec(Levels(shape, 4)), layers=1, kernel=3))
    assert found.causal
    assert found.coverage == 1


@pytest.mark.parametrize("layers", [1, 2])
def test_row_layers_see_a_triangle(layers):
    """With windows of 3: d rows up, from c - d - layers - 1 to c + d; what is on the upper right of it is not seen."""
    model = wide(pixelrnn_row, DataSpec(Levels((1, 5, 11), 4)), layers=layers, kernel=3)
    found = sim.checks.causality(model, factors=[3 * 11 + 6])
    expected = torch.zeros(5, 11, dtype=torch.bool)
    for up in range(4):
        last = 6 + up if up else 5
        expected[3 - up, max(0, 6 - up - layers - 1) : last + 1] = True
    assert torch.equal(found.dependence.view(5, 11) != 0, expected)


@pytest.mark.parametrize("inner_kernel", [1, 5])
@pytest.mark.parametrize("shape", [(1, 4, 5), (3, 3, 2)], ids=str)
def test_row_layers_of_any_window_are_causal_and_walk(shape, inner_kernel):
    model = wide(pixelrnn_row, DataSpec(Levels(shape, 4)), inner_kernel=inner_kernel, width=6).double()
    assert sim.checks.causality(model).causal
    drawn = [model.sample(3, sampler=way, generator=torch.Generator().manual_seed(0)) for way in ("cached", "naive")]
    assert torch.equal(*drawn)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("path", "steps"), [(Rows, lambda h, w: h), (Diagonals, lambda h, w: h + w - 1)])
def test_a_path_moves_every_pixel_once(path, steps, size):
    way = path(*size)
    assert len(way.spans) == steps(*size)
    assert sum(end - first for first, end in way.spans) == size[0] * size[1]
    image = torch.randn(2, 3, *size)
    assert torch.equal(way.unflatten(way.flatten(image)), image)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_what_a_diagonal_cell_reads_has_moved_in_the_step_before(size):
    """A line's cells are rows: at every step, cell r stands at column t - r, on the right of where it stood."""
    way, (height, width) = Diagonals(*size), size
    places = way.flatten(torch.arange(height * width).view(1, 1, height, width)).flatten().tolist()
    for t, (first, end) in enumerate(way.spans):
        for row in range(first, end):
            assert places.pop(0) == row * width + t - row
    assert places == []


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_line_from_the_right_sees_the_mirror_image_one_row_further_up(size):
    way, image = Diagonals(*size), torch.randn(2, 3, *size)
    assert torch.equal(way.unflatten(way.reflect(way.flatten(image))), image.flip(3))
    above = torch.cat([torch.zeros(2, 3, 1, size[1]), image[:, :, :-1]], 2)
    assert torch.equal(way.unflatten(way.reflect_above(way.flatten(image))), above.flip(3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 4, 3), (3, 2, 3)], ids=str)
def test_a_walk_runs_every_layer_once_a_sub_pixel_and_its_rows_once(kind, shape):
    model, calls = wide(kind, DataSpec(Levels(shape, 4)), width=6), Counter()
    for name, module in model.named_modules():
        module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    model.sample(2)
    channels, height, width = shape
    for name, module in model.named_modules():
        if isinstance(module, RowLayer | DiagonalLayer):
            assert calls[name] == channels * height * width
            assert calls[f"{name}.state" if isinstance(module, RowLayer) else f"{name}.leftwards"] == height


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_reached(kind):
    spec = DataSpec(Levels((3, 4, 4), 4), labels(3))
    model = wide(kind, spec).train()
    model.loss(Turn(items(spec, 6), Condition(condition_of(spec, 6))))["nats"].backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_networks_give_nearly_the_same_likelihood(kind):
    spec = DataSpec(Levels((1, 6, 6), 4))
    model, x = wide(kind, spec, layers=3), items(spec, 20)
    full = model.log_prob(x)
    with torch.autocast("cpu", torch.bfloat16):
        half = model.log_prob(x)
    assert half.dtype == torch.float32
    assert (spec.bits_per_dim(half - full)).mean().abs() < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_for_training(kind):
    spec = DataSpec(Levels((1, 4, 4), 4))
    model, x = wide(kind, spec, dropout=0.5), items(spec, 2)
    assert torch.equal(model.log_prob(x), model.log_prob(x))
    model.train()
    assert not torch.equal(model.log_prob(x), model.log_prob(x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        (DataSpec(Levels((5,), 4)), {}, "try made or nade"),
        (DataSpec(Levels((1, 4, 4), 4)), {"kernel": 4}, "kernel of .* odd number, not 4"),
        (DataSpec(Levels((3, 4, 4), 4)), {"width": 2}, "width of at least 3"),
        (DataSpec(Levels((1, 4, 4), 4)), {"layers": 0}, "layers of .* must be at least 1"),
        (DataSpec(Levels((1, 4, 4), 4)), {"dropout": 1.0}, "dropout of .* below 1"),
        (DataSpec(Real((1, 4, 4))), {}, "continuous"),
    ],
)
def test_what_they_cannot_model_is_refused(kind, spec, arguments, message):
    with pytest.raises(UsageError, match=message):
        kind(spec, **arguments)


def test_a_row_has_windows_with_an_odd_side():
    with pytest.raises(UsageError, match="inner_kernel of pixel-network 'pixelrnn-row' must be a positive odd number"):
        pixelrnn_row(DataSpec(Levels((1, 4, 4), 4)), inner_kernel=2)
