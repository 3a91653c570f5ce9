"""The parts of a lab, and how one is asked whether it is well."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gpulab.pairs import Pair
from gpulab.ports import LOOPBACK

TIMEOUT = 2.0
OK, STOPPED, PAUSED = "ok", "stopped", "paused"


@dataclass(frozen=True)
class Part:
    """One process or container."""

    name: str
    pid: int | None
    """Of the process, or of the container's first one."""
    port: int | None
    """On which it listens, or is reached from this machine."""
    ask: Callable[[], str]
    """Its health: ok, stopped, paused, or what was seen."""


@dataclass(frozen=True)
class Door:
    """Where to ask over HTTP, and as whom."""

    port: int
    path: str
    client: Pair | None = None
    ca: Path | None = None
    """None: its certificate is not checked (self-signed, on loopback)."""
    tls: bool = True
    host: str = LOOPBACK

    def ask(self) -> str:
        """Return ok, or what was seen instead."""
        try:
            with closing(self._connection()) as connection:
                connection.request("GET", self.path)
                answer = connection.getresponse()
                return OK if answer.status == 200 else f"{answer.status} {answer.reason}"
        except (OSError, ssl.SSLError, http.client.HTTPException) as error:
            return f"no answer ({error})"

    def _connection(self) -> http.client.HTTPConnection:
        if not self.tls:
            return http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)
        context = ssl.create_default_context(cafile=self.ca)
        if self.ca is None:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.client is not None:
            context.load_cert_chain(self.client.crt, self.client.key)
        return http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT, context=context)
