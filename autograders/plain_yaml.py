"""Whether YAML is plain data, found without building anything: no alias, no key twice, not deep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

DEEPEST = 64
"""Levels; a Pod has about ten. Much deeper ones crash the parser of C."""


@dataclass
class Level:
    """A mapping or a list that is being read."""

    mapping: bool
    """Its entries come in pairs, the key first."""
    keys: set[str] = field(default_factory=set)
    """Those that were read."""
    at_key: bool = True
    """Next comes a key."""

    def twice(self, event: Any) -> str | None:
        """Take the next entry; the key, if it was there before."""
        if not self.mapping:
            return None
        key = getattr(event, "value", None) if self.at_key else None
        self.at_key = not self.at_key
        if key is None or key not in self.keys:
            self.keys.add(str(key))
            return None
        return str(key)


def fault(text: str) -> str:
    """Why it is not; empty when it is. YAML that is none raises yaml.YAMLError.

    >>> fault("a: [1, 2]"), fault("{a: 1, a: 2}"), fault("[&x 1, *x]")
    ('', "line 1: the key 'a' stands there twice", 'line 1: it uses an alias (*name)')
    """
    import yaml

    levels: list[Level] = []
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if found := wrong(event, levels):
            line = event.start_mark.line + 1 if event.start_mark else 0
            return f"line {line}: {found}"
    return ""


def wrong(event: yaml.Event, levels: list[Level]) -> str:
    import yaml

    if isinstance(event, yaml.AliasEvent):
        return "it uses an alias (*name)"
    if isinstance(event, yaml.CollectionEndEvent):
        levels.pop()
    elif isinstance(event, yaml.NodeEvent):
        if levels and (key := levels[-1].twice(event)) is not None:
            return f"the key {key[:80]!r} stands there twice"
        if isinstance(event, yaml.CollectionStartEvent):
            levels.append(Level(isinstance(event, yaml.MappingStartEvent)))
    return f"it is nested deeper than {DEEPEST} levels" if len(levels) > DEEPEST else ""
