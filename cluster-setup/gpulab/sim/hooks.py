"""postStart and preStop, with the kubelet's words (pkg/kubelet/kuberuntime, lifecycle/handlers)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpulab.sim.messages import Event
from gpulab.sim.probes import attempt

if TYPE_CHECKING:
    from gpulab.sim.container import Lifecycle


async def post_start(owner: Lifecycle) -> Event | None:
    """Run postStart; the event if it failed, after which the container is killed."""
    handler = (owner.container.spec.get("lifecycle") or {}).get("postStart")
    if not handler:
        return None
    await _sleep(owner, handler, float("inf"))
    if attempt(owner, handler | {"timeoutSeconds": float("inf")}) is None:
        return None
    return Event("FailedPostStartHook", "PostStartHook failed", "Warning")


async def pre_stop(owner: Lifecycle, grace: float) -> None:
    """Run preStop within the grace period; a failure is an event and nothing more."""
    handler = (owner.container.spec.get("lifecycle") or {}).get("preStop")
    if not handler or grace <= 0:
        return
    await _sleep(owner, handler, grace)
    if attempt(owner, handler | {"timeoutSeconds": grace}) is not None:
        await owner.say(Event("FailedPreStopHook", "PreStopHook failed", "Warning"))


async def _sleep(owner: Lifecycle, handler: dict[str, Any], at_most: float) -> None:
    seconds = float((handler.get("sleep") or {}).get("seconds", 0))
    await owner.world.pass_time(min(seconds, at_most))
