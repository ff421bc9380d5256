"""What the registration's models are built of: types, described fields, and safe arithmetic.

In the arithmetic of derived variables stand names of variables, numbers, + - * /, parentheses, and
comparisons, which give 1 or 0.
"""

import ast
import operator
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from claimledger.validation import ENTRY, IDENTIFIER

POINTS = "percentage points"        # the unit of outcomes that are 0 or 1

Mark = Literal["public", "assumed"]
Identifier = Annotated[str, Field(pattern=IDENTIFIER)]
EntryId = Annotated[str, Field(pattern=ENTRY)]
Code = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
Probability = Annotated[float, Field(gt=0, le=1)]


def marked(text: str) -> Field:
    """Where a statement comes from."""
    return Field("assumed", description=text)


_BINARY = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
           ast.Div: operator.truediv}
_COMPARISON = {ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt,
               ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}


def names_in(formula: str) -> list[str]:
    """The variables of a formula, in order; ValueError (in words) where it cannot be read."""
    try:
        tree = ast.parse(formula, mode="eval").body
        found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        names = [node.id for node in sorted(found, key=lambda node: node.col_offset)]
        _value(tree, dict.fromkeys(names, np.ones(1)))
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("arithmetic such as `2025 - birth_year`") from None
    if not names:
        raise ValueError("arithmetic that names a variable")
    return list(dict.fromkeys(names))


def evaluate(formula: str, variables: Mapping[str, np.ndarray]) -> np.ndarray:
    """The formula on arrays (n,) of floats: missing where a variable is, or where 0 divides."""
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.asarray(_value(ast.parse(formula, mode="eval").body, variables), dtype=float)
    gone = ~np.isfinite(result)
    for name in names_in(formula):
        gone |= np.isnan(variables[name])
    return np.where(gone, np.nan, result)


def _value(node: ast.AST, variables: Mapping[str, np.ndarray]):
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)
    if isinstance(node, ast.Name):
        return variables[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, variables)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _value(node.left, variables), _value(node.right, variables)
        return _BINARY[type(node.op)](left, right)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARISON:
        left, right = _value(node.left, variables), _value(node.comparators[0], variables)
        return np.asarray(_COMPARISON[type(node.ops[0])](left, right), dtype=float)
    raise ValueError("only variables, numbers, + - * /, parentheses and one comparison at a time")
