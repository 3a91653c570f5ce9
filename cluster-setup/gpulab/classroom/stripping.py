"""What a release leaves out of an exercise's files, as text: they hold `$name` and are no TOML."""

from __future__ import annotations

import ast
import re

KEPT_FROM_LEARNERS = ("answer_key",)
JUDGES = ("check", "guard")


def checks(text: str) -> str:
    """checks.py without keys, checks on trials, and what only those use."""
    tree = ast.parse(text)
    stays = [each for each in tree.body if not is_secret(each)]
    while True:
        used = {name for each in stays for name in names_in(each)}
        left = [each for each in stays if not is_idle(each, used, stays)]
        if len(left) == len(stays):
            break
        stays = left
    for each in stays:
        if isinstance(each, ast.ImportFrom | ast.Import):
            each.names = [one for one in each.names if (one.asname or one.name) in used] or []
    kept = [each for each in stays if getattr(each, "names", True)]
    return ast.unparse(ast.Module(kept, [])) + "\n"


def is_secret(node: ast.stmt) -> bool:
    """A key, or a check whose trial rests on what no learner is told."""
    for each in getattr(node, "decorator_list", ()):
        call = each if isinstance(each, ast.Call) else None
        name = call.func if call else each
        if isinstance(name, ast.Name) and name.id in KEPT_FROM_LEARNERS:
            return True
        if call and any(word.arg == "phases" for word in call.keywords):
            return True
    return False


def is_idle(node: ast.stmt, used: set[str], all_of_them: list[ast.stmt]) -> bool:
    """A helper or constant that nothing else uses any more."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        others = {n for each in all_of_them if each is not node for n in names_in(each)}
        return not node.decorator_list and node.name not in others
    if isinstance(node, ast.Assign):
        own = {each.id for each in ast.walk(node.targets[0]) if isinstance(each, ast.Name)}
        others = {n for each in all_of_them if each is not node for n in names_in(each)}
        return not own & others
    return False


def names_in(node: ast.stmt) -> set[str]:
    """Names that are looked up in it; an import looks nothing up."""
    return {
        each.id
        for each in ast.walk(node)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)
    }


def without_table(text: str, table: str) -> str:
    r"""Cut every table of that name, `[table]` or `[[table]]`, up to the next one.

    >>> without_table("[a]\\nx = 1\\n[b]\\ny = 2\\n[[c]]\\n", "b")
    '[a]\\nx = 1\\n[[c]]\\n'
    """
    head = rf"^\[{{1,2}}{re.escape(table)}\]{{1,2}}[ \t]*$"
    return re.sub(rf"(?ms){head}.*?(?=^\[{{1,2}}[A-Za-z]|\Z)", "", text)
