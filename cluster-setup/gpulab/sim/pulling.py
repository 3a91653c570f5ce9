"""How an image comes to a node: policy, pull, errors and back-off."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from gpulab.sim import messages
from gpulab.sim.runtime import World
from gpulab.sim.status import waiting

if TYPE_CHECKING:
    from gpulab.sim.container import Lifecycle

PRESENT_PULL_SECONDS = 0.3  # our reading: a pull that finds every layer in place
# A valid reference after github.com/distribution/reference: lower case, optional port and tag.
REFERENCE = re.compile(
    r"(?:[\w.-]+(?::\d+)?/)?[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
    r"(?::[\w][\w.-]{0,127})?(?:@\w+:[0-9a-fA-F]{32,})?"
)


async def fetch(
    owner: Lifecycle, world: World, not_verified: Callable[[], Awaitable[None]]
) -> None:
    """Return once the image is on the node; meanwhile show what the kubelet shows."""
    failures, container = 0, owner.container
    while (problem := await _pull(owner, world, not_verified)) is not None:
        reason, cause = problem
        container.state = waiting(reason, cause)
        await owner.write()
        failures += 1
        if reason == messages.ERR_IMAGE_PULL:
            await owner.pause(min(1.0, failures))
            await _say_back_off(owner, cause)
        if await owner.pause(messages.IMAGE_PULL_BACKOFF.delay(failures)):
            failures = 0  # another image, another back-off


async def _say_back_off(owner: Lifecycle, cause: str) -> None:
    image = owner.container.spec["image"]
    text = messages.pull_back_off_waiting(image, cause)
    owner.container.state = waiting(messages.IMAGE_PULL_BACK_OFF, text)
    await owner.write()
    await owner.say(messages.pull_back_off(image))
    await owner.say(messages.container_error(messages.IMAGE_PULL_BACK_OFF))


async def _pull(
    owner: Lifecycle, world: World, not_verified: Callable[[], Awaitable[None]]
) -> tuple[str, str] | None:
    """Waiting reason and message if the image cannot be had now."""
    image, policy = owner.container.spec["image"], owner.container.spec.get("imagePullPolicy")
    if not REFERENCE.fullmatch(image):
        return await _refuse_name(owner, image)
    asked = asyncio.get_running_loop().time()
    async with owner.node.pulling[image]:
        present = image in owner.node.images
        if present and policy != "Always":
            await owner.say(messages.already_present(image))
            return None
        if policy == "Never":
            event = messages.never_pulled(image)
            await owner.say(event)
            await owner.say(messages.container_error(messages.ERR_IMAGE_NEVER_PULL))
            return messages.ERR_IMAGE_NEVER_PULL, event.message
        pull = world.images.pull(image)
        await owner.say(messages.pulling(image))
        if pull.failure is not None:
            await owner.say(messages.pull_failed(image, pull.failure))
            await owner.say(messages.container_error(messages.ERR_IMAGE_PULL))
            return messages.ERR_IMAGE_PULL, pull.failure
        seconds = PRESENT_PULL_SECONDS if present else pull.seconds
        began = asyncio.get_running_loop().time()
        await world.pass_time(seconds)
        owner.node.images.add(image)
    await owner.say(messages.pulled(image, seconds, seconds + began - asked, pull.size))
    if not pull.verified:
        await not_verified()
    return None


async def _refuse_name(owner: Lifecycle, image: str) -> tuple[str, str]:
    event, text = messages.invalid_image_name(image)
    await owner.say(event)
    await owner.say(messages.container_error("InvalidImageName"))
    return "InvalidImageName", text
