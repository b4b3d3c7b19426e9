"""The house has floors, and imports lead down only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import simulacra

HOME = Path(simulacra.__file__).parent
BASE = [
    "errors",
    "weights",
    "randomness",
    "feed",
    "pictures",
    "distributions",
    "nn",
    "data",
    "capabilities",
    "registry",
    "model",
    "condition",
    "turns",
]
FLOORS = [
    BASE,
    ["autoregressive"],
    ["latent"],
    ["adversarial"],
    ["structured"],
    ["evaluation", "exploration", "training", "compression"],
    ["studies"],
    ["__init__", "fitting", "demo", "sklearn", "checks"],
    ["cli", "studio", "__main__"],
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
FAMILIES = ["autoregressive", "latent", "adversarial", "structured"]
VERBS = ["training", "evaluation", "exploration", "compression"]


def modules() -> list[Path]:
    return sorted(HOME.rglob("*.py"))


def part_of(path: Path) -> str:
    """The room that a file belongs to: a package or a module directly under simulacra."""
    return path.relative_to(HOME).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The dotted names of everything of simulacra that a file imports, in functions and for type checking too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where they lead"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "simulacra"}


def room(name: str) -> str:
    """simulacra.data.spec.DataSpec -> data; a name taken from the front door itself -> __init__."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOOR else "__init__"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(HOME)))
def test_imports_lead_down(path):
    here = part_of(path)
    assert here in FLOOR, f"{here} has no floor: give it one in this table and in the design"
    for name in imported(path):
        if here == "__init__" and room(name) == "__init__":
            continue
        assert FLOOR[room(name)] <= FLOOR[here], f"{path} imports {name}, which lies above it"


def imports_of(*rooms: str) -> list[tuple[Path, str]]:
    return [(path, name) for path in modules() if part_of(path) in rooms for name in imported(path)]


def test_the_walk_finds_imports():
    """So that an empty walk cannot make the tests above and below pass."""
    assert len(modules()) > 40
    assert len(imports_of(*FAMILIES)) > 20


def test_distributions_and_blocks_stand_alone():
    for path, name in imports_of("distributions", "nn"):
        assert room(name) == part_of(path) or name.startswith(("simulacra.data.spec.", "simulacra.errors.")), (
            path,
            name,
        )


def test_families_know_the_spec_and_no_data():
    for path, name in imports_of(*FAMILIES):
        assert room(name) != "data" or name.startswith("simulacra.data.spec."), (path, name)
        assert room(name) not in (*VERBS, "feed"), (path, name)


def test_verbs_name_no_family():
    for path, name in imports_of(*VERBS, "studies"):
        assert room(name) not in FAMILIES, (path, name)


def test_training_knows_no_metric():
    for path, name in imports_of("training"):
        assert room(name) not in ("evaluation", "exploration", "compression"), (path, name)


def test_the_base_names_no_family():
    """Above all the registry: a family enters itself."""
    for path, name in imports_of(*BASE):
        assert room(name) not in FAMILIES, (path, name)


@pytest.mark.parametrize("statement", ["import simulacra", "import simulacra as sim; sim.__version__; dir(sim)"])
def test_the_front_door_imports_no_torch(statement):
    script = f"{statement}\nimport sys; assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_every_name_of_the_front_door_opens():
    for name in simulacra.__all__:
        assert getattr(simulacra, name) is not None
    with pytest.raises(AttributeError, match="fitt"):
        simulacra.fitt  # noqa: B018
