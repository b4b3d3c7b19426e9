"""Chains over pixels are one model with a network for a part: a named one, or one from outside."""

import pytest
import torch
from small import condition_of, items, labels, randomise, same, weights
from torch import Tensor

import simulacra as sim
from simulacra import parts, registry
from simulacra.autoregressive import PixelCNN, Raster, RowPixelRNN, pixelcnn
from simulacra.autoregressive.heads import LevelHead
from simulacra.autoregressive.pixels import PixelNetwork, shared
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels
from simulacra.model import load, save
from simulacra.nn import AddCondition, Memory, RightConv2d
from simulacra.parts import table

SPEC = DataSpec(Levels((2, 4, 3), 4), labels(3))


class Window(PixelNetwork):
    """One masked window, to whose outputs the condition is added."""

    def __init__(self, spec: DataSpec, width: int) -> None:
        super().__init__(spec)
        self.head, channels = LevelHead(spec), spec.shape[0]
        width = shared(width, channels)
        self.condition = AddCondition(spec.condition, width, maps=True)
        self.look = RightConv2d(channels, width, 1, 1, 1, groups=channels, strict=True)
        self.last = RightConv2d(width, self.head.outputs, groups=channels)

    def vertical_pass(self, image: Tensor, condition: Condition, memory: Memory | None = None) -> Tensor | None:
        return self.condition.everywhere(condition, self.spec.shape[1:], memory)

    def horizontal_pass(self, image: Tensor, added: Tensor | None, memory: Memory | None = None) -> Tensor:
        return self.last(torch.relu(self.look(image, added, memory)), memory=memory)


@pytest.fixture
def window(monkeypatch):
    """A network from outside as a part, gone after the test."""
    monkeypatch.setattr(registry, "_entries", {entry.name: entry for entry in registry.models()})
    monkeypatch.setitem(table._parts, "pixel-network", parts.named("pixel-network"))

    @parts.part("pixel-network", "window")
    class OneWindow:
        """Attributes:
        width: features of the window.
        """

        width: int = 8

        def build(self, spec: DataSpec) -> PixelNetwork:
            return Window(spec, self.width)

    return OneWindow


def test_a_preset_is_the_model_with_its_part():
    torch.manual_seed(0)
    named = pixelcnn(SPEC, width=6, layers=1)
    torch.manual_seed(0)
    composed = Raster(SPEC, PixelCNN(width=6, layers=1))
    assert same(weights(named), weights(composed))
    assert named.recipe == composed.recipe
    assert (named.name, composed.name) == ("pixelcnn", "raster")


def test_a_network_from_outside_is_causal_walks_and_is_saved(window, tmp_path):
    model = randomise(Raster(SPEC, "window:width=6")).double().eval()
    assert sim.checks.causality(model, {"label": 1}).causal
    given = condition_of(SPEC, 3)
    drawn = [
        model.sample(3, given, sampler=sampler, generator=torch.Generator().manual_seed(0))
        for sampler in ("cached", "naive", "fixed-point")
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])
    save(model.float(), tmp_path)
    x = items(SPEC, 3)
    assert torch.equal(load(tmp_path).log_prob(x, given), model.log_prob(x, given))


def test_a_preset_of_a_part_takes_the_arguments_of_the_part(window):
    build = registry.with_part("one-window", Raster, window, "a test", {"steps": 7})
    entry = registry.find("one-window")
    assert {name: (own.default, own.help) for name, own in entry.arguments.items()} == {
        "width": (8, "features of the window")
    }
    assert entry.model is Raster
    assert (entry.defaults["steps"], entry.defaults["batch"]) == (7, 32)  # its own, and those of its class
    model = build(SPEC, width=4)
    assert model.arguments == {"network": window(4)}
    with pytest.raises(TypeError, match=r"one-window: .*layers"):
        build(SPEC, layers=2)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("pixelcn", "no pixel-network 'pixelcn'. Did you mean 'pixelcnn'"),
        ("pixelcnn:heads=2", "pixel-network 'pixelcnn' has no argument 'heads', which pixelsnail has"),
        ("dense", "no pixel-network 'dense'"),
    ],
)
def test_what_is_no_network_over_pixels_is_refused(network, message):
    with pytest.raises(UsageError, match=message):
        Raster(SPEC, network)


def test_arguments_of_a_part_are_checked_before_a_model_is_built():
    with pytest.raises(UsageError, match="must be a positive odd number, not 4"):
        RowPixelRNN(kernel=4)
