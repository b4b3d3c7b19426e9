"""Tables of text: numbers become coordinates, words become classes, and what is neither is named."""

import numpy as np
import pytest

import simulacra as sim
from simulacra.data import ClassLabel
from simulacra.errors import DataError
from simulacra.fields import Real

N = 40
ROWS = [(0.05 * i, 1 - i / 20, ("setosa", "virginica", "alba")[i % 3], 10 * (i % 2)) for i in range(N)]


def written(path, rows, names=("length", "width", "species", "class"), separator=","):
    lines = [separator.join(names), *(separator.join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def items(data) -> list[tuple]:
    """(x, species, class) of all items of all splits, sorted."""
    rows = [
        (*map(float, x), int(species), int(label))
        for split in data.splits
        for x, species, label in zip(split.x, split.field("species"), split.field("class"), strict=True)
    ]
    return sorted(rows)


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".csv", ";"), (".tsv", "\t")])
def test_a_table_is_a_data_set(tmp_path, suffix, separator):
    data = sim.data.load(written(tmp_path / f"flowers{suffix}", ROWS, separator=separator))
    assert data.spec.x == Real((2,))
    assert data.spec.condition == {
        "species": ClassLabel(3, ("alba", "setosa", "virginica")),
        "class": ClassLabel(2, ("0", "10")),
    }
    names = ("alba", "setosa", "virginica")
    expected = [(np.float32(a), np.float32(b), names.index(word), label // 10) for a, b, word, label in ROWS]
    assert items(data) == sorted(tuple(map(float, row)) for row in expected)


def test_a_table_without_names_and_without_classes(tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text("".join(f"{i},{i * i}\n\n" for i in range(N)))
    data = sim.data.load(path)
    assert (data.spec.x, data.spec.condition) == (Real((2,)), {})
    assert sum(len(split) for split in data.splits) == N


def test_a_model_is_fitted_to_it_from_the_command_line(tmp_path, capsys):
    from simulacra.cli import main

    path = written(tmp_path / "flowers.csv", ROWS)
    fit = f"fit vae {path} --condition species --steps 2 --network dense:hidden=4 --out {tmp_path / 'run'}"
    sample = f"sample {tmp_path / 'run'} -n 3 --given species=alba --out {tmp_path / 's.npz'}"
    assert main(fit.split()) == main(sample.split()) == 0
    assert np.load(tmp_path / "s.npz")["x"].shape == (3, 2)
    capsys.readouterr()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n", "no row of values"),
        ("a,a\n1,2\n", "two columns are called 'a'"),
        ("a,b\n1,2\n1\n", "line 3: 1 cells, where the first row has 2"),
        ("a,b\n1,2\n1,\n", "line 3: column 'b' is empty"),
        ("a,b\n1,2\n1,3\n1,x\n", "line 4: column 'b' is 'x' there, and no number"),
        ("a,b\n1,2\n1,3\n1,nan\n", "line 4: column 'b' is 'nan' there"),
        ("a,b\n1,p\n1,q\n1,r\n", "column 'b' holds 3 different words"),
        ("a,b\nx,p\nx,q\ny,q\n", "no column of numbers"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as refusal:
        sim.data.load(path)
    assert str(path) in str(refusal.value)
