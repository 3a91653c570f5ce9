"""Requests that do more than read, sent as the lab's own user; autograders never writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from autograders.connect import UNREACHABLE, Api, Unreachable

MERGE = "application/merge-patch+json"


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    status: int
    """The HTTP status."""
    object: dict[str, Any]
    """The object, list or Status; a Status of ours where the API's is no JSON."""

    @property
    def message(self) -> str:
        return str(self.object.get("message", f"HTTP status {self.status}"))

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


def send(
    api: Api,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    object: object = None,
    kind: str = "application/json",
    accept: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request; only a server that cannot be reached raises."""
    import httpx2

    said = {"Accept": accept} | ({"Content-Type": kind} if object is not None else {})
    content = msgspec.json.encode(object) if object is not None else None
    try:
        answer = api.client.request(
            method,
            path,
            params=dict(query or {}),
            headers=said | dict(headers or {}),
            content=content,
        )
    except (httpx2.HTTPError, OSError) as error:
        what = f"cannot reach the cluster at {api.server}: {error or type(error).__name__}"
        raise Unreachable(what, UNREACHABLE) from error
    try:
        return Answer(answer.status_code, msgspec.json.decode(answer.content, type=dict[str, Any]))
    except (msgspec.DecodeError, UnicodeDecodeError):
        status = {"kind": "Status", "code": answer.status_code, "message": answer.reason_phrase}
        return Answer(answer.status_code, status)
