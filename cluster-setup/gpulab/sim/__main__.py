"""`python -m gpulab.sim CONFIG`: the simulator process. A provider starts it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

from gpulab.fleets import load_fleet
from gpulab.paths import DATA
from gpulab.sim.api import Api
from gpulab.sim.config import Config
from gpulab.sim.events import Recorder
from gpulab.sim.gpus import load_driver, load_models
from gpulab.sim.images import Images
from gpulab.sim.kubelet import Kubelets, wait_for
from gpulab.sim.nodes import Server, make_nodes
from gpulab.sim.operator import policy
from gpulab.sim.operator.controller import Operator
from gpulab.sim.operator.driver_manager import DriverManager
from gpulab.sim.operator.install import install
from gpulab.sim.operator.mig_manager import MigManager
from gpulab.sim.operator.operands import FOLDER, cluster_policy, load
from gpulab.sim.operator.policy import all_images
from gpulab.sim.pace import Pace
from gpulab.sim.runtime import World
from gpulab.sim.server import metrics, serve
from gpulab.sim.workloads import Catalogue

API_SECONDS = 120.0  # how long the API server may take to come up


async def main(config: Config) -> None:
    """Run until SIGTERM."""
    api = Api(config.server, config.api)
    workloads = Catalogue.load(DATA / "workloads")
    world = World(
        api=api,
        recorder=Recorder(api),
        images=Images.load(DATA / "images"),
        workloads=workloads,
        driver=load_driver(DATA / "nvidia.toml"),
        speed=config.speed,
    )
    world.pace = Pace(config.speed, None)
    operands = load()
    images = set(all_images(operands, cluster_policy()["spec"]))
    images.add(policy.image(cluster_policy(FOLDER / "gpu-cluster.yaml")["spec"]["draDriver"]))
    fleet = load_fleet(config.fleet)
    nodes = make_nodes(fleet, load_models(DATA / "gpus"), config.seed)
    server = Server(config.host, config.port, config.beside_real)
    kubelets = Kubelets(nodes, world, server, images)
    operator = Operator(api, operands, kubelets.nodes, world.pace)
    DriverManager(kubelets, world)
    MigManager(kubelets, world, Path(config.causes).with_name("mig.json"))
    try:
        await wait_for(api, API_SECONDS)
        async with asyncio.TaskGroup() as group:
            if config.install:
                group.create_task(install(api, operator, fleet.stack))
            await kubelets.register()
            group.create_task(serve(kubelets, config.kubelet, (config.address, config.port)))
            group.create_task(metrics.serve(api, config))
            group.create_task(kubelets.follow_causes(Path(config.causes)))
            group.create_task(kubelets.follow())
            group.create_task(operator.run())
    finally:
        await api.close()


def run() -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    runner = asyncio.Runner()
    with runner, contextlib.suppress(asyncio.CancelledError):
        loop = runner.get_loop()
        work = loop.create_task(main(Config.read(Path(sys.argv[1]))))
        loop.add_signal_handler(signal.SIGTERM, work.cancel)
        loop.run_until_complete(work)


if __name__ == "__main__":
    run()
