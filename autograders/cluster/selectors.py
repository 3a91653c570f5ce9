"""Label selectors, as the API server reads them."""

from __future__ import annotations

import re

from autograders.cluster.state import Labels
from autograders.model import KubeObject

INTEGER = re.compile(r"[+-]?\d+")
SIGNS = {"Gt": ">", "Lt": "<"}


def matches(selector: KubeObject | None, labels: Labels) -> bool:
    """Match a LabelSelector: none selects nothing, an empty one selects all."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    rules = selector.get("matchExpressions") or ()
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        holds(rule, labels) for rule in rules
    )


def is_empty(selector: KubeObject | None) -> bool:
    """Say whether it has no requirement at all, as `{}` has none."""
    return selector is not None and not (
        selector.get("matchLabels") or selector.get("matchExpressions")
    )


def holds(rule: KubeObject, labels: Labels) -> bool:
    """Decide one requirement: In and NotIn, Exists and DoesNotExist, Gt and Lt."""
    value, values = labels.get(rule["key"]), rule.get("values") or ()
    match rule.get("operator"):
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as sign:
            return value is not None and compare(value, sign, "".join(values))
    return False


def compare(value: str, sign: str, bound: str) -> bool:
    if not (INTEGER.fullmatch(value) and INTEGER.fullmatch(bound)):
        return False
    return int(value) > int(bound) if sign == "Gt" else int(value) < int(bound)


def spell(rule: KubeObject) -> str:
    """Say a requirement as a person would.

    >>> spell({"key": "zone", "operator": "In", "values": ["a", "b"]})
    'zone in (a, b)'
    """
    key, operator = rule["key"], str(rule.get("operator"))
    values = ", ".join(str(each) for each in rule.get("values") or ())
    if operator == "In":
        return f"{key} in ({values})" if "," in values else f"{key}={values}"
    if operator in SIGNS:
        return f"{key} {SIGNS[operator]} {values}"
    words = {
        "NotIn": f"{key} not in ({values})",
        "Exists": f"the label {key}",
        "DoesNotExist": f"no label {key}",
    }
    return words.get(operator, f"{key} {operator} {values}")
