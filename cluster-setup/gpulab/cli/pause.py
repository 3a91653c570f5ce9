"""`gpulab pause` and `gpulab resume`."""

from __future__ import annotations

from gpulab.cli.lab import err

MEANING = {
    "kube-scheduler": "new Pods stay Pending without a node",
    "kube-controller-manager": "no Deployment, Job or DaemonSet makes, replaces or removes a Pod",
}


def pause(component: str, name: str) -> None:
    full, changed = _switch(component, name, on=True)
    if not changed:
        return err.print(f"{full} is paused already.")
    err.print(f"{full} is paused: {MEANING[full]}. Everything that runs goes on.")
    err.print(f"  gpulab resume {component}", highlight=False)


def resume(component: str, name: str) -> None:
    full, changed = _switch(component, name, on=False)
    err.print(f"{full} works again." if changed else f"{full} was not paused.")


def _switch(component: str, name: str, *, on: bool) -> tuple[str, bool]:
    from gpulab import lab, lifecycle
    from gpulab.providers import pausing

    full = pausing.full_name(component)
    paths, record = lab.existing(name)
    return full, lifecycle.switch(paths, record, component, on=on)
