"""A judge is handed in, and picks the weights that are kept; without one they are the last."""

import json
import math

import pytest
from small import SPECS, dataset, same, saved_weights

import simulacra as sim
from simulacra.training import Verdict, fit

OPTIONS = {"latent": 2, "network": "dense:hidden=8,dropout=0.1", "batch": 8, "every": 2, "ema": 0.0}


class Scripted:
    """Verdicts in their order, whatever the model; records the steps."""

    def __init__(self, *values: float, **given) -> None:
        self.values, self.given, self.count = values, given, 0

    def __call__(self, model, data, seed):
        self.count += 1
        return Verdict("valid_distance", self.values[self.count - 1], **self.given)


def run(out, *values, given=None, **options):
    judge = Scripted(*values, **(given or {}))
    model = fit("vae", dataset(SPECS["grey"]), out, judge=judge, **(OPTIONS | options))
    return judge, model, json.loads((out / "run.json").read_text())["finished"]


@pytest.mark.parametrize(
    ("value", "error", "better"), [(1.9, 0.0, True), (2.0, 0.0, False), (2.1, 0.2, True), (2.3, 0.2, False)]
)
def test_the_newest_within_one_error_of_the_lowest_is_kept(value, error, better):
    assert Verdict("x", value, error).better_than(Verdict("x", 2.0)) is better


def test_errors_do_not_add_up():
    """However often a figure rises by less than the noise, what is kept stays within one error of the lowest."""
    best = None
    for value in (2.0, 2.15, 2.3, 2.45, 2.1, 1.9, 2.05, 2.2):
        verdict = Verdict("x", value, 0.2)
        best = verdict.after(best) if verdict.better_than(best) else best
    assert (best.value, best.lowest) == (2.05, 1.9)


def test_any_number_is_better_than_none_and_none_is_better_than_a_number():
    assert Verdict("x", 5.0).better_than(None)
    assert Verdict("x", 5.0).better_than(Verdict("x", math.nan))
    assert not Verdict("x", math.nan).better_than(Verdict("x", 5.0))


def test_of_models_that_noise_cannot_tell_apart_the_newest_is_kept(tmp_path):
    values = (3.0, 2.0, 1.9, 2.0, 2.2)
    _, _, exact = run(tmp_path / "exact", *values, steps=10)
    _, kept, noisy = run(tmp_path / "noisy", *values, given={"error": 0.2}, steps=10)
    assert (exact["best_step"], noisy["best_step"]) == (6, 8)
    assert noisy["judge"] == {"name": "valid_distance", "value": 2.0}
    assert noisy["valid_bits_per_dim"] is None
    _, short, _ = run(tmp_path / "short", 3.0, 2.0, 1.9, 2.0, given={"error": 0.2}, steps=8)
    assert same(kept.state_dict(), short.state_dict())
    card = (tmp_path / "noisy" / "model" / "card.md").read_text()
    assert "validation: distance 2 on the validation split at step 8" in card


def test_a_judge_that_may_not_stop_a_run_does_not(tmp_path):
    rising = tuple(range(10))
    stopped, _, record = run(tmp_path / "stops", *rising, steps=20, patience=2)
    assert (stopped.count, record["stopped_by"]) == (3, "patience")
    going, _, record = run(tmp_path / "goes-on", *rising, given={"stops": False}, steps=20, patience=2)
    assert (going.count, record["stopped_by"], record["best_step"]) == (10, "budget", 2)


def test_whether_a_run_was_still_learning_is_on_record(tmp_path):
    """The lowest figure fell by a twentieth of all that was gained, and by more than the noise, in the last fifth."""
    falling = (10.0, 8.0, 6.0, 4.0, 2.0)
    _, _, record = run(tmp_path / "falls", *falling, steps=10)
    assert (record["still_learning"], record["gain_of_last_fifth"]) == (True, 2.0)
    _, _, record = run(tmp_path / "flat", 10.0, 2.0, 1.9, 2.0, 1.85, steps=10)
    assert (record["still_learning"], record["gain_of_last_fifth"]) == (False, pytest.approx(0.05))
    _, _, record = run(tmp_path / "noisy", *falling, given={"error": 3.0}, steps=10)
    assert not record["still_learning"]
    run(tmp_path / "parts", *falling[:3], steps=6)
    _, _, record = run(tmp_path / "parts", *falling[3:], steps=10)
    assert (record["still_learning"], record["gain_of_last_fifth"]) == (True, 2.0)


def test_a_resumed_run_remembers_the_best(tmp_path):
    run(tmp_path / "run", 3.0, 1.0, steps=4)
    _, _, record = run(tmp_path / "run", 2.0, 1.5, steps=8)
    assert (record["best_step"], record["judge"]["value"]) == (4, 1.0)


def test_without_a_judge_the_last_weights_are_kept_and_the_card_says_so(tmp_path):
    fit("vae", dataset(SPECS["grey"]), tmp_path / "one", steps=6, **OPTIONS)
    finished = json.loads((tmp_path / "one" / "run.json").read_text())["finished"]
    assert (finished["best_step"], finished["judge"]) == (6, None)
    assert (
        "validation: none, so these are the newest weights, of step 6"
        in (tmp_path / "one" / "model" / "card.md").read_text()
    )
    run(tmp_path / "two", 3.0, 2.0, 1.0, steps=6)
    assert same(saved_weights(tmp_path / "one"), saved_weights(tmp_path / "two"))


def test_the_front_door_hands_in_the_usual_judge(tmp_path):
    sim.fit("dcgan", dataset(SPECS["grey"], (40, 20, 12)), tmp_path, steps=4, batch=8, every=2, width=4)
    finished = json.loads((tmp_path / "run.json").read_text())["finished"]
    assert finished["judge"]["name"] == "valid_frechet_distance"
    assert finished["judge"]["value"] > 0
