"""`gpulab up`, `down`, `status`, `kubeconfig`."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from autograders.errors import InputError
from gpulab.cli.options import Choice

if TYPE_CHECKING:  # each takes time to import, and most commands need none of them
    from gpulab.health import Component, Status
    from gpulab.lab import Record, Wanted

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)


def up(
    name: str,
    fleet: str,
    speed: float = 1.0,
    source: str | None = None,
    choice: Choice = Choice(),  # noqa: B008 (it never changes)
) -> Record:
    from gpulab import binaries, lifecycle, providers
    from gpulab.choice import remember
    from gpulab.lab import Wanted, expect_own, read_record
    from gpulab.paths import lab_paths
    from gpulab.sim.data import check_data

    paths = lab_paths(name)
    expect_own(paths)
    check_data(fleet)  # refused before minutes of building
    there = read_record(paths)
    provider = _kept(there, name, choice) if there else _chosen(choice)
    began = time.monotonic()
    binaries.ensure(source)
    if (took := time.monotonic() - began) > 1:  # they were not there
        err.print(f"The control plane's programs are there ({took:.0f} s, once).")
    wanted = Wanted(fleet, speed, provider, choice.node_image)
    if provider == providers.EXISTING:
        wanted = wanted if there else _existing(wanted, choice)
    began = time.monotonic()
    with err.status(f"Starting lab {name!r}"):
        record = lifecycle.up(paths, wanted, say=lambda text: err.print(escape(text)))
    if choice.provider and there is None:
        remember(choice.provider)
    if record.fleet != fleet and provider != providers.EXISTING:
        err.print(f"Lab {name!r} keeps its fleet {record.fleet!r}; --fleet counts for a new lab.")
    if record.speed != speed:
        err.print(f"Lab {name!r} keeps its speed {record.speed:g}; --speed counts for a new lab.")
    err.print(f"Lab {name!r} is ready ({time.monotonic() - began:.1f} s).")
    err.print(f"  export KUBECONFIG={paths.kubeconfig}", highlight=False)
    return record


def _kept(record: Record, name: str, choice: Choice) -> str:
    """The provider of a lab that is there."""
    if choice.provider not in (None, record.provider):
        do = f"gpulab down --delete --name {name}, then again: notebooks, answers, progress stay"
        what = f"lab {name!r} is of provider {record.provider}"
        raise InputError(what, f"{do}; or have a second lab: --name {choice.provider}")
    return record.provider


def _chosen(choice: Choice) -> str:
    """The provider of a new lab."""
    from gpulab import providers
    from gpulab.choice import choose

    provider, why = choose(choice.provider)
    for option, value, goes_with in (
        ("--node-image", choice.node_image, providers.KIND),
        ("--context", choice.context, providers.EXISTING),
    ):
        if value and provider != goes_with:
            raise InputError(
                f"{option} goes with --provider {goes_with}", "add that, or leave it out"
            )
    if why:
        err.print(why)
    return provider


def _existing(wanted: Wanted, choice: Choice) -> Wanted:
    """Show which cluster would be used, and ask."""
    from gpulab.providers import existing

    kubeconfig, words = existing.chosen(None, choice.context)
    err.print(f"Exercises will make their namespaces in {words}.", highlight=False)
    if not choice.yes:
        if not sys.stdin.isatty():
            raise InputError("nobody is there to confirm that cluster", "if it is meant, add --yes")
        typer.confirm("Is it meant?", abort=True)
    return dataclasses.replace(wanted, fleet="", kubeconfig=kubeconfig)


def down(name: str, *, delete: bool, everything: bool, yes: bool) -> None:
    from gpulab import lab, lifecycle
    from gpulab.paths import lab_paths

    if everything:
        if not delete:
            raise InputError("--all goes with --delete", "gpulab down --delete --all")
        return _down_all(yes)
    existed = lifecycle.down(lab_paths(name), delete=delete)
    done = "removed" if delete else "stopped; `gpulab up` resumes it"
    err.print(f"Lab {name!r} is {done}." if existed else f"There is no lab {name!r}.")
    for other in lab.names():
        if other != name:
            err.print(f"Lab {other!r} is another one: gpulab down --name {other}")


def _down_all(yes: bool) -> None:
    from gpulab import lab, lifecycle
    from gpulab.paths import cache, home, lab_paths, work

    folders = [home(), work(), cache()]
    err.print("This removes all labs, your notebooks and answers, and the built binaries:")
    for folder in folders:
        err.print(f"  {folder}", highlight=False)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("nobody is there to confirm", "add --yes to remove them")
        typer.confirm("Remove them?", abort=True)
    for name in lab.names():
        lifecycle.down(lab_paths(name), delete=True)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def status(name: str, *, json: bool) -> int:
    import msgspec

    from gpulab import health, lab

    found = health.status(*lab.existing(name))
    if json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())  # noqa: T201
    else:
        _show(found)
    return 0 if found.ready else 1


def kubeconfig(name: str) -> None:
    from gpulab import lab

    paths, _ = lab.existing(name)
    print(paths.kubeconfig)  # noqa: T201 (a path for a program; Rich would wrap it)


def _show(found: Status) -> None:
    table = Table("component", "pid", "port", "health", "restarted", box=None, pad_edge=False)
    for component in found.components:
        colour = "green" if component.health == "ok" else "red"
        table.add_row(
            component.name,
            str(component.pid or "-"),
            str(component.port or "-"),
            f"[{colour}]{escape(component.health)}[/]",
            _restarts(component),
        )
    out.print(table)
    if found.supervisor is None and found.state != "stopped":
        out.print("The supervisor is stopped: what dies is not started again until `gpulab up`.")
    state = found.state if found.missing is None else f"{found.state}: {found.missing}"
    nodes = f", fleet {found.fleet}, {found.gpus} GPUs" if found.fleet else ""
    out.print(f"lab {found.name} ({found.provider}{nodes})", state)
    for each in found.faults:
        out.print(f"fault at work: {each}", highlight=False)
    if found.jupyterlab:
        out.print(f"JupyterLab: {found.jupyterlab}", highlight=False)


def _restarts(component: Component) -> str:
    """How often the supervisor started it again, and when last, in the user's time."""
    if component.restarted is None:
        return ""
    times = "once" if component.restarts == 1 else f"{component.restarts} times"
    return f"{times}, last {component.restarted.astimezone():%H:%M:%S}"
