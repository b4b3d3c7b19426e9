"""What each sampler computes; that all of them draw the same is one of the laws of the family."""

import pytest
import torch
from small import labels, randomise
from torch.utils._python_dispatch import TorchDispatchMode

from simulacra.autoregressive import gated_pixelcnn, independent, pixelcnn
from simulacra.autoregressive.orders import raster
from simulacra.data import DataSpec
from simulacra.fields import Levels
from simulacra.nn import DownConv2d, RightConv2d

SPEC = DataSpec(Levels((2, 4, 3), 5))


def pixels(cls, spec: DataSpec = SPEC, scale: float = 0.3):
    return randomise(cls(spec, width=16, layers=2, kernel=3).double().eval(), scale)


def draw(model, sampler: str = "cached", n: int = 6, **arguments) -> torch.Tensor:
    return model.sample(n, sampler=sampler, generator=torch.Generator().manual_seed(3), **arguments)


def counted(monkeypatch, model, method: str) -> list[int]:
    """A list that grows by one with every call of a method of the model."""
    calls, original = [], getattr(model, method)
    monkeypatch.setattr(model, method, lambda *args: calls.append(1) or original(*args))
    return calls


def test_raster_order_goes_by_rows_columns_and_channels():
    x = torch.arange(24).view(2, 4, 3)  # (C, H, W)
    walked = x.flatten()[raster((2, 4, 3))]
    assert walked.tolist() == [x[c, row, column] for row in range(4) for column in range(3) for c in range(2)]
    assert raster((5,)).tolist() == [0, 1, 2, 3, 4]


def test_naive_runs_the_whole_model_for_every_coordinate_and_cached_never(monkeypatch):
    model = pixels(gated_pixelcnn)
    calls = counted(monkeypatch, model, "conditionals")
    draw(model, "naive")
    assert len(calls) == SPEC.dims
    draw(model, "cached")
    assert len(calls) == SPEC.dims


@pytest.mark.parametrize("cls", [gated_pixelcnn, pixelcnn])
def test_cached_runs_every_layer_once_a_row_or_once_a_sub_pixel(cls):
    model, calls = pixels(cls), {}
    for name, layer in model.named_modules():
        if isinstance(layer, DownConv2d | RightConv2d):
            layer.register_forward_hook(lambda layer, *_, name=name: calls.update({name: calls.get(name, 0) + 1}))
    draw(model)
    assert len(calls) > 5
    for name, times in calls.items():
        assert times == (4 if isinstance(model.get_submodule(name), DownConv2d) else SPEC.dims)


class Products(TorchDispatchMode):
    """Counts the matrix products of vectors of pixels."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket.__name__ == "addmm"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("channels", [1, 2])
def test_both_convolutions_behind_a_gate_take_one_product(channels):
    """Of two layers: both windows, what the first passes on beside its skip, the last skip, and the two at the end."""
    spec = DataSpec(Levels((channels, 4, 3), 5))
    with Products() as products:
        draw(pixels(gated_pixelcnn, spec))
    assert products.count == 6 * spec.dims


def test_what_each_level_enters_as_is_computed_once(monkeypatch):
    model = pixels(gated_pixelcnn)
    calls = counted(monkeypatch, model.network, "enter")
    draw(model)
    assert len(calls) == 1


def test_fixed_point_takes_a_sweep_for_each_link_of_the_longest_chain_and_one_to_see_that_nothing_changes(monkeypatch):
    free, bound = randomise(independent(SPEC)), pixels(gated_pixelcnn, scale=1.0)
    sweeps = counted(monkeypatch, free, "conditionals")
    draw(free, "fixed-point")
    assert len(sweeps) == 2
    sweeps = counted(monkeypatch, bound, "conditionals")
    draw(bound, "fixed-point")
    assert 2 < len(sweeps) <= SPEC.dims + 1


def test_fixed_point_tells_how_many_coordinates_are_final():
    states = []
    draw(pixels(gated_pixelcnn, scale=1.0), "fixed-point", progress=lambda x, done, total: states.append((done, total)))
    assert states[-1] == (24, 24)
    assert all(done >= sweep for sweep, (done, _) in enumerate(states))  # after i sweeps, i coordinates at least


def test_rows_are_told_as_they_are_drawn():
    states = []
    draw(pixels(gated_pixelcnn), progress=lambda x, done, total: states.append((done, total, int((x != 0).sum()))))
    assert [done for done, _, _ in states] == [6, 12, 18, 24]
    assert [drawn for _, _, drawn in states] == sorted(drawn for _, _, drawn in states)


def test_temperature_goes_to_the_most_likely_image():
    model = pixels(gated_pixelcnn)
    cold = draw(model, temperature=1e-6)
    assert torch.equal(cold, cold[:1].expand_as(cold))
    assert not torch.equal(draw(model)[0], draw(model)[1])


def test_a_draw_does_not_depend_on_the_labels_of_the_others():
    model = pixels(gated_pixelcnn, DataSpec(Levels((1, 4, 4), 5), labels(3)))
    mixed = draw(model, condition={"label": torch.tensor([1, 0, 2, 2, 0, 1])})
    others = draw(model, condition={"label": torch.tensor([1, 2, 2, 1, 1, 0])})
    assert torch.equal(mixed[[0, 2]], others[[0, 2]])
    assert not torch.equal(mixed[[1, 3, 4, 5]], others[[1, 3, 4, 5]])
