"""Every law of the contract, for every registered model on every kind of data it takes; and that laws can break."""

import pytest
import torch
from small import small_arguments
from torch import nn

import simulacra as sim
from simulacra import checks, registry
from simulacra.capabilities import Classifier, can
from simulacra.checks import LAWS, Case, cases, contract
from simulacra.data import ClassLabel, DataSpec, Levels
from simulacra.errors import UsageError

CONDITIONAL = ("acgan", "biggan", "cgan")  # presets of p(x | condition) alone
TWINS = (
    "binary-labelled",
    "colour",
    "vector",
    "grey-pictured",
    "grey-domains",
)  # of kinds that differ from these in their fields alone
LIKE = {"grey": "binary", "grey-labelled": "colour-labelled"}  # what is of both is in grey-mixed too
KINDS = {kind: spec for kind, spec in checks.SPECS.items() if kind not in TWINS}
DOMAINS = {"grey-domains": checks.SPECS["grey-domains"]}
SERIES = {kind: spec for kind, spec in KINDS.items() if kind.startswith("series")} | checks.OTHERS
OTHERS = {kind: spec for kind, spec in KINDS.items() if kind not in SERIES}
WALKERS = ("social-gan", "recurrent-mixture")


def kinds_of(entry):
    """To models that take any array of real numbers series are no kind of their own."""
    return DOMAINS if entry.name == "cyclegan" else SERIES if entry.family == "sequences" else OTHERS


def _told_apart(taken):
    """Without the kinds in which nothing is new to a model that takes their larger likeness."""
    kinds = {case.kind for case in taken}
    return [case for case in taken if LIKE.get(case.kind) not in kinds]


CASES = [
    case
    for entry in registry.models()
    for case in _told_apart(cases(entry.name, kinds_of(entry), **small_arguments(entry))[0])
]


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("case", CASES, ids=[f"{case.entry.name}-{case.kind}" for case in CASES])
def test_law(case, law):
    law(case)


def test_no_model_is_left_out():
    """A refusal of its arguments would be taken for one of the data."""
    assert {case.entry.name for case in CASES} == {entry.name for entry in registry.models()}


def test_every_registered_model_is_tested_with_and_without_labels():
    for entry in registry.models():
        specs = [case.spec for case in CASES if case.entry is entry]
        assert any(spec.condition for spec in specs), entry.name
        given = entry.name in (*CONDITIONAL, *WALKERS) or entry.family == "structured"
        needs_labels = can(entry.model, Classifier) or given
        assert any(not spec.condition for spec in specs) != needs_labels, entry.name


def test_every_model_that_can_is_tested_with_all_kinds_of_fields():
    mixed = {case.entry.name for case in CASES if case.kind in ("grey-mixed", "series-mixed", "clips-mixed")}
    counted = {
        "independent",
        "markov",
        "m2",
        "acgan",
        "rnade",
        "cyclegan",
        "stargan",
        *WALKERS,
    }  # they know classes alone, cyclegan and stargan no levels, and the last two scenes of people
    assert mixed == {entry.name for entry in registry.models()} - counted


# That a law can break: the smallest model of all, with one fault at a time


class Coin(sim.Model):
    """p(x) = Π σ(l)^x σ(-l)^(1-x)"""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        if spec.grid_levels != 2:
            raise UsageError("a coin has two sides")
        self.logits = nn.Parameter(torch.zeros(spec.shape))

    def log_prob(self, x, condition=None):
        self.conditioned(condition, len(x))
        return torch.where(x > 0, self.logits, -self.logits).sigmoid().log().flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, n, condition=None, temperature=1.0, generator=None):
        self.conditioned(condition, n)
        noise = torch.rand((n, *self.spec.shape), generator=generator, dtype=self.logits.dtype)
        return (noise < self.logits.sigmoid()).byte()

    def phases(self):
        return [sim.Phase(self, self.loss)]

    def loss(self, turn):
        return {"nats": -self.log_prob(turn.x, turn.condition).mean()}


SPECS = {"binary": DataSpec(Levels((1, 3, 3), 2))}


@pytest.fixture
def broken(monkeypatch):
    """The laws that a changed coin breaks."""

    def find(**changes) -> set[str]:
        table = dict(registry._entries)
        monkeypatch.setattr(registry, "_entries", table)
        sim.register("coin", paper="a test")(type("Changed", (Coin,), changes))
        found = contract("coin", SPECS)
        assert bool(found) == (not found.broken)
        return {each.law for each in found.broken}

    return find


def test_a_coin_keeps_the_contract(broken):
    assert broken() == set()


def no_generator(self, n, condition=None, temperature=1.0, generator=None):
    self.conditioned(condition, n)
    return torch.randint(2, (n, *self.spec.shape), dtype=torch.uint8)


def of_the_batch(self, x, condition=None):
    return Coin.log_prob(self, x, condition) - x.double().mean().to(self.logits.dtype).exp()


def blind(self, x, condition=None):
    return Coin.log_prob(self, x)


def one_for_all(self, turn):
    return {"nats": -self.log_prob(turn.x, turn.condition)}


def hidden_parameter(self, spec):
    Coin.__init__(self, spec)
    self.unused = nn.Parameter(torch.zeros(3))


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"sample": no_generator}, "a_sample_follows_from_its_generator_alone"),
        ({"log_prob": of_the_batch}, "an_item_does_not_depend_on_the_others"),
        ({"log_prob": blind}, "a_model_without_labels_refuses_one"),
        ({"loss": one_for_all}, "loss_terms_are_named_finite_scalars_in_any_precision"),
        ({"__init__": hidden_parameter}, "a_phase_reaches_every_parameter_of_its_player_and_no_other"),
    ],
)
def test_a_fault_breaks_its_law(broken, changes, law):
    assert law in broken(**changes)


def test_a_report_says_what_is_broken_and_what_is_refused(broken):
    broken(sample=no_generator)
    text = str(contract("coin", SPECS | {"grey": DataSpec(Levels((1, 3, 3), 5))}))
    assert "BREAKS the contract" in text
    assert "the same generator gives other samples" in text
    assert "refused grey: a coin has two sides" in text


def test_a_case_has_conditions_of_all_kinds():
    case = next(case for case in CASES if case.kind == "grey-mixed")
    assert case.condition(4).keys() == case.spec.columns.keys()
    labelled = Case(case.entry, "x", DataSpec(case.spec.x, {"label": ClassLabel(3)}))
    assert labelled.condition(4)["label"].tolist() == [0, 1, 2, 0]


def test_an_argument_that_the_model_has_not_is_refused():
    with pytest.raises(UsageError, match="vae has no argument 'widht'"):
        contract("vae", widht=3)
