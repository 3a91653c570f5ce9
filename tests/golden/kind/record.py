"""Record the goldens on a real cluster: `observed.json` of every scenario, and status samples.

    python -m tests.golden.kind.record KUBECONFIG [--only PART …] [--runs 3] [--at-once 6]
    python -m tests.golden.kind.record KUBECONFIG --kubectl

ORIGIN.md says how the cluster is made ready.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from tests.golden.kind.compare import merge
from tests.golden.kind.play import Object, Stage, ask_kubectl, play, stage
from tests.golden.kind.scenario import HERE, names


async def record(name: str, on: Stage, runs: int, gate: asyncio.Semaphore) -> str:
    """Play one scenario several times and write its golden; what went wrong, if anything."""
    made: list[Object] = []
    for _ in range(runs):
        async with gate:
            made.append(await play(on, name, HERE / "status"))
        if "stuck" in made[-1]:
            return f"{name}: never came: {made[-1]['stuck']}\n{json.dumps(made[-1], indent=1)}"
    write(HERE / name / "observed.json", merge(made))
    return ""


async def record_kubectl(kubeconfig: Path) -> int:
    async with stage(kubeconfig) as on:
        answers, stuck = await ask_kubectl(on, ["kubectl", "--kubeconfig", str(kubeconfig)])
    if not stuck:
        write(HERE / "kubectl.json", answers)
    sys.stderr.write(f"never came: {stuck}\n" if stuck else f"{len(answers)} recorded\n")
    return bool(stuck)


def write(path: Path, found: Object) -> None:
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


async def main(arguments: argparse.Namespace) -> int:
    if arguments.kubectl:
        return await record_kubectl(arguments.kubeconfig)
    chosen = [name for name in names() if any(part in name for part in arguments.only)]
    gate = asyncio.Semaphore(arguments.at_once)
    async with stage(arguments.kubeconfig) as on:
        failures = await asyncio.gather(
            *(record(name, on, arguments.runs, gate) for name in chosen)
        )
    problems = [failure for failure in failures if failure]
    sys.stderr.write("\n".join([*problems, f"{len(chosen) - len(problems)} recorded\n"]))
    return bool(problems)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kubeconfig", type=Path)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of scenarios' names")
    parser.add_argument("--kubectl", action="store_true", help="record kubectl's words instead")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=6, help="more disturb each other")
    sys.exit(asyncio.run(main(parser.parse_args())))
