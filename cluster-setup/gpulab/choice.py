"""Which provider a new lab gets: what was asked for, else what was asked for last time."""

from __future__ import annotations

import os

from autograders.errors import InputError
from gpulab import providers
from gpulab.paths import home, private_dir
from gpulab.private import write_private
from gpulab.providers import EMBEDDED, KIND

VARIABLE = "GPULAB_PROVIDER"


def choose(asked: str | None) -> tuple[str, str | None]:
    """The provider, and why it is not the remembered one.

    Whoever asks now, by option or variable, gets that or an error; a choice of another day gives
    way where Docker does not answer.
    """
    if chosen := asked or os.environ.get(VARIABLE):
        providers.of(chosen)
        return chosen, None
    if remembered() != KIND:
        return EMBEDDED, None
    from gpulab.providers import docker

    try:
        docker.info()
    except InputError as error:
        return EMBEDDED, f"{error.what[0].upper()}{error.what[1:]}, so this lab is made without it."
    return KIND, None


def remember(provider: str) -> None:
    """What somebody has asked for with --provider counts for new labs until he asks anew."""
    private_dir(home())
    write_private(home() / "provider", provider.encode())


def remembered() -> str | None:
    try:
        return (home() / "provider").read_text().strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
