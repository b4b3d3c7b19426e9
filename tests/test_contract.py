"""One suite for every registered model on every kind of data that it takes: what the verbs rely on."""

import copy
import inspect
import json

import numpy as np
import pytest
import torch
from small import SPECS, condition_of, items, randomise, same, small_arguments, small_model, turn, weights
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
    Prior,
    Sampler,
    abilities,
    can,
)
from simulacra.errors import UsageError
from simulacra.model import Model, constructor_arguments, load, save

METHODS = {
    "Density": ["log_prob"],
    "Bound": ["elbo", "log_prob_bound"],
    "Classifier": ["log_class_probs"],
    "Sampler": ["sample"],
    "Encoder": ["encode"],
    "Decoder": ["decode"],
    "Prior": ["prior"],
    "Chain": ["order", "log_each", "steps"],
    "Completer": ["complete"],
    "ClosedForm": ["estimate"],
}


def cases() -> list:
    found = []
    for entry in registry.models():
        for name, spec in SPECS.items():
            try:
                small_model(entry, spec)
            except UsageError:
                continue  # the model does not take such data, and has said so
            found.append(pytest.param(entry, spec, id=f"{entry.name}-{name}"))
    return found


CASES = cases()
every_model = pytest.mark.parametrize(("entry", "spec"), CASES)
once_each = pytest.mark.parametrize(("entry", "spec"), [case for case in CASES if case.id.endswith("-grey-labelled")])
SAMPLERS = [case for case in CASES if can(case.values[0].model, Sampler)]
every_sampler = pytest.mark.parametrize(("entry", "spec"), SAMPLERS)
labelled_sampler = pytest.mark.parametrize(("entry", "spec"), [case for case in SAMPLERS if case.values[1].condition])


def test_no_model_is_left_out():
    """A refusal of its arguments would be taken for one of the data."""
    assert {case.values[0].name for case in CASES} == {entry.name for entry in registry.models()}


def lively(entry, spec) -> Model:
    """A small model with weights so large, or counts so unequal, that its samples differ."""
    return randomise(small_model(entry, spec), 0.4, seed=2).eval()


def draw(model: Model, n: int = 5, seed: int = 0, condition=None) -> Tensor:
    given = condition_of(model.spec, n) if condition is None else condition
    return model.sample(n, given, generator=torch.Generator().manual_seed(seed))


def made(model: Model, n: int = 5, condition=None) -> Tensor:
    """What the model makes: draws, or of a model that draws nothing the decoded codes of fixed items."""
    if can(model, Sampler):
        return draw(model, n, condition=condition)
    given = condition_of(model.spec, n) if condition is None else condition
    return model.decode(model.encode(items(model.spec, n), given).mean, given).mean


def code(model: Model, n: int, condition) -> Tensor:
    """n codes that the model can decode: draws of its prior, or those of items."""
    return (model.prior(n, condition) if can(model, Prior) else model.encode(items(model.spec, n), condition)).sample()


def likelihoods(model: Model, x: Tensor, condition) -> list[Tensor]:
    """All that the model says of how probable the items are, with noise of a fixed seed."""
    found = []
    torch.manual_seed(1)
    if can(model, Density):
        found.append(model.log_prob(x, condition))
    if can(model, Bound):
        found += [model.elbo(x, condition), model.log_prob_bound(x, condition, samples=3)]
    return found


def test_every_registered_model_is_tested_with_and_without_labels():
    for entry in registry.models():
        taken = [case.values[1] for case in CASES if case.values[0] is entry]
        assert any(spec.condition for spec in taken), entry.name
        assert any(not spec.condition for spec in taken) != can(entry.model, Classifier), entry.name


@every_sampler
def test_samples_lie_on_the_grid(entry, spec):
    x = draw(lively(entry, spec), 7)
    assert x.shape == (7, *spec.shape)
    if spec.levels is None:
        assert x.is_floating_point()
        assert torch.isfinite(x).all()
    else:
        assert x.dtype == torch.uint8
        assert set(x.unique().tolist()) <= set(range(spec.levels))
    assert not torch.equal(x[0], x[3])  # of the same label


@every_sampler
def test_a_sample_follows_from_its_generator_alone(entry, spec):
    model = lively(entry, spec)
    torch.manual_seed(1)
    one = draw(model, seed=3)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(draw(model, seed=3), one)
    assert torch.equal(torch.get_rng_state(), state)  # and the global generator is left alone
    assert not torch.equal(draw(model, seed=4), one)


@labelled_sampler
def test_a_sample_does_not_depend_on_the_labels_of_the_others(entry, spec):
    model = lively(entry, spec).double()
    one = draw(model, 4, condition={"label": torch.tensor([0, 1, 2, 0])})
    other = draw(model, 4, condition={"label": torch.tensor([0, 2, 2, 1])})
    assert torch.equal(one[[0, 2]], other[[0, 2]])
    assert not torch.equal(one[[1, 3]], other[[1, 3]])


