"""Runs inside the sandbox, by itself: kubectl's lines, and the one port that leads out.

Usage: inside.py PORT SECONDS < lines.json; one JSON line is printed for each line that was run.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

KUBECTL = ["/gpulab/kubectl", "--kubeconfig", "/gpulab/kubeconfig"]
RELAY = "/gpulab/relay.sock"
LONGEST = 400
"""Letters of what a line said."""
ENV = {"HOME": "/tmp", "PATH": "", "KUBERC": "off", "GOMEMLIMIT": "400MiB", "GOMAXPROCS": "2"}


def pump(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes one way until one side is done."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def serve(server: socket.socket) -> None:
    """Carry every connection to the socket that the grader listens on."""
    while True:
        near, _ = server.accept()
        far = socket.socket(socket.AF_UNIX)
        far.connect(RELAY)
        for pair in ((near, far), (far, near)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


def run(line: list[str], seconds: float) -> dict[str, object]:
    """One line; what it prints goes nowhere, but for the end of its complaint."""
    with tempfile.TemporaryFile(dir="/tmp") as said:
        try:
            done = subprocess.run(
                [*KUBECTL, *line],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=ENV,
                timeout=seconds,
                check=False,
            )
            code = done.returncode
        except subprocess.TimeoutExpired:
            return {"code": 124, "said": f"it did not end within {seconds:.0f} s"}
        size = said.seek(0, os.SEEK_END)
        said.seek(max(0, size - 4096))
        words = said.read().decode(errors="replace").strip().splitlines()
    return {"code": code, "said": (words[-1] if words else "kubectl said nothing")[:LONGEST]}


def main() -> None:
    """Run the lines until the time for all of them is over."""
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    os.chdir("/work")
    server = socket.create_server(("127.0.0.1", port))
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    deadline = time.monotonic() + seconds
    for line in json.load(sys.stdin):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        print(json.dumps(run(line, left)), flush=True)  # noqa: T201 (the grader reads it)


if __name__ == "__main__":
    main()
