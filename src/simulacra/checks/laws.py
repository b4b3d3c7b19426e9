"""What every verb relies on: laws of samples, likelihoods, copies, saved models, and of what is refused."""

from __future__ import annotations

import copy
import inspect
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulacra import registry
from simulacra.capabilities import (
    ABILITIES,
    Bound,
    Chain,
    Classifier,
    ClosedForm,
    Completer,
    Decoder,
    Density,
    Encoder,
    Forecaster,
    Inverter,
    Prior,
    Sampler,
    Translator,
    Weighted,
    abilities,
    can,
)
from simulacra.checks.cases import Case, condition_of, items_of, randomised
from simulacra.checks.law import law
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import NotSupported, UsageError
from simulacra.fields import Paths
from simulacra.model import Model, load, save
from simulacra.parts import to_json
from simulacra.schema import arguments
from simulacra.turns import Turn

WRONG_LABELS: list[tuple[Any, str]] = [
    (None, "give condition="),
    ({}, "give condition="),
    ({"label": 3}, "label 3 does not exist: the labels are 0 to 2"),
    ({"label": -1}, "label -1 does not exist"),
    ({"label": torch.tensor([0, 7])}, "label 7 does not exist"),
    ({"label": "bb"}, "there is no class 'bb'"),
    ({"label": 0, "labl": 1}, "not conditioned on 'labl'"),
    ({"label": torch.tensor([0, 1, 2])}, "3 values for 2 items"),
    ({"label": 1.5}, "label"),
    ({"label": [0.5, 1.5]}, "label"),
]
LABELLED = ("grey-labelled", "colour-labelled")  # kinds with these labels for which models are asked all of this
SPELLINGS = [1, "b", "1", [1], ["b"], np.int64(1), np.array([1, 1]), torch.tensor(1), torch.tensor([1, 1])]


def draw(model: Model, n: int = 5, seed: int = 0, condition: Any = None) -> Tensor:
    """n draws with noise of a seed."""
    given = condition_of(model.spec, n) if condition is None else condition
    assert isinstance(model, Sampler)
    return model.sample(n, given, generator=torch.Generator().manual_seed(seed))


def made(model: Model, n: int = 5, condition: Any = None) -> Tensor:
    """What the model makes: draws, or where it draws nothing the translations or decoded codes of fixed items."""
    if can(model, Sampler):
        return draw(model, n, condition=condition)
    given = condition_of(model.spec, n) if condition is None else condition
    if isinstance(model, Translator):
        return model.translate(items_of(model.spec, n), given)
    assert isinstance(model, Encoder)
    assert isinstance(model, Decoder)
    return model.decode(model.encode(items_of(model.spec, n), given).mean, given).mean


def code(model: Any, n: int, condition: Any) -> Tensor:
    """n codes that the model can decode: draws of its prior, or those of items."""
    p = model.prior(n, condition) if can(model, Prior) else model.encode(items_of(model.spec, n), condition)
    return p.sample()


def likelihoods(model: Any, x: Tensor, condition: Any) -> list[Tensor]:
    """All that the model says of how probable the items are, with noise of a fixed seed."""
    found = []
    torch.default_generator.manual_seed(1)
    if can(model, Density):
        found.append(model.log_prob(x, condition))
    if can(model, Bound):
        found.append(model.elbo(x, condition))
    if can(model, Weighted):
        found.append(model.log_prob_bound(x, condition, samples=3))
    return found


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@law
def samples_lie_on_the_grid(case: Case) -> None:
    if not can(case.entry.model, Sampler):
        return
    x, levels = draw(case.lively(), 36), case.spec.levels
    assert x.shape == (36, *case.spec.shape), f"samples have the shape {tuple(x.shape)}"
    if levels is None:
        assert x.is_floating_point(), "samples of continuous data are no real numbers"
        assert torch.isfinite(x).all(), "samples are not finite"
    else:
        assert x.dtype == torch.uint8, f"samples on a grid are {x.dtype}, not bytes"
        assert int(x.max()) < levels, "samples lie beyond the grid"
    assert (x[::3] != x[0]).any(), "all samples of one condition are the same"