@every_model
def test_what_is_said_of_an_item_does_not_depend_on_the_others(entry, spec):
    """Codes, decoded items and exact likelihoods of a batch are those of its items one by one."""
    model, x, given = lively(entry, spec).double(), items(spec, 5), condition_of(spec, 5)

    def compare(what, *batches):
        together = what(*batches, given)
        for i in range(5):
            alone = what(*(batch[i : i + 1] for batch in batches), {k: v[i : i + 1] for k, v in given.items()})
            torch.testing.assert_close(alone[0], together[i], rtol=1e-9, atol=1e-9)

    if can(model, Density):
        compare(model.log_prob, x)
    if can(model, Classifier):
        compare(lambda x, c: model.log_class_probs(x), x)
    if can(model, Encoder):
        compare(lambda x, c: model.encode(x, c).mean, x)
    if can(model, Decoder):
        z = code(model, 5, given)
        compare(lambda z, c: model.decode(z, c).mean, z)


@every_model
def test_likelihoods_are_one_finite_number_an_item(entry, spec):
    model = lively(entry, spec)
    for nats in likelihoods(model, items(spec, 6), condition_of(spec, 6)):
        assert nats.shape == (6,)
        assert nats.dtype == torch.float32
        assert torch.isfinite(nats).all()
    if spec.levels is not None and (can(model, Density) or can(model, Bound)):
        assert (likelihoods(model, items(spec, 6), condition_of(spec, 6))[0] < 0).all()  # a mass is at most one


@every_model
def test_loss_terms_are_named_finite_float32_scalars_whatever_the_precision(entry, spec):
    model = small_model(entry, spec).train()
    assert bool(model.phases()) != can(model, ClosedForm)  # there is one way to fit it
    for enabled in (False, True):
        for phase in model.phases():
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                terms = phase.loss(turn(spec, 8))
            assert terms
            assert all(isinstance(name, str) and term.shape == () for name, term in terms.items())
            assert all(term.dtype == torch.float32 and torch.isfinite(term) for term in terms.values())


@every_model
def test_bf16_networks_hardly_move_the_likelihood(entry, spec):
    model, x, given = small_model(entry, spec), items(spec, 50), condition_of(spec, 50)
    with torch.no_grad():
        plain = likelihoods(model, x, given)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = likelihoods(model, x, given)
    for full, half in zip(plain, rounded, strict=True):
        assert half.dtype == torch.float32
        assert abs(spec.bits_per_dim((full - half).mean().item())) < 0.02


@every_model
def test_save_and_load_give_the_same_model(entry, spec, tmp_path):
    model = lively(entry, spec)
    save(model, tmp_path)
    again = load(tmp_path)
    assert type(again) is entry.model
    assert again.config() == model.config()
    assert again.spec == spec
    assert same(again.state_dict(), model.state_dict())
    assert not again.training
    assert torch.equal(made(again), made(model))
    given = condition_of(spec, 4)
    for one, other in zip(*(likelihoods(m, items(spec, 4), given) for m in (again, model)), strict=True):
        assert torch.equal(one, other)


@every_model
def test_recorded_arguments_build_an_equal_model(entry, spec):
    model = small_model(entry, spec)
    assert model.arguments.keys() == constructor_arguments(entry.model).keys()
    assert small_arguments(entry).items() <= model.arguments.items()
    record = json.loads(json.dumps(model.config()))
    assert record == model.config()
    torch.manual_seed(0)
    again = registry.build(record["type"], spec, **record["arguments"])
    assert same(again.state_dict(), model.state_dict())


@every_model
def test_a_phase_reaches_every_parameter_of_its_player_and_no_other(entry, spec):
    model = small_model(entry, spec).train()
    everyone = dict(model.named_parameters())
    for phase in model.phases():
        own = {id(parameter) for parameter in phase.player.parameters()}
        model.requires_grad_(False)
        phase.player.requires_grad_(True)
        model.zero_grad(set_to_none=True)
        torch.stack(list(phase.loss(turn(spec, 24)).values())).sum().backward()
        for name, parameter in everyone.items():
            reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
            assert reached == (id(parameter) in own), f"{name}: {'reached' if reached else 'never reached'}"


@every_model
def test_copies_are_equal_and_their_own(entry, spec):
    model = lively(entry, spec)
    for phase in model.phases()[:1]:
        torch.stack(list(phase.loss(turn(spec, 4)).values())).sum().backward()
    before, other = weights(model), copy.deepcopy(model)
    assert torch.equal(made(other), made(model))
    randomise(other, 1.0, seed=9)
    assert same(weights(model), before)
    assert other.arguments == model.arguments


