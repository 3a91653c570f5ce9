"""HTTPS for one client, who shows a certificate of the right CA with the right name.

It listens on loopback, or on the address of Docker's bridge where the API server is a container.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from gpulab.sim.config import Identity

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def listen(
    routes: Iterable[web.RouteDef], identity: Identity, client: str, where: tuple[str, int]
) -> None:
    """Serve these routes at an address and port to the client, or group, of that name."""

    @web.middleware
    async def only_that_client(request: web.Request, handler: Handler) -> web.StreamResponse:
        assert request.transport is not None
        certificate = request.transport.get_extra_info("peercert") or {}
        names = {value for part in certificate.get("subject", ()) for _, value in part}
        if client not in names:
            raise web.HTTPForbidden(text=f"only {client} may ask here")
        return await handler(request)

    app = web.Application(middlewares=[only_that_client])
    app.add_routes(
        [web.get("/healthz", _healthz), *routes, web.route("*", "/{rest:.*}", _not_simulated)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, *where, ssl_context=_tls(identity)).start()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _tls(identity: Identity) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=identity.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(identity.crt, identity.key)
    return context


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok")


async def _not_simulated(request: web.Request) -> web.Response:
    text = f"gpulab does not serve {request.path}\n"
    return web.Response(status=404, text=text)
