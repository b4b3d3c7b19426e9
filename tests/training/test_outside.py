"""What somebody adds from outside the package: parts, presets, plug-ins; and what cannot be saved is not trained."""

import importlib
import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small import SPECS, before_step, dataset, same, saved_weights

import simulacra as sim
from simulacra import parts, registry
from simulacra.adversarial import GAN, GradientPenalty, Wasserstein
from simulacra.cli import main
from simulacra.data import DataSpec
from simulacra.errors import ModelFileError, SimulacraWarning, UsageError
from simulacra.networks import DCCritic, DCGenerator, Dense
from simulacra.parts import table
from simulacra.registry import register
from simulacra.training import Interrupted

DATA = dataset(SPECS["grey-labelled"])
RUN = {"steps": 6, "batch": 8, "every": 3, "warmup": 2, "ema": 0.5}
SMALL = {"latent": 2, "network": "dense:hidden=8,dropout=0.1"}

MINE = '''
"""An encoder of one's own, with the decoder of `dense`."""

from torch import nn

from simulacra.networks import Dense
from simulacra.parts import part


class Mean(nn.Module):
    """x -> its mean brightness -> outputs."""

    def __init__(self, outputs, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, outputs))

    def forward(self, x, condition):
        return self.layers(x.flatten(1).mean(1, keepdim=True))


@part("network", "mean")
class OfTheMean(Dense):
    width: int = 4

    def encoder(self, spec, outputs):
        return Mean(outputs, self.width)
'''


@pytest.fixture(autouse=True)
def own(monkeypatch):
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_entries", {entry.name: entry for entry in registry.models()})
    monkeypatch.setattr(table, "_parts", {kind: dict(named) for kind, named in table._parts.items()})


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of a stranger, which can be imported by its name."""
    monkeypatch.syspath_prepend(tmp_path / "lib")
    written = []

    def write(name: str, text: str) -> str:
        (tmp_path / "lib").mkdir(exist_ok=True)
        (tmp_path / "lib" / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


def stopped_and_continued(fit, folder) -> Path:
    fit(folder / "whole")
    with pytest.raises(Interrupted), before_step(3, lambda: signal.raise_signal(signal.SIGTERM)):
        fit(folder / "halves")
    fit(folder / "halves")
    assert same(saved_weights(folder / "whole"), saved_weights(folder / "halves"))
    return folder / "halves"


# What was changed by hand


def swapped(model):
    model.encoder = torch.nn.Linear(3, 3)


def other_number(model):
    model.latent = 5


def number_within(model):
    next(module for module in model.modules() if isinstance(module, torch.nn.Dropout)).p = 0.7


def one_more(model):
    model.extra = torch.nn.Linear(2, 2)


def one_less(model):
    del model.encoder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swapped, r"encoder of this vae is a Linear that its recipe does not have.*@part\('network', 'mine'\)"),
        (other_number, r"latent of this vae was set to 5 after it was constructed with 2.*pass it to the constructor"),
        (number_within, r"\.p of this vae was set to 0.7 after it was constructed with 0.1"),
        (one_more, r"extra of this vae is a Linear that its recipe does not have"),
        (one_less, r"this vae lacks 'encoder.*construct it anew"),
    ],
)
def test_a_model_that_its_recipe_does_not_say_is_refused_before_anything_is_written(tmp_path, change, message):
    model = registry.build("vae", DATA.spec.conditioned_on(()), **SMALL)
    change(model)
    with pytest.raises(UsageError, match=message):
        sim.fit(model, DATA, tmp_path / "run", **RUN)
    assert not (tmp_path / "run").exists()


def test_other_weights_are_no_change(tmp_path):
    model = registry.build("vae", DATA.spec.conditioned_on(()), **SMALL)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
    model.requires_grad_(True).train()
    sim.fit(model, DATA, tmp_path / "run", **RUN)
    assert sim.load(tmp_path / "run").arguments == model.arguments


# A part of one's own


LOAD = """
import json, sys
import simulacra as sim
from simulacra.errors import SimulacraError
try:
    sim.load(sys.argv[1])
except SimulacraError as error:
    message = str(error)
