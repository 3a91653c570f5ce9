"""What holds on one node, such as `driver-ready` or a registered device plugin.

On a real node these are files below /run/nvidia/validations and a socket of the kubelet's. A fact
is provided by a running container and goes with it; other containers wait for it. Nothing is
stored: after a restart of the simulator the containers that still run provide theirs again.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

Listener = Callable[[str], None]


class Facts:
    """Facts by name; each has one or more owners (containers)."""

    def __init__(self) -> None:
        self._since: dict[str, dict[str, dt.datetime]] = {}
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

    def provide(self, fact: str, owner: str, at: dt.datetime) -> None:
        fresh = not self.holds(fact)
        self._since.setdefault(fact, {})[owner] = at
        if fresh:
            self._tell(fact)

    def withdraw(self, owner: str) -> None:
        """Drop all facts of a container that has ended."""
        for fact, owners in self._since.items():
            if owners.pop(owner, None) is not None and not owners:
                self._lost[fact] = dt.datetime.now(dt.UTC)
                self._tell(fact)

    async def wait(self, fact: str, present: bool) -> None:
        """Return once the fact holds, or, with `present` false, no longer holds."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.holds(fact) is present)

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
