"""The table of compositions in docs/adversarial.md is what the presets are."""

from pathlib import Path

import pytest
from small import small_arguments, suited

from simulacra import registry
from simulacra.adversarial import GAN
from simulacra.parts import called

PAGE = Path(__file__).parents[2] / "docs" / "adversarial.md"
COLUMNS = ("game", "generator", "critic", "penalties", "conditioning", "prior")
PRESETS = [entry for entry in registry.models() if entry.model is GAN and entry.family == "adversarial"]


def table() -> dict[str, str]:
    """The rows of the table, by preset."""
    lines = PAGE.read_text().split("## The history")[1].split("\n## ")[0].splitlines()
    return {line.split("`")[1]: line for line in lines if line.startswith("| `")}


def row_of(entry: registry.Entry) -> str:
    """What a preset is composed of, as a row."""
    model = entry.build(suited(entry, "grey-labelled"), **small_arguments(entry))
    given = model.arguments | {"penalties": model.penalties}
    cells = [", ".join(f"`{called(part)[1]}`" for part in _parts(given[column])) or "–" for column in COLUMNS]
    return f"| `{entry.name}` | {' | '.join(cells)} | {entry.paper} |"


def _parts(value) -> tuple:
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize("entry", PRESETS, ids=lambda entry: entry.name)
def test_a_preset_is_what_its_row_says(entry):
    assert table().get(entry.name) == row_of(entry), f"docs/adversarial.md needs the row\n{row_of(entry)}"


def test_every_row_is_a_preset():
    assert set(table()) <= {entry.name for entry in PRESETS}
