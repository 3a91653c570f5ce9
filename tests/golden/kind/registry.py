"""A registry that answers as Docker Hub does, for recording pulls and their failures.

    registry.py ADDRESS PORT 1.35.0=a.tar 1.36.1=b.tar

serves docker-archives with one image each as those tags of library/busybox. Repositories of KNOWN
answer "not found" for other tags. Any other repository gets what Docker Hub says of one that does
not exist: 401 `insufficient_scope`, although a token was fetched.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KNOWN = {"library/busybox", "nvidia/cuda"}
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
SCOPE = 'scope="repository:{repository}:pull"'
Blobs = dict[str, tuple[str, bytes]]  # digest → media type, content


class Registry(ThreadingHTTPServer):
    """The server with its blobs, and which of them a tag names."""

    def __init__(self, address: tuple[str, int], archives: dict[str, str]) -> None:
        super().__init__(address, Handler)
        self.blobs: Blobs = {}
        self.tags: dict[str, str] = {}
        for tag, archive in archives.items():
            blobs, self.tags[tag] = read(archive)
            self.blobs |= blobs


class Handler(BaseHTTPRequestHandler):
    """The pull half of the distribution API, behind a token that everybody gets."""

    server: Registry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/token"):
            return self._answer(200, "application/json", b'{"token": "everybody"}')
        match = re.fullmatch(r"/v2/(.+)/(?:manifests|blobs)/([^/?]+)(?:\?.*)?", self.path)
        if match is None:
            return self._unauthorized("", "")
        repository, name = match.groups()
        if "Authorization" not in self.headers:
            return self._unauthorized(repository, "")
        if repository not in KNOWN:
            return self._unauthorized(repository, ',error="insufficient_scope"')
        digest = self.server.tags.get(name, name)
        if repository != "library/busybox" or digest not in self.server.blobs:
            return self._error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        return self._answer(200, *self.server.blobs[digest], {"Docker-Content-Digest": digest})

    do_HEAD = do_GET

    def _unauthorized(self, repository: str, error: str) -> None:
        host, port = self.server.server_address[:2]
        realm = f'Bearer realm="http://{host!s}:{port}/token",service="registry.docker.io"'
        scope = f",{SCOPE.format(repository=repository)}" if repository else ""
        challenge = {"WWW-Authenticate": realm + scope + error}
        self._error(401, "UNAUTHORIZED", "authentication required", challenge)

    def _error(self, status: int, code: str, message: str, headers: Any = None) -> None:
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self._answer(status, "application/json", body, headers)

    def _answer(self, status: int, kind: str, body: bytes, headers: Any = None) -> None:
        self.send_response(status)
        sent = {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def read(archive: str) -> tuple[Blobs, str]:
    """Blobs of a docker-archive with one image, and the digest of a manifest for it."""
    with tarfile.open(archive) as tar:

        def content(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        described = json.loads(content("manifest.json"))[0]
        config, layers = content(described["Config"]), [content(n) for n in described["Layers"]]
    kinds = "application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs"
    blobs = {digest(config): (kinds[0], config)}
    blobs |= {digest(layer): (f"{kinds[1]}.diff.tar", layer) for layer in layers}
    entries = [
        {"mediaType": kind, "digest": name, "size": len(data)}
        for name, (kind, data) in blobs.items()
    ]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": entries[0]}
    body = json.dumps(manifest | {"layers": entries[1:]}).encode()
    return blobs | {digest(body): (MANIFEST, body)}, digest(body)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


if __name__ == "__main__":
    archives = dict(argument.split("=") for argument in sys.argv[3:])
    Registry((sys.argv[1], int(sys.argv[2])), archives).serve_forever()
