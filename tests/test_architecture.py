"""What may import what, how large a module may be, and that nothing lies about unreached."""

import ast
import json
import re
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import claimledger
from claimledger.pipeline import build

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "claimledger"
# From the ground up: each may import those before it, never one after it. CONTRIBUTING shows it.
LAYERS = [
    ["errors"],
    ["yaml_files", "settings", "project", "progress", "templates", "big_columns"],
    ["registration"], ["survey"], ["simulation"], ["statistics"], ["ledger"], ["figures"],
    ["study"], ["prose"], ["rendering"], ["pipeline"],
    ["replication"], ["start"], ["cli"], ["__main__"],
]
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}
# What is handed out by name to notebooks, whatever it lies above.
FRONT = {"claimledger"}
LINES, MODULES = 550, 10


def name_of(path: Path) -> str:
    parts = ["claimledger", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))
         if "template" not in path.parts}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in FILES.items()}


def imports(tree: ast.AST) -> set[str]:
    """Modules of the engine that a piece of code imports, in functions too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "claimledger":  # which hands out names of other modules
                found |= {claimledger._FROM.get(alias.name, "") for alias in node.names}
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inside & set(FILES)) or {node.module}
            found |= {node.module} if inside - set(FILES) else set()
    return found & set(FILES)


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def test_a_module_imports_only_what_lies_below_it():
    assert {layer(module) for module in set(FILES) - FRONT} <= set(HEIGHT), "add it to LAYERS"
    upwards = [(module, other) for module in set(FILES) - FRONT
               for other in imports(TREES[module]) - FRONT
               if HEIGHT[layer(other)] > HEIGHT[layer(module)]]
    assert upwards == []


def test_imports_have_no_circle():
    order = TopologicalSorter({name: imports(tree) - {name} - FRONT
                               for name, tree in TREES.items()})
    order.prepare()  # raises CycleError, which names the circle


def test_a_module_has_one_subject_that_fits():
    assert [str(path) for path in FILES.values()
            if len(path.read_text("utf-8").splitlines()) > LINES] == []


def test_a_package_is_read_in_an_afternoon():
    packages = Counter(path.parent.name for path in FILES.values()
                       if path.stem != "__init__" and path.parent != PACKAGE)
    assert [name for name, count in packages.items() if count > MODULES] == []


def entrances() -> list[str]:
    """Code that people or Quarto run: notebooks, the extension, the template, the commands."""
    found = []
    books = [*(ROOT / "notebooks").glob("*.ipynb"), *PACKAGE.glob("template/**/*.ipynb"),
             *(ROOT / "examples").rglob("*.ipynb")]
    for path in books:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        found += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    found += [path.read_text("utf-8") for path in (ROOT / "_extensions").rglob("*.py")]
    return [*found, FILES["claimledger.cli"].read_text("utf-8"),
            FILES["claimledger.__main__"].read_text("utf-8")]


def test_every_module_is_reached():
    """From notebooks, extension and command line, by imports."""
    text = "\n".join(entrances())
    reached, front = set(), set(re.findall(r"claimledger(?:\.\w+)+", text)) & set(FILES)
    for piece in entrances():
        front |= imports(ast.parse(re.sub(r"^\s*[%!].*$", "", piece, flags=re.M)))
    front |= {"claimledger", "claimledger.__main__"}
    # A command that is run in a process of its own is named in a string.
    while front:
        module = front.pop()
        reached.add(module)
        named = set(re.findall(r"claimledger(?:\.\w+)+", FILES[module].read_text("utf-8")))
        found = imports(TREES[module]) | (named & set(FILES))
        parents = {module.rpartition(".")[0]} & set(FILES)
        front |= (found | parents) - reached
    assert sorted(set(FILES) - reached) == []


def test_what_a_build_leaves_out_of_a_notebook_s_inputs_no_notebook_imports():
    """A change of these packages makes no notebook stale: then none may compute with them."""
    reached, front = set(), set(claimledger._FROM.values()) & set(FILES)
    while front:
        module = front.pop()
        reached.add(module)
        front |= imports(TREES[module]) - reached
    assert "study" in {layer(module) for module in reached}
    left_out = {name.removesuffix(".py") for name in build.UNSEEN}
    assert sorted(module for module in reached if layer(module) in left_out) == []


def public() -> dict[str, str]:
    """Public functions and classes of the engine, and the module of each."""
    return {
        f"{module}.{node.name}": node.name for module, tree in TREES.items() for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }


def test_every_public_function_is_used():
    """In another place of the engine, a notebook, or the extension; tests do not count."""
    texts = [re.sub(r"^\s*[%!].*$", "", text, flags=re.M) for text in entrances()]
    texts += [path.read_text("utf-8") for path in (ROOT / "benchmarks").glob("*.py")]
    trees = [*TREES.values(), *map(ast.parse, texts)]
    used = {word for tree in trees for node in ast.walk(tree) for word in (
        [node.id] if isinstance(node, ast.Name) else
        [node.attr] if isinstance(node, ast.Attribute) else
        [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else [])}
    commands = {node.name for node in TREES["claimledger.cli"].body
                if isinstance(node, ast.FunctionDef) and node.decorator_list}
    unused = [name for name, word in public().items() if word not in used | commands]
    assert unused == []
