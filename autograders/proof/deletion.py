"""What if an `expect…` line were not there? Then some mutant must get away with it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from autograders.load import Exercise, defined, module_of
from autograders.model import AnswerKey, Check, Guard

PREFIX = "expect"


@dataclass(frozen=True)
class Line:
    """One statement of checks.py that may refuse an answer."""

    number: int
    """Its first line in the file."""
    text: str
    """As it is written, on one line."""
    index: int
    """Its place among all such statements."""
    function: str
    """In which it stands."""


def lines_of(exercise: Exercise) -> list[Line]:
    """Find every statement that calls an `expect…` function for nothing but its refusal."""
    tree = ast.parse((exercise.folder / "checks.py").read_bytes())
    return [
        Line(each.lineno, " ".join(ast.unparse(each).split()), index, function_of(tree, each))
        for index, each in enumerate(expectations(tree))
    ]


def function_of(tree: ast.Module, statement: ast.Expr) -> str:
    """The name of the function of checks.py that holds it."""
    for each in tree.body:
        if isinstance(each, ast.FunctionDef) and statement in ast.walk(each):
            return each.name
    return ""


def expectations(tree: ast.AST) -> Iterator[ast.Expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and is_expectation(node.value):
            yield node


def is_expectation(value: ast.expr) -> bool:
    if not isinstance(value, ast.Call):
        return False
    function = value.func
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    return name.startswith(PREFIX)


def without(exercise: Exercise, line: Line) -> Exercise:
    """Load the exercise as if that line of checks.py had been deleted."""
    path = exercise.folder / "checks.py"
    tree = ast.parse(path.read_bytes())
    target = list(expectations(tree))[line.index]
    emptied = ast.fix_missing_locations(Deletion(target).visit(tree))
    module = module_of(path, compile(emptied, str(path), "exec"))
    return replace(
        exercise,
        checks=tuple(defined(Check, module)),
        guards=tuple(defined(Guard, module)),
        keys=tuple(defined(AnswerKey, module)),
    )


class Deletion(ast.NodeTransformer):
    """Puts `pass` in the place of one statement."""

    def __init__(self, target: ast.Expr) -> None:
        self.target = target

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return ast.copy_location(ast.Pass(), node) if node is self.target else node