@every_model
def test_a_parameter_that_can_be_reached_is_free(entry, spec):
    """A weight under a mask has no gradient and is not counted; many of the others have one at random weights."""
    model = randomise(small_model(entry, spec)).eval()
    moved = {parameter: torch.zeros_like(parameter, dtype=torch.bool) for parameter in model.parameters()}
    for phase in model.phases():
        model.zero_grad(set_to_none=True)
        torch.stack(list(phase.loss(turn(spec, 24)).values())).sum().backward()
        for parameter in phase.player.parameters():
            moved[parameter] |= parameter.grad != 0
    reached = sum(int(some.sum()) for some in moved.values())
    assert reached <= model.free_parameters()
    assert reached > 0.25 * model.free_parameters() or can(model, ClosedForm)


@every_model
def test_abilities_are_the_methods(entry, spec):
    model = small_model(entry, spec)
    assert METHODS.keys() == ABILITIES.keys()
    expected = [name for name, methods in METHODS.items() if all(hasattr(model, method) for method in methods)]
    assert abilities(model) == abilities(entry.model) == expected
    assert expected
    for name in expected:
        for method in METHODS[name]:
            wanted = inspect.signature(getattr(ABILITIES[name], method)).parameters
            own = inspect.signature(getattr(entry.model, method)).parameters
            assert list(own)[: len(wanted)] == list(wanted), f"{method} does not take what {name} promises"


@every_model
def test_an_argument_that_does_not_exist_is_a_type_error(entry, spec):
    with pytest.raises(TypeError, match="widht"):
        entry.model(spec, widht=3)


# Conditions


def conditional_calls(model: Model):
    """Everything that takes a condition, as functions of the condition and the number of items."""
    spec = model.spec
    if can(model, Sampler):
        yield lambda c, n=2: model.sample(n, c)
    if can(model, Density):
        yield lambda c, n=2: model.log_prob(items(spec, n), c)
    if can(model, Chain):
        yield lambda c, n=2: model.log_each(items(spec, n), c)
        yield lambda c, n=2: model.steps(n, c)
    if can(model, Completer):
        yield lambda c, n=2: model.complete(items(spec, n), torch.ones(spec.shape, dtype=torch.bool), c)
    if can(model, ClosedForm):
        yield lambda c, n=2: model.estimate([(items(spec, n), c)])
    if can(model, Bound):
        yield lambda c, n=2: model.elbo(items(spec, n), c)
        yield lambda c, n=2: model.log_prob_bound(items(spec, n), c, samples=2)
    if can(model, Encoder):
        yield lambda c, n=2: model.encode(items(spec, n), c)
    if can(model, Decoder):
        z = code(model, 2, condition_of(spec, 2))
        yield lambda c, n=2: model.decode(z[:n], c)


WRONG = [
    (None, "conditioned on 'label'; give condition="),
    ({}, "conditioned on 'label'; give condition="),
    ({"label": 3}, "label 3 does not exist: the labels are 0 to 2"),
    ({"label": -1}, "label -1 does not exist"),
    ({"label": torch.tensor([0, 7])}, "label 7 does not exist"),
    ({"label": "bb"}, "there is no class 'bb'"),
    ({"label": 0, "labl": 1}, "not conditioned on 'labl'.*Did you mean 'label'"),
    ({"label": torch.tensor([0, 1, 2])}, "3 values for 2 items"),
    ({"label": 1.5}, "label"),
    ({"label": [0.5, 1.5]}, "label"),
]


@once_each
@pytest.mark.parametrize(("condition", "message"), WRONG, ids=[str(condition) for condition, _ in WRONG])
def test_a_wrong_condition_is_refused_by_every_method(entry, spec, condition, message):
    for call in conditional_calls(small_model(entry, spec)):
        with pytest.raises(UsageError, match=message):
            call(condition)


@pytest.mark.parametrize(("entry", "spec"), [case for case in CASES if not case.values[1].condition])
def test_a_model_without_labels_refuses_one(entry, spec):
    for call in conditional_calls(small_model(entry, spec)):
        with pytest.raises(UsageError, match="not conditioned on 'label'"):
            call({"label": 1})


SPELLINGS = [1, "b", "1", [1], ["b"], np.int64(1), np.array([1, 1]), torch.tensor(1), torch.tensor([1, 1])]


@once_each
@pytest.mark.parametrize("label", SPELLINGS, ids=[f"{type(label).__name__} {label}" for label in SPELLINGS])
def test_a_label_may_be_given_in_any_spelling(entry, spec, label):
    model = lively(entry, spec)
    expected = made(model, 2, {"label": torch.tensor([1, 1])})
    assert torch.equal(made(model, 2, {"label": label}), expected)
