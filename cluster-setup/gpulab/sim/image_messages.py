"""What kubelet and containerd say about images, word for word.

Sources, all Go: Kubernetes v1.36.3 (`pkg/kubelet/images`), containerd v2.3.7 (CRI plugin).
"""

from __future__ import annotations

from gpulab.sim.messages import ERR_IMAGE_NEVER_PULL, ERR_IMAGE_PULL, Event, go_duration

# Images: pkg/kubelet/images/image_manager.go


def pulling(image: str) -> Event:
    """Announce a pull."""
    return Event("Pulling", f'Pulling image "{image}"')


def pulled(image: str, took_s: float, waited_s: float, size_bytes: int) -> Event:
    """Report a pull; `waited_s` includes the time spent behind other pulls."""
    took, waited = go_duration(took_s), go_duration(waited_s)
    return Event(
        "Pulled",
        f'Successfully pulled image "{image}" in {took} ({waited} including waiting). '
        f"Image size: {size_bytes} bytes.",
    )


def already_present(image: str) -> Event:
    """Report an image that needs no pull (gate KubeletEnsureSecretPulledImages, on since 1.35)."""
    return Event(
        "Pulled",
        f'Container image "{image}" already present on machine and can be accessed by the pod',
    )


def never_pulled(image: str) -> Event:
    """Refuse an absent image under imagePullPolicy Never; also the waiting message."""
    message = f'Container image "{image}" is not present with pull policy of Never'
    return Event(ERR_IMAGE_NEVER_PULL, message, "Warning")


def invalid_image_name(image: str) -> tuple[Event, str]:
    """Refuse an image reference that does not parse: the event, and the waiting message."""
    why = "invalid reference format"
    name = reference(image).partition("@")[0].rpartition(":")[0].partition("/")[2]
    if name != name.lower():
        why += f": repository name ({name}) must be lowercase"
    parse = f'couldn\'t parse image name "{image}": {why}'
    text = f'Failed to apply default image tag "{image}": {parse}'
    return Event("InspectFailed", text, "Warning"), text


def pull_failed(image: str, cause: str) -> Event:
    """Report a failed pull; kubelet adds `container_error(ERR_IMAGE_PULL)` right after it."""
    return Event("Failed", f'Failed to pull image "{image}": {cause}', "Warning")


def pull_back_off(image: str) -> Event:
    """Skip a pull; kubelet adds `container_error(IMAGE_PULL_BACK_OFF)` right after it."""
    return Event("BackOff", f'Back-off pulling image "{image}"')


def pull_back_off_waiting(image: str, cause: str) -> str:
    """Waiting message during ImagePullBackOff; during ErrImagePull it is the cause alone."""
    return f'Back-off pulling image "{image}": {ERR_IMAGE_PULL}: {cause}'


# containerd internal/cri/server/images/image_pull.go (transfer service, the default),
# core/transfer/local/pull.go, core/remotes/docker/resolver.go; the leading code comes from
# gRPC and k8s.io/cri-client pkg/remote_image.go drops it when it is Unknown.


def tag_not_found(image: str) -> str:
    """Cause of a failed pull where the registry knows the repository but not the tag."""
    ref = reference(image)
    return (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{ref}": '
        f"failed to resolve image: {ref}: not found"
    )


def repository_not_found(image: str) -> str:
    """Cause of a failed pull where Docker Hub has no such repository, or a private one."""
    return (
        f'failed to pull and unpack image "{reference(image)}": failed to resolve image: pull '
        "access denied, repository does not exist or may require authorization: "
        "server message: insufficient_scope: authorization failed"
    )


def no_route(image: str) -> str:
    """Cause of a failed pull where the name of the registry cannot be resolved.

    Seen in public `kubectl describe` output of containerd 2; the resolver's address is left out.
    """
    ref = reference(image)
    host, _, path = ref.partition("/")
    host = "registry-1.docker.io" if host == "docker.io" else host
    name, _, tag = path.rpartition("@" if "@" in path else ":")
    url = f"https://{host}/v2/{name}/manifests/{tag}"
    return (
        f'failed to pull and unpack image "{ref}": failed to resolve image: failed to do request: '
        f'Head "{url}": dial tcp: lookup {host}: i/o timeout'
    )


def reference(image: str) -> str:
    """Spell an image out in full, as github.com/distribution/reference does.

    >>> reference("busybox")
    'docker.io/library/busybox:latest'
    >>> reference("nvidia/cuda:12.4.1-base-ubuntu22.04")
    'docker.io/nvidia/cuda:12.4.1-base-ubuntu22.04'
    """
    domain, slash, rest = image.partition("/")
    if not slash or not (set(domain) & {".", ":"} or domain == "localhost"):
        domain, rest = "docker.io", image
    if domain == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    tagged = "@" in rest or ":" in rest.rpartition("/")[2]
    return f"{domain}/{rest}" if tagged else f"{domain}/{rest}:latest"
