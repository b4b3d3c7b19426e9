"""Whose word counts: the defaults, then the model's, then the user's; and what is no option is refused."""

import pytest
from small import SPECS, dataset, trained_in_steps

import simulacra as sim
from simulacra import registry
from simulacra.errors import UsageError
from simulacra.training.options import FREE_TO_CHANGE, Options, decisive, resolve
from simulacra.training.plan import make_plan


def test_the_users_word_goes_before_the_models_and_that_before_the_general_default():
    options = resolve({"batch": 32, "learning_rate": 4e-3, "steps": 100}, {"batch": 8})
    assert (options.batch, options.learning_rate, options.ema) == (8, 4e-3, Options().ema)


@pytest.mark.parametrize("budget", [{"steps": 7}, {"epochs": 2.0}, {"minutes": 0.5}, {"steps": 7, "minutes": 1.0}])
def test_a_budget_replaces_the_default_budget_whole(budget):
    options = resolve({"steps": 100, "epochs": 50}, budget)
    given = {name: getattr(options, name) for name in ("steps", "epochs", "minutes")}
    assert given == {"steps": None, "epochs": None, "minutes": None} | budget


def test_none_leaves_a_default_alone():
    assert resolve({"batch": 32, "steps": 100}, {"batch": None, "steps": None}) == Options(batch=32, steps=100)


@pytest.mark.parametrize(
    ("steps", "batch", "items", "suited"),
    [
        (1000, 32, 1258, 1000),  # 25 passes
        (1000, 32, 32_000, 5000),  # 5 passes
        (1000, 32, 10_000_000, 10_000),  # ten times as many
        (4000, 64, 320, 2500),  # 500 passes
        (4000, 64, 8, 400),  # a tenth
    ],
)
def test_a_default_budget_follows_the_number_of_items(steps, batch, items, suited):
    assert resolve({"steps": steps, "batch": batch}, {}, items).steps == suited
    assert resolve({"steps": steps}, {"batch": batch}, items).steps == suited
    assert resolve({"steps": steps}, {"steps": steps}, items).steps == steps
    assert resolve({"epochs": 3}, {}, items).steps is None


def test_an_unknown_option_gets_the_nearest():
    with pytest.raises(UsageError, match=r"no option 'learning_rat'. Did you mean 'learning_rate'"):
        resolve({}, {"learning_rat": 1})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({name: value}, f"{name} must be positive") for name in ("steps", "batch", "learning_rate") for value in (0, -1)]
    + [({"minutes": float("nan")}, "minutes must be positive"), ({"clip": 0.0}, "clip must be positive")]
    + [({"ema": 1.0}, "ema must be"), ({"ema": -0.1}, "ema must be")]
    + [({name: -1}, f"{name} must be at least 0, not -1") for name in ("warmup", "patience", "weight_decay")]
    + [({name: float("inf")}, f"{name} must be finite, not inf") for name in ("learning_rate", "epochs", "skip")]
    + [({"betas": (0.5, 1.0)}, "betas must be at least 0 and below 1, not 1.0"), ({"betas": (-0.1, 0.9)}, "not -0.1")]
    + [({"schedule": "linear"}, "constant or cosine"), ({"precision": "fp16"}, "fp32 or bf16")],
)
def test_values_out_of_range_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        resolve({"steps": 10}, wrong)


def test_the_defaults_of_a_model_are_options_like_those_of_a_user():
    for wrong, message in (({"stepz": 3}, "no option 'stepz'. Did you mean 'steps'"), ({"steps": -3}, "positive")):
        with pytest.raises(UsageError, match=message):
            resolve(wrong, {})


@pytest.mark.parametrize("entry", trained_in_steps(), ids=lambda entry: entry.name)
def test_the_defaults_of_every_model_are_options_and_end(entry):
    options = resolve(entry.defaults, {})
    assert options.steps or options.epochs or options.minutes


def test_what_decides_the_weights_is_on_record_and_nothing_else():
    record = decisive(Options(steps=5))
    assert not record.keys() & set(FREE_TO_CHANGE)
    assert record.keys() | set(FREE_TO_CHANGE) == Options.__dataclass_fields__.keys()
    assert decisive(Options(steps=5)) == decisive(Options(minutes=3.0, device="cpu"))
    assert decisive(Options(seed=1)) != decisive(Options(seed=2))


def plan(model, data, tmp_path, condition=(), **options):
    return make_plan(model, data, tmp_path / "run", condition, False, options)


def test_options_and_arguments_are_told_apart(tmp_path):
    made = plan("vae", dataset(SPECS["grey"]), tmp_path, latent=3, batch=16, steps=4)
    assert (made.model.arguments["latent"], made.options.batch, made.options.steps) == (3, 16, 4)
    assert not made.folder.path.exists()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"latnt": 3}, "vae has no option 'latnt'. Did you mean 'latent'"),
        ({"bach": 3}, "Did you mean 'batch'"),
        ({"condition": "label"}, "these data have no labels"),
        ({"latent": 0}, "latent cannot be 0"),
    ],
)
def test_a_wrong_plan_is_refused_before_anything_is_written(tmp_path, call, message):
    with pytest.raises(UsageError, match=message):
        sim.fit("vae", dataset(SPECS["grey"]), tmp_path / "run", **call)
    assert not (tmp_path / "run").exists()


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no model 'vea'. Did you mean 'vae'"):
        sim.fit("vea", dataset(SPECS["grey"]), tmp_path / "run")
    with pytest.raises(UsageError, match=r"no data set and no file called 'digts'. Did you mean 'digits'"):
        sim.fit("vae", "digts", tmp_path / "run")


def test_a_model_for_other_data_is_refused(tmp_path):
    model = registry.build("vae", SPECS["binary"], latent=2, network="dense:hidden=4")
    with pytest.raises(UsageError, match=r"the model is for 1×8×8, 2 levels, but made-up is 1×8×8, 17 levels"):
        sim.fit(model, dataset(SPECS["grey"]), tmp_path / "run")


def test_of_several_budgets_the_first_one_spent_ends_the_run(tmp_path):
    made = plan("vae", dataset(SPECS["grey"], (40, 5, 5)), tmp_path, batch=10, steps=100, epochs=2, minutes=1)
    assert made.spent(8, 8, 0.0) == 1  # 8 batches of 10 are 2 epochs of 40
    assert made.spent(4, 4, 0.0) == 0.5
    assert made.spent(1, 8, 0.0) == 1  # in however few steps
    assert made.spent(1, 1, 30.0) == 0.5
    assert made.spent(0, 0, 60.0) == 1
