"""The grader's end of the only way out of a sandbox: a Unix socket that leads to one port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gpulab.classroom.inside import pump
from gpulab.ports import LOOPBACK

MOST = 64
"""Connections at a time."""
SECONDS = 30.0
"""Until a connection to the API server must stand."""


@contextmanager
def relay(path: Path, port: int, owner: int | None) -> Iterator[None]:
    """Listen on the socket while the sandbox runs."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        if owner is not None:
            path.chmod(0o666)  # its folder is the owner's alone
        server.listen(MOST)
        threading.Thread(target=_serve, args=(server, port), daemon=True).start()
        yield


def _serve(server: socket.socket, port: int) -> None:
    slots = threading.BoundedSemaphore(MOST)
    with suppress(OSError):  # the socket is closed: the sandbox has ended
        while True:
            near, _ = server.accept()
            if not slots.acquire(blocking=False):
                near.close()
                continue
            threading.Thread(target=_carry, args=(near, port, slots), daemon=True).start()


def _carry(near: socket.socket, port: int, slots: threading.BoundedSemaphore) -> None:
    try:
        with near, socket.create_connection((LOOPBACK, port), timeout=SECONDS) as far:
            far.settimeout(None)
            back = threading.Thread(target=pump, args=(far, near), daemon=True)
            back.start()
            pump(near, far)
            back.join()
    except OSError:
        pass
    finally:
        slots.release()