import mine
model = sim.load(sys.argv[1])
sampled, network = list(sim.sample(model, 3).shape), str(model.arguments["network"])
print(json.dumps({"message": message, "sampled": sampled, "network": network}))
"""


def test_an_encoder_of_ones_own_trains_resumes_and_is_loaded_where_its_module_can_be_imported(tmp_path, module):
    mine = importlib.import_module(module("mine", MINE))

    def fit(out):
        return sim.fit("vae", DATA, out, latent=2, network=mine.OfTheMean(width=3), **RUN)

    run = stopped_and_continued(fit, tmp_path)
    model = sim.load(run)
    assert any(isinstance(each, mine.Mean) for each in model.modules())
    config = json.loads((run / "model" / "config.json").read_text())
    assert config["imports"] == ["mine"]
    assert config["model"]["vae"]["network"] == {"mean": {"hidden": 400, "layers": 1, "dropout": 0.0, "width": 3}}
    assert sim.score(run, DATA).kind == "bound"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", LOAD, run], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "no network 'mean'" in found["message"]
    assert "made with parts of mine: import" in found["message"]
    assert found["sampled"] == [3, 1, 8, 8]
    assert "OfTheMean(hidden=400, layers=1, dropout=0.0, width=3)" in found["network"]


def test_the_command_line_imports_it_and_names_it(tmp_path, module, capsys):
    module("mine", MINE)
    words = ["fit", "vae", "digits", "--network", "mean:width=3", "--latent", "2", "--steps", "2", "--out"]
    assert main([*words, str(tmp_path / "none")]) == 2
    assert "no network 'mean'" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert main(["--import", "mine", *words, str(tmp_path / "run"), "--json"]) == 0
    capsys.readouterr()
    assert main(["sample", str(tmp_path / "run"), "-n", "2", "--out", str(tmp_path / "x.npz")]) == 0
    assert main(["--import", "mien", "models"]) == 2
    assert "mien" in capsys.readouterr().err


# A preset of one's own


def wgan_dc(weight: float = 10.0):
    """Register it, in five lines."""

    @register("wgan-dc", paper="Gulrajani et al. 2017", defaults={"betas": (0.0, 0.9), "steps": 2000})
    def wgan_dc(spec: DataSpec, latent: int = 4, width: int = 4) -> GAN:
        critic = DCCritic(width, batch_norm=False)
        penalties = (GradientPenalty(weight),)
        return GAN(spec, latent, DCGenerator(width), critic, Wasserstein(), penalties, critic_steps=5)


def test_a_preset_is_fitted_resumed_saved_and_listed_under_its_name(tmp_path):
    wgan_dc()
    run = stopped_and_continued(lambda out: sim.fit("wgan-dc", DATA, out, condition="label", width=3, **RUN), tmp_path)
    model = sim.load(run)
    assert type(model) is GAN
    assert (model.name, model.critic_steps, model.penalties) == ("wgan-dc", 5, (GradientPenalty(10.0),))
    assert model.arguments["generator"] == DCGenerator(3)
    config = json.loads((run / "model" / "config.json").read_text())
    assert (config["preset"], list(config["model"])) == ("wgan-dc", ["gan"])
    assert config["model"]["gan"]["penalties"] == [{"gradient": {"weight": 10.0, "every": 1}}]
    record = json.loads((run / "run.json").read_text())
    assert record["model"] == {key: value for key, value in config.items() if key != "data"}
    assert record["options"]["betas"] == [0.0, 0.9]  # its own defaults
    entry = registry.find("wgan-dc")
    assert entry in registry.models()
    assert (entry.model, entry.family, entry.paper) == (GAN, "adversarial", "Gulrajani et al. 2017")
    assert (run / "model" / "card.md").read_text().startswith("# wgan-dc on made-up")
    assert sim.sample(run, 2, condition={"label": 1}).shape == (2, 1, 8, 8)
    terms = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert {"critic", "critic.gradient", "generator"} <= terms.keys()


def test_to_edit_a_preset_changes_no_old_model_and_continues_no_old_run(tmp_path):
    wgan_dc()
    sim.fit("wgan-dc", DATA, tmp_path / "run", **RUN)
    before = sim.load(tmp_path / "run")
    wgan_dc(weight=1.0)
    after = sim.load(tmp_path / "run")
    assert after.penalties == before.penalties == (GradientPenalty(10.0),)
    assert same(after.state_dict(), before.state_dict())
    assert registry.build("wgan-dc", DATA.spec).penalties == (GradientPenalty(1.0),)
    with pytest.raises(UsageError, match=r"other settings: model\.penalties"):
        sim.fit("wgan-dc", DATA, tmp_path / "run", **RUN)
    registry._entries.pop("wgan-dc")  # nobody registers it any more
    assert sim.load(tmp_path / "run").name == "wgan-dc"


def test_the_same_composed_by_hand_is_trained_alike(tmp_path):
    wgan_dc()
    sim.fit("wgan-dc", DATA, tmp_path / "preset", seed=3, learning_rate=1e-3, **RUN)
    sim.randomness.seed_everything(3, "weights")
    spec, critic = DATA.spec.conditioned_on(()), DCCritic(4, batch_norm=False)
    model = GAN(spec, 4, DCGenerator(4), critic, Wasserstein(), (GradientPenalty(10.0),), critic_steps=5)
    sim.fit(model, DATA, tmp_path / "hand", seed=3, learning_rate=1e-3, betas=(0.0, 0.9), **RUN)
    assert same(saved_weights(tmp_path / "preset"), saved_weights(tmp_path / "hand"))


PRESET = '''
from simulacra.data import DataSpec
from simulacra.latent import VAE
from simulacra.registry import register


@register("tiny-vae", paper="a test", defaults={"batch": 8})
def tiny_vae(spec: DataSpec, latent: int = 2) -> VAE:
    """A small one."""
    return VAE(spec, latent, network="dense:hidden=4")
'''


def test_a_preset_needs_no_import_to_be_loaded(tmp_path, module):
    """What is saved is the class and its parts; a preset is provenance."""
    module("tiny", PRESET)
    importlib.import_module("tiny")
    sim.fit("tiny-vae", DATA, tmp_path / "run", steps=2)
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert (config["imports"], config["preset"]) == ([], "tiny-vae")
    registry._entries.pop("tiny-vae")
    assert sim.load(tmp_path / "run").name == "tiny-vae"


# Plug-ins


def announce(monkeypatch, *values: str) -> None:
    """As if packages were installed that announce these modules; the next look-up imports them."""
    found = [importlib.metadata.EntryPoint(value, value, "simulacra.models") for value in values]

    def entry_points(group: str):
        return [point for point in found if point.group == group]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    parts.filled_by(sim._import_plugins)


def test_an_installed_package_brings_its_models_and_parts(tmp_path, module, monkeypatch, capsys):
    module("tiny", PRESET), module("mine", MINE)
    announce(monkeypatch, "tiny", "mine")
    assert "tiny-vae" in [entry.name for entry in sim.models()]
    assert registry.find("tiny-vae").family == "latent"
    assert "mean" in parts.named("network")
    assert main(["models", "--json"]) == 0
    (listed,) = [each for each in json.loads(capsys.readouterr().out) if each["name"] == "tiny-vae"]
    assert (listed["family"], listed["paper"]) == ("latent", "a test")
    assert main(["fit", "tiny-vae", "digits", "--latent", "3", "--steps", "2", "--out", str(tmp_path / "run")]) == 0
    assert sim.load(tmp_path / "run").latent == 3


@pytest.mark.parametrize("broken", ["1 / 0", "import nothing_of_this_name", "syntax error", "raise SystemExit(3)"])
def test_a_broken_plug_in_only_warns(module, monkeypatch, broken):
    module("broken", broken), module("tiny", PRESET)
    announce(monkeypatch, "broken", "tiny")
    with pytest.warns(SimulacraWarning, match="the plug-in broken cannot be imported") as found:
        names = [entry.name for entry in sim.models()]
    assert {"vae", "tiny-vae"} <= set(names)
    message = str(found[0].message)
    assert "broken.py, line 1" in message
    assert "\n" not in message


def test_on_the_command_line_a_warning_is_one_plain_line(module, monkeypatch, capsys):
    module("broken", "1 / 0")
    announce(monkeypatch, "broken")
    assert main(["models", "--json"]) == 0
    out, err = capsys.readouterr()
    line = "simulacra: the plug-in broken cannot be imported: broken.py, line 1: ZeroDivisionError: division by zero\n"
    assert err == line
    assert json.loads(out)


def test_a_plug_in_that_takes_a_name_of_ours_only_warns(module, monkeypatch):
    module("greedy", PRESET.replace("tiny-vae", "vae"))
    announce(monkeypatch, "greedy")
    with pytest.warns(UserWarning, match="two models are called 'vae'"):
        assert registry.find("vae").family == "latent"


def test_a_model_of_a_part_that_nobody_registered_says_what_to_import(tmp_path, module):
    mine = importlib.import_module(module("mine", MINE))
    sim.fit("vae", DATA, tmp_path / "run", latent=2, network=mine.OfTheMean(), **RUN)
    table._parts["network"].pop("mean")
    with pytest.raises(
        ModelFileError, match=r"no network 'mean'.*parts of mine: import these first, or add --import mine"
    ):
        sim.load(tmp_path / "run")


# On the command line

BROKEN = MINE.replace("return self.layers(", "raise IndexError('no such\\nrow')\n        return self.layers(")


def commanded(module, tmp_path, text: str, *words: str) -> int:
    """The exit code of a few steps with the network of a stranger."""
    fit = ["fit", "vae", "digits", "--latent", "2", "--network", "mean", "--steps", "2", "--out", str(tmp_path / "run")]
    return main([*fit, "--import", module("mine", text), *words])


def test_an_error_in_a_part_of_ones_own_names_its_line_and_not_ours(module, tmp_path, capsys):
    assert commanded(module, tmp_path, BROKEN) == 1
    first, second = capsys.readouterr().err.splitlines()[-2:]
    line = BROKEN.splitlines().index("        raise IndexError('no such\\nrow')") + 1
    assert first == f"simulacra: mine.py, line {line}, in Mean.forward: IndexError: no such"
    assert "not of Simulacra" in second
    assert "a bug" not in first + second


def test_an_error_of_ours_after_a_part_of_ones_own_names_both(module, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("simulacra.cli.run", lambda command, words: 1 / 0)
    module("mine", MINE)
    assert main(["models", "--import", "mine"]) == 1
    assert re.search(r"This is a bug, or .*\bmine\b.* gave it what it cannot take", capsys.readouterr().err)


def test_a_module_that_cannot_be_imported_names_its_line(module, capsys):
    for text, message in (
        ("x = 1\n1 / 0\n", "--import wrong: ZeroDivisionError: division by zero (wrong.py, line 2)"),
        ("import sys\nsys.exit(3)\n", "--import wrong: SystemExit: 3 (wrong.py, line 2)"),
        ("def f(:\n", "--import wrong: SyntaxError: invalid syntax (wrong.py, line 1)"),
    ):
        module("wrong", text)
        assert main(["models", "--import", "wrong"]) == 2
        assert capsys.readouterr().err == f"simulacra: {message}\n"


def test_the_commands_that_come_next_import_what_the_run_needs(module, tmp_path, capsys):
    assert commanded(module, tmp_path, MINE) == 0
    (line,) = [each for each in capsys.readouterr().out.splitlines() if each.startswith("next: ")]
    assert line.count(" --import mine") == 2
    words = line.removeprefix("next: ").split("   ")[0].split()[1:]
    table._parts["network"].pop("mean")
    sys.modules.pop("mine")
    assert main([*words, "-n", "2", "--device", "cpu"]) == 0
    assert main(["fit", "vae", "digits", "--steps", "1", "--out", str(tmp_path / "plain")]) == 0
    assert "--import" not in capsys.readouterr().out.split("next: ")[1]


def test_what_a_script_defines_is_warned_of_since_nobody_else_can_load_it(tmp_path):
    @parts.part("network", "of-a-script")
    class Here(Dense):
        __module__ = "__main__"

    here = {"latent": 2, "network": Here(hidden=4)}
    with pytest.warns(SimulacraWarning, match=r"this vae, or a part of it, is defined in __main__.*--import MODULE$"):
        sim.fit("vae", DATA, tmp_path / "run", **here, **RUN)
    with pytest.warns(SimulacraWarning, match="__main__"):
        sim.save(registry.build("vae", SPECS["grey"], **here), tmp_path / "saved")
    table._parts["network"].pop("of-a-script")
    with pytest.raises(ModelFileError, match=r"no network 'of-a-script'.*made by a script, in __main__: put what that"):
        sim.load(tmp_path / "run")
