"""The house has floors, and imports lead down only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import simulacra

HOME = Path(simulacra.__file__).parent
BASE = [
    "terminal",
    "errors",
    "files",
    "weights",
    "schema",
    "declarations",
    "parts",
    "randomness",
    "fields",
    "derived",
    "condition",
    "data",
    "graphs",
    "turns",
    "whole",
    "distributions",
    "nn",
    "networks",
    "devices",
    "capabilities",
    "registry",
    "migrations",
    "borders",
    "model",
    "directed",
    "mass",
    "inverse",
    "feed",
    "verbs",
    "pictures",
    "spectrograms",
    "films",
    "progress",
]
FLOORS = [
    BASE,
    ["autoregressive"],
    ["latent"],
    ["flows", "diffusion"],
    ["adversarial"],
    ["sequences", "structured"],
    ["evaluation", "exploration", "training", "compression"],
    ["studies"],
    ["__init__", "fitting", "demo", "sklearn", "checks"],
    ["cli", "studio", "__main__"],
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
FAMILIES = ["autoregressive", "latent", "flows", "diffusion", "adversarial", "sequences", "structured"]
VERBS = ["training", "evaluation", "exploration", "compression"]
LEAVES = [
    "errors",
    "devices",
    "fields",
    "condition",
    "derived",
    "parts",
    "schema",
    "whole",
]  # that blocks and distributions may know, and data.spec


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
        assert room(name) in (part_of(path), *LEAVES) or name.startswith("simulacra.data.spec."), (path, name)


def test_networks_are_made_of_blocks_and_know_no_model():
    for path, name in imports_of("networks"):
        known = room(name) in ("networks", "nn", *LEAVES)
        assert known or name.startswith("simulacra.data.spec."), (path, name)


def test_families_know_the_spec_and_no_data():
    for path, name in imports_of(*FAMILIES):
        assert room(name) != "data" or name.startswith("simulacra.data.spec."), (path, name)
        assert room(name) not in (*VERBS, "feed"), (path, name)


def test_verbs_name_no_family():
    for path, name in imports_of(*VERBS, "studies"):
        assert room(name) not in FAMILIES, (path, name)


def test_training_knows_no_other_verb():
    """A judge is handed to it."""
    for path, name in imports_of("training"):
        assert room(name) not in ("evaluation", "exploration", "compression"), (path, name)


def test_the_base_names_no_family():
    """Above all the registry: a family enters itself."""
    for path, name in imports_of(*BASE):
        assert room(name) not in FAMILIES, (path, name)


def dotted(path: Path) -> str:
    """.../latent/vae.py -> simulacra.latent.vae; that of a package is its own."""
    return ".".join(("simulacra", *path.relative_to(HOME).with_suffix("").parts)).removesuffix(".__init__")


def graph() -> dict[str, set[str]]:
    """Of every module the modules that it imports; a name is taken from the deepest module that it goes through."""
    paths = {dotted(path): path for path in modules()}

    def module(name: str) -> str:
        return name if name in paths else module(name.rpartition(".")[0])

    return {own: {module(name) for name in imported(path)} - {own} for own, path in paths.items()}


def rooms_of(links: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same between rooms: the packages, and the modules beside them."""
    found: dict[str, set[str]] = {}
    for own, others in links.items():
        found.setdefault(room(own), set()).update({room(other) for other in others} - {room(own)})
    return found


def circles(links: dict[str, set[str]]) -> list[list[str]]:
    """Where imports lead back: what is strongly connected to something else (Tarjan 1972)."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(own: str) -> None:
        numbers[own] = lowest[own] = len(numbers)
        stack.append(own)
        for other in links[own]:
            if other not in numbers:
                visit(other)
                lowest[own] = min(lowest[own], lowest[other])
            elif other in stack:
                lowest[own] = min(lowest[own], numbers[other])
        if lowest[own] == numbers[own]:
            at = stack.index(own)
            found.append(sorted(stack[at:]))
            del stack[at:]

    for own in links:
        if own not in numbers:
            visit(own)
    return [each for each in found if len(each) > 1]


def test_a_circle_is_found():
    links = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": {"d"}, "f": {"a", "e"}}
    assert sorted(circles(links)) == [["a", "b", "c"], ["d", "e"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_module_imports_itself_by_a_way_round():
    """Not for type checking either: what two modules need of each other is a third."""
    links = graph()
    assert sum(map(len, links.values())) > 400
    assert circles(links) == []


def test_no_room_leads_back_to_itself():
    assert circles(rooms_of(graph())) == []


@pytest.mark.parametrize("statement", ["import simulacra", "import simulacra as sim; sim.__version__; dir(sim)"])
def test_the_front_door_imports_neither_torch_nor_numpy(statement):
    script = f"{statement}\nimport sys; found = {'torch', 'numpy'} & sys.modules.keys(); assert not found, found"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_every_name_of_the_front_door_opens():
    for name in simulacra.__all__:
        assert getattr(simulacra, name) is not None
    with pytest.raises(AttributeError, match="fitt"):
        simulacra.fitt  # noqa: B018
