"""A server of releases on loopback, over TLS, that can be as bad as the internet."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import ssl
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from gpulab import pki
from gpulab.ports import LOOPBACK

FAULTS = ("truncated", "silent", "slow", "loop", "plain", "ignores ranges", "short")


@dataclass
class Releases:
    """What it serves, how badly, and what it was asked for."""

    files: dict[str, bytes | Path] = field(default_factory=dict)
    """Host and path → content."""
    faults: dict[str, str] = field(default_factory=dict)
    """Host and path → one of FAULTS."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Host and path, and the Range that was asked for."""
    env: dict[str, str] = field(default_factory=dict)
    """What makes a client ask here, and trust the answers."""

    def content(self, path: str) -> bytes:
        found = self.files[path]
        return found if isinstance(found, bytes) else found.read_bytes()

    def ranges(self, path: str) -> list[str | None]:
        return [asked for name, asked in self.asked if name == path]


class Handler(BaseHTTPRequestHandler):
    """Answers GET, ranges included; the faults are those of real servers and networks."""

    protocol_version = "HTTP/1.1"
    releases: Releases

    def do_GET(self) -> None:
        path = self.path.lstrip("/").partition("?")[0]
        self.releases.asked.append((path, self.headers["Range"]))
        fault = self.releases.faults.get(path, "")
        if fault in ("loop", "plain"):
            return self.redirect("http://127.0.0.1:9/x" if fault == "plain" else self.path)
        if path not in self.releases.files:
            return self.send_error(404)
        content = self.releases.content(path)
        if fault == "silent":
            return time.sleep(12)
        start = 0 if fault == "ignores ranges" else self.start()
        if start > len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        body = content[start:]
        if fault == "short":
            body = body[:-1]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.send(body, fault)

    def send(self, body: bytes, fault: str) -> None:
        if fault == "slow":
            for each in body[:60]:
                self.wfile.write(bytes([each]))
                time.sleep(0.25)
        elif fault in ("truncated", "ignores ranges"):
            self.wfile.write(body[: max(1, len(body) // 2)])
            self.close_connection = True
        else:
            self.wfile.write(body)

    def start(self) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        return int(found[1]) if found else 0

    def redirect(self, to: str) -> None:
        self.send_response(302)
        self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what these tests are about."""


@contextmanager
def serving(folder: Path) -> Iterator[Releases]:
    """Serve with a certificate of an authority that only `env` makes a client trust."""
    certificates = pki.make_kubelet_pki(folder)  # any authority, and a server's of this machine
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.crt, certificates.server.key)
    releases = Releases()
    handler = type("Bound", (Handler,), {"releases": releases})
    with Server((LOOPBACK, 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        releases.env |= {
            "GPULAB_MIRROR": f"https://{LOOPBACK}:{server.server_address[1]}",
            "SSL_CERT_FILE": str(certificates.ca.crt),
        }
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield releases
        finally:
            server.shutdown()
            thread.join(timeout=10)


def sums(files: Mapping[str, bytes]) -> bytes:
    """The text of etcd's SHA256SUMS."""
    return "".join(f"{sha256(each)}  {name}\n" for name, each in files.items()).encode()


def digests(files: Mapping[str, bytes]) -> bytes:
    """GitHub's answer about a release, in the part that counts."""
    assets = [
        {"name": name, "size": len(each), "digest": f"sha256:{sha256(each)}"}
        for name, each in files.items()
    ]
    return json.dumps({"tag_name": "v1", "assets": assets}).encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tar_gz(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zip_(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()
