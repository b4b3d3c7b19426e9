"""Two processes are one: the same global batch gives the same weights, to rounding; and a run of two goes on."""

import json
from pathlib import Path

import pytest
from launching import launched, once, refuse_unless_well
from on_ranks import CASES, trained
from safetensors.torch import load_file
from small import same, saved_weights
from test_skip import HERE

SCRIPT = Path(__file__).parent / "on_ranks.py"
FROM_ZERO = ("r3gan", "videogan")  # of biases that are a few updates, each a difference that Adam divides by its size


def both(folder: Path) -> None:
    """A run whose second process is killed, with what the processes say; then its continuation, and everything else."""
    done = launched(SCRIPT, folder, "kill")
    assert done.returncode != 0
    (folder / "left alone.txt").write_text(done.stderr)
    refuse_unless_well(launched(SCRIPT, folder))


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    return once(tmp_path_factory, "ranks", both)


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_are_one_rank_on_the_same_batch(runs, case):
    two, one = load_file(runs / f"{case}.safetensors"), trained(case, HERE)
    assert two.keys() == one.keys()
    for name, tensor in one.items():
        least = 1e-2 if name.startswith("term") else 1e-3  # a term may be a difference; what began at zero Adam moves
        size = max(tensor.double().norm(), least * tensor.numel() ** 0.5)
        gap = (two[name].double() - tensor.double()).norm()
        assert gap <= (1e-4 if case in FROM_ZERO else 1e-5) * size, f"{name}: {gap / size:.2g}"


def test_a_process_that_is_left_alone_says_what_to_do(runs):
    said = (runs / "left alone.txt").read_text()
    assert "another process of this run has ended" in said
    assert "the same command continues" in said


def test_a_run_of_two_that_was_killed_goes_on_bitwise(runs):
    assert same(saved_weights(runs / "killed"), saved_weights(runs / "straight"))
    one, other = (
        load_file(runs / run / "checkpoints/step-00000005/state.safetensors") for run in ("killed", "straight")
    )
    assert same(one, other)
    assert "is continued at step 2" in (runs / "killed.txt").read_text()


def test_a_finished_run_of_two_is_returned_as_it_is(runs):
    lines = (runs / "straight.txt").read_text().splitlines()
    lines = [line for line in lines if "number of processes" not in line]
    assert len(lines) == 3
    assert all("is finished at step 5" in line for line in lines[1:])
    assert json.loads((runs / "straight" / "run.json").read_text())["finished"]["steps"] == 5


def test_it_is_said_that_dropout_depends_on_the_number_of_processes(runs):
    assert "depend on the number of processes (2), as each draws its own dropout" in (runs / "straight.txt").read_text()


def test_a_failure_of_one_rank_is_one_of_all(runs):
    for rank in (0, 1):
        assert "not finite at step 0: term 'push' of loss" in (runs / f"failure-{rank}.txt").read_text()