@law
def translations_lie_on_the_grid_and_depend_on_the_domain(case: Case) -> None:
    if not can(case.entry.model, Translator):
        return
    model: Any = case.lively()
    x, levels = case.items(6), case.spec.levels
    every = [model.translate(x, case.condition(6 + shift).rows(slice(shift, None))) for shift in (0, 1)]
    for made in every:
        assert made.shape == x.shape, f"translations of {tuple(x.shape)} have the shape {tuple(made.shape)}"
        assert made.dtype == x.dtype, f"translations are {made.dtype}, and items {x.dtype}"
        assert levels is None or int(made.max()) < levels, "translations lie beyond the grid"
    assert not _equal(*every), "a translation does not depend on its domain"


@law
def a_forecast_follows_from_its_own_past_and_its_noise(case: Case) -> None:
    """Whole futures of any length, which neither the noise of another seed nor the past of another item enters."""
    if not can(case.entry.model, Forecaster):
        return
    model: Any = case.lively()
    for own, given, steps in _pasts(case.spec, case.items(4), case.items(4, seed=1)):
        step = own.shape[2:]
        one, again, other = (
            model.forecast(own, steps, given, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
        )
        assert one.shape == (4, steps, *step), f"{steps} steps have the shape {tuple(one.shape)}"
        assert one.dtype == own.dtype, f"a past of {own.dtype} has a future of {one.dtype}"
        assert torch.isfinite(one.float()).all(), "a future has values that are not finite"
        assert torch.equal(one, again), "the same noise gives another future"
        assert not torch.equal(one, other), "other noise gives the same future"
        changed = own.clone()
        changed[1:] = own[:-1]
        mixed = model.forecast(changed, steps, given, torch.Generator().manual_seed(0))
        assert torch.allclose(mixed[0].float(), one[0].float(), atol=1e-4), "the pasts of others change a future"


def _pasts(spec: DataSpec, *items: torch.Tensor) -> Iterator[tuple[torch.Tensor, Condition, int]]:
    """Pasts (N, P, ...), what is given beside them, and how many steps of a future: of any length for series, of what
    was fitted for people, whose past is the condition."""
    given = condition_of(spec, len(items[0]))
    if isinstance(spec.x, Paths):
        (name,) = spec.condition
        past, mask = given[name].transpose(1, 2), given[f"{name}.mask"] | True
        yield past, Condition({"mask": mask}), spec.shape[1]
        return
    past = torch.cat(items, dim=1)
    for length, steps in ((1, 1), (3, spec.shape[0] + 2), (past.shape[1], 2)):
        yield past[:, -length:], given, steps


@law
def a_sample_follows_from_its_generator_alone(case: Case) -> None:
    if not can(case.entry.model, Sampler):
        return
    model = case.lively()
    torch.default_generator.manual_seed(1)
    one = draw(model, seed=3)
    torch.default_generator.manual_seed(2)
    state = torch.get_rng_state()
    assert _equal(draw(model, seed=3), one), "the same generator gives other samples"
    assert torch.equal(torch.get_rng_state(), state), "sampling drew from the global generator"
    assert not _equal(draw(model, seed=4), one), "another generator gives the same samples"


@law
def a_sample_does_not_depend_on_the_conditions_of_the_others(case: Case) -> None:
    if not can(case.entry.model, Sampler) or list(case.spec.condition) != ["label"]:
        return
    model = case.lively().double()
    count = model.spec.classes(case.entry.name)["label"].count
    labels, every_second = torch.arange(12) % count, torch.arange(12) % 2 == 1
    one = draw(model, 12, condition={"label": labels})
    other = draw(model, 12, condition={"label": torch.where(every_second, (labels + 1) % count, labels)})
    assert _equal(one[~every_second], other[~every_second]), "a sample changes with the labels of the others"
    assert not _equal(one[every_second], other[every_second]), "a sample does not change with its own label"


@law
def an_item_does_not_depend_on_the_others(case: Case) -> None:
    """Codes, decoded items and exact likelihoods of a batch are those of its items one by one."""
    model: Any = case.lively().double()
    x, given = case.items(3), case.condition(3)

    @torch.no_grad()
    def compare(what: Callable[..., Tensor], *batches: Tensor) -> None:
        together = what(*batches, given)
        for i in range(3):
            alone = what(*(batch[i : i + 1] for batch in batches), given.rows(slice(i, i + 1)))
            torch.testing.assert_close(alone[0], together[i], rtol=1e-9, atol=1e-9)

    if can(model, Density):
        compare(model.log_prob, x)
    if can(model, Translator):
        compare(model.translate, x)
    if can(model, Classifier):
        compare(lambda x, c: model.log_class_probs(x), x)
    if can(model, Encoder):
        compare(lambda x, c: model.encode(x, c).mean, x)
    if can(model, Decoder):
        compare(lambda z, c: model.decode(z, c).mean, code(model, 3, given))


@law
def a_search_for_codes_ends_at_the_error_that_it_reports(case: Case) -> None:
    """And it follows from its generator alone."""
    if not can(case.entry.model, Inverter):
        return
    model: Any = case.lively()
    x, given, spec = case.items(3), case.condition(3), case.spec
    one, again = (model.invert(x, given, steps=2, starts=2, generator=torch.Generator().manual_seed(1)) for _ in "12")
    assert _equal(one.z, again.z), "the same generator finds other codes"
    assert one.z.shape == (3, *model.code_shape), f"codes of shape {tuple(one.z.shape)}"
    gap = model.decode(one.z, given).mean.double() - x.double()
    left = (gap / (1 if spec.levels is None else spec.levels - 1)).square().flatten(1).mean(1).sqrt()
    torch.testing.assert_close(one.error.double(), left, rtol=1e-3, atol=1e-3)


@law
def likelihoods_are_one_finite_number_an_item(case: Case) -> None:
    found = likelihoods(case.lively(), case.items(6), case.condition(6))
    for nats in found:
        assert nats.shape == (6,), f"a likelihood has the shape {tuple(nats.shape)}, not one number an item"
        assert nats.dtype == torch.float32, f"a likelihood is {nats.dtype}"
        assert torch.isfinite(nats).all(), "a likelihood is not finite"
    if case.spec.levels is not None and found:
        assert (found[0] < 0).all(), "a mass on the grid is larger than one"


@law
def loss_terms_are_named_finite_scalars_in_any_precision(case: Case) -> None:
    model = case.model().train()
    assert bool(model.phases()) != can(model, ClosedForm), "a model has phases, or is in closed form"
    for enabled in (False, True):
        for phase in model.phases():
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                terms = phase.loss(Turn(case.items(8), case.condition(8)))
            assert terms, "a loss has no terms"
            for name, term in terms.items():
                assert term.shape == (), f"term {name!r} of the loss has the shape {tuple(term.shape)}"
                assert term.dtype == torch.float32, f"term {name!r} of the loss is {term.dtype}"
                assert torch.isfinite(term), f"term {name!r} of the loss is not finite"


@law
def a_bf16_network_hardly_moves_the_likelihood(case: Case) -> None:
    if not any(can(case.entry.model, ability) for ability in (Density, Bound, Weighted)):
        return
    model, x, given = case.model(), case.items(50), case.condition(50)
    with torch.no_grad():
        plain = likelihoods(model, x, given)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = likelihoods(model, x, given)
    for full, half in zip(plain, rounded, strict=True):
        assert half.dtype == torch.float32, "a likelihood is computed in half precision"
        moved = abs(case.spec.bits_per_dim((full - half).mean().item()))
        assert moved < 0.02, f"half precision moves the likelihood by {moved:.3f} bits/dim"


@law
def save_and_load_give_the_same_model(case: Case) -> None:
    model = case.lively()
    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder))
        again = load(folder)
    assert type(again) is type(model), "another class is loaded"
    assert again.config() == model.config(), "another config is loaded"
    assert again.spec == case.spec, "another spec is loaded"
    assert _same(again.state_dict(), model.state_dict()), "other weights are loaded"
    assert not again.training, "a loaded model is in training mode"
    assert _equal(made(again), made(model)), "the loaded model makes other items"
    given = case.condition(4)
    for one, other in zip(*(likelihoods(m, case.items(4), given) for m in (again, model)), strict=True):
        assert _equal(one, other), "the loaded model gives other likelihoods"


