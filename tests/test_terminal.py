"""Nothing that a stranger has named steers the terminal, and what steers it on purpose still does."""

import io
import sys

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from simulacra.cli import main
from simulacra.errors import SimulacraError
from simulacra.terminal import escaping, number_of, printable, steering

HOSTILE = "cat\x1b[2J\x07\r\x9b31m\u202egnp"


def test_control_characters_are_spelled_out_and_letters_are_not():
    assert printable(HOSTILE) == r"cat\x1b[2J\x07\x0d\x9b31m\u202egnp"
    assert printable("Ümläut ×\t1\n") == "Ümläut ×\t1\n"
    assert printable("a\tb\n", one_line=True) == r"a\x09b\x0a"
    assert printable("caf\udce9 \ud800") == r"caf\xe9 \ud800"


def test_errors_are_printable_whatever_they_name():
    assert str(SimulacraError(f"no {HOSTILE}")) == f"no {printable(HOSTILE)}"


def test_prints_are_escaped_and_rich_is_not(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    with escaping():
        print(HOSTILE)
        Console(force_terminal=True, color_system="standard").print("[bold]x[/bold]")
        with steering():
            print("\x1b[1mhelp")
    assert stream.getvalue() == f"{printable(HOSTILE)}\n\x1b[1mx\x1b[0m\n\x1b[1mhelp\n"


@pytest.fixture
def pictures(tmp_path):
    for name in (f"{HOSTILE}\nfake: line", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(15):
            image = Image.fromarray(np.full((4, 4), 9 * i + len(name), np.uint8))
            image.save(tmp_path / "pets" / name / f"{HOSTILE}{i}.png")
    (tmp_path / "pets" / "dog" / f"{HOSTILE}.png").write_bytes(b"none")
    return tmp_path / "pets"


def test_names_of_classes_and_files_are_printed_escaped(pictures, capsys):
    assert main(["data", str(pictures)]) == 0
    out = capsys.readouterr().out
    assert r"cat\x1b[2J" in out
    assert not set("\x1b\x07\r\x9b\u202e") & set(out)
    assert not [line for line in out.splitlines() if line.startswith("fake")]


def test_an_unknown_name_is_repeated_escaped(capsys):
    assert main(["data", HOSTILE]) == 2
    assert main([HOSTILE]) == 2
    assert main(["data", "digits", f"--{HOSTILE}"]) == 2
    err = capsys.readouterr().err
    assert not set("\x1b\x07\r\x9b\u202e") & set(err)
    assert r"\x1b[2J" in err


def test_one_is_one():
    assert [number_of(n, "item") for n in (0, 1, 1200)] == ["0 items", "1 item", "1,200 items"]
    assert [number_of(n, "class") for n in (1, 2)] == ["1 class", "2 classes"]
