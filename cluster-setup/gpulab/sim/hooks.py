"""postStart and preStop, with the kubelet's words (pkg/kubelet/kuberuntime, lifecycle/handlers)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpulab.sim.messages import Event
from gpulab.sim.probes import attempt

if TYPE_CHECKING:
    from gpulab.sim.container import Lifecycle


POST_START_ERROR = "PostStartHookError"


async def post_start(owner: Lifecycle) -> str | None:
    """Run postStart; the waiting message if it failed, after which the container is killed."""
    handler = (owner.container.spec.get("lifecycle") or {}).get("postStart")
    if not handler:
        return None
    await _sleep(owner, handler, float("inf"))
    problem = attempt(owner, handler | {"timeoutSeconds": float("inf")})
    if problem is None:
        return None
    await owner.say(Event("FailedPostStartHook", "PostStartHook failed", "Warning"))
    await owner.say(Event("Killing", "FailedPostStartHook"))
    meta, name = owner.pod["metadata"], owner.container.name
    where = f'Container "{name}" in Pod "{meta["name"]}_{meta["namespace"]}({meta["uid"]})"'
    if "exec" not in handler:
        return f'HTTP lifecycle hook for {where} failed - error: {problem[1]}, message: ""'
    command = " ".join(handler["exec"].get("command") or [])
    failed = f"command '{command}' exited with {problem[2]}: {problem[1]}"
    said = f'message: "{problem[1]}"'
    return f"Exec lifecycle hook ([{command}]) for {where} failed - error: {failed}, {said}"


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
