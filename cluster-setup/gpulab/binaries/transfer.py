"""One file over HTTPS: resumed, verified, and given up where a source does not answer."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from autograders.errors import InputError
from gpulab.binaries.releases import Asset, published

CONNECT_SECONDS = 5.0
SILENT_SECONDS = 5.0
SLOW_SECONDS = 8.0
SLOW_BYTES = 64 * 1024  # less than that in SLOW_SECONDS: a build is faster
TRIES = 10  # as long as each brings something
REDIRECTS = 5
MIRROR = "GPULAB_MIRROR"
Advance = Callable[[int, int | None], None]
"""Called with the bytes that are there, and with the bytes of the whole file once known."""


class Failed(Exception):
    """A file cannot be had from its source; the text says why."""


class Stopped(Failed):
    """It was given up, since it is of no use without another one."""


@dataclass
class Pace:
    """Notices a source that sends next to nothing without ever falling silent."""

    since: float = field(default_factory=time.monotonic)
    received: int = 0

    def add(self, size: int) -> None:
        self.received += size
        seconds = time.monotonic() - self.since
        if seconds > SLOW_SECONDS:
            if self.received < SLOW_BYTES:
                raise Failed(f"sent {self.received} bytes in {seconds:.0f} s")
            self.since, self.received = time.monotonic(), 0


@contextmanager
def session() -> Iterator[httpx2.Client]:
    """A client that follows a few redirects, to HTTPS alone; SSL_CERT_FILE and proxies count."""
    timeout = httpx2.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS)
    with httpx2.Client(
        timeout=timeout,
        follow_redirects=True,
        max_redirects=REDIRECTS,
        event_hooks={"request": [_only_https]},
        headers={"User-Agent": "gpulab", "Accept-Encoding": "identity"},
    ) as client:
        yield client


def fetch(
    asset: Asset, folder: Path, client: httpx2.Client, stop: threading.Event, advance: Advance
) -> Path:
    """The whole file, its SHA-256 right; what a try has received of it waits for the next one."""
    wanted = asset.sha256 or _published(asset, client)
    target = folder / f"{asset.group.replace(' ', '-')}-{asset.file}"
    if target.exists():
        if _sha256(target) == wanted:
            return target
        _receive_all(asset, target, client, stop, advance)
        if _sha256(target) == wanted:
            return target
        target.unlink()  # what an earlier try left may be to blame
    _receive_all(asset, target, client, stop, advance)
    found = _sha256(target)
    if found != wanted:
        target.unlink()
        raise Failed(f"{asset.file} has the SHA-256 {found}, not {wanted}")
    return target


def address(url: str) -> str:
    """The URL, or its place in the mirror that was chosen."""
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return url
    if not mirror.startswith("https://"):
        raise InputError(f"{MIRROR} is {mirror!r}", "give it an address that begins with https://")
    return f"{mirror.rstrip('/')}/{url.removeprefix('https://')}"


def _published(asset: Asset, client: httpx2.Client) -> str:
    with _said():
        answer = client.get(address(asset.checksums))
    if not answer.is_success:
        raise Failed(f"no SHA-256 of {asset.file}: {answer.status_code} {answer.reason_phrase}")
    found = published(answer.text, asset.file)
    if found is None:
        raise Failed(f"no SHA-256 of {asset.file} in {asset.checksums}")
    return found


def _receive_all(
    asset: Asset, target: Path, client: httpx2.Client, stop: threading.Event, advance: Advance
) -> None:
    """Ask for what is missing, and again when that ended early but brought something."""
    for left in reversed(range(TRIES)):
        before = _size(target)
        try:
            return _receive(asset, target, client, stop, advance)
        except Failed:
            useless = 0 <= _size(target) - before < SLOW_BYTES
            if useless or not left or stop.is_set():
                raise


def _receive(
    asset: Asset, target: Path, client: httpx2.Client, stop: threading.Event, advance: Advance
) -> None:
    start, pace = _size(target), Pace()
    headers = {"Range": f"bytes={start}-"} if start else {}
    with _said(), client.stream("GET", address(asset.url), headers=headers) as answer:
        if answer.status_code == 416:  # longer than the whole: no part of this file
            target.unlink()
            raise Failed("what an earlier try left does not fit")
        if not answer.is_success:
            raise Failed(f"{answer.status_code} {answer.reason_phrase}")
        resumed = answer.status_code == 206 and _starts_at(answer, start)
        there = start if resumed else 0
        length = answer.headers.get("Content-Length", "")
        whole = there + int(length) if length.isdigit() else None
        with open(target, "ab" if resumed else "wb") as file:
            for chunk in answer.iter_raw():
                if stop.is_set():
                    raise Stopped("stopped")
                there += file.write(chunk)
                advance(there, whole)
                pace.add(len(chunk))


def _starts_at(answer: httpx2.Response, start: int) -> bool:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return found is not None and int(found[1]) == start


@contextmanager
def _said() -> Iterator[None]:
    """Turn what can go wrong on the way into a few words."""
    try:
        yield
    except httpx2.TooManyRedirects:
        raise Failed(f"more than {REDIRECTS} redirects") from None
    except httpx2.TimeoutException:
        raise Failed("no answer in time") from None
    except httpx2.HTTPError as error:
        raise Failed(str(error) or type(error).__name__) from None


def _only_https(request: httpx2.Request) -> None:
    if request.url.scheme != "https":
        raise Failed(f"{request.url.host} is not asked over {request.url.scheme}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
