"""How an image comes to a node: policy, pull, errors and back-off (pkg/kubelet/images)."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from gpulab.sim import image_messages, messages
from gpulab.sim.ailing import REGISTRY_UNREACHABLE
from gpulab.sim.images import repository

if TYPE_CHECKING:
    from gpulab.sim.container import Lifecycle

PRESENT_PULL_SECONDS = 0.3  # our reading: a pull that finds every layer in place
SOON = 1.0  # the next sync after a failed one
# A valid reference after github.com/distribution/reference: lower case, optional port and tag.
REFERENCE = re.compile(
    r"(?:[\w.-]+(?::\d+)?/)?[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
    r"(?::[\w][\w.-]{0,127})?(?:@\w+:[0-9a-fA-F]{32,})?"
)


class Puller:
    """Fetches one container's image; each `attempt` is what one sync of the kubelet does."""

    def __init__(self, owner: Lifecycle) -> None:
        self._owner = owner
        self._failures: dict[str, int] = {}  # by image
        self._allowed = 0.0  # loop time, in simulated seconds, of the next pull
        self._cause = ""

    async def attempt(self) -> float | None:
        """None once the image is on the node; otherwise the seconds until the next attempt."""
        image = self._owner.container.spec["image"]
        if not REFERENCE.fullmatch(image):
            return await self._refuse_name(image)
        if self._failures.get(image) and (left := self._allowed - self._now()) > 0:
            return await self._back_off(image, left)
        async with self._owner.node.pulling[image]:
            return await self._fetch(image)

    async def _fetch(self, image: str) -> float | None:
        owner = self._owner
        lost = repository(image) in owner.node.lost_images
        present = image in owner.node.images and not lost
        policy = owner.container.spec.get("imagePullPolicy")
        if present and policy != "Always":
            await owner.say(image_messages.already_present(image))
            return None
        if policy == "Never":
            event = image_messages.never_pulled(image)
            await owner.say(event)
            await owner.say(messages.container_error(messages.ERR_IMAGE_NEVER_PULL))
            return await owner.wait_as(messages.ERR_IMAGE_NEVER_PULL, event.message, SOON)
        await owner.say(image_messages.pulling(image))
        pull = owner.world.images.pull(image)
        if failure := self._unreachable(image) or (
            image_messages.tag_not_found(image) if lost else pull.failure
        ):
            return await self._fail(image, failure)
        seconds = PRESENT_PULL_SECONDS if present else pull.seconds
        await owner.world.pass_time(seconds)
        owner.node.images.add(image)
        self._failures.pop(image, None)
        await owner.say(image_messages.pulled(image, seconds, seconds, pull.size))
        if not pull.verified:
            await owner.tell_once("ImageNotVerified", _not_verified(image))
        return None

    def _unreachable(self, image: str) -> str:
        """The network's words, if the node does not reach the registry."""
        facts = self._owner.node.facts
        return image_messages.no_route(image) if facts.holds(REGISTRY_UNREACHABLE) else ""

    async def _fail(self, image: str, cause: str) -> float:
        await self._owner.say(image_messages.pull_failed(image, cause))
        await self._owner.say(messages.container_error(messages.ERR_IMAGE_PULL))
        failures = self._failures[image] = self._failures.get(image, 0) + 1
        self._allowed = self._now() + messages.IMAGE_PULL_BACKOFF.delay(failures)
        self._cause = cause
        return await self._owner.wait_as(messages.ERR_IMAGE_PULL, cause, SOON)

    async def _back_off(self, image: str, left: float) -> float:
        await self._owner.say(image_messages.pull_back_off(image))
        await self._owner.say(messages.container_error(messages.IMAGE_PULL_BACK_OFF))
        text = image_messages.pull_back_off_waiting(image, self._cause)
        wait = min(left, messages.SYNC_SECONDS)
        return await self._owner.wait_as(messages.IMAGE_PULL_BACK_OFF, text, wait)

    async def _refuse_name(self, image: str) -> float:
        event, text = image_messages.invalid_image_name(image)
        await self._owner.say(event)
        await self._owner.say(messages.container_error("InvalidImageName"))
        return await self._owner.wait_as("InvalidImageName", text, SOON)

    def _now(self) -> float:
        return asyncio.get_running_loop().time() * self._owner.world.speed


def _not_verified(image: str) -> str:
    return f'gpulab has no list of the tags of this repository; it took for granted "{image}"'
