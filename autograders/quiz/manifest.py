"""A manifest that a learner wrote: read with care, and compared with what was asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from autograders.model import CheckFailed
from autograders.plain_yaml import fault

if TYPE_CHECKING:
    import yaml

LARGEST = 64 * 1024
"""Characters; a Pod has a few hundred."""
ONE_OBJECT = "write one object with apiVersion, kind and metadata.name, as for kubectl apply"


def read_manifest(text: object) -> dict[str, Any]:
    """Return the one object that the YAML text describes, as JSON would have it."""
    import yaml

    if not isinstance(text, str):
        raise CheckFailed(f"{text!r} is not YAML text", ONE_OBJECT)
    if len(text) > LARGEST:
        raise CheckFailed(f"the YAML is longer than {LARGEST} characters", ONE_OBJECT)
    try:
        if why := fault(text):
            raise CheckFailed(f"it is not plain YAML: {why}", "write each value out, once")
        found = json.loads(json.dumps(yaml.load(text, loader()), allow_nan=False))
    except yaml.YAMLError as error:
        raise CheckFailed(f"it is not YAML: {place(error)}", "correct that line") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckFailed(f"it is no JSON data: {error}", ONE_OBJECT) from error
    if not isinstance(found, dict):
        raise CheckFailed("the YAML is not one object", ONE_OBJECT)
    return found


def loader() -> type[yaml.SafeLoader]:
    """As the API server reads YAML: a date is a text."""
    import yaml

    resolvers = {
        first: [each for each in found if each[0] != "tag:yaml.org,2002:timestamp"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": resolvers})


def place(error: Any) -> str:
    """Line and fault, on one line."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark else ""
    return where + " ".join(str(getattr(error, "problem", None) or error).split())


def lacks(wanted: Any, found: Any, path: str = "") -> str:
    """Say in which place `found` does not contain `wanted`; empty when it does.

    Lists have the same length; a wanted text that ends with * is a beginning.

    >>> lacks({"spec": {"a": 1, "c": "no*"}}, {"spec": {"a": "1", "b": 2, "c": "nobody"}})
    ''
    >>> lacks({"spec": {"a": [{"n": 1}]}}, {"spec": {"a": [{"n": 2}]}})
    'spec.a[0].n is 2'
    """
    if isinstance(wanted, dict):
        return lacks_key(wanted, found, path)
    if isinstance(wanted, list):
        return lacks_entry(wanted, found, path)
    text = str(wanted)
    same = str(found).startswith(text[:-1]) if text.endswith("*") else text == str(found)
    return "" if same else f"{path} is {found}"


def lacks_key(wanted: dict[str, Any], found: Any, path: str) -> str:
    for key, value in wanted.items():
        where = f"{path}.{key}" if path else key
        if not isinstance(found, dict) or key not in found:
            return f"{where} is not there"
        if text := lacks(value, found[key], where):
            return text
    return ""


def lacks_entry(wanted: list[Any], found: Any, path: str) -> str:
    if not isinstance(found, list) or len(found) != len(wanted):
        count = len(found) if isinstance(found, list) else "no"
        return f"{path} has {count} entries"
    texts = (
        lacks(*pair, f"{path}[{index}]")
        for index, pair in enumerate(zip(wanted, found, strict=True))
    )
    return next(filter(None, texts), "")
