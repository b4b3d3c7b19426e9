"""How the package is built, read from its syntax trees alone: nothing of what is measured is imported.

signature   the parameters of a function or method, without self and cls
depth       classes of the package in the longest chain of bases that ends in a class; others' bases do not count
override    a method that replaces one with a body in a base of the package; abstract methods, those of protocols
            and empty ones may be replaced freely, and constructors are counted apart
dup6        the share of code lines, imports left out, inside a run of six or more that stands elsewhere as well
circle      modules that import one another, directly or through others, in functions too; with what only a type
            checker imports, and without

python benchmarks/structure.py --record structure              # nothing is written without --record
python benchmarks/structure.py --src ../other/src/simulacra    # another checkout, by the same rules
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from record import conclude, parser

SRC = Path(__file__).parents[1] / "src" / "simulacra"
RUN, WIDE, LONG = 6, 10, 60  # lines of a duplicate; more parameters are many; more lines than fit a screen
WORDS = ("told", "tell", "asked")  # whole, in names with underscores too
LAYOUT = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module(NamedTuple):
    text: str
    tree: ast.Module


class Definition(NamedTuple):
    module: str
    name: str  # Class.method
    node: Function | ast.ClassDef
    inside: ast.AST

    def __str__(self) -> str:
        return f"{self.module}:{self.node.lineno} {self.name}"


Package = dict[str, Module]  # by dotted name, the package itself first
Classes = dict[str, Definition]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--src", type=Path, default=SRC, metavar="FOLDER", help="the folder of the package")
    options.add_argument("--record", metavar="NAME", help="write the figures to results/NAME.json")
    options.add_argument("--verbose", action="store_true", help="list every override")
    args = options.parse_args()
    if not (args.src / "__init__.py").exists():
        options.error(f"{args.src} is no package; --src takes a folder with an __init__.py, such as src/simulacra")
    git = ["git", "-C", str(args.src), "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip() or None
    conclude(
        args.record or "structure",
        measure(read(args.src.resolve()), args.verbose),
        smoke=args.smoke or args.record is None,
        data={"package": args.src.resolve().name, "commit": commit},
    )


def read(src: Path) -> Package:
    package = {}
    for path in sorted(src.rglob("*.py")):
        dotted = ".".join(path.relative_to(src.parent).with_suffix("").parts).removesuffix(".__init__")
        text = path.read_text(encoding="utf-8")
        package[dotted] = Module(text, ast.parse(text))
    return package


def measure(package: Package, verbose: bool) -> dict[str, Any]:
    found = [one for name, module in package.items() for one in definitions(name, module.tree)]
    functions = [one for one in found if isinstance(one.node, Function)]
    classes = {f"{one.module}.{one.name}": one for one in found if isinstance(one.node, ast.ClassDef)}
    code = {name: code_lines(module) for name, module in package.items()}
    bases = own_bases(package, classes)
    chains = [chain(name, bases) for name in classes]
    replaced = list(overrides(classes, bases))
    methods = [line for name, line in replaced if name != "__init__"]
    text = "".join(module.text for module in package.values())
    figures: dict[str, Any] = {
        "files": len(package),
        "lines": text.count("\n"),
        "code_lines": sum(map(len, code.values())),
        **extreme("signature", "parameters", functions, parameters, WIDE),
        **extreme("function", "lines", functions, lambda one: len(rows([one.node])), LONG),
        "classes_by_depth": dict(sorted(Counter(map(len, chains)).items())),
        "deepest_chain": max(chains, key=len, default=[]),
        "concrete_overrides": len(methods),
        "overridden_constructors": len(replaced) - len(methods),
        "public_names": len(exported(next(iter(package.values())).tree)),
        "public_definitions": sum("." not in one.name and not one.name.startswith("_") for one in found),
        "dup6": round(duplicated(package, code), 4),
        "import_circles": {"at_runtime": circles(package, typing=False), "with_typing": circles(package, typing=True)},
        "words": {word: len(re.findall(rf"(?i)(?<![a-z]){word}(?![a-z])", text)) for word in WORDS},
    }
    return {**figures, "overrides": methods} if verbose else figures


def definitions(module: str, node: ast.AST, prefix: str = "") -> Iterator[Definition]:
    for child in ast.iter_child_nodes(node):
        named = isinstance(child, Function | ast.ClassDef)
        if named:
            yield Definition(module, prefix + child.name, child, node)
        yield from definitions(module, child, f"{prefix}{child.name}." if named else prefix)


def extreme(
    kind: str, unit: str, functions: list[Definition], size: Callable[[Definition], int], most: int
) -> dict[str, Any]:
    """The largest, where it stands, and how many exceed `most`."""
    largest = max(functions, key=size)
    return {
        f"longest_{kind}": {unit: size(largest), "where": str(largest)},
        f"{kind}s_over_{most}_{unit}": sum(size(one) > most for one in functions),
    }


def parameters(function: Definition) -> int:
    marks = map(ast.unparse, function.node.decorator_list)
    bound = isinstance(function.inside, ast.ClassDef) and "staticmethod" not in marks
    return sum(isinstance(node, ast.arg) for node in ast.iter_child_nodes(function.node.args)) - bound


def is_text(node: ast.AST) -> bool:
    """A string that stands by itself: a docstring, or one of an attribute."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def rows(nodes: Iterable[ast.AST]) -> set[int]:
    return {row for node in nodes for row in range(node.lineno, node.end_lineno + 1)}


