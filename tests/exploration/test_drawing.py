"""Drawing: the same items by every sampler, in blocks of fixed noise, reported while they come."""

from typing import Literal

import numpy as np
import pytest
import torch
from small import SPECS, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.condition import ConditionLike
from simulacra.errors import NotSupported, UsageError
from simulacra.exploration import drawing


def model(name: str, spec: str = "grey-labelled"):
    return randomise(small_model(registry.find(name), SPECS[spec]), 0.4).eval()


def test_all_samplers_draw_the_same_items():
    made = model("gated-pixelcnn").double()
    one = sim.sample(made, 5, seed=2)
    for sampler in ("cached", "naive", "fixed-point"):
        assert (sim.sample(made, 5, seed=2, sampler=sampler) == one).all()


def test_a_model_without_a_chain_has_no_samplers_to_choose_from():
    for name in ("vae", "dcgan"):
        with pytest.raises(NotSupported, match=rf"{name} draws all of an item at once.*leave 'naive' out"):
            sim.sample(model(name), 2, sampler="naive")
    with pytest.raises(UsageError, match=r"no sampler 'quick'.*cached, naive, fixed-point"):
        sim.sample(model("gated-pixelcnn"), 2, sampler="quick")


def test_rows_appear_as_they_are_drawn(monkeypatch):
    monkeypatch.setattr(drawing, "BLOCK", 3)
    seen = []
    drawn = sim.sample(model("gated-pixelcnn"), 5, progress=lambda x, done, total: seen.append((x.copy(), done, total)))
    assert [done for _, done, _ in seen] == [8 * 3 * row for row in range(1, 9)] + [
        8 * (3 * 8 + 2 * row) for row in range(1, 9)
    ]
    assert {total for _, _, total in seen} == {5 * 64}
    for row, (x, _, _) in enumerate(seen[:8]):
        assert (x[:3, :, : row + 1] == drawn[:3, :, : row + 1]).all()
        assert not x[:3, :, row + 1 :].any()
        assert not x[3:].any()
    assert (seen[-1][0] == drawn).all()


def test_progress_changes_no_draw():
    for name in ("gated-pixelcnn", "vae"):
        made = model(name)
        assert (sim.sample(made, 4, progress=lambda *_: None) == sim.sample(made, 4)).all()


def test_other_models_report_their_blocks(monkeypatch):
    monkeypatch.setattr(drawing, "BLOCK", 3)
    seen = []
    drawn = sim.sample(model("vae"), 5, progress=lambda x, done, total: seen.append((x.copy(), done, total)))
    assert [(done, total) for _, done, total in seen] == [(3 * 64, 5 * 64), (5 * 64, 5 * 64)]
    assert np.array_equal(seen[-1][0], drawn)


# The options of a model's own sampler


class Dial(type(small_model(registry.find("vae"), SPECS["grey"]))):
    """A model whose draws have an option of their own."""

    def sample(
        self,
        n: int,
        condition: ConditionLike | None = None,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
        brightness: int = 0,
        where: Literal["all", "first"] = "all",
    ) -> torch.Tensor:
        x = torch.zeros((n, *self.spec.shape), dtype=torch.uint8)
        x[: n if where == "all" else 1] = brightness
        return x


def test_options_are_those_of_the_signature_each_of_its_type():
    made = Dial(SPECS["grey"], latent=2, network="dense:hidden=4")
    assert (sim.sample(made, 3, options={"brightness": 7}) == 7).all()
    assert (sim.sample(made, 3, options={"brightness": 7, "where": "first"})[:, 0, 0, 0] == [7, 0, 0]).all()
    with pytest.raises(UsageError, match="brightness of Dial is an integer, not '7'"):
        sim.sample(made, 3, options={"brightness": "7"})
    with pytest.raises(UsageError, match=r"no sampling option 'brightnes'. Did you mean 'brightness'"):
        sim.sample(made, 3, options={"brightnes": 7})
    with pytest.raises(UsageError, match=r"brightness of .* is an integer, not 'dark'"):
        sim.sample(made, 3, options={"brightness": "dark"})
    with pytest.raises(UsageError, match=r"where of .* cannot be 'last'"):
        sim.sample(made, 3, options={"where": "last"})
    with pytest.raises(UsageError, match="no sampling option 'temperature'"):
        sim.sample(made, 3, options={"temperature": 2.0})  # an argument of the verb


def test_a_sampler_is_an_option_of_chains():
    made = model("gated-pixelcnn").double()
    assert (sim.sample(made, 3, options={"sampler": "naive"}) == sim.sample(made, 3, sampler="naive")).all()
    with pytest.raises(UsageError, match=r"vae has no sampling option 'sampler'. It has none"):
        sim.sample(model("vae"), 3, options={"sampler": "naive"})
    unknown = np.ones((1, 8, 8), bool)
    x = np.zeros((1, 1, 8, 8), np.uint8)
    with pytest.raises(UsageError, match=r"no sampling option 'steps'. Known: sampler"):
        sim.complete(made, x, unknown, condition={"label": 0}, options={"steps": 3})
