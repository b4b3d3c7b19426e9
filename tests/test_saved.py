"""Models that earlier versions saved load, and compute what they computed then. See `saved/README.md`."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from simulacra.adversarial import NonSaturating, Wasserstein
from simulacra.autoregressive import RowPixelRNN
from simulacra.condition import Condition
from simulacra.distributions import Distribution, PointMass
from simulacra.errors import ModelFileError
from simulacra.latent import ELBO
from simulacra.model import Model, load, save
from simulacra.turns import Turn

SAVED = Path(__file__).parent / "saved"
CASES = {  # by format and name, such as 1/vae
    f"{folder.parent.parent.name.removeprefix('format-')}/{folder.parent.name}": folder.parent
    for folder in sorted(SAVED.glob("format-*/*/config.json"))
}
AGAIN = "the networks of {} have changed since: fit it again with `simulacra fit {} DATA`"
REFUSED = {  # case -> what its refusal says
    case: AGAIN.format(name, name)
    for name in ("vqvae2", "multiscale-pixelrnn")
    for case in CASES
    if case.startswith(f"1/{name}")
}
LOADED = [case for case in CASES if case not in REFUSED]

Given = dict[str, Tensor]

EXACT: dict[str, Callable[[Any, Tensor, Given, Tensor], Tensor]] = {  # of (model, x, condition, z): no noise in any
    "log_prob": lambda model, x, given, z: model.log_prob(x, given),
    "classes": lambda model, x, given, z: model.log_class_probs(x),
    "encoded": lambda model, x, given, z: model.encode(x, given).mean,
    "posterior": lambda model, x, given, z: posterior(model.encode(x, given), z),
    "prior": lambda model, x, given, z: model.prior(len(x), given).log_prob(z),
    "decoded": lambda model, x, given, z: model.decode(z, given).mean,
    "likelihood": lambda model, x, given, z: model.decode(z, given).log_prob(x),
}
DRAWN: dict[str, Callable[[Any, Tensor, Given], Tensor]] = {  # of (model, x, condition): one draw of what is averaged
    "elbo": lambda model, x, given: model.elbo(x, given),
    "prior_draw": lambda model, x, given: model.prior(len(x), given).sample(),
    "losses": lambda model, x, given: torch.stack(
        [sum(p.loss(Turn(x, Condition(given), step=LATE)).values()) for p in model.phases()]
    ),
}
DRAWS, LATE = 40, 10**6  # a step after every warm-up
SETTINGS = [  # (case, attribute, value): of training or estimation, which no output above is sure to show
    ("1/independent-label", "smoothing", 2.0),
    ("1/markov-label", "smoothing", 3.0),
    ("1/autoencoder", "noise", 0.0),
    ("1/autoencoder-conv-label", "noise", 0.5),
    ("1/ladder-vae", "objective.warmup", 500),
    ("1/ladder-vae-label", "objective.warmup", 20),
    ("1/ladder-vae-free-bits", "objective.warmup", 0),
    ("1/ladder-vae-free-bits", "objective.beta", 2.0),
    ("1/ladder-vae-free-bits", "objective.free_bits", 0.5),
    ("1/vae", "objective.beta", 1.0),
    ("1/vae", "objective.free_bits", 0.0),
    ("1/vae", "objective.warmup", 0),
    ("1/vae-beta", "objective.beta", 4.0),
    ("1/vae-kl-warmup", "objective.warmup", 20),
    ("1/vae-free-bits", "objective.free_bits", 0.5),
    ("1/vae-beta-kl-warmup-free-bits", "objective.beta", 0.5),
    ("1/vae-beta-kl-warmup-free-bits", "objective.free_bits", 0.25),
    ("1/vae-beta-kl-warmup-free-bits", "objective.warmup", 10),
    ("1/vae-iwae", "objective.draws", 7),
    ("1/vae-iwae-default", "objective.draws", 5),
    ("1/vae-dreg", "objective.draws", 5),
    ("1/vae-dreg-label", "objective.draws", 3),
    ("1/vae-bernoulli", "codes.relaxation", 0.5),
    ("1/vae-bernoulli-relaxation", "codes.relaxation", 0.7),
    ("1/vae-categorical", "codes.relaxation", 0.7),
    ("1/vae-categorical-label", "codes.relaxation", 0.5),
    ("2/ladder-vae", "objective.warmup", 500),
    ("2/ladder-vae-label", "objective.warmup", 20),
    ("2/ladder-vae-free-bits", "objective", ELBO(beta=2.0, warmup=0, free_bits=0.5)),
    ("2/vae-label", "objective", ELBO(beta=2.0, warmup=10)),
    ("2/independent", "smoothing", 2.0),
    ("2/independent", "name", "independent"),
    ("3/gan-label", "penalties", ()),
    ("3/gan-label", "game", NonSaturating()),
    ("3/gan", "game", Wasserstein()),
    ("3/dcgan-label", "name", "dcgan"),
    ("2/pixelrnn-row-label", "name", "pixelrnn-row"),
    ("2/pixelrnn-row-label", "arguments", {"network": RowPixelRNN(3, 2, 3, 5, 0.1)}),
]


def posterior(q: Distribution, z: Tensor) -> Tensor:
    """log q(z); a point may be a rounding away from where it was in another version of torch."""
    if not isinstance(q, PointMass):
        return q.log_prob(z)
    near = torch.isclose(q.mode, z.to(q.mode.dtype), rtol=1e-4, atol=1e-5).flatten(1).all(1)
    return torch.where(near, q.log_prob(q.mode), -math.inf)


def averaged(draw: Callable[[], Tensor], count: int = DRAWS) -> tuple[Tensor, Tensor]:
    """Mean of `count` draws and its standard error, which is 0 for what is not random. Their order does not matter."""
    torch.manual_seed(0)
    draws = torch.stack([draw().double() for _ in range(count)])
    error = draws.std(0, correction=0) / math.sqrt(max(1, count - 1))
    return draws.mean(0), torch.where((draws == draws[0]).all(0), 0, error)


def dropouts(model: nn.Module) -> Tensor:
    """The shares that layers drop in training, each of them once."""
    return torch.tensor(sorted({layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)}))


def expected_of(case: str) -> tuple[dict[str, Tensor], Tensor, Given]:
    """All that a version noted beside a model, and of it the items and their condition."""
    with np.load(CASES[case] / "expected.npz") as file:
        expected = {name: torch.from_numpy(values) for name, values in file.items()}
    given = {name.removeprefix("given_"): values for name, values in expected.items() if name.startswith("given_")}
    return expected, expected["x"], given


@torch.no_grad()
def computes_the_same(model: Model, case: str) -> None:
    expected, x, given = expected_of(case)
    z = expected.get("z", torch.empty(0))
    for name in [name for name in EXACT if name in expected]:
        found = EXACT[name](model, x, given, z).float()
        torch.testing.assert_close(found, expected[name], rtol=1e-4, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")


@torch.no_grad()
def averages_the_same(model: Model, case: str) -> None:
    expected, x, given = expected_of(case)
    for name in [name for name in DRAWN if name in expected]:
        theirs, their_error = expected[name].double(), expected[f"{name}_error"].double()
        count = DRAWS if their_error.any() else 1
        ours, our_error = averaged(lambda name=name: DRAWN[name](model, x, given), count)
        allowed = 6 * torch.hypot(our_error, their_error) + 1e-4 * theirs.abs() + 1e-5
        assert ((ours - theirs).abs() <= allowed).all(), f"{name}: {ours} for {theirs}, within {allowed}"


def test_every_saved_model_is_here():
    records = [json.loads((folder / "config.json").read_text()) for folder in CASES.values()]
    first, second, third = ([record for record in records if record["format"] == number] for number in (1, 2, 3))
    assert (len(first), len({record["type"] for record in first})) == (91, 23)  # all models of version 0.1.0
    assert (len(second), len({name for record in second for name in record["model"]})) == (33, 21)
    assert sorted(name for record in third for name in record["model"]) == ["gan", "gan", "gan", "vae"]


@pytest.mark.parametrize("case", LOADED)
def test_a_model_saved_before_computes_what_it_did(case):
    model = load(CASES[case])
    computes_the_same(model, case)
    averages_the_same(model, case)


@pytest.mark.parametrize("case", LOADED)
def test_a_model_saved_before_can_be_saved_anew(case, tmp_path):
    save(load(CASES[case]), tmp_path)
    computes_the_same(load(tmp_path), case)


@pytest.mark.parametrize("case", LOADED)
def test_a_model_saved_before_keeps_its_dropout(case):
    torch.testing.assert_close(dropouts(load(CASES[case])), expected_of(case)[0]["dropouts"])


@pytest.mark.parametrize(("case", "attribute", "value"), SETTINGS)
def test_a_model_saved_before_keeps_the_settings_of_its_training(case, attribute, value):
    assert operator.attrgetter(attribute)(load(CASES[case])) == value


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_that_cannot_be_carried_over_is_refused(case):
    with pytest.raises(ModelFileError, match=REFUSED[case]):
        load(CASES[case])