@law
def recorded_arguments_build_an_equal_model(case: Case) -> None:
    model = case.model()
    assert model.arguments.keys() == arguments(type(model), without=("spec",)).keys(), "an argument is not recorded"
    record = json.loads(json.dumps(model.config()))
    assert record == model.config(), "the config changes as JSON"
    ((name, recipe),) = record["model"].items()
    torch.default_generator.manual_seed(0)
    again = registry.build(name, case.spec, **recipe)
    assert _same(again.state_dict(), model.state_dict()), "the recipe and the seed make other weights"
    assert to_json(again.arguments) == to_json(model.arguments), "the recipe makes other arguments"


@law
def copies_are_equal_and_their_own(case: Case) -> None:
    model = case.lively()
    for phase in model.phases()[:1]:
        torch.stack(list(phase.loss(Turn(case.items(4), case.condition(4))).values())).sum().backward()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    other = copy.deepcopy(model)
    assert _equal(made(other), made(model)), "a copy makes other items"
    randomised(other, 1.0, seed=9)
    assert _same(model.state_dict(), before), "a copy shares weights with the model"
    assert other.arguments == model.arguments, "a copy has other arguments"


@law
def abilities_are_the_methods_with_their_signatures(case: Case) -> None:
    model = case.model()
    assert abilities(model) == case.abilities, "the preset declares a class with other abilities"
    assert case.abilities, "the model can do nothing"
    for name in case.abilities:
        protocol = ABILITIES[name].protocol
        for method in [
            each for each in vars(protocol) if not each.startswith("_") and callable(getattr(protocol, each))
        ]:
            wanted = inspect.signature(getattr(protocol, method)).parameters
            own = inspect.signature(getattr(type(model), method)).parameters
            assert list(own)[: len(wanted)] == list(wanted), f"{method} does not take what {name} promises"


