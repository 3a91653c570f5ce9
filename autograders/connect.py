"""The way to the cluster: one kubeconfig, reading only, and errors that say what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from autograders.access import is_readable
from autograders.errors import InputError

if TYPE_CHECKING:  # httpx2 and lightkube take 0.2 s to import, so only connect() does it
    import httpx2
    from lightkube.config.kubeconfig import SingleConfig

UNREACHABLE = "start it with: gpulab up (or name another one with --kubeconfig)"
LARGEST = 1024 * 1024
"""Bytes of a kubeconfig; a few thousand are usual."""
SPARE = 10.0
"""Seconds that a server may take longer to end a watch than it was asked for."""
FORBIDDEN = "use an identity with the rights in autograders/rbac.yaml"


class ReadOnlyError(Exception):
    """The grader was about to do more than read what it declared; a fault of the grader."""


class ApiProblem(Exception):
    """One request was not answered as it should be, while the cluster is there."""


class ApiAbsent(Exception):
    """What was asked for does not exist, or does not exist yet."""


class Unreachable(InputError):
    """No API server answered, or it does not know who asks."""


@dataclass(frozen=True)
class Api:
    """A cluster's API; safe to share between threads and to keep for many gradings."""

    client: httpx2.Client
    """Keeps its connections open."""
    server: str
    """The URL, for messages."""

    def json(self, path: str, **query: str) -> dict[str, Any]:
        """Read an object or a list; ApiAbsent, ApiProblem or Unreachable when there is none."""
        try:
            return msgspec.json.decode(self._get(path, query), type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApiProblem(f"the answer is not JSON: {error}") from error

    def text(self, path: str, **query: str) -> str:
        return self._get(path, query).decode("utf-8", "replace")

    def watch(self, path: str, seconds: float, **query: str) -> Iterator[dict[str, Any]]:
        """Watch events as they come, until the server ends it after about `seconds`."""
        asked = {**query, "watch": "1", "timeoutSeconds": str(max(1, math.ceil(seconds)))}
        limit = seconds + SPARE
        with (
            self._failures(),
            self.client.stream("GET", path, params=asked, timeout=limit) as answer,
        ):
            if not answer.is_success:
                answer.read()
            self._expect_success(answer, path)
            for line in answer.iter_lines():
                yield self._event(line)

    def _event(self, line: str) -> dict[str, Any]:
        try:
            event = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ApiProblem(f"a watch event is not JSON: {error}") from error
        if event.get("type") == "ERROR":  # such as 410: the version is too old to watch from
            said = event.get("object") or {}
            raise ApiProblem(f"{said.get('code')}: {said.get('message')}")
        if not isinstance(event.get("object"), dict) or not isinstance(event.get("type"), str):
            raise ApiProblem("a watch event has no type or no object")
        return event

    def _get(self, path: str, query: dict[str, str]) -> bytes:
        with self._failures():
            answer = self.client.get(path, params=query)
        self._expect_success(answer, path)
        return answer.content

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn every failure to talk into an error of ours: the only place that does."""
        import httpx2

        try:
            yield
        except httpx2.TimeoutException as error:
            raise ApiProblem(f"no answer in time ({type(error).__name__})") from error
        except (httpx2.TransportError, OSError) as error:
            what = f"cannot reach the cluster at {self.server}: {error}"
            raise Unreachable(what, UNREACHABLE) from error

    def _expect_success(self, answer: httpx2.Response, path: str) -> None:
        """Turn every refusal into an error of ours."""
        if answer.status_code == 401:
            what = f"the cluster at {self.server} does not accept this kubeconfig's identity (401)"
            raise Unreachable(what, "make the kubeconfig anew: gpulab up")
        if answer.status_code == 404 or (answer.status_code == 400 and path.endswith("/log")):
            raise ApiAbsent(message(answer))
        if not answer.is_success:
            raise ApiProblem(f"{answer.status_code}: {message(answer)}")

    def close(self) -> None:
        self.client.close()

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def message(answer: httpx2.Response) -> str:
    """Say it in the API's own words, which stand in a Status object."""
    try:
        return str(msgspec.json.decode(answer.content)["message"])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return answer.reason_phrase


def connect(kubeconfig: Path | None, context: str | None = None, read_only: bool = True) -> Api:
    """Make ready to talk to the kubeconfig's cluster; the first request opens the connection.

    Without a path: $KUBECONFIG, else ~/.kube/config.
    """
    import httpx2
    from lightkube.config.client_adapter import ConnectionParams
    from lightkube.core.exceptions import ConfigError

    config, path = read_kubeconfig(kubeconfig, context)
    timeout = httpx2.Timeout(10, connect=3)
    try:
        options = ConnectionParams(timeout=timeout).httpx_params(config)
    except (ConfigError, OSError, ValueError, AssertionError) as error:
        raise InputError(
            f"the kubeconfig {path} has no usable identity: {error}", "make it anew: gpulab up"
        ) from error
    limits = httpx2.Limits(max_connections=16, keepalive_expiry=300)
    transport: httpx2.BaseTransport = httpx2.HTTPTransport(verify=options["verify"], limits=limits)
    options["transport"] = reading_only(transport) if read_only else transport
    return Api(httpx2.Client(**options), config.cluster.server)


def read_kubeconfig(path: Path | None, context: str | None) -> tuple[SingleConfig, Path]:
    import os

    import yaml
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.core.exceptions import ConfigError

    path = path or Path(os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()
    if not path.is_file():
        raise InputError(f"there is no kubeconfig {path}", UNREACHABLE)
    if path.stat().st_size > LARGEST:
        raise InputError(f"the kubeconfig {path} is larger than 1 MiB", "make it anew: gpulab up")
    try:
        config = KubeConfig.from_file(path).get(context)
    except (ConfigError, yaml.YAMLError, msgspec.ValidationError, OSError) as error:
        raise InputError(broken(path, error), "make it anew: gpulab up") from error
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise InputError(broken(path, error), "make it anew: gpulab up") from error
    assert config is not None  # only a default could be None
    return config, path


def broken(path: Path, error: Exception) -> str:
    return f"the kubeconfig {path} is broken: {' '.join(str(error).split())}"


def reading_only(inner: httpx2.BaseTransport) -> httpx2.BaseTransport:
    """Wrap a transport so that nothing but a GET of a readable path can leave this program."""
    import httpx2

    class ReadOnly(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            path = request.url.raw_path.decode("ascii").partition("?")[0]
            if request.method != "GET" or not is_readable(path) or "upgrade" in request.headers:
                raise ReadOnlyError(f"refused: {request.method} {path}")
            return inner.handle_request(request)

        def close(self) -> None:
            inner.close()

    return ReadOnly()
