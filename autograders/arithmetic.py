"""Whole numbers in variant.toml: sums over drawn values, and nothing that could run a program."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

from autograders.errors import InputError

OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}
FUNCTIONS: dict[str, Callable[..., int]] = {"min": min, "max": max}
DO = "use whole numbers, names of [values], + - * //, min and max"


def compute(text: str, names: Mapping[str, str | int]) -> int:
    """Compute an expression.

    >>> compute("min(gpus // 2, 3) + 1", {"gpus": 8})
    4
    """
    try:
        return value(ast.parse(text, mode="eval").body, names)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError) as error:
        raise InputError(f"variant.toml: {text!r} cannot be computed: {error}", DO) from error


def value(node: ast.expr, names: Mapping[str, str | int]) -> int:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name):
        return number(node.id, names)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](value(node.left, names), value(node.right, names))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1:
        if node.func.id not in FUNCTIONS or node.keywords:
            raise ValueError(f"{node.func.id}() is not allowed")
        return FUNCTIONS[node.func.id](*(value(each, names) for each in node.args))
    raise ValueError(f"{ast.unparse(node)} is not allowed")


def number(name: str, names: Mapping[str, str | int]) -> int:
    found = names.get(name)
    if not isinstance(found, int):
        raise ValueError(f"{name} is no number that is drawn or derived before")
    return found
