"""`python -m gpulab.exporter CONFIG FILE`: serve the GPUs' metrics of a lab; `gpulab metrics` does.

CONFIG is the simulator's: the same cluster, seed and faults. FILE holds the port. It follows the
API server by itself, so that scrapes, however many, take nothing from the simulated kubelets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from gpulab.exporter import series
from gpulab.exporter.cluster import Cluster
from gpulab.exporter.occupancy import Loads
from gpulab.fleets import load_fleet
from gpulab.pairs import LEARNERS
from gpulab.paths import DATA
from gpulab.ports import LOOPBACK
from gpulab.sim.api import Api
from gpulab.sim.config import Config, Identity
from gpulab.sim.gpus import load_driver, load_models
from gpulab.sim.listening import listen
from gpulab.sim.nodes import make_nodes
from gpulab.sim.workloads import Catalogue


async def main(config: Config, port: int) -> None:
    """Run until SIGTERM."""
    api = Api(config.server, config.api)
    nodes = make_nodes(load_fleet(config.fleet), load_models(DATA / "gpus"), config.seed)
    loads = Loads(Catalogue.load(DATA / "workloads"), load_driver(DATA / "nvidia.toml"))
    cluster = Cluster(api, nodes, loads, Path(config.causes))

    async def metrics(request: web.Request) -> web.Response:
        if not cluster.complete:
            raise web.HTTPServiceUnavailable(text="nodes and Pods have not been listed yet\n")
        return web.Response(
            body=series.text(cluster.seen()), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    routes, shown = [web.get("/metrics", metrics)], config.metrics
    identity = Identity(config.api.ca, shown.crt, shown.key)  # learners' certificates are its
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(cluster.follow())
            group.create_task(listen(routes, identity, LEARNERS, (LOOPBACK, port)))
    finally:
        await api.close()


def run() -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    with asyncio.Runner() as runner, contextlib.suppress(asyncio.CancelledError):
        loop = runner.get_loop()
        config, port = Config.read(Path(sys.argv[1])), int(Path(sys.argv[2]).read_text())
        work = loop.create_task(main(config, port))
        loop.add_signal_handler(signal.SIGTERM, work.cancel)
        loop.run_until_complete(work)


if __name__ == "__main__":
    run()
