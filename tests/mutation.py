"""Do the tests notice? Change one operator or number of a module at a time, and run its tests.

    python tests/mutation.py                       every numerical module, 40 changes of each
    python tests/mutation.py decision --sample 0   all changes of one module

The changes are made in a copy. Prints every change that no test noticed, to be looked at: it is
either a gap in the tests, or makes no difference that could be seen (CONTRIBUTING.md).
"""

import argparse
import ast
import copy
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
OWN = [
    "decision", "linear", "clustered", "estimators", "discrete", "balance",
    "randomization_inference", "specification_curve", "simulated_experiments", "design_diagnosis",
]
FILES = {name: f"statistics/{name}.py" for name in OWN} | {"weighting": "survey/weighting.py"}
TESTS = {name: [f"tests/statistics/test_{name}.py"] for name in OWN} | {
    "weighting": ["tests/survey/test_weighting.py"],
}
SWAP = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
HEAVY = ["statsmodels.formula.api", "hypothesis.extra.numpy", "pydantic", "joblib", "yaml"]
NAMES = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min", "any": "all",
         "all": "any", "zeros": "ones", "ones": "zeros"}  # fmt: skip


def changed(node: ast.AST) -> ast.AST | None:
    """The node with one thing changed, or None where there is nothing to change."""
    new = copy.copy(node)
    if isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in SWAP:
        new.op = SWAP[type(node.op)]()
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAP:
        new.ops = [SWAP[type(node.ops[0])](), *node.ops[1:]]
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        new.value = node.value + 1 if isinstance(node.value, int) else 2 * node.value or 1.0
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        return node.operand
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        new.attr = NAMES[node.attr]
    else:
        return None
    return new


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, what was changed, and the whole changed source, one change at a time."""
    tree = ast.parse(source)
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            for place, node in enumerate(value if isinstance(value, list) else [value]):
                new = changed(node) if isinstance(node, ast.expr) else None
                if new is None or field == "annotation":
                    continue
                def put(item, where=parent, name=field, at=place, among=value) -> None:
                    if isinstance(among, list):
                        among[at] = item
                    else:
                        setattr(where, name, item)
                put(new)
                yield node.lineno, f"{ast.unparse(node)}  ->  {ast.unparse(new)}", ast.unparse(tree)
                put(node)


def noticed(tests: list[str], folder: Path, seconds: int = 120) -> bool:
    """Whether the tests fail (or do not end) with the package in `folder`, in a process apart."""
    child = os.fork()
    if child == 0:
        signal.alarm(seconds)
        sys.path.insert(0, str(folder))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os._exit(int(pytest.main(["-x", "-q", "-n0", "-p", "no:cacheprovider", *tests])))
    return os.waitpid(child, 0)[1] != 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", default=list(FILES))
    parser.add_argument("--sample", type=int, default=40, help="changes of each; 0 for all")
    asked = parser.parse_args()
    os.chdir(ROOT)
    sys.dont_write_bytecode = True
    import pytest

    for name in HEAVY:  # once, for all that follow
        import_module(name)

    with tempfile.TemporaryDirectory() as name:
        folder = shutil.copytree(ROOT / "src", Path(name) / "src")
        for module in asked.modules:
            path = folder / "claimledger" / FILES[module]
            original = path.read_text(encoding="utf-8")
            if noticed(TESTS[module], folder):
                sys.exit(f"{module}: its tests fail without any change")
            found = list(mutants(original))
            if asked.sample:
                found = random.Random(1).sample(found, min(asked.sample, len(found)))
            survivors = []
            for line, what, source in sorted(found):
                path.write_text(source, encoding="utf-8")
                if not noticed(TESTS[module], folder):
                    survivors.append(f"  line {line}: {what}")
            path.write_text(original, encoding="utf-8")
            print(f"{module}: {len(found) - len(survivors)} of {len(found)} noticed", flush=True)
            print(*survivors, sep="\n", flush=True)