@law
def an_argument_that_does_not_exist_is_a_type_error(case: Case) -> None:
    try:
        case.entry.build(case.spec, no_such_argument=3)
    except TypeError:
        return
    raise AssertionError("an argument that does not exist is taken")


def conditional_calls(model: Any) -> list[Callable[..., Any]]:
    """Everything that takes a condition, as functions of the condition for two items."""
    spec, x = model.spec, items_of(model.spec, 2)
    mask = torch.ones(spec.shape, dtype=torch.bool)
    calls = {
        Sampler: [lambda c: model.sample(2, c)],
        Density: [lambda c: model.log_prob(x, c)],
        Chain: [lambda c: model.log_each(x, c), lambda c: model.steps(2, c)],
        Completer: [lambda c: model.complete(x, mask, c)],
        ClosedForm: [lambda c: model.estimate([(x, c)])],
        Bound: [lambda c: model.elbo(x, c)],
        Weighted: [lambda c: model.log_prob_bound(x, c, samples=2)],
        Encoder: [lambda c: model.encode(x, c)],
        Inverter: [lambda c: model.invert(x, c, steps=1, starts=1)],
        Translator: [lambda c: model.translate(x, c)],
        Decoder: [lambda c: model.decode(z, c)],
    }
    z = code(model, 2, condition_of(spec, 2)) if can(model, Decoder) else None
    return [call for ability, some in calls.items() if can(model, ability) for call in some]


def _refuses(call: Callable[[Any], Any], condition: Any, phrase: str) -> None:
    refusal = None
    try:
        call(condition)
    except UsageError as error:
        refusal = error
    assert refusal is not None, f"the condition {condition} is taken"
    assert not isinstance(refusal, NotSupported), f"{condition} is refused as if the ability were missing"
    assert phrase in str(refusal), f"{condition} is refused with {str(refusal)!r}, which does not say {phrase!r}"


@law
def a_wrong_condition_is_refused_by_every_method(case: Case) -> None:
    if case.kind not in LABELLED:
        return
    calls = conditional_calls(case.model())
    for condition, phrase in WRONG_LABELS:
        for call in calls:
            _refuses(call, condition, phrase)