def code_lines(module: Module) -> dict[int, str]:
    """Row -> its text with whitespace folded and the comment gone; no blank rows, comments and docstrings."""
    lines, kept, texts = module.text.splitlines(), set(), rows(filter(is_text, ast.walk(module.tree)))
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        (first, column), (last, _) = token.start, token.end
        if token.type == tokenize.COMMENT:
            lines[first - 1] = lines[first - 1][:column]
        elif token.type not in LAYOUT and not (token.type == tokenize.STRING and first in texts):
            kept |= set(range(first, last + 1))
    return {row: " ".join(lines[row - 1].split()) for row in sorted(kept) if lines[row - 1].strip()}


def duplicated(package: Package, code: dict[str, dict[int, str]]) -> float:
    files = []
    for name, module in package.items():
        imported = rows(node for node in ast.walk(module.tree) if isinstance(node, ast.Import | ast.ImportFrom))
        files.append([line for row, line in code[name].items() if row not in imported])
    runs = [[tuple(lines[at : at + RUN]) for at in range(len(lines) - RUN + 1)] for lines in files]
    times = Counter(run for each in runs for run in each)
    inside = [{at + k for at, run in enumerate(each) if times[run] > 1 for k in range(RUN)} for each in runs]
    return sum(map(len, inside)) / sum(map(len, files))


def imports(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    """Name in the module -> dotted name of what it stands for. The package has no relative imports."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def own_bases(package: Package, classes: Classes) -> dict[str, list[str]]:
    """Class -> those of its bases that are classes of the package, found through imports and re-exports."""
    scope = {name: dict(imports(ast.walk(module.tree))) for name, module in package.items()}
    for dotted, one in classes.items():
        scope[one.module].setdefault(one.node.name, dotted)

    def origin(dotted: str) -> str:
        home, _, name = dotted.rpartition(".")
        further = scope.get(home, {}).get(name, dotted)
        return dotted if dotted in classes or further == dotted else origin(further)

    def resolve(base: ast.expr, module: str) -> str:
        head, dot, rest = ast.unparse(base).split("[")[0].partition(".")
        return origin(scope[module].get(head, head) + dot + rest)

    resolved = {name: [resolve(base, one.module) for base in one.node.bases] for name, one in classes.items()}
    return {name: [base for base in found if base in classes] for name, found in resolved.items()}


def chain(name: str, bases: dict[str, list[str]]) -> list[str]:
    return [*max((chain(base, bases) for base in bases[name]), key=len, default=[]), name]


def overrides(classes: Classes, bases: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """(method, what it overrides where), for the nearest base with a body of it."""
    for name, one in classes.items():
        for method in methods_of(one):
            nearest = list(bases[name])
            for base in nearest:  # grows: breadth first
                body = methods_of(classes[base]).get(method)
                if body and not is_abstract(body, classes[base]):
                    yield method, f"{one}.{method} overrides {classes[base]}"
                    break
                nearest += bases[base]


def methods_of(one: Definition) -> dict[str, Function]:
    return {node.name: node for node in one.node.body if isinstance(node, Function)}


def is_abstract(method: Function, owner: Definition) -> bool:
    marks = [ast.unparse(mark).split("[")[0].split(".")[-1] for mark in [*method.decorator_list, *owner.node.bases]]
    done = [ast.unparse(line) for line in method.body if not is_text(line)]
    empty = all(line in ("pass", "...") or line.startswith("raise NotImplementedError") for line in done)
    return empty or "abstractmethod" in marks or "Protocol" in marks


def exported(front: ast.Module) -> list[str]:
    """What is written out in `__all__`."""
    assigned = (node for node in front.body if isinstance(node, ast.Assign))
    return next((ast.literal_eval(node.value) for node in assigned if ast.unparse(node.targets[0]) == "__all__"), [])


def circles(package: Package, typing: bool) -> list[list[str]]:
    """The strongly connected components of more than one module."""
    reach: dict[str, set[str]] = {}
    for name, module in package.items():
        targets = [dotted for _, dotted in imports(ast.walk(module.tree) if typing else at_runtime(module.tree))]
        reach[name] = {to if to in package else to.rpartition(".")[0] for to in targets} & package.keys() - {name}
    for through in package:
        for to in reach.values():
            to |= reach[through] if through in to else set()
    found = {tuple(sorted(to for to in reach[name] if name in reach[to])) for name in package}
    return [list(circle) for circle in sorted(found) if circle]


def at_runtime(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those that only a type checker sees."""
    yield node
    typing = isinstance(node, ast.If) and ast.unparse(node.test).split(".")[-1] == "TYPE_CHECKING"
    for child in node.orelse if typing else ast.iter_child_nodes(node):
        yield from at_runtime(child)


if __name__ == "__main__":
    main()
