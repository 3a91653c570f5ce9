"""When a container that has ended may start again."""

from __future__ import annotations

from typing import Any

from gpulab.sim import messages
from gpulab.sim.times import parse

NEVER_RAN = 10**9  # seconds: the start of what never ran is the epoch


class CrashBackoff:
    """Restart at once the first time, then after 10 s, 20 s … 300 s."""

    def __init__(self, restarts: int) -> None:
        self.delay = 0.0
        """How long the next start was put off, in seconds."""
        self._failures = restarts
        self._allowed = 0.0  # time of the next start
        # the end that has been counted: after a restart of the simulator, the one in the status
        self._counted: dict[str, Any] | None = None
        self._spared = False  # whether a failed probe has had its first restart

    def left(self, ended: dict[str, Any] | None, now: float) -> float:
        """Seconds until the container may start, given how it ended last."""
        if ended and ended != self._counted:
            self._count(ended, now)
        return self._allowed - now

    def spare(self, ended: dict[str, Any] | None) -> None:
        """Do not count the first end by a failed probe: kubelets kill and restart in one sync."""
        if not self._spared:
            self._spared, self._counted = True, ended

    def replace(self) -> None:
        """The next end is the start of another image: at once, and no failure."""
        self._failures = -1

    def _count(self, ended: dict[str, Any], now: float) -> None:
        self._counted, self._failures = ended, self._failures + 1
        ran = (parse(ended["finishedAt"]) - parse(ended["startedAt"])).total_seconds()
        if messages.CRASH_LOOP_BACKOFF.reset_s < ran < NEVER_RAN:
            self._failures = 1
        if self._failures > 1:
            self.delay = messages.CRASH_LOOP_BACKOFF.delay(self._failures - 1)
            self._allowed = now + self.delay