def calls_with(model: Any, x: Any, z: Any) -> list[Callable[..., Any]]:
    """Every method that takes items x, and the decoder of codes z."""
    spec = model.spec
    given = condition_of(spec, 2)
    mask = torch.ones(spec.shape, dtype=torch.bool)
    calls = {
        Density: [lambda: model.log_prob(x, given)],
        Chain: [lambda: model.log_each(x, given)],
        Completer: [lambda: model.complete(x, mask, given)],
        Classifier: [lambda: model.log_class_probs(x)],
        Bound: [lambda: model.elbo(x, given)],
        Weighted: [lambda: model.log_weights(x, given), lambda: model.log_prob_bound(x, given)],
        Encoder: [lambda: model.encode(x, given)],
        Inverter: [lambda: model.invert(x, given, steps=1, starts=1)],
        Translator: [lambda: model.translate(x, given)],
    }
    found = [call for ability, some in calls.items() if x is not None and can(model, ability) for call in some]
    return [*found, lambda: model.decode(z, given)] if z is not None and can(model, Decoder) else found


def _refused_at_the_border(call: Callable[[], Any], what: str) -> None:
    refusal = None
    try:
        call()
    except UsageError as error:
        refusal = error
    assert refusal is not None, f"{what} are taken"
    assert not isinstance(refusal, NotSupported), f"{what} are refused as if the ability were missing"


@law
def items_of_another_shape_type_or_grid_are_refused_by_every_method(case: Case) -> None:
    model, x, levels = case.model(), case.items(2), case.spec.levels
    wrong: dict[str, Any] = {
        "items that are larger by one": torch.nn.functional.pad(x, (0, 1)),
        "items without a batch axis": x[0],
        "items as an array": x.numpy(),
        "items of another type": x.float() if levels is not None else x.long(),
    }
    if levels is None:
        wrong["items that are not finite"] = torch.full_like(x, float("nan"))
    else:
        wrong["items beyond the grid"] = torch.full_like(x, levels)
        wrong["items below the grid"] = torch.full_like(x, -1, dtype=torch.int64)
    for what, given in wrong.items():
        for call in calls_with(model, given, None):
            _refused_at_the_border(call, what)


@law
def codes_of_another_shape_are_refused(case: Case) -> None:
    if not can(case.entry.model, Decoder):
        return
    model = case.model()
    z = code(model, 2, condition_of(case.spec, 2))
    wrong = {
        "codes that are larger by one": torch.cat([z, z[..., :1]], dim=-1),
        "codes as an array": z.detach().numpy(),
        "codes that are not finite": torch.full_like(z.float(), float("nan")),
    }
    for what, given in wrong.items():
        for call in calls_with(model, None, given):
            _refused_at_the_border(call, what)


@law
def counts_temperatures_and_masks_that_are_none_are_refused(case: Case) -> None:
    model: Any = case.model()
    given = condition_of(case.spec, 2)
    if can(model, Sampler):
        for n in (0, -1, 2.5, "2"):
            _refused_at_the_border(lambda n=n: model.sample(n, given), f"{n!r} samples")
        for temperature in (0.0, float("nan"), "1"):
            _refused_at_the_border(lambda t=temperature: model.sample(2, given, t), f"a temperature {temperature!r}")
    if can(model, Completer):
        for mask in (torch.ones(7, dtype=torch.bool), None, torch.zeros(case.spec.shape)):
            _refused_at_the_border(lambda mask=mask: model.complete(case.items(2), mask, given), "masks")


@law
def a_model_without_labels_refuses_one(case: Case) -> None:
    if case.spec.condition:
        return
    for call in conditional_calls(case.model()):
        _refuses(call, {"label": 1}, "not conditioned on 'label'")


@law
def a_label_may_be_given_in_any_spelling(case: Case) -> None:
    if case.kind not in LABELLED:
        return
    model, x = case.lively(), case.items(2)

    def says(label: Any) -> Tensor:
        found = likelihoods(model, x, {"label": label})
        return found[0] if found else made(model, 2, {"label": label})

    expected = says(torch.tensor([1, 1]))
    for label in SPELLINGS:
        assert _equal(says(label), expected), f"the label {label!r} is read as another"
