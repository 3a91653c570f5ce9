"""What a kubelet writes of a Pod must arrive, whatever the API server goes through meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from gpulab.sim.api import Api, ApiError

log = logging.getLogger(__name__)
SOON, LATER = 0.5, 5.0  # seconds until the next try, twice as long each time
AWAY = (aiohttp.ClientError, TimeoutError, OSError)
INVALID = (400, 422)
PERHAPS_GONE = (404, 409)


async def insist(api: Api, path: str, uid: str, request: Callable[[], Awaitable[object]]) -> None:
    """Try until it is done, or the Pod at `path` with that UID is gone.

    A server that has just started answers 403 as long as its admission plugins are not ready. What
    is invalid is given up, with a line in the log: it would stay so.
    """
    wait = SOON
    while True:
        try:
            await request()
            return
        except ApiError as error:
            if error.status in INVALID:
                log.error("%s: %s; given up", path, error)
                return
            if error.status in PERHAPS_GONE and await _is_gone(api, path, uid):
                return
            log.warning("%s: %s; trying again", path, error)
        except AWAY as error:
            log.warning("%s: %s; trying again", path, error)
        await asyncio.sleep(wait)
        wait = min(2 * wait, LATER)


async def _is_gone(api: Api, path: str, uid: str) -> bool:
    try:
        found: dict[str, Any] = await api.get(path)
    except ApiError as error:
        return error.status == 404
    except AWAY:
        return False
    return bool(found["metadata"]["uid"] != uid)
