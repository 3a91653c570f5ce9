"""A server that answers as an API server does, as far as a test says."""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Answer = tuple[int, Any]
CUT = 0
"""In place of a status: half of the body, then the connection is closed."""
Line = tuple[float, dict[str, Any] | str]
"""Seconds to wait, then a watch event or any text to send."""


@dataclass
class Served:
    """What the server answers: for each path a value, or one value after the other."""

    url: str = ""
    answers: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    watches: dict[str, list[list[Line]]] = field(default_factory=dict)
    """For each path the events of one watch after the other; then watches stay quiet."""
    asked: list[str] = field(default_factory=list)
    """Every request, with its query."""

    def answer(self, path: str) -> Answer:
        found = self.answers.get(path, (404, {"message": "not found"}))
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found


def handler_of(served: Served) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            path, _, query = self.path.partition("?")
            if "watch=1" in query:
                self.stream(served.watches.get(path) or [])
            else:
                self.give(*served.answer(path))

        def give(self, code: int, value: Any) -> None:
            body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
            self.send_response(200 if code == CUT else code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if code == CUT else body)
            self.close_connection = code == CUT

        def stream(self, scripts: list[list[Line]]) -> None:
            """Play the next script; without one, end as a quiet watch does, but sooner."""
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            for pause, event in scripts.pop(0) if scripts else [(0.2, "")]:
                time.sleep(pause)
                line = event if isinstance(event, str) else json.dumps(event)
                self.wfile.write(f"{line}\n".encode() if line else b"")
                self.wfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving() -> Iterator[Served]:
    state = Served()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler_of(state)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        yield state
        server.shutdown()


def write_kubeconfig(served: Served, folder: Path) -> Path:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": served.url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    return folder / "kubeconfig"


def main(path: str) -> None:
    """Serve a file of answers, `{path: value}`, from a process of its own; print the URL."""
    with serving() as state:
        found = json.loads(Path(path).read_text())
        # encoded once: a real API server is no part of what is measured
        state.answers = {
            at: (200, value if isinstance(value, str) else json.dumps(value))
            for at, value in found.items()
        }
        sys.stdout.write(f"{state.url}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
