"""`simulacra fit MODEL --help`: every part that fits, with what its arguments mean and are by default."""

from __future__ import annotations

import re

import pytest

from simulacra import parts, registry
from simulacra.cli import main
from simulacra.cli.parts_help import USAGE
from simulacra.parts import kind_of, spelled, table
from simulacra.schema import arguments


@pytest.fixture
def shown(capsys):
    """The help of a model, with all white space alike."""

    def run(model: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(["fit", model, "--help"])
        assert stop.value.code == 0
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("name", ["vae", "gan", "markov"])
def test_the_arguments_of_every_part_that_fits_are_described(shown, name):
    text = shown(name)
    flat = re.sub(r"\s+", " ", text)
    kinds = [of for argument in registry.find(name).arguments.values() if (of := kind_of(argument.type))]
    for of in [*kinds, "derivation"]:
        for part, cls in parts.named(of).items():
            assert f"\n  {part} " in text
            for argument in arguments(cls).values():
                value = of.upper() if argument.required else spelled(argument.default)
                assert f" {argument.name}={value} {argument.help}" in flat


def test_the_help_is_readable(shown):
    for line in shown("vae").partition(USAGE)[2].splitlines():
        assert len(line) <= 100
        assert line == line.rstrip()


def test_an_argument_without_a_text_or_a_docstring_is_shown_all_the_same(shown, monkeypatch):
    monkeypatch.setattr(table, "_parts", {kind: dict(own) for kind, own in table._parts.items()})

    @parts.part("prior", "bare")
    class Bare:
        width: int = 3

        def build(self, spec, latent):
            raise NotImplementedError

    assert "\n  bare\n    width=3\n" in shown("vae")
