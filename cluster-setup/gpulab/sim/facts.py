"""What holds on one node, such as `driver-ready` or a registered device plugin.

On a real node these are files below /run/nvidia/validations and a socket of the kubelet's. A fact
is provided by a running container and goes with it; other containers wait for it. Nothing is
stored: after a restart of the simulator the containers that still run provide theirs again.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any

Listener = Callable[[str], None]


class Facts:
    """Facts by name; each has one or more owners (containers)."""

    def __init__(self) -> None:
        self._since: dict[str, dict[str, dt.datetime]] = {}
        self._values: dict[str, Any] = {}
        self._lost: dict[str, dt.datetime] = {}
        self._changed = asyncio.Condition()
        self._listeners: list[Listener] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def holds(self, fact: str) -> bool:
        return bool(self._since.get(fact))

    def since(self, fact: str, present: bool) -> dt.datetime | None:
        """When the fact began to hold, or to be absent; None if it is the other way round now."""
        owners = self._since.get(fact)
        if present:
            return min(owners.values()) if owners else None
        return None if owners else self._lost.get(fact, dt.datetime.min.replace(tzinfo=dt.UTC))

    def value(self, fact: str) -> Any:
        """What went with the fact when it was provided last; None if nothing did."""
        return self._values.get(fact)

    def provide(self, fact: str, owner: str, at: dt.datetime, value: Any = None) -> None:
        fresh = not self.holds(fact) or self._values.get(fact) != value
        self._since.setdefault(fact, {})[owner] = at
        self._values[fact] = value
        if fresh:
            self._tell(fact)

    def withdraw(self, owner: str) -> None:
        """Drop all facts of a container that has ended."""
        for fact in list(self._since):
            self.withdraw_one(fact, owner)

    def withdraw_one(self, fact: str, owner: str) -> None:
        """Drop one fact of a container."""
        owners = self._since.get(fact, {})
        if owners.pop(owner, None) is not None and not owners:
            self._lost[fact] = dt.datetime.now(dt.UTC)
            self._tell(fact)

    async def wait(self, fact: str, present: bool, lost: str = "") -> None:
        """Return once the fact holds, or, with `present` false, no longer holds.

        Also once the fact `lost` does not hold, if it is given.
        """

        def ended() -> bool:
            return self.holds(fact) is present or bool(lost and not self.holds(lost))

        async with self._changed:
            await self._changed.wait_for(ended)

    def listen(self, listener: Listener) -> None:
        """Call `listener(fact)` after each change."""
        self._listeners.append(listener)

    def _tell(self, fact: str) -> None:
        task = asyncio.create_task(self._notify())
        self._tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)
        for listener in self._listeners:
            listener(fact)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
