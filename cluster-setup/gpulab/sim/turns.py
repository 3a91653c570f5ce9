"""A kubelet syncs a Pod as a whole: its containers start one after another, then comes the status.

So a container that runs already is reported only after the next one's image was pulled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Turns:
    """One container acts at a time; changes noted meanwhile are written when nobody waits."""

    def __init__(self, write: Callable[[], Awaitable[None]]) -> None:
        self._write = write
        self._lock = asyncio.Lock()
        self._queue = 0
        self._dirty = False
        self._idle = asyncio.Event()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        self._queue += 1
        self._idle.clear()
        try:
            async with self._lock:
                yield
        finally:
            self._queue -= 1
            if self._queue == 0:
                self._idle.set()
        await self._flush()

    async def settled(self) -> None:
        """Wait until the sync under way has ended and what it found is written."""
        if self._queue:
            await self._idle.wait()
        await self._flush()

    async def note(self) -> None:
        """A container's state has changed."""
        self._dirty = True
        await self._flush()

    async def _flush(self) -> None:
        if self._dirty and self._queue == 0:
            self._dirty = False
            await self._write()
